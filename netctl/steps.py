"""The steps that plans are made of: one kernel operation each.

``describe`` gives the equivalent ``ip``, ``sysctl`` or ``nft`` command; what a step needs beside
its own fields does not exist, so a step that was written down can be taken back by anyone.
"""

from __future__ import annotations

from shlex import quote

from netctl.errors import NetctlError
from netctl.kernel.interface import Kernel, Route
from netctl.record import record


def _ip(netns: str) -> str:
    if not netns:
        return "ip"
    directory, _, name = netns.rpartition("/")
    return f"ip -n {name}" if directory == "/run/netns" else f"nsenter --net={quote(netns)} ip"


class _Once:
    """Makes an object, which the kernel forgets at reboot: a second time is an error."""

    __slots__ = ()

    @property
    def durable(self) -> bool:
        return False

    @property
    def repeatable(self) -> bool:
        return False


class _Setting:
    """Brings something into a state, which the kernel forgets at reboot."""

    __slots__ = ()

    @property
    def durable(self) -> bool:
        return False

    @property
    def repeatable(self) -> bool:
        return True


class _OnDisk:
    """Brings a file into a state."""

    __slots__ = ()

    @property
    def durable(self) -> bool:
        return True

    @property
    def repeatable(self) -> bool:
        return True


@record
class NetnsCreate(_Once):
    """A new namespace, pinned at ``path``; its loopback bears ``alias``."""

    path: str
    alias: str

    def apply(self, kernel: Kernel) -> None:
        kernel.netns_create(self.path, alias=self.alias)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.netns_delete(self.path, identity=self.alias)

    def describe(self) -> str:
        return f"ip netns add {self.path.rpartition('/')[2]}"

    def describe_revert(self) -> str:
        return f"ip netns delete {self.path.rpartition('/')[2]}"


@record
class NetnsPin(_Once):
    """A pin at ``path`` for the namespace at ``source``, which somebody else made."""

    source: str
    path: str
    identity: str

    def apply(self, kernel: Kernel) -> None:
        kernel.netns_pin(self.source, self.path)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.netns_delete(self.path, identity=self.identity)

    def describe(self) -> str:
        return f"mount --bind {quote(self.source)} {quote(self.path)}"

    def describe_revert(self) -> str:
        return f"umount {quote(self.path)}"


@record
class NetnsRename(_Setting):
    """The pin of a namespace under another name; there is never a moment without one."""

    old: str
    new: str
    identity: str

    def apply(self, kernel: Kernel) -> None:
        _move_pin(kernel, self.old, self.new, self.identity)

    def revert(self, kernel: Kernel) -> bool:
        return _move_pin(kernel, self.new, self.old, self.identity)

    def describe(self) -> str:
        return f"mount --bind {quote(self.old)} {quote(self.new)} && umount {quote(self.old)}"

    def describe_revert(self) -> str:
        return f"mount --bind {quote(self.new)} {quote(self.old)} && umount {quote(self.new)}"


def _move_pin(kernel: Kernel, source: str, target: str, identity: str) -> bool:
    if kernel.netns_identity(source) != identity:
        return False
    if kernel.netns_identity(target) is None:
        kernel.netns_pin(source, target)
    try:
        kernel.netns_delete(source, identity=identity)
    except NetctlError:
        kernel.netns_delete(target, identity=identity)
        raise
    return True


@record
class BridgeAdd(_Once):
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
class VethAdd(_Once):
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
class Hairpin(_Setting):
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
class LinkUp(_Setting):
    """An interface, up."""

    netns: str
    name: str

    def apply(self, kernel: Kernel) -> None:
        kernel.link_set_up(self.netns, self.name, up=True)

    def revert(self, kernel: Kernel) -> bool:
        kernel.link_set_up(self.netns, self.name, up=False)
        return True

    def describe(self) -> str:
        return f"{_ip(self.netns)} link set {self.name} up"

    def describe_revert(self) -> str:
        return f"{_ip(self.netns)} link set {self.name} down"


@record
class AddressAdd(_Once):
    """An address with prefix length on an interface."""

    netns: str
    link: str
    address: str

    def apply(self, kernel: Kernel) -> None:
        kernel.address_add(self.netns, self.link, self.address)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.address_delete(self.netns, self.link, self.address)

    def describe(self) -> str:
        nodad = " nodad" if ":" in self.address else ""
        return f"{_ip(self.netns)} address add {self.address} dev {self.link}{nodad}"

    def describe_revert(self) -> str:
        return f"{_ip(self.netns)} address delete {self.address} dev {self.link}"


