"""The documents of a store, each read once: who compares everything asks for each many times."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

from netctl.store.documents import D, Reader


class Memory:
    """A reader in front of another; good for as long as nothing is written."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._found: dict[str, dict[str, Any]] = {}

    def get(self, kind: type[D], object_id: str, parent: str = "") -> D | None:
        found: D | None = self._of(kind).get(object_id)
        return found

    def all(self, kind: type[D], parent: str = "") -> list[D]:
        return [each for each in self._of(kind).values() if not parent or each.parent == parent]

    def by_prefix(self, kind: type[D], prefix: str, parent: str = "") -> list[D]:
        return [each for each in self.all(kind, parent) if each.id.startswith(prefix)]

    def owner(self, claim: str) -> str | None:
        return self._claims.get(claim)

    def owners(self, names: Collection[str], prefix: str) -> dict[str, str]:
        return self._reader.owners(names, prefix)

    def claims(self) -> dict[str, str]:
        return self._claims

    def is_empty(self, kind: type[D], parent: str = "") -> bool:
        return not self.all(kind, parent)

    @cached_property
    def _claims(self) -> dict[str, str]:
        return self._reader.claims()

    def _of(self, kind: type[D]) -> dict[str, D]:
        if kind.kind not in self._found:
            self._found[kind.kind] = {each.id: each for each in self._reader.all(kind)}
        return self._found[kind.kind]
