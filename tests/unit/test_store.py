"""The store: what is acknowledged is there, whole, and nothing else is believed."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from netctl.errors import Conflict, KernelError, LockTimeout
from netctl.models import Cursor, Endpoint, Network, Sandbox
from netctl.record import replace
from netctl.store import Changes, Store, storage
from netctl.store.view import View
from tests.unit.store_cases import (
    FORK,
    again,
    endpoint,
    files,
    in_child,
    increment,
    intent,
    journal_of_a_dead_process,
    network,
    put,
)


def test_what_is_put_is_there_and_what_is_deleted_is_gone(store: Store, tmp_path: Path) -> None:
    web = network()
    ends = [endpoint(web, f"e{number}", f"10.0.0.{number}/24") for number in range(9)]
    put(store, web, *ends)
    assert store.get(Network, web.id) == web
    assert store.all(Endpoint) == store.all(Endpoint, web.id) == ends
    assert store.get(Endpoint, ends[3].id) == ends[3]
    assert store.owner("network/web") == web.id
    assert store.owner(f"address/{web.id}/10.0.0.3") == ends[3].id
    assert store.owners(["e3"], "endpoint") == {f"endpoint/{web.id}/e3": ends[3].id}
    assert store.by_prefix(Endpoint, ends[2].id[:10]) == [ends[2]]
    assert not store.is_empty(Endpoint, web.id)
    with store.locked("test") as writer:
        writer.commit(Changes(delete=(web, *ends)))
        assert writer.is_empty(Endpoint, web.id)
    assert store.is_empty(Endpoint, web.id)
    assert store.owner("network/web") is None
    assert files(tmp_path) == [tmp_path / "state" / "journal"]


def test_text_that_is_not_utf8_comes_back(store: Store, tmp_path: Path) -> None:
    """What is remembered of a file of the host may be any bytes, in shard and journal alike."""
    odd = replace(network(), labels={"said": "caf\udce9 \u00e9"})
    with store.locked("test") as writer:
        writer.begin(intent(Changes(put=(odd,))))
        writer.commit(Changes(put=(odd,)))
        assert again(tmp_path).get(Network, odd.id) == odd  # of the journal
    assert again(tmp_path).get(Network, odd.id) == odd


def test_a_batch_sees_its_own_changes(store: Store) -> None:
    web = network()
    with store.locked("outer") as writer:
        put(store, web)
        put(store, endpoint(web, "e1"))
        assert [doc.name for doc in store.all(Endpoint, web.id)] == ["e1"]
        assert writer.by_prefix(Network, web.id[:5]) == [web]
        # Another process sees what is committed before the batch ends.
        assert Store(store.state_dir, "/nonexistent").get(Network, web.id) == web
    assert store.get(Network, web.id) == web


def test_changing_a_document_frees_its_old_names(store: Store) -> None:
    web = network()
    put(store, web)
    put(store, replace(web, name="app"))
    assert store.owner("network/web") is None
    assert store.owner("network/app") == web.id


def test_a_name_is_held_once(store: Store) -> None:
    put(store, network())
    with store.locked("test") as writer:
        with pytest.raises(Conflict, match="web is taken"):
            writer.begin(intent(Changes(put=(network(),))))
        with pytest.raises(Conflict):
            writer.commit(Changes(put=(network(),)))
    assert len(store.all(Network)) == 1


def test_a_name_can_pass_from_one_to_another_in_one_commit(store: Store) -> None:
    old, new = network(), network()
    put(store, old)
    with store.locked("test") as writer:
        writer.commit(Changes(put=(new,), delete=(old,)))
    assert store.all(Network) == [new]
    assert store.owner("network/web") == new.id


def test_an_intent_outlives_its_process(store: Store, tmp_path: Path) -> None:
    web = network()

    def die() -> None:
        with again(tmp_path).locked("doomed") as writer:
            writer.begin(intent(Changes(put=(web,))))
            os.kill(os.getpid(), signal.SIGKILL)

    in_child(die)
    assert store.all(Network) == []
    with store.locked("next") as writer:
        pending = writer.pending()
        assert pending is not None
        assert pending.changes.put == (web,)
    with store.locked("still") as writer:
        assert writer.pending() is not None
        writer.abort()
    with store.locked("settled") as writer:
        assert writer.pending() is None


def test_a_commit_outlives_its_process(store: Store, tmp_path: Path) -> None:
    web = network()

    def die() -> None:
        with again(tmp_path).locked("doomed") as writer:
            writer.commit(Changes(put=(web,)))
            os.kill(os.getpid(), signal.SIGKILL)

    in_child(die)
    assert store.get(Network, web.id) == web, "through the journal"
    put(store, network("other"))
    assert (tmp_path / "state" / "journal").read_bytes() == b""
    assert store.get(Network, web.id) == web


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Pairs of documents are committed together: no reader ever sees one without the other."""
    store = again(tmp_path)

    def write() -> None:
        mine = again(tmp_path)
        for number in range(10_000):
            parent = network(f"n{os.getpid()}-{number}")
            put(mine, parent, endpoint(parent, "e"))

    for round_ in range(40):
        child = os.fork()
        if child == 0:
            write()
            os._exit(0)
        time.sleep(0.002 + 0.0015 * round_)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        parents = {doc.id for doc in store.all(Network)}
        assert {doc.network_id for doc in store.all(Endpoint)} == parents
    put(store, network("last"))
    assert {doc.network_id for doc in store.all(Endpoint)} == parents
    for doc in store.all(Endpoint):
        assert store.owner(f"endpoint/{doc.network_id}/e") == doc.id


