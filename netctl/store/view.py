"""The documents as a reader sees them: the shards, with what was committed since on top."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from tinydb import TinyDB
from tinydb.queries import QueryLike
from tinydb.table import Document as Row
from tinydb.table import Table

from netctl.codec import CodecError, decode
from netctl.store.documents import D, Delta, claim_shard, folder, shard_of
from netctl.store.storage import ShardStorage, damaged, unreadable

CLAIMS = "claims"
"""The directory of their shards."""
CLAIMS_ROW = 1


class View:
    """The shards with the journal's committed changes on top."""

    def __init__(self, state_dir: str, done: Delta) -> None:
        self.state_dir = state_dir
        self.done = done
        self._shards: dict[str, Table] = {}
        self._known: dict[tuple[str, str, str], Any] = {}
        """What was looked up, None for what is not there."""
        self._held: dict[str, dict[str, str]] = {}
        self._opened: dict[str, set[str]] = {}
        """Directory to what has been opened in it."""

    def get(self, kind: type[D], object_id: str, parent: str = "") -> D | None:
        for place in [parent] if parent else self._parents(kind):
            key = (kind.kind, place, object_id)
            if key not in self._known:
                self._known[key] = self._found(kind, key)
            known: D | None = self._known[key]
            if known is not None:
                return known
        return None

    def _found(self, kind: type[D], key: tuple[str, str, str]) -> D | None:
        if key in self.done.documents:
            row = self.done.documents[key]
        else:
            row = self._row(folder(key[0], key[1]), key[2])
        return None if row is None else self._decoded(kind, key, row)

    def all(self, kind: type[D], parent: str = "") -> list[D]:
        return self._select(kind, parent, "")

    def by_prefix(self, kind: type[D], prefix: str, parent: str = "") -> list[D]:
        return self._select(kind, parent, prefix)

    def owner(self, claim: str) -> str | None:
        if claim in self.done.claims:
            return self.done.claims[claim]
        return self.held(claim_shard(claim)).get(claim)

    def owners(self, names: Collection[str], prefix: str) -> dict[str, str]:
        claims: dict[str, str | None] = {}
        for path in {claim_shard(f"{prefix}/{name}") for name in names}:
            claims.update(self.held(path))
        claims.update(self.done.claims)
        return {
            claim: holder
            for claim, holder in claims.items()
            if holder and claim.startswith(f"{prefix}/") and claim.rpartition("/")[2] in names
        }

    def claims(self) -> dict[str, str]:
        found: dict[str, str | None] = {}
        for name in self._names(CLAIMS):
            if name.endswith(".json"):
                found.update(self.held(f"{CLAIMS}/{name}"))
        found.update(self.done.claims)
        return {claim: holder for claim, holder in found.items() if holder}

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
            opened = TinyDB(f"{self.state_dir}/{path}", storage=ShardStorage)
            self._shards[path] = opened.table("rows")
            self._note(path)
        return self._shards[path]

    def _note(self, path: str) -> None:
        """Remember an open shard in its directory, and that in the one above."""
        directory, _, name = path.rpartition("/")
        while directory:
            self._opened.setdefault(directory, set()).add(name)
            directory, _, name = directory.rpartition("/")

    def held(self, path: str) -> dict[str, str]:
        """Return the claims of a shard and their holders. They are one row: a query for each of
        them would go through all."""
        if path not in self._held:
            row = self.table(path).get(doc_id=CLAIMS_ROW)
            self._held[path] = row["claims"] if isinstance(row, Row) else {}
        return self._held[path]

    def _row(self, directory: str, object_id: str) -> dict[str, Any] | None:
        found = self.table(f"{directory}/{shard_of(object_id)}").get(of(object_id))
        return found if isinstance(found, Row) else None

    def dirty(self) -> list[ShardStorage]:
        storages = (table.storage for table in self._shards.values())
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
        opened = self._opened.get(directory, set())
        try:
            return sorted({*os.listdir(f"{self.state_dir}/{directory}"), *opened})
        except FileNotFoundError:
            return sorted(opened)
        except OSError as error:
            raise unreadable(f"{self.state_dir}/{directory}", error) from error

    def _decoded(self, kind: type[D], key: tuple[str, str, str], row: dict[str, Any]) -> D:
        try:
            return decode(kind, row)
        except CodecError as error:
            raise damaged(f"{self.state_dir}/{place(*key)}", str(error)) from error


def of(object_id: str) -> QueryLike:
    """Return the condition of a document's row: TinyDB's own queries take five times as long."""

    def matches(value: Mapping[str, Any]) -> bool:
        return bool(value["id"] == object_id)

    return matches


def place(kind: str, parent: str, object_id: str) -> str:
    """Return the path of a document's shard below the state directory."""
    return f"{folder(kind, parent)}/{shard_of(object_id)}"
