"""The store: readers without a lock, one writer with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from tinydb import TinyDB, where
from tinydb.table import Document as Row
from tinydb.table import Table

from netctl.codec import CodecError, decode, encode
from netctl.errors import Conflict, KernelError, NetctlError
from netctl.models import Document
from netctl.store import journal, lock
from netctl.store.documents import (
    KIND_OF,
    Changes,
    D,
    Delta,
    Intent,
    claim_shard,
    folder,
    shard_of,
)
from netctl.store.storage import ShardStorage, damaged, sync_directory, unreadable, unwritable

T = TypeVar("T")
_TRIES = 20
"""How often a reader begins again because a writer came in between."""
_CHECKPOINT = 2000
"""Documents after which a long batch writes its shards."""


class View:
    """The shards with the journal's committed changes on top."""

    def __init__(self, state_dir: str, done: Delta) -> None:
        self.state_dir = state_dir
        self.done = done
        self._shards: dict[str, TinyDB] = {}

    def get(self, kind: type[D], object_id: str, parent: str = "") -> D | None:
        for place in [parent] if parent else self._parents(kind):
            key = (kind.kind, place, object_id)
            if key in self.done.documents:
                row = self.done.documents[key]
            else:
                row = self.row(folder(kind.kind, place), object_id)
            if row is not None:
                return self._decoded(kind, key, row)
        return None

    def all(self, kind: type[D], parent: str = "") -> list[D]:
        return self._select(kind, parent, "")

    def by_prefix(self, kind: type[D], prefix: str, parent: str = "") -> list[D]:
        return self._select(kind, parent, prefix)

    def owner(self, claim: str) -> str | None:
        if claim in self.done.claims:
            return self.done.claims[claim]
        row = self.table(claim_shard(claim)).get(where("key") == claim)
        return row["owner"] if isinstance(row, Row) else None

    def owners(self, name: str, prefix: str) -> dict[str, str]:
        rows = self.table(claim_shard(name)).all()
        claims: dict[str, str | None] = {row["key"]: row["owner"] for row in rows}
        claims.update(self.done.claims)
        return {
            claim: holder
            for claim, holder in claims.items()
            if holder and claim.startswith(f"{prefix}/") and claim.rpartition("/")[2] == name
        }

    def is_empty(self, kind: type[D], parent: str = "") -> bool:
        if self.done.documents:
            return not self._select(kind, parent, "")
        # A file that is there holds a document, unless it is open and was emptied just now.
        return not any(
            path not in self._shards or len(self.table(path))
            for place in self._parents(kind, parent)
            for path in self._shard_paths(kind, place)
        )

    def table(self, path: str) -> Table:
        """Return the rows of a shard, given by its path below the state directory."""
        if path not in self._shards:
            self._shards[path] = TinyDB(f"{self.state_dir}/{path}", storage=ShardStorage)
        return self._shards[path].table("rows")

    def row(self, directory: str, object_id: str) -> dict[str, Any] | None:
        found = self.table(f"{directory}/{shard_of(object_id)}").get(where("id") == object_id)
        return found if isinstance(found, Row) else None

    def dirty(self) -> list[ShardStorage]:
        storages = (db.storage for db in self._shards.values())
        return [s for s in storages if isinstance(s, ShardStorage) and s.dirty]

    def _select(self, kind: type[D], parent: str, prefix: str) -> list[D]:
        rows: dict[tuple[str, str, str], dict[str, Any] | None] = {}
        for place in self._parents(kind, parent):
            for path in self._shard_paths(kind, place, prefix[:2]):
                found = self.table(path).all()
                rows.update(((kind.kind, place, row["id"]), row) for row in found)
        rows.update(
            (key, row)
            for key, row in self.done.documents.items()
            if key[0] == kind.kind and parent in ("", key[1])
        )
        documents = [
            self._decoded(kind, key, row)
            for key, row in rows.items()
            if row and key[2].startswith(prefix)
        ]
        return sorted(documents, key=lambda doc: (getattr(doc, "name", ""), doc.id))

    def _parents(self, kind: type[D], parent: str = "") -> list[str]:
        """Return the parents whose documents are looked at; a kind without parents has ``""``."""
        if parent or kind.kind != "endpoint":
            return [parent]
        pending = {key[1] for key in self.done.documents if key[0] == kind.kind}
        return sorted({*self._names(folder(kind.kind, "")), *pending})

    def _shard_paths(self, kind: type[D], parent: str, begins: str = "") -> list[str]:
        directory = folder(kind.kind, parent)
        names = self._names(directory)
        return [f"{directory}/{n}" for n in names if n.endswith(".json") and n.startswith(begins)]

    def _names(self, directory: str) -> list[str]:
        """Return what is in a directory, and what will be once the open shards are written."""
        prefix = f"{directory}/"
        opened = {
            p.removeprefix(prefix).split("/")[0] for p in self._shards if p.startswith(prefix)
        }
        try:
            return sorted({*os.listdir(f"{self.state_dir}/{directory}"), *opened})
        except (FileNotFoundError, NotADirectoryError):
            return sorted(opened)
        except OSError as error:
            raise unreadable(f"{self.state_dir}/{directory}", error) from error

    def _decoded(self, kind: type[D], key: tuple[str, str, str], row: dict[str, Any]) -> D:
        try:
            return decode(kind, row)
        except CodecError as error:
            raise damaged(f"{self.state_dir}/{_place(*key)}", str(error)) from error


