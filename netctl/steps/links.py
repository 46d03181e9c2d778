"""Steps on interfaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netctl.kernel.interface import Kernel, Link
from netctl.names import MARK
from netctl.plan import Difference, Interface, Undo
from netctl.record import replace
from netctl.steps.base import Once, Setting, absent, ip, place

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot


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

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        link, gone = found.link("", self.name), ("", self.name)
        if link is None:
            yield _missing(self, f"bridge {self.name}", "bridge", found, gone)
        elif (link.type, link.alias) != ("bridge", self.alias):
            yield _somebody_elses(link, f"bridge, {self.alias}", gone)
        else:
            yield from _changed(link, "", mtu=self.mtu, mac=self.mac)

    def describe(self) -> str:
        mtu = f" mtu {self.mtu}" if self.mtu else ""
        return (
            f"ip link add {self.name} address {self.mac} type bridge"
            f" && ip link set {self.name} alias {self.alias}{mtu}"
        )

    def describe_revert(self) -> str:
        return f"ip link delete {self.name}"


class VethAdd(Once):
    """A veth pair, down: a port of ``master`` here, ``peer`` in ``netns``."""

    name: str
    alias: str
    master: str
    isolated: bool
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
            mtu=self.mtu,
            netns=self.netns,
            peer=self.peer,
            peer_mac=self.peer_mac,
        )

    def revert(self, kernel: Kernel) -> bool:
        return kernel.link_delete("", self.name, alias=self.alias)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        near, far = found.link("", self.name), found.link(self.netns, self.peer)
        gone = (("", self.name), (self.netns, self.peer))
        if near and near.alias != self.alias:
            yield _somebody_elses(near, self.alias, *gone)
        elif near and far and self._joined(near, far, found):
            yield from _changed(near, "", mtu=self.mtu)
            yield from _changed(far, self.netns, mtu=self.mtu, mac=self.peer_mac)
            yield from self._as_port(near, found.master_of(near))
        elif far and self._foreign(near, far, found):
            yield self._in_the_way(far, gone)
        elif near is None:
            yield _missing(self, f"veth {self.name}", "veth", found, *gone)
        else:
            what = f"interface {self.peer}{place(self.netns)}"
            repair = (Undo(step=self), self)
            there = "that of another endpoint" if far else "nothing"
            yield Difference(what=what, expected=self.alias, found=there, repair=repair, gone=gone)

    def _joined(self, near: Link, far: Link, found: Snapshot) -> bool:
        """Whether two interfaces are the ends of one wire, which the host's end says: whoever is
        inside can give any interface that name, and that alias."""
        if not self.netns:
            return far.alias == self.alias
        return near.peer == far.index and near.peer_netns == found.number(self.netns)

    def _foreign(self, near: Link | None, far: Link, found: Snapshot) -> bool:
        """Whether an interface is none of ours, nor the rest of this one, which is made anew."""
        rest = near is None and (far.type, far.alias) == ("veth", self.alias)
        return not (rest or is_end_of_ours(far, self.netns, found))

    def _in_the_way(self, far: Link, gone: tuple[Interface, ...]) -> Difference:
        """Return the difference of a wire whose end has no place. It is left as it is, too: what
        stands at the host would go, and nothing could come."""
        what = f"interface {self.peer}{place(self.netns)}"
        there = f"somebody else's ({far.type or 'no virtual one'})"
        remedy = (clearing(self.netns, far), "netctl repair")
        return Difference(what=what, expected=self.alias, found=there, gone=gone, remedy=remedy)

    def _as_port(self, link: Link, master: str) -> Iterable[Difference]:
        if self.master != master:
            change = LinkChange(
                netns="", name=self.name, master=self.master, isolated=self.isolated
            )
            moved = _change(link, "bridge", self.master, master or "none", change)
            yield replace(moved, on=(("", self.master),))
        elif self.master and self.isolated != link.isolated:
            change = LinkChange(netns="", name=self.name, isolated=self.isolated)
            yield _change(link, "isolated", _on(self.isolated), _on(link.isolated), change)

    def describe(self) -> str:
        netns = self.netns.rpartition("/")[2]
        isolate = f" && bridge link set dev {self.name} isolated on" if self.isolated else ""
        return (
            f"ip link add {self.name} mtu {self.mtu} master {self.master} type veth"
            f" peer name {self.peer} netns {netns} address {self.peer_mac} mtu {self.mtu}{isolate}"
            f" && ip link set {self.name} alias {self.alias}"
            f" && {ip(self.netns)} link set {self.peer} alias {self.alias}"
        )

    def describe_revert(self) -> str:
        return f"ip link delete {self.name}"


class LinkChange(Setting):
    """Other settings of an interface, where somebody changed them; 0, ``""`` and None keep one."""

    netns: str
    name: str
    mtu: int = 0
    mac: str = ""
    master: str = ""
    isolated: bool | None = None

    def apply(self, kernel: Kernel) -> None:
        kernel.link_change(
            self.netns,
            self.name,
            mtu=self.mtu,
            mac=self.mac,
            master=self.master,
            isolated=self.isolated,
        )

    def revert(self, kernel: Kernel) -> bool:
        return False

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        words = {"mtu": self.mtu, "address": self.mac, "master": self.master}
        given = " ".join(f"{key} {value}" for key, value in words.items() if value)
        lines = [f"{ip(self.netns)} link set {self.name} {given}"] if given else []
        if self.isolated is not None:
            lines.append(f"bridge link set dev {self.name} isolated {_on(self.isolated)}")
        return "\n".join(lines)

    def describe_revert(self) -> str:
        return f": {self.name} stays as it is"


class LinkGone(Setting):
    """An interface of ours that no document knows, or has another name, deleted for good."""

    name: str
    alias: str
    netns: str = ""

    def apply(self, kernel: Kernel) -> bool:
        return kernel.link_delete(self.netns, self.name, alias=self.alias)

    def revert(self, kernel: Kernel) -> bool:
        return False

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return f"{ip(self.netns)} link delete {self.name}"

    def describe_revert(self) -> str:
        return f": {self.name} stays away"


class Hairpin(Setting):
    """A port of ``bridge`` that sends packets back to where they came from."""

    name: str
    bridge: str = ""

    def apply(self, kernel: Kernel) -> None:
        kernel.port_hairpin(self.name, on=True)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.port_hairpin(self.name, on=False)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        link = found.link("", self.name)
        if link is None or not link.hairpin:
            difference = absent(self, f"interface {self.name} hairpin", "on", "off")
            yield replace(difference, on=(("", self.name), ("", self.bridge)))

    def describe(self) -> str:
        return f"bridge link set dev {self.name} hairpin on"

    def describe_revert(self) -> str:
        return f"bridge link set dev {self.name} hairpin off"


class Reachable(Setting):
    """A bridge's port that isolated ports reach, and that reaches them; reverted it is isolated."""

    name: str

    def apply(self, kernel: Kernel) -> bool:
        return kernel.port_isolated(self.name, on=False)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.port_isolated(self.name, on=True)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        """None: the step that makes the port says how it should be."""
        return ()

    def describe(self) -> str:
        return f"bridge link set dev {self.name} isolated off"

    def describe_revert(self) -> str:
        return f"bridge link set dev {self.name} isolated on"


