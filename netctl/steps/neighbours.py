"""Steps on what the neighbours of an interface believe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netctl.kernel.interface import Kernel
from netctl.plan import Difference
from netctl.steps.base import Setting, ip

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot


class NeighboursForgotten(Setting):
    """What the host remembers of addresses on its bridge, forgotten when they come and when they
    go: it would send to who had them before."""

    link: str
    addresses: tuple[str, ...]

    def apply(self, kernel: Kernel) -> None:
        kernel.neighbours_forget(self.link, self.addresses)

    def revert(self, kernel: Kernel) -> bool:
        kernel.neighbours_forget(self.link, self.addresses)
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return "\n".join(f"ip neighbour flush to {a} dev {self.link}" for a in self.addresses)

    def describe_revert(self) -> str:
        return self.describe()


class Announced(Setting):
    """The addresses of an interface, told to its neighbours: its ``arp_notify`` and
    ``ndisc_notify`` have the kernel do it when the MAC address is set to what it is."""

    netns: str
    link: str
    port: str
    """The interface's other end, which has to forward by then."""
    mac: str
    count: int
    gap: int
    """Milliseconds from one announcement to the next."""

    def apply(self, kernel: Kernel) -> bool:
        kernel.announce(
            self.netns,
            self.link,
            port=self.port,
            mac=self.mac,
            count=self.count,
            gap=self.gap / 1000,
        )
        return False

    def revert(self, kernel: Kernel) -> bool:
        return False

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        line = f"{ip(self.netns)} link set {self.link} address {self.mac}"
        return f"\nsleep {self.gap / 1000:g}\n".join([line] * self.count)

    def describe_revert(self) -> str:
        return ": what was announced is not called back"