class Writer(View):
    """The store under its lock. Belongs to one ``Store.locked`` block."""

    def __init__(self, state_dir: str) -> None:
        super().__init__(state_dir, Delta())
        self._path = f"{state_dir}/journal"
        self._journal = journal.Journal(self._path)
        self._pending: Intent | None = None
        self._waiting = 0
        self.batched = False
        """Whether this commit is one of many under one lock, which are acknowledged together."""
        self._recover()

    def pending(self) -> Intent | None:
        """Return the intent that a dead process left."""
        return self._pending

    def begin(self, intent: Intent) -> None:
        """Write down durably what is about to be done. Raises ``Conflict`` for a held claim."""
        self.delta(intent.changes)
        self._journal.intent(intent)
        self._pending = intent

    def commit(self, changes: Changes) -> None:
        """Record durably what was done; ends the intent. Raises ``Conflict``, ``KernelError``."""
        delta = self.delta(changes)
        # In a batch the next intent's sync, or the checkpoint at its end, takes it along.
        self._journal.commit(delta, sync=not self.batched)
        # It has happened: nothing may fail any more, or the kernel would be rolled back.
        self._pending = None
        self._apply(delta)
        self._waiting += len(delta.documents)
        if self._waiting >= _CHECKPOINT:
            with suppress(NetctlError):
                self.checkpoint()

    def abort(self) -> None:
        """End the intent: nothing was done."""
        self._journal.abort()
        self._pending = None

    def checkpoint(self) -> None:
        """Bring the shards up to date, and begin the journal anew. What cannot be written
        (``KernelError``) is still in the journal."""
        storages = self.dirty()
        if storages:
            self._journal.fold()
        for storage in storages:
            storage.flush()
        for directory in sorted({os.path.dirname(storage.path) for storage in storages}):
            sync_directory(directory)
        self._journal.restart(self._pending)
        self._waiting = 0

    def close(self) -> None:
        self._journal.close()

    def delta(self, changes: Changes) -> Delta:
        """Return the changes as they are written; raise ``Conflict`` for another's claim.

        Every shard that they go into is open afterwards, so ``StoreDamaged`` comes before anything
        has happened.
        """
        delta = Delta()
        for document in changes.delete:
            delta.documents[document.kind, document.parent, document.id] = None
            delta.claims.update(dict.fromkeys(document.claims()))
        for document in changes.put:
            old = self.get(KIND_OF[document.kind], document.id, document.parent)
            for claim in (old.claims() if old else frozenset()) - document.claims():
                delta.claims.setdefault(claim, None)
        for document in changes.put:
            delta.documents[document.kind, document.parent, document.id] = encode(document)
            for claim in document.claims():
                self._check_free(claim, document, delta)
                delta.claims[claim] = document.id
        for path in _touched(delta):
            self.table(path)
        return delta

    def _check_free(self, claim: str, document: Document, delta: Delta) -> None:
        holder = delta.claims[claim] if claim in delta.claims else self.owner(claim)
        if holder not in (None, document.id):
            kind, _, name = claim.partition("/")
            raise Conflict(f"{kind} {name.rpartition('/')[2]} is taken already")

    def _apply(self, delta: Delta) -> None:
        for (kind, parent, object_id), row in delta.documents.items():
            _replace(self.table(_place(kind, parent, object_id)), "id", object_id, row)
        for claim, holder in delta.claims.items():
            row = {"key": claim, "owner": holder} if holder else None
            _replace(self.table(claim_shard(claim)), "key", claim, row)

    def _recover(self) -> None:
        recorded = journal.read(self._path)
        if recorded is None:
            return
        self._pending = recorded.pending
        self._apply(recorded.done)
        self.checkpoint()


def _place(kind: str, parent: str, object_id: str) -> str:
    return f"{folder(kind, parent)}/{shard_of(object_id)}"