class LinkUp(Setting):
    """An interface, up."""

    netns: str
    name: str

    def apply(self, kernel: Kernel) -> None:
        kernel.link_set_up(self.netns, self.name, up=True)

    def revert(self, kernel: Kernel) -> bool:
        kernel.link_set_up(self.netns, self.name, up=False)
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        link = found.link(self.netns, self.name)
        if link is None or not link.up:
            yield absent(self, f"interface {self.name}{place(self.netns)}", "up", "down")

    def describe(self) -> str:
        return f"{ip(self.netns)} link set {self.name} up"

    def describe_revert(self) -> str:
        return f"{ip(self.netns)} link set {self.name} down"


def _changed(link: Link, netns: str, *, mtu: int, mac: str = "") -> Iterable[Difference]:
    if mtu and link.mtu != mtu:
        change = LinkChange(netns=netns, name=link.name, mtu=mtu)
        yield _change(link, f"mtu{place(netns)}", str(mtu), str(link.mtu), change)
    if mac and link.mac != mac:
        change = LinkChange(netns=netns, name=link.name, mac=mac)
        yield _change(link, f"address{place(netns)}", mac, link.mac, change)


def _change(link: Link, aspect: str, expected: str, found: str, change: LinkChange) -> Difference:
    what = f"interface {link.name} {aspect}"
    return Difference(what=what, expected=expected, found=found, repair=(change,))


def _missing(
    step: BridgeAdd | VethAdd, what: str, kind: str, found: Snapshot, *gone: Interface
) -> Difference:
    """Return the difference of interfaces that are not there. What bears their mark by another name
    goes first: it is in the way, and would stay for ever."""
    named = [(netns, found.link(netns, name)) for netns, name in gone if netns]
    there = (
        LinkGone(netns=netns, name=link.name, alias=step.alias)
        for netns, link in (*(("", link) for link in found.links("").values()), *named)
        if link and (link.type, link.alias) == (kind, step.alias)
    )
    astray = next(there, None)
    name = f"{astray.name}{place(astray.netns)}" if astray else "nothing"
    repair = (astray, step) if astray else (step,)
    return Difference(what=what, expected="there", found=name, repair=repair, gone=gone)


def _somebody_elses(link: Link, expected: str, *gone: Interface) -> Difference:
    found = ", ".join(filter(None, (link.type, link.alias))) or "somebody else's"
    remedy = (clearing("", link), "netctl repair")
    what = f"interface {link.name}"
    return Difference(what=what, expected=expected, found=found, gone=gone, remedy=remedy)


def is_end_of_ours(link: Link, netns: str, found: Snapshot) -> bool:
    """Whether an interface of a namespace is the end of a wire of netctl's, as its other end on the
    host says."""
    if not netns:
        return link.alias.startswith(MARK)
    number = found.number(netns)
    return number >= 0 and any(
        (each.peer, each.peer_netns) == (link.index, number) and each.alias.startswith(MARK)
        for each in found.links("").values()
    )


def clearing(netns: str, link: Link) -> str:
    """Return the line that frees the name of an interface of somebody else's."""
    if link.type:
        return f"{ip(netns)} link delete {link.name}  # or rename it"
    # A device cannot be deleted.
    return f"{ip(netns)} link set {link.name} down name own{link.index}"


def _on(value: bool) -> str:
    return "on" if value else "off"
