"""The kernel as it is found, each table of each namespace read at most once."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from netctl.errors import KernelError
from netctl.kernel.interface import (
    NAMES_CHAIN,
    NAMES_TABLE,
    Address,
    Kernel,
    Link,
    Message,
    Route,
)
from netctl.kernel.ruleset import Chain

K = TypeVar("K")
T = TypeVar("T")


class Snapshot:
    """What there is, for comparing. A namespace that is gone holds nothing."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._links: dict[str, dict[str, Link]] = {}
        self._numbers: dict[str, int] = {}
        self._by_index: dict[int, str] = {}
        self._inside: dict[tuple[str, str], Link | None] = {}
        self._addresses: dict[str, set[Address]] = {}
        self._routes: dict[str, list[Route] | None] = {}
        self._identities: dict[str, str | None] = {}
        self._files: dict[str, set[str]] = {}
        self._resolver = ""
        self._told: dict[str, Message] | None = None

    def identity(self, netns: str, known: str = "") -> str | None:
        """Return what tells a namespace from every other: see ``Kernel.netns_identity``."""
        look = self.kernel.netns_identity
        return _kept(self._identities, f"{netns} {known}", lambda: look(netns, known))

    def links(self, netns: str) -> dict[str, Link]:
        """Return the interfaces of a namespace by name."""
        return _kept(
            self._links,
            netns,
            lambda: {link.name: link for link in self._there(netns, self.kernel.links)},
        )

    def link(self, netns: str, name: str) -> Link | None:
        """Return an interface. Of a sandbox it is asked for by its name, for the inhabitant decides
        how many others there are."""
        if not netns:
            return self.links("").get(name)

        def look() -> Link | None:
            return next(iter(self._there(netns, lambda at: [self.kernel.link(at, name)])), None)

        return _kept(self._inside, (netns, name), look)

    def number(self, netns: str) -> int:
        """Return the number that the host's links have for a namespace, -1 for none."""

        def look() -> int:
            return next(iter(self._there(netns, lambda at: [self.kernel.netns_number(at)])), -1)

        return _kept(self._numbers, netns, look)

    def master_of(self, link: Link) -> str:
        """Return the name of the bridge that a link of the host is a port of, or ``""``."""
        if not link.master:
            return ""
        self._by_index = self._by_index or {v.index: k for k, v in self.links("").items()}
        return self._by_index.get(link.master, "?")

    def addresses(self, netns: str) -> set[Address]:
        return _kept(self._addresses, netns, lambda: set(self._there(netns, self.kernel.addresses)))

    def has_address(self, wanted: Address, netns: str) -> bool:
        """Whether an interface has an address; where there are too many to be read, whether the
        namespace has it."""
        try:
            return wanted in self.addresses(netns)
        except KernelError as error:
            _check_too_many(error)
            return self.kernel.way(netns, wanted.address.partition("/")[0]).kind == "local"

    def routes(self, netns: str) -> list[Route] | None:
        """Return the routes of a namespace, those that lead nowhere too; None where there are too
        many to be read."""
        return _kept(self._routes, netns, lambda: self._all_routes(netns))

    def _all_routes(self, netns: str) -> list[Route] | None:
        try:
            return list(self._there(netns, self.kernel.all_routes))
        except KernelError as error:
            _check_too_many(error)
            return None

    def sysctl(self, netns: str, key: str) -> str | None:
        """Return a setting; None where it, or the namespace, is not there."""
        try:
            return self.kernel.sysctl_get(netns, key)
        except KernelError as error:
            _check_absent(error)
            return None

    def names(self, directory: str) -> set[str]:
        """Return the names in a directory."""
        return _kept(self._files, directory, lambda: set(self.kernel.directory_list(directory)))

    def resolver(self, run_dir: str) -> str:
        """Return how the resolver is: ``at work``, ``no answer`` or ``nothing``."""
        self._ask_resolver(run_dir)
        return self._resolver

    def told(self, run_dir: str) -> dict[str, Message] | None:
        """Return what the resolver knows, by kind and id; None where none is at work."""
        self._ask_resolver(run_dir)
        return self._told

    def led(self, netns: str) -> bool:
        """Whether what asks for names in a namespace is led to the resolver."""
        family, table = NAMES_TABLE
        chain = Chain(family=family, table=table, name=NAMES_CHAIN)
        look = self.kernel.nft_has_chain
        return any(self._there(netns, lambda place: [look(place, chain)]))

    def _ask_resolver(self, run_dir: str) -> None:
        if self._resolver:
            return
        try:
            model = self.kernel.resolver_model(run_dir)
        except KernelError as error:
            if error.errno != errno.ETIMEDOUT:
                raise
            self._resolver = "no answer"
            return
        self._resolver = "nothing" if model is None else "at work"
        if model is not None:
            self._told = {f"{message['do']} {message['id']}": message for message in model}

    def _there(self, netns: str, look: Callable[[str], list[T]]) -> list[T]:
        try:
            return look(netns)
        except KernelError as error:
            _check_absent(error)
            return []


def _kept(found: dict[K, T], key: K, look: Callable[[], T]) -> T:
    if key not in found:
        found[key] = look()
    return found[key]


def towards(kernel: Kernel, netns: str, destination: str) -> list[Route]:
    """Return the way that packets to a destination take, as the route that was looked for among too
    many to be read, or nothing where there is none. It may be that of a part of the destination."""
    address, _, length = destination.partition("/")
    outside = "2000::" if ":" in address else "1.0.0.0"
    way = kernel.way(netns, address if int(length) else outside)
    if way.kind == "none":
        return []
    return [
        Route(
            destination=destination,
            gateway=way.gateway,
            link=way.link,
            metric=0,
            kind="unicast" if way.link else way.kind,
        )
    ]


def _check_too_many(error: KernelError) -> None:
    if error.errno != errno.EFBIG:
        raise error


def _check_absent(error: KernelError) -> None:
    if error.errno != errno.ENOENT:
        raise error
