"""Steps on network namespaces and their pins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netctl.errors import NetctlError
from netctl.kernel.interface import Kernel
from netctl.names import quote
from netctl.plan import Difference, Final
from netctl.steps.base import Once, Setting, absent, ip, place

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot

_LOOPBACK = "lo"


class NetnsCreate(Once):
    """A new namespace, pinned at ``path``; its loopback bears ``alias``.

    It was made before the plan, so that the plan and the document know its ``identity``. That is
    the kernel's number; ``""`` is in the intent of an older netctl, which knew it by the alias.
    """

    path: str
    alias: str
    identity: str = ""

    def apply(self, kernel: Kernel) -> None:
        made = kernel.netns_new(alias=self.alias) if self._by_mark else self.identity
        kernel.netns_create(self.path, identity=made)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.netns_delete(self.path, identity=self.identity or self.alias)

    @property
    def _by_mark(self) -> bool:
        return self.identity in ("", self.alias)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        """A sandbox whose namespace is another, or gone, is a difference as a whole."""
        yield from LoopbackUp(netns=self.path).differences(found)

    def describe(self) -> str:
        name = self.path.rpartition("/")[2]
        return f"ip netns add {name} && ip -n {name} link set lo alias {self.alias} up"

    def describe_revert(self) -> str:
        return f"ip netns delete {self.path.rpartition('/')[2]}"


class NetnsPin(Setting):
    """A pin at ``path`` for the namespace at ``source``, which somebody else made.

    One that is there already stays: by now it may be all that the namespace is reached by.
    """

    source: str
    path: str
    identity: str

    def apply(self, kernel: Kernel) -> bool:
        missing = kernel.netns_identity(self.path, self.identity) != self.identity
        if missing:
            kernel.netns_pin(self.source, self.path)
        return missing

    def revert(self, kernel: Kernel) -> bool:
        return kernel.netns_delete(self.path, identity=self.identity)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        there = found.identity(self.path, self.identity)
        if there != self.identity:
            # Only whoever made it can make it again.
            yield Difference(
                what=f"namespace {self.path}", expected=self.identity, found=there or "nothing"
            )

    def describe(self) -> str:
        return _pinning(self.source, self.path)

    def describe_revert(self) -> str:
        return _unpinning(self.path)


class LoopbackUp(Setting):
    """The loopback of a namespace, up: names are asked for over it.

    It stays up: whoever is in there may have come to need it (libnetwork).
    """

    netns: str

    def apply(self, kernel: Kernel) -> None:
        kernel.link_set_up(self.netns, _LOOPBACK, up=True)

    def revert(self, kernel: Kernel) -> bool:
        return False

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        link = found.link(self.netns, _LOOPBACK)
        if link is not None and not link.up:
            yield absent(self, f"interface {_LOOPBACK}{place(self.netns)}", "up", "down")

    def describe(self) -> str:
        return f"{ip(self.netns)} link set {_LOOPBACK} up"

    def describe_revert(self) -> str:
        return f": {_LOOPBACK}{place(self.netns)} stays up"


class NetnsRelease(Setting, Final):
    """The pin of a namespace given up, and with its last one the namespace."""

    path: str
    identity: str

    def apply(self, kernel: Kernel) -> bool:
        return kernel.netns_delete(self.path, identity=self.identity)

    def revert(self, kernel: Kernel) -> bool:
        return False

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return f"ip netns delete {self.path.rpartition('/')[2]}"

    def describe_revert(self) -> str:
        return f": {self.path} is not made again"


class NetnsRename(Setting):
    """The pin of a namespace under another name; there is never a moment without one."""

    old: str
    new: str
    identity: str

    def apply(self, kernel: Kernel) -> None:
        _move_pin(kernel, self.old, self.new, self.identity)

    def revert(self, kernel: Kernel) -> bool:
        return _move_pin(kernel, self.new, self.old, self.identity)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return f"{_pinning(self.old, self.new)} && {_unpinning(self.old)}"

    def describe_revert(self) -> str:
        return f"{_pinning(self.new, self.old)} && {_unpinning(self.new)}"


def _pinning(source: str, path: str) -> str:
    directory, place = quote(path.rpartition("/")[0]), quote(path)
    return f"mkdir -p {directory} && touch {place} && mount --bind {quote(source)} {place}"


def _unpinning(path: str) -> str:
    return f"umount {quote(path)} && rm {quote(path)}"


def _move_pin(kernel: Kernel, source: str, target: str, identity: str) -> bool:
    if kernel.netns_identity(source, identity) != identity:
        # Killed in the middle, a move leaves the file of the pin.
        if kernel.netns_identity(target, identity) == identity:
            kernel.netns_clear(source)
        return False
    if kernel.netns_identity(target) is None:
        kernel.netns_pin(source, target)
    try:
        kernel.netns_delete(source, identity=identity)
    except NetctlError:
        kernel.netns_delete(target, identity=identity)
        raise
    return True
