"""Damaged, foreign, newer and full: the store says so, and nothing is lost or followed."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import zlib
from pathlib import Path

import pytest

from netctl.codec import encode
from netctl.errors import KernelError, NetctlError, StoreDamaged
from netctl.models import Network
from netctl.record import replace
from netctl.store import Changes, Store, journal, storage
from netctl.store.documents import Delta
from tests.unit.store_cases import (
    again,
    damage,
    files,
    in_child,
    intent,
    journal_of_a_dead_process,
    network,
    put,
)


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
    path = journal_of_a_dead_process(store, tmp_path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole) - 1):
        damage(path, whole[:length])
        assert [doc.name for doc in store.all(Network)] == ["one"]
    damage(path, whole)
    assert [doc.name for doc in store.all(Network)] == ["one", "two"]


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


SECTOR = 512


def batch_journal(path: Path, count: int, synced: int) -> list[int]:
    """Write a batch's journal of ``count`` documents, each longer than a sector, of which the one
    of number ``synced`` waited for the disk. Return where each ends."""
    written, ends = journal.Journal(str(path)), []
    written.batched = True
    for number in range(count):
        web = replace(network(f"n{number}"), labels={"long": "x" * SECTOR})
        delta = Delta(documents={("network", "", web.id): encode(web)})
        written.commit(delta, sync=number == synced)
        ends.append(len(path.read_bytes().rstrip(b"\0")))
    written.close()
    return ends


def test_a_hole_in_a_lost_batch_is_known_from_damage(tmp_path: Path) -> None:
    """A disk that lost its power has written any of the sectors since the last sync."""
    ends = batch_journal(tmp_path / "image", 8, synced=3)
    image = (tmp_path / "image").read_bytes()
    assert len(image) > ends[-1], "the file of a batch grows ahead of its lines"
    for start in range(0, ends[-1], SECTOR):
        here = tmp_path / f"{start}"
        (here / "state").mkdir(parents=True, mode=0o700)
        (here / "state" / "journal").write_bytes(
            image[:start] + bytes(SECTOR) + image[start + SECTOR :]
        )
        if start < ends[3]:
            with pytest.raises(StoreDamaged, match="journal is damaged"):
                again(here).all(Network)
            with pytest.raises(StoreDamaged, match="journal is damaged"):
                put(again(here), network("x"))
            continue
        whole = [f"n{number}" for number, end in enumerate(ends) if end <= start]
        assert [found.name for found in again(here).all(Network)] == whole
        put(again(here), network("x"))
        assert [found.name for found in again(here).all(Network)] == [*whole, "x"]


def test_a_line_that_is_written_while_it_is_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads page by page may see the zeros before a line and, later, what follows it."""
    ends = batch_journal(tmp_path / "journal", 8, synced=3)
    image = (tmp_path / "journal").read_bytes()
    early = image[: ends[1]] + bytes(SECTOR) + image[ends[1] + SECTOR :]
    seen = iter([early, image])
    monkeypatch.setattr(journal, "read_bytes", lambda path: next(seen))
    recorded = journal.read(str(tmp_path / "journal"))
    assert len(recorded.done.documents) == 8


@pytest.mark.parametrize("length", [0, 1, 5000])
def test_room_without_lines_is_no_damage(store: Store, tmp_path: Path, length: int) -> None:
    path = journal_of_a_dead_process(store, tmp_path)
    path.write_bytes(path.read_bytes() + bytes(length))
    assert [found.name for found in store.all(Network)] == ["one", "two"]
    put(store, network("x"))
    assert [found.name for found in again(tmp_path).all(Network)] == ["one", "two", "x"]


def test_a_full_disk_has_no_room_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes, place: int) -> int:
        if len(content) > 4096:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, content, place)

    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", full)
    ends = batch_journal(tmp_path / "journal", 3, synced=1)
    assert len((tmp_path / "journal").read_bytes()) == ends[-1]


@pytest.mark.parametrize("line", [1, 2])
def test_a_damaged_line_is_damage(store: Store, tmp_path: Path, line: int) -> None:
    path = journal_of_a_dead_process(store, tmp_path)
    whole = path.read_bytes()
    place = 20 + (whole.index(b"\n") if line == 2 else 0)
    damage(path, whole[:place] + b"X" + whole[place + 1 :])
    with pytest.raises(StoreDamaged, match=f"line {line}"):
        store.all(Network)
    with pytest.raises(StoreDamaged, match=f"line {line}"):
        put(store, network("x"))


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

    def full(files: object) -> None:
        raise KernelError("the shards cannot be written", errno=errno.ENOSPC)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "save", full)
        put(store, *many)
        # Whoever comes next and only looks is not stopped by it.
        with again(tmp_path).locked("check") as writer:
            assert len(writer.all(Network)) == 2100
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
    storage.save({str(path): {"rows": {"1": {"id": web.id, "name": 7}}}})
    with pytest.raises(StoreDamaged, match=str(path)):
        store.all(Network)


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
