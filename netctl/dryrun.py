"""A dry run over several operations: what earlier ones would have made is seen by later ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from netctl.kernel import Kernel, Link, Route
from netctl.models import Document
from netctl.plan import Assembly, Observer, Plan, Step
from netctl.steps.files import FileWrite
from netctl.steps.links import BridgeAdd, VethAdd
from netctl.steps.namespaces import NetnsCreate, NetnsPin

if TYPE_CHECKING:
    from netctl.store import Reader

_T = TypeVar("_T", bound=Document)
_L = TypeVar("_L")


class DryReader:
    """A store with documents on top of it that are nowhere written."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._documents: dict[tuple[str, str], Document | None] = {}

    def put(self, documents: tuple[Document, ...], gone: tuple[Document, ...]) -> None:
        self._documents.update(((document.kind, document.id), document) for document in documents)
        self._documents.update(((document.kind, document.id), None) for document in gone)

    def get(self, kind: type[_T], object_id: str, parent: str = "") -> _T | None:
        if (kind.kind, object_id) not in self._documents:
            return self._store.get(kind, object_id, parent)
        document = self._documents[kind.kind, object_id]
        return document if isinstance(document, kind) else None

    def all(self, kind: type[_T], parent: str = "") -> list[_T]:
        stored = self._store.all(kind, parent)
        return [*self._mine(kind, parent), *self._untouched(stored)]

    def by_prefix(self, kind: type[_T], prefix: str, parent: str = "") -> list[_T]:
        mine = [document for document in self._mine(kind, parent) if document.id.startswith(prefix)]
        return [*mine, *self._untouched(self._store.by_prefix(kind, prefix, parent))]

    def owner(self, claim: str) -> str | None:
        mine = (d.id for d in self._documents.values() if d and claim in d.claims())
        return next(mine, None) or self._still(self._store.owner(claim))

    def owners(self, names: Collection[str], prefix: str) -> dict[str, str]:
        stored = self._store.owners(names, prefix)
        mine = {
            claim: document.id
            for document in filter(None, self._documents.values())
            for claim in document.claims()
            if claim.startswith(f"{prefix}/") and claim.rpartition("/")[2] in names
        }
        return {claim: holder for claim, holder in stored.items() if self._still(holder)} | mine

    def claims(self) -> dict[str, str]:
        return self._store.claims()

    def is_empty(self, kind: type[_T], parent: str = "") -> bool:
        return not self.all(kind, parent)

    def _still(self, holder: str | None) -> str | None:
        gone = {object_id for (_, object_id), document in self._documents.items() if not document}
        return None if holder in gone else holder

    def _untouched(self, stored: list[_T]) -> list[_T]:
        return [
            document for document in stored if (document.kind, document.id) not in self._documents
        ]

    def _mine(self, kind: type[_T], parent: str) -> list[_T]:
        documents = (d for d in self._documents.values() if isinstance(d, kind))
        return [d for d in documents if not parent or d.parent == parent]


class DryKernel:
    """The kernel with the namespaces and bridges there that the steps so far would have made."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._made: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._peers: dict[str, list[Link]] = {}
        self._files: dict[str, str] = {}
        self._bridges: dict[str, Link] = {}

    def pretend(self, step: Step) -> None:
        if isinstance(step, Assembly):
            self.pretend(step.steps[0])
        elif isinstance(step, VethAdd):
            peer = _link(step.peer, "veth", step.peer_mac, step.mtu, step.alias)
            self._peers.setdefault(step.netns, []).append(peer)
        elif isinstance(step, BridgeAdd):
            self._bridges[step.name] = _link(step.name, "bridge", step.mac, step.mtu, step.alias)
        elif isinstance(step, NetnsCreate):
            self._made[step.path] = step.alias
        elif isinstance(step, NetnsPin):
            self._made[step.path] = step.identity
            self._sources[step.path] = step.source
        elif isinstance(step, FileWrite):
            self._files[step.path] = step.content

    def file_read(self, path: str) -> str | None:
        return self._files.get(path) or self._kernel.file_read(path)

    def netns_identity(self, path: str) -> str | None:
        return self._made.get(path) or self._kernel.netns_identity(path)

    def link(self, netns: str, name: str) -> Link | None:
        made = None if netns else self._bridges.get(name)
        return made or self._kernel.link(netns, name)

    def links(self, netns: str) -> list[Link]:
        return [*self._there(netns, self._kernel.links), *self._peers.get(netns, ())]

    def routes(self, netns: str) -> list[Route]:
        return self._there(netns, self._kernel.routes)

    def _there(self, netns: str, look: Callable[[str], list[_L]]) -> list[_L]:
        if netns not in self._made:
            return look(netns)
        source = self._sources.get(netns)
        return look(source) if source else []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel, name)


def _link(name: str, kind: str, mac: str, mtu: int, alias: str) -> Link:
    return Link(
        index=0,
        name=name,
        type=kind,
        mac=mac,
        mtu=mtu,
        up=True,
        alias=alias,
        master=0,
        counters={},
    )


class DryOperation:
    """An operation that shows its plan and changes nothing."""

    def __init__(self, reader: DryReader, kernel: DryKernel, observe: Observer | None) -> None:
        self.reader = reader
        self._kernel = kernel
        self._observe = observe

    def commit(
        self,
        plan: Plan,
        *,
        put: tuple[Document, ...] = (),
        delete: tuple[Document, ...] = (),
        claims: Mapping[str, str | None] | None = None,
        forward: bool = False,
    ) -> None:
        for step in plan:
            self._kernel.pretend(step)
            if self._observe:
                self._observe(step)
        self.reader.put(put, delete)