@record
class RouteAdd(_Once):
    """A route; of same destination and metric there was none."""

    netns: str
    destination: str
    gateway: str
    link: str
    metric: int = 0

    def _route(self) -> Route:
        return Route(
            destination=self.destination, gateway=self.gateway, link=self.link, metric=self.metric
        )

    def _text(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        metric = f" metric {self.metric}" if self.metric else ""
        destination = "default" if self.destination in ("0.0.0.0/0", "::/0") else self.destination
        return f"{destination}{via} dev {self.link}{metric}"

    def apply(self, kernel: Kernel) -> None:
        kernel.route_add(self.netns, self._route())

    def revert(self, kernel: Kernel) -> bool:
        return kernel.route_delete(self.netns, self._route())

    def describe(self) -> str:
        return f"{_ip(self.netns)} route add {self._text()}"

    def describe_revert(self) -> str:
        return f"{_ip(self.netns)} route delete {self._text()}"


@record
class Sysctl(_Setting):
    """``previous`` is put back by ``revert``; empty where the setting dies with its interface."""

    netns: str
    key: str
    value: str
    previous: str = ""

    def apply(self, kernel: Kernel) -> None:
        kernel.sysctl_set(self.netns, self.key, self.value)

    def revert(self, kernel: Kernel) -> bool:
        if self.previous:
            kernel.sysctl_set(self.netns, self.key, self.previous)
        return bool(self.previous)

    def describe(self) -> str:
        return f"{self._prefix()}sysctl -w {self.key}={self.value}"

    def describe_revert(self) -> str:
        value = self.previous
        return f"{self._prefix()}sysctl -w {self.key}={value}" if value else f": keep {self.key}"

    def _prefix(self) -> str:
        return f"ip netns exec {self.netns.rpartition('/')[2]} " if self.netns else ""


@record
class Nft(_Setting):
    """Two transactions, each other's opposite. ``undo`` works with the table present or absent.

    Where one of ``chains`` holds a rule, which is the operator's, ``undo_kept`` takes its place.
    """

    do: str
    undo: str
    undo_kept: str = ""
    chains: tuple[str, ...] = ()

    def apply(self, kernel: Kernel) -> None:
        kernel.nft(self.do)

    def revert(self, kernel: Kernel) -> bool:
        kernel.nft(self.undo_kept if self._kept(kernel) else self.undo)
        return True

    def _kept(self, kernel: Kernel) -> bool:
        listed = (kernel.nft_list(f"list chain {chain}") for chain in self.chains)
        return any("rule" in item for objects in listed for item in objects)

    def describe(self) -> str:
        return _nft(self.do)

    def describe_revert(self) -> str:
        return _nft(self.undo)


def _nft(commands: str) -> str:
    return f"nft -f - <<'EOF'\n{commands.rstrip()}\nEOF"


@record
class FlowsForgotten(_Setting):
    """Tracked connections of addresses and ports, forgotten when something ``coming`` is there, or
    else when something has gone: a flow in between would be kept as it was."""

    addresses: tuple[str, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    coming: bool

    def apply(self, kernel: Kernel) -> bool:
        if self.coming:
            kernel.conntrack_forget(self.addresses, self.ports)
        return self.coming

    def revert(self, kernel: Kernel) -> bool:
        if not self.coming:
            kernel.conntrack_forget(self.addresses, self.ports)
        return not self.coming

    def describe(self) -> str:
        return self._text() if self.coming else ": connections are forgotten at the end"

    def describe_revert(self) -> str:
        return ": connections were forgotten" if self.coming else self._text()

    def _text(self) -> str:
        lines = [f"conntrack -D -r {address}" for address in self.addresses]
        lines += [f"conntrack -D -p {p} --orig-port-dst {n}" for p, n in self.ports]
        return "\n".join(lines)


@record
class FileWrite(_OnDisk):
    """``previous`` is the content before, None where there was no file."""

    path: str
    content: str
    previous: str | None = None

    @property
    def durable(self) -> bool:
        """A file that was there is written anew with its namespace, after a reboot."""
        return self.previous is None

    def apply(self, kernel: Kernel) -> None:
        kernel.file_write(self.path, self.content)

    def revert(self, kernel: Kernel) -> bool:
        if self.previous is None:
            return kernel.file_delete(self.path)
        kernel.file_write(self.path, self.previous)
        return True

    def describe(self) -> str:
        return f"cat > {quote(self.path)} <<'EOF'\n{self.content.rstrip()}\nEOF"

    def describe_revert(self) -> str:
        if self.previous is None:
            return f"rm {quote(self.path)}"
        return f"cat > {quote(self.path)} <<'EOF'\n{self.previous.rstrip()}\nEOF"


@record
class DirectoryCreate(_OnDisk):
    """A directory; it is removed where it is empty."""

    path: str

    def apply(self, kernel: Kernel) -> None:
        kernel.directory_create(self.path)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.directory_delete(self.path)

    def describe(self) -> str:
        return f"mkdir -p {quote(self.path)}"

    def describe_revert(self) -> str:
        return f"rmdir {quote(self.path)}"


@record
class Symlink(_OnDisk):
    """A symbolic link."""

    path: str
    target: str

    def apply(self, kernel: Kernel) -> None:
        kernel.symlink(self.path, self.target)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.symlink_delete(self.path, self.target)

    def describe(self) -> str:
        return f"ln -s {quote(self.target)} {quote(self.path)}"

    def describe_revert(self) -> str:
        return f"rm {quote(self.path)}"


STEPS = (
    NetnsCreate,
    NetnsPin,
    NetnsRename,
    BridgeAdd,
    VethAdd,
    Hairpin,
    LinkUp,
    AddressAdd,
    RouteAdd,
    Sysctl,
    Nft,
    FlowsForgotten,
    FileWrite,
    DirectoryCreate,
    Symlink,
)
"""Every kind of step, for the codec of intents."""
