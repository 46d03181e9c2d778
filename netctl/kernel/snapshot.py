"""The kernel as it is found, each table of each namespace read at most once."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from netctl.errors import KernelError
from netctl.kernel.interface import NAMES_TABLE, Address, Kernel, Link, Message, Route

T = TypeVar("T")


class Snapshot:
    """What there is, for comparing. A namespace that is gone holds nothing."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._links: dict[str, dict[str, Link]] = {}
        self._addresses: dict[str, set[Address]] = {}
        self._routes: dict[str, list[Route]] = {}
        self._identities: dict[str, str | None] = {}
        self._files: dict[str, set[str]] = {}
        self._resolver = ""
        self._told: dict[str, Message] | None = None

    def identity(self, netns: str) -> str | None:
        """Return what tells a namespace from every other: see ``Kernel.netns_identity``."""
        return _kept(self._identities, netns, lambda: self.kernel.netns_identity(netns))

    def links(self, netns: str) -> dict[str, Link]:
        """Return the interfaces of a namespace by name."""
        return _kept(
            self._links,
            netns,
            lambda: {link.name: link for link in self._there(netns, self.kernel.links)},
        )

    def link(self, netns: str, name: str) -> Link | None:
        return self.links(netns).get(name)

    def master_of(self, link: Link) -> str:
        """Return the name of the bridge that a link of the host is a port of, or ``""``."""
        if not link.master:
            return ""
        return next((k for k, v in self.links("").items() if v.index == link.master), "?")

    def addresses(self, netns: str) -> set[Address]:
        return _kept(self._addresses, netns, lambda: set(self._there(netns, self.kernel.addresses)))

    def routes(self, netns: str) -> list[Route]:
        """Return the routes of a namespace, those that lead nowhere too."""
        both = (self.kernel.routes, self.kernel.dead_ends)
        return _kept(
            self._routes, netns, lambda: [r for look in both for r in self._there(netns, look)]
        )

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
        chains = self._there(netns, self.kernel.nft_chains)
        return any((chain.family, chain.table) == NAMES_TABLE for chain in chains)

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


def _kept(found: dict[str, T], key: str, look: Callable[[], T]) -> T:
    if key not in found:
        found[key] = look()
    return found[key]


def _check_absent(error: KernelError) -> None:
    if error.errno != errno.ENOENT:
        raise error