def test_no_update_is_lost_and_readers_see_whole_documents(tmp_path: Path) -> None:
    workers = [FORK.Process(target=increment, args=(tmp_path, 50)) for _ in range(8)]
    for worker in workers:
        worker.start()
    seen = [0]
    store = again(tmp_path)
    while any(worker.is_alive() for worker in workers):
        if cursor := store.get(Cursor, "0" * 64):
            seen.append(int(cursor.last["n"]))
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert seen == sorted(seen)
    final = store.get(Cursor, "0" * 64)
    assert final is not None and final.last == {"n": "400"}


def test_the_lock_is_waited_for_and_its_holder_named(store: Store, tmp_path: Path) -> None:
    with store.locked("network create slow"):

        def try_it() -> None:
            try:
                with again(tmp_path, timeout=0.05).locked("impatient"):
                    os._exit(1)
            except LockTimeout as error:
                expected = f"process {os.getppid()}, 'network create slow' since"
                os._exit(0 if expected in error.message and error.exit_code == 75 else 2)

        assert in_child(try_it) == 0


def test_a_batch_is_durable_before_its_shards(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    sync, save = os.fdatasync, storage.save

    def fdatasync(descriptor: int) -> None:
        log.append("sync")
        sync(descriptor)

    def logged_save(files: Mapping[str, storage.Tables]) -> None:
        log.append("save")
        save(files)

    path = journal_of_a_dead_process(store, tmp_path)
    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(storage, "save", logged_save)
    with store.locked("recovery"):
        assert path.read_bytes() == b""
    assert log[:2] == ["sync", "save"]
    log.clear()
    with store.locked("batch"):
        put(store, network("web"))
        put(store, network("db"))
    assert log[:2] == ["sync", "save"]


def test_a_batch_that_may_not_last_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "broken disk")

    with pytest.raises(KernelError, match="journal cannot be written"), store.locked("batch"):
        with store.locked("batch"):
            put(store, network("web"))
        monkeypatch.setattr(os, "fdatasync", broken)


def test_a_process_with_few_descriptors_writes_many_shards(store: Store, tmp_path: Path) -> None:
    def batch() -> None:
        few = max(int(number) for number in os.listdir("/proc/self/fd")) + 25
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
        put(store, *(network(f"n{number}") for number in range(300)))

    in_child(batch)
    assert (tmp_path / "state" / "journal").read_bytes() == b""
    assert len(store.all(Network)) == 300


def test_readers_write_nothing(store: Store, tmp_path: Path) -> None:
    assert store.all(Sandbox) == []
    assert list(tmp_path.iterdir()) == []


def test_two_run_directories_do_not_make_two_writers(store: Store, tmp_path: Path) -> None:
    other = Store(store.state_dir, f"{tmp_path}/elsewhere", lock_timeout=0.05)
    late = pytest.raises(LockTimeout, match="run directory of its own")
    with store.locked("first"), late, other.locked("second"):
        raise AssertionError("two writers")
    with other.locked("second"):
        pass


def test_a_reader_that_is_always_disturbed_sees_one_moment(store: Store, tmp_path: Path) -> None:
    one, two = network("one"), network("two")
    put(store, one, two)
    tries: list[int] = []

    def disturb() -> None:
        tries.append(len(tries))
        writer = again(tmp_path, timeout=0.05)
        with suppress(LockTimeout):
            labels = {"version": str(len(tries))}
            put(writer, replace(one, labels=labels), replace(two, labels=labels))

    state = tmp_path / "state"

    def look(view: View) -> tuple[Network | None, Network | None]:
        first = view.get(Network, one.id)
        before = state.stat()
        disturb()
        # Where times are coarse, nothing has happened.
        os.utime(state, ns=(before.st_atime_ns, before.st_mtime_ns))
        return first, view.get(Network, two.id)

    first, second = store._read(look)
    assert first and second and first.labels == second.labels
    assert len(tries) > 5


def test_what_is_appended_meanwhile_disturbs_no_reader(store: Store, tmp_path: Path) -> None:
    one, two = network("one"), network("two")
    with store.locked("batch"):
        put(store, one, two)

        def look(view: View) -> tuple[Network | None, Network | None]:
            first = view.get(Network, one.id)
            looks.append(first)
            put(store, replace(one, labels={"a": "b"}), replace(two, labels={"a": "b"}))
            return first, view.get(Network, two.id)

        looks: list[object] = []
        assert again(tmp_path)._read(look) == (one, two)
        assert len(looks) == 1