def _touched(delta: Delta) -> Iterator[str]:
    yield from (_place(*key) for key in delta.documents)
    yield from map(claim_shard, delta.claims)


def _replace(table: Table, key: str, value: str, row: dict[str, Any] | None) -> None:
    if row is None:
        table.remove(where(key) == value)
    else:
        # Not upsert: that would keep the keys that the new row no longer has.
        table.remove(where(key) == value)
        table.insert(row)


class Store:
    """The documents of one host, in ``state_dir``; who holds the lock is said in ``run_dir``.

    Nothing is opened before the first use. One object belongs to one thread.
    """

    def __init__(self, state_dir: str, run_dir: str, *, lock_timeout: float = 30.0) -> None:
        """``lock_timeout`` is in seconds."""
        self.state_dir = state_dir
        self._run_dir = run_dir
        self._lock_timeout = lock_timeout
        self._writer: Writer | None = None

    def get(self, kind: type[D], object_id: str, parent: str = "") -> D | None:
        return self._read(lambda view: view.get(kind, object_id, parent))

    def all(self, kind: type[D], parent: str = "") -> list[D]:
        return self._read(lambda view: view.all(kind, parent))

    def by_prefix(self, kind: type[D], prefix: str, parent: str = "") -> list[D]:
        return self._read(lambda view: view.by_prefix(kind, prefix, parent))

    def owner(self, claim: str) -> str | None:
        return self._read(lambda view: view.owner(claim))

    def owners(self, name: str, prefix: str) -> dict[str, str]:
        return self._read(lambda view: view.owners(name, prefix))

    def is_empty(self, kind: type[D], parent: str = "") -> bool:
        return self._read(lambda view: view.is_empty(kind, parent))

    def pending(self) -> Intent | None:
        """Return the intent in the journal, be its process dead or still at work."""
        recorded = journal.read(f"{self.state_dir}/journal")
        return recorded.pending if recorded else None

    @contextmanager
    def locked(self, operation: str) -> Iterator[Writer]:
        """Hold the lock as ``operation``; inside another such block, the same writer again.

        Raises ``LockTimeout``, ``StoreDamaged``, ``KernelError``.
        """
        if self._writer:
            self._writer.batched = True
            yield self._writer
            return
        with lock.held(self._run_dir, operation, self._lock_timeout), self._directory():
            self._writer = Writer(self.state_dir)
            try:
                yield self._writer
            finally:
                writer, self._writer = self._writer, None
                _finish(writer)

    def _read(self, look: Callable[[View], T]) -> T:
        """Read without a lock; once writers have come in between too often, among them."""
        if self._writer:
            return look(self._writer)
        for _ in range(_TRIES):
            found, undisturbed = self._try(look)
            if undisturbed:
                return found
        with lock.directory(self.state_dir, self._lock_timeout, shared=True):
            return self._try(look)[0]

    def _try(self, look: Callable[[View], T]) -> tuple[T, bool]:
        """Return what was read, and whether it was all of one moment.

        The journal says what was committed on top of the shards, and the shards change only after
        a line in it says so: what is appended meanwhile does not matter.
        """
        path = f"{self.state_dir}/journal"
        before = _stamp(self.state_dir)
        recorded = journal.read(path)
        found = look(View(self.state_dir, recorded.done if recorded else Delta()))
        folded = recorded is not None and journal.folded_since(path, recorded.length)
        return found, not folded and _stamp(self.state_dir) == before

    @contextmanager
    def _directory(self) -> Iterator[None]:
        self._prepare()
        with lock.directory(self.state_dir, self._lock_timeout):
            yield

    def _prepare(self) -> None:
        try:
            os.makedirs(self.state_dir, mode=0o700, exist_ok=True)
            found = os.lstat(self.state_dir)
        except OSError as error:
            raise unwritable(self.state_dir, error) from error
        if not stat.S_ISDIR(found.st_mode):
            raise KernelError(
                f"the state directory {self.state_dir} is not a directory of its own",
                hint="a symbolic link is not followed: give the real path with --state-dir",
            )
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise KernelError(
                f"the state directory {self.state_dir} can be changed by other users",
                hint=f"chown root {self.state_dir} && chmod 0700 {self.state_dir}",
            )


def _finish(writer: Writer) -> None:
    """Bring the shards up to date. The journal holds everything, so what cannot be written now is
    written by the next process; what was done is done all the same."""
    try:
        if writer.dirty() or writer.pending() is None:
            writer.checkpoint()
    except NetctlError:
        return
    finally:
        writer.close()


def _stamp(path: str) -> tuple[int, int] | None:
    """Return what changes when a file comes into a directory or goes: the journal."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
