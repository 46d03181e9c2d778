"""A dry run over several operations: what earlier ones would have made is seen by later ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from netctl.errors import NetctlError
from netctl.gathering import gathered
from netctl.kernel import Kernel, Link, Route
from netctl.models import Document
from netctl.overlay import Overlay
from netctl.plan import Assembly, Attempt, Observer, Plan, Step, Undo
from netctl.steps.files import FileWrite, Symlink
from netctl.steps.links import BridgeAdd, VethAdd
from netctl.steps.namespaces import NetnsCreate, NetnsPin

_L = TypeVar("_L")


class DryKernel:
    """The kernel with the namespaces and bridges there that the steps so far would have made."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._made: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._peers: dict[str, list[Link]] = {}
        self._files: dict[str, str] = {}
        self._bridges: dict[str, Link] = {}
        self._gone: set[str] = set()

    def pretend(self, step: Step) -> None:
        if isinstance(step, Attempt):
            self.pretend(step.step)
        elif isinstance(step, Assembly):
            self.pretend(step.steps[0])
        elif isinstance(step, VethAdd):
            peer = _link(step.peer, "veth", step.peer_mac, step.mtu, step.alias)
            self._peers.setdefault(step.netns, []).append(peer)
        elif isinstance(step, BridgeAdd):
            self._bridges[step.name] = _link(step.name, "bridge", step.mac, step.mtu, step.alias)
        elif isinstance(step, NetnsCreate):
            self._made[step.path] = step.identity
        elif isinstance(step, NetnsPin):
            self._made[step.path] = step.identity
            self._sources[step.path] = step.source
        elif isinstance(step, FileWrite):
            self._files[step.path] = step.content
        elif isinstance(step, Undo):
            self._pretend_undone(step.step)

    def _pretend_undone(self, step: Step) -> None:
        if isinstance(step, Attempt):
            self._pretend_undone(step.step)
        elif isinstance(step, Assembly):
            self._pretend_undone(step.steps[0])
        elif isinstance(step, NetnsCreate | NetnsPin | FileWrite | Symlink):
            self._made.pop(step.path, None)
            self._files.pop(step.path, None)
            self._gone.add(step.path)

    def file_read(self, path: str) -> str | None:
        there = None if path in self._gone else self._kernel.file_read(path)
        return self._files.get(path) or there

    def netns_new(self, *, alias: str) -> str:
        return f"none yet:{alias}"

    def netns_identity(self, path: str, known: str = "") -> str | None:
        there = None if path in self._gone else self._kernel.netns_identity(path, known)
        return self._made.get(path) or there

    def link(self, netns: str, name: str) -> Link | None:
        if not netns:
            return self._bridges.get(name) or self._kernel.link(netns, name)
        made = (link for link in self._peers.get(netns, ()) if link.name == name)
        there = self._there(netns, lambda place: [self._kernel.link(place, name)])
        return next(made, None) or next(iter(there), None)

    def links(self, netns: str) -> list[Link]:
        return [*self._there(netns, self._kernel.links), *self._peers.get(netns, ())]

    def routes(self, netns: str) -> list[Route]:
        return self._there(netns, self._kernel.routes)

    def dead_ends(self, netns: str) -> list[Route]:
        return self._there(netns, self._kernel.dead_ends)

    def all_routes(self, netns: str) -> list[Route]:
        return self._there(netns, self._kernel.all_routes)

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

    def __init__(self, reader: Overlay, kernel: DryKernel, observe: Observer | None) -> None:
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
    ) -> tuple[NetctlError, ...]:
        for step in gathered(plan) if forward else plan:
            self._kernel.pretend(step)
            if self._observe:
                self._observe(step)
        self.reader.put(put, delete)
        return ()
