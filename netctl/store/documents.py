"""What goes into the store and how it is found there."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from typing import Any, Protocol, TypeVar

from netctl.codec import decode, encode
from netctl.models import KINDS, Document
from netctl.record import Record, field

D = TypeVar("D", bound=Document)

KIND_OF: dict[str, type[Any]] = {kind.kind: kind for kind in KINDS}


class Changes(Record):
    """What one commit does. A document to delete is given whole, as it is in the store."""

    put: tuple[Document, ...] = ()
    delete: tuple[Document, ...] = ()
    claims: dict[str, str | None] = field(default_factory=dict)
    """Claims to be put right beside those of the documents, None for one that is free."""


class Intent(Record):
    """What a process is about to do; on disk before it does anything."""

    operation: str
    pid: int
    boot_id: str
    forward: bool
    """Whether a crash is settled by finishing, rather than by taking back."""
    plan: tuple[dict[str, Any], ...]
    changes: Changes


class Reader(Protocol):
    """The documents as they are."""

    def get(self, kind: type[D], object_id: str, parent: str = "") -> D | None:
        """Return the document of that id. An endpoint's ``parent`` is its network's id."""
        ...

    def all(self, kind: type[D], parent: str = "") -> list[D]:
        """Return every document of a kind, or of one parent, sorted by name."""
        ...

    def by_prefix(self, kind: type[D], prefix: str, parent: str = "") -> list[D]:
        """Return the documents whose id begins with ``prefix``."""
        ...

    def owner(self, claim: str) -> str | None:
        """Return the id of the document that holds a claim."""
        ...

    def owners(self, names: Collection[str], prefix: str) -> dict[str, str]:
        """Return the claims ``PREFIX/.../NAME`` of any of the names, and their holders' ids."""
        ...

    def claims(self) -> dict[str, str]:
        """Return every claim and its holder's id."""
        ...

    def is_empty(self, kind: type[D], parent: str = "") -> bool:
        """Whether there is no such document; none is read to find out."""
        ...


class Delta:
    """Changes in the form in which they are written: idempotent, so a replay does no harm."""

    def __init__(
        self,
        documents: dict[tuple[str, str, str], dict[str, Any] | None] | None = None,
        claims: dict[str, str | None] | None = None,
    ) -> None:
        """``documents`` is (kind, parent, id) to the document, None for one that is gone;
        ``claims`` is claim to its holder, None where it is free again."""
        self.documents = documents or {}
        self.claims = claims or {}

    def add(self, later: Delta) -> None:
        self.documents.update(later.documents)
        self.claims.update(later.claims)


def encode_delta(delta: Delta) -> dict[str, Any]:
    rows = [[*key, document] for key, document in delta.documents.items()]
    return {"documents": rows, "claims": delta.claims}


def decode_delta(value: Mapping[str, Any]) -> Delta:
    rows = {(kind, parent, object_id): doc for kind, parent, object_id, doc in value["documents"]}
    return Delta(documents=rows, claims=dict(value["claims"]))


def encode_changes(changes: Changes) -> dict[str, Any]:
    return {
        "put": [[document.kind, encode(document)] for document in changes.put],
        "delete": [[document.kind, encode(document)] for document in changes.delete],
        "claims": changes.claims,
    }


def decode_changes(value: Mapping[str, Any]) -> Changes:
    return Changes(
        put=tuple(decode(KIND_OF[kind], document) for kind, document in value["put"]),
        delete=tuple(decode(KIND_OF[kind], document) for kind, document in value["delete"]),
        claims=dict(value.get("claims", {})),
    )


def folder(kind: str, parent: str) -> str:
    """Return the directory of a kind below the state directory."""
    plural = f"{kind}es" if kind.endswith("x") else f"{kind}s"
    return f"{plural}/{parent}" if parent else plural


def shard_of(object_id: str) -> str:
    return f"{object_id[:2]}.json"


def claim_shard(claim: str) -> str:
    """Return the file of a claim: by its last part, so that a name is found without its network.

    Ports that follow each other are together: a range of a thousand is in five files.
    """
    # What is looked up may be any argument, and need not be UTF-8.
    kind, _, rest = claim.partition("/")
    name = rest.rpartition("/")[2]
    if kind == "port":
        return f"claims/port-{int(name) >> 8:02x}.json"
    return f"claims/{zlib.crc32(name.encode(errors='surrogateescape')) & 0xFF:02x}.json"
