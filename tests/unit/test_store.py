"""The store: what is acknowledged is there, whole, and nothing else is believed."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import stat
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from netctl.errors import Conflict, KernelError, LockTimeout, NetctlError, StoreDamaged
from netctl.models import Cursor, Endpoint, Network, Sandbox
from netctl.names import new_id
from netctl.store import Changes, Intent, Store, storage
from netctl.store.view import View

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return again(tmp_path)


def again(directory: Path, timeout: float = 20) -> Store:
    return Store(f"{directory}/state", f"{directory}/run", lock_timeout=timeout)


def network(name: str = "web") -> Network:
    return Network(id=new_id(), name=name, driver="bridge", created="2026-01-01T00:00:00Z")


def endpoint(parent: Network, name: str, ipv4: str = "") -> Endpoint:
    return Endpoint(id=new_id(), name=name, network_id=parent.id, created="", ipv4=ipv4)


def put(store: Store, *documents: Network | Endpoint | Cursor) -> None:
    with store.locked("test") as writer:
        writer.commit(Changes(put=documents))


def intent(changes: Changes) -> Intent:
    return Intent(
        operation="test", pid=os.getpid(), boot_id="b", forward=False, plan=(), changes=changes
    )


def files(directory: Path) -> list[Path]:
    return sorted(path for path in (directory / "state").rglob("*") if path.is_file())


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


def in_child(action: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


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


def increment(directory: Path, times: int) -> None:
    store = again(directory)
    for _ in range(times):
        with store.locked("increment") as writer:
            cursor = writer.get(Cursor, "0" * 64) or Cursor(id="0" * 64, last={"n": "0"})
            number = int(cursor.last["n"]) + 1
            writer.commit(Changes(put=(replace(cursor, last={"n": str(number)}),)))


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


def damage(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def test_a_file_cut_off_anywhere_is_damage(store: Store, tmp_path: Path) -> None:
    put(store, network())
    [path] = (tmp_path / "state" / "networks").glob("*.json")
    whole = path.read_bytes()
    for length in range(len(whole)):
        damage(path, whole[:length])
        with pytest.raises(StoreDamaged, match=str(path)) as caught:
            store.all(Network)
        assert caught.value.exit_code == 8
        assert caught.value.hint


def test_any_flipped_bit_is_damage(store: Store, tmp_path: Path) -> None:
    put(store, network())
    [path] = (tmp_path / "state" / "networks").glob("*.json")
    whole = path.read_bytes()
    for place in range(len(whole)):
        damage(path, whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(StoreDamaged, match=path.name):
            store.all(Network)


def test_the_previous_good_copy_is_kept_and_named(store: Store, tmp_path: Path) -> None:
    web = network()
    put(store, web)
    put(store, replace(web, labels={"a": "b"}))
    [path] = (tmp_path / "state" / "networks").glob("*.json")
    damage(path, b"")
    with pytest.raises(StoreDamaged) as caught:
        store.all(Network)
    assert f"cp -p {path}.bak {path}" in (caught.value.hint or "")
    Path(f"{path}.bak").rename(path)
    assert store.all(Network) == [web]


def test_a_damaged_file_stops_writers_too(store: Store, tmp_path: Path) -> None:
    web = network()
    put(store, web)
    [path] = (tmp_path / "state" / "networks").glob("*.json")
    damage(path, b"{}")
    with pytest.raises(StoreDamaged):
        put(store, replace(web, labels={"a": "b"}))
    assert path.read_bytes() == b"{}"


def test_a_torn_last_line_of_the_journal_is_ignored(store: Store, tmp_path: Path) -> None:
    journal = journal_of_a_dead_process(store, tmp_path)
    whole = journal.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole) - 1):
        damage(journal, whole[:length])
        assert [doc.name for doc in store.all(Network)] == ["one"]
    damage(journal, whole)
    assert [doc.name for doc in store.all(Network)] == ["one", "two"]


def test_a_batch_is_durable_before_its_shards(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    sync, save = os.fdatasync, storage.save

    def fdatasync(descriptor: int) -> None:
        log.append("sync")
        sync(descriptor)

    def logged_save(path: str, tables: storage.Tables) -> None:
        log.append("save")
        save(path, tables)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(storage, "save", logged_save)
    with store.locked("batch"):
        put(store, network("web"))
        put(store, network("db"))
    assert log[:2] == ["sync", "save"]


def test_a_torn_line_stays_the_last_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise KernelError("full")

    path = tmp_path / "state" / "journal"
    with monkeypatch.context() as patch:
        patch.setattr(storage, "save", full)
        put(store, network("web"))
        path.write_bytes(path.read_bytes() + b"01234567 torn")
        with pytest.raises(KernelError, match="full"):
            put(again(tmp_path), network("db"))
    put(again(tmp_path), network("db"))
    assert [found.name for found in store.all(Network)] == ["db", "web"]


@pytest.mark.parametrize("line", [1, 2])
def test_a_damaged_line_is_damage(store: Store, tmp_path: Path, line: int) -> None:
    journal = journal_of_a_dead_process(store, tmp_path)
    whole = journal.read_bytes()
    place = 20 + (whole.index(b"\n") if line == 2 else 0)
    damage(journal, whole[:place] + b"X" + whole[place + 1 :])
    with pytest.raises(StoreDamaged, match=f"line {line}"):
        store.all(Network)
    with pytest.raises(StoreDamaged, match=f"line {line}"):
        put(store, network("x"))


def journal_of_a_dead_process(store: Store, tmp_path: Path) -> Path:
    def die() -> None:
        with again(tmp_path).locked("doomed") as writer:
            writer.commit(Changes(put=(network("one"),)))
            writer.commit(Changes(put=(network("two"),)))
            os.kill(os.getpid(), signal.SIGKILL)

    in_child(die)
    return tmp_path / "state" / "journal"


def test_files_are_private(store: Store, tmp_path: Path) -> None:
    put(store, network())
    for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_a_state_directory_of_others_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o777)
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(KernelError, match="other users") as caught:
        put(store, network())
    assert "chmod 0700" in (caught.value.hint or "")


def test_a_linked_state_directory_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KernelError, match="directory of its own"):
        put(store, network())
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_linked_shard_is_not_followed(store: Store, tmp_path: Path) -> None:
    web = network()
    put(store, web)
    [path] = (tmp_path / "state" / "networks").glob("*.json")
    secret = tmp_path / "secret"
    secret.write_text("x")
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(NetctlError):
        store.all(Network)
    assert secret.read_text() == "x"


def test_a_full_disk_leaves_the_state_before(store: Store, tmp_path: Path) -> None:
    web = network()
    put(store, web)
    before = {path: path.read_bytes() for path in files(tmp_path)}

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            put(again(tmp_path), network("x" * 60))
        except KernelError as error:
            os._exit(0 if "journal" in error.message and error.hint else 2)
        os._exit(1)

    assert in_child(fill) == 0
    assert store.all(Network) == [web]
    put(store, replace(web, labels={"still": "works"}))
    assert before.keys() <= {*files(tmp_path)}


def test_a_newer_schema_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SCHEMA", 2)
    put(store, network())
    monkeypatch.undo()
    with pytest.raises(StoreDamaged, match="newer netctl"):
        store.all(Network)


def test_an_older_schema_is_migrated(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = network()
    put(store, web)

    def rename(tables: storage.Tables) -> storage.Tables:
        for row in tables["rows"].values():
            row["labels"] = {"migrated": "yes"}
        return tables

    monkeypatch.setattr(storage, "SCHEMA", 2)
    monkeypatch.setitem(storage.MIGRATIONS, 1, rename)
    assert store.all(Network) == [replace(web, labels={"migrated": "yes"})]


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


def test_damage_is_found_before_anything_is_recorded(store: Store, tmp_path: Path) -> None:
    web = network()
    put(store, web)
    [claims] = (tmp_path / "state" / "claims").glob("*.json")
    claims.write_bytes(claims.read_bytes()[:-9])
    with pytest.raises(StoreDamaged, match=str(claims)), store.locked("test") as writer:
        writer.begin(intent(Changes(delete=(web,))))
    assert store.pending() is None
    assert again(tmp_path).get(Network, web.id) == web


def test_what_cannot_go_into_the_shards_stays_in_the_journal(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [network(f"n{number}") for number in range(2100)]

    def full(path: str, tables: object) -> None:
        raise KernelError(f"{path} cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "save", full)
        put(store, *many)
    assert len(again(tmp_path).all(Network)) == 2100
    put(store, network("last"))
    assert len(again(tmp_path).all(Network)) == 2101
    assert (tmp_path / "state" / "journal").read_bytes() == b""


@pytest.mark.parametrize("kind", ["intent", "commit"])
def test_a_journal_of_a_newer_netctl_is_refused(store: Store, tmp_path: Path, kind: str) -> None:
    put(store, network())
    text = f'{{"type":"{kind}","schema":99}}'.encode()
    (tmp_path / "state" / "journal").write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    with pytest.raises(StoreDamaged, match="written by a newer netctl") as caught:
        store.all(Network)
    assert caught.value.hint
    with pytest.raises(StoreDamaged), store.locked("test"):
        pass


def test_a_document_of_another_form_is_named_with_its_file(store: Store, tmp_path: Path) -> None:
    web = network()
    put(store, web)
    path = tmp_path / "state" / "networks" / f"{web.id[:2]}.json"
    storage.save(str(path), {"rows": {"1": {"id": web.id, "name": 7}}})
    with pytest.raises(StoreDamaged, match=str(path)):
        store.all(Network)


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


@pytest.mark.parametrize("name", ["claims", "networks", "journal"])
def test_something_else_in_the_place_of_a_file_is_an_error(
    store: Store, tmp_path: Path, name: str
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    path = tmp_path / "state" / name
    path.mkdir() if name == "journal" else path.write_text("")
    with pytest.raises(NetctlError, match=name):
        put(store, network())
        # The documents are in the journal all the same: the next one says what is in the way.
        put(store, network("other"))
