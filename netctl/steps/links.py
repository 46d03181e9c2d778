"""Steps on interfaces."""

from __future__ import annotations

from netctl.kernel.interface import Kernel
from netctl.record import record
from netctl.steps.base import Once, Setting, ip


@record
class BridgeAdd(Once):
    """A bridge, down."""

    name: str
    alias: str
    mac: str
    mtu: int

    def apply(self, kernel: Kernel) -> None:
        kernel.bridge_add(self.name, alias=self.alias, mac=self.mac, mtu=self.mtu)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.link_delete("", self.name, alias=self.alias)

    def describe(self) -> str:
        mtu = f" mtu {self.mtu}" if self.mtu else ""
        return f"ip link add {self.name} address {self.mac}{mtu} type bridge"

    def describe_revert(self) -> str:
        return f"ip link delete {self.name}"


@record
class VethAdd(Once):
    """A veth pair, down: a port of ``master`` here, ``peer`` in ``netns``."""

    name: str
    alias: str
    master: str
    isolated: bool
    hairpin: bool
    mtu: int
    netns: str
    peer: str
    peer_mac: str

    def apply(self, kernel: Kernel) -> None:
        kernel.veth_add(
            self.name,
            alias=self.alias,
            master=self.master,
            isolated=self.isolated,
            hairpin=self.hairpin,
            mtu=self.mtu,
            netns=self.netns,
            peer=self.peer,
            peer_mac=self.peer_mac,
        )

    def revert(self, kernel: Kernel) -> bool:
        return kernel.link_delete("", self.name, alias=self.alias)

    def describe(self) -> str:
        netns = self.netns.rpartition("/")[2]
        isolate = f" && bridge link set dev {self.name} isolated on" if self.isolated else ""
        return (
            f"ip link add {self.name} mtu {self.mtu} master {self.master} type veth"
            f" peer name {self.peer} netns {netns} address {self.peer_mac} mtu {self.mtu}{isolate}"
        )

    def describe_revert(self) -> str:
        return f"ip link delete {self.name}"


@record
class Hairpin(Setting):
    """A bridge port that sends packets back to where they came from."""

    name: str

    def apply(self, kernel: Kernel) -> None:
        kernel.port_hairpin(self.name, on=True)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.port_hairpin(self.name, on=False)

    def describe(self) -> str:
        return f"bridge link set dev {self.name} hairpin on"

    def describe_revert(self) -> str:
        return f"bridge link set dev {self.name} hairpin off"


@record
class LinkUp(Setting):
    """An interface, up."""

    netns: str
    name: str

    def apply(self, kernel: Kernel) -> None:
        kernel.link_set_up(self.netns, self.name, up=True)

    def revert(self, kernel: Kernel) -> bool:
        kernel.link_set_up(self.netns, self.name, up=False)
        return True

    def describe(self) -> str:
        return f"{ip(self.netns)} link set {self.name} up"

    def describe_revert(self) -> str:
        return f"{ip(self.netns)} link set {self.name} down"
