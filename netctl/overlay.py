"""Documents on top of a store that are not written: what several steps of one thought see."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from netctl.models import Document
from netctl.store import Reader

_T = TypeVar("_T", bound=Document)


class Overlay:
    """A store with documents on top of it that are nowhere written."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._documents: dict[tuple[str, str], Document | None] = {}
        self._holders: dict[str, str] = {}
        """Claim to the id of the document on top that holds it."""
        self._touched: set[str] = set()
        """Ids of what is on top, be it gone: what the store says of it does not count."""

    def put(self, documents: tuple[Document, ...], gone: tuple[Document, ...]) -> None:
        for document in (*documents, *gone):
            old = self._documents.get((document.kind, document.id))
            for claim in old.claims() if old else ():
                self._holders.pop(claim, None)
            self._touched.add(document.id)
        self._documents.update(((document.kind, document.id), None) for document in gone)
        for document in documents:
            self._documents[document.kind, document.id] = document
            self._holders.update(dict.fromkeys(document.claims(), document.id))

    def get(self, kind: type[_T], object_id: str, parent: str = "") -> _T | None:
        if (kind.kind, object_id) not in self._documents:
            return self._store.get(kind, object_id, parent)
        document = self._documents[kind.kind, object_id]
        return document if isinstance(document, kind) else None

    def all(self, kind: type[_T], parent: str = "") -> list[_T]:
        return self._merged(kind, parent, self._store.all(kind, parent))

    def by_prefix(self, kind: type[_T], prefix: str, parent: str = "") -> list[_T]:
        stored = self._store.by_prefix(kind, prefix, parent)
        found = self._merged(kind, parent, stored)
        return [document for document in found if document.id.startswith(prefix)]

    def owner(self, claim: str) -> str | None:
        return self._holders.get(claim) or self._still(self._store.owner(claim))

    def owners(self, names: Collection[str], prefix: str) -> dict[str, str]:
        stored = self._store.owners(names, prefix)
        mine = {
            claim: holder
            for claim, holder in self._holders.items()
            if claim.startswith(f"{prefix}/") and claim.rpartition("/")[2] in names
        }
        return {claim: holder for claim, holder in stored.items() if self._still(holder)} | mine

    def claims(self) -> dict[str, str]:
        stored = self._store.claims()
        return {claim: id for claim, id in stored.items() if self._still(id)} | self._holders

    def is_empty(self, kind: type[_T], parent: str = "") -> bool:
        return not self.all(kind, parent)

    def _still(self, holder: str | None) -> str | None:
        return None if holder in self._touched else holder

    def _merged(self, kind: type[_T], parent: str, stored: list[_T]) -> list[_T]:
        documents = (d for d in self._documents.values() if isinstance(d, kind))
        mine = [d for d in documents if not parent or d.parent == parent]
        others = [d for d in stored if (d.kind, d.id) not in self._documents]
        return sorted([*mine, *others], key=lambda d: (getattr(d, "name", ""), d.id))
