"""The documents of the store. Frozen: a change is a new document (``record.replace``).

Addresses are text in their shortest form: ``172.18.0.2`` alone, ``172.18.0.2/16`` for an address
with its prefix, ``172.18.0.0/16`` (host bits zero) for a subnet. Times are RFC 3339 in UTC.
The codec (``netctl.codec``) is driven by these annotations: keep them importable at run time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, Protocol, Self

from netctl.names import bridge_ifname, unaskable
from netctl.record import Record, field

SCHEMA = 1
"""Number of the documents' form; a store with a larger one is refused, a smaller one migrated."""


def now() -> str:
    """Return the time as documents bear it: RFC 3339, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Document(Protocol):
    """What the store keeps: an id, the directory it lives in, and the names it claims."""

    kind: ClassVar[str]

    @property
    def id(self) -> str: ...

    @property
    def parent(self) -> str:
        """Id of the document it belongs to, or ``""``."""
        ...

    def claims(self) -> frozenset[str]:
        """Keys that no other document may hold: names, addresses, interface names.

        The text after a key's last ``/`` is what look-ups begin with.
        """
        ...


class Lease(Record):
    """When a network or sandbox expires. Then ``collect`` removes it, or what needs its place."""

    expires: str = ""
    owner_pid: int = 0
    """Process whose end is the end of the lease; 0 for none."""
    owner_start: int = 0
    """When that process was started, in clock ticks after the boot: pids are reused."""
    boot_id: str = ""


class Pool(Record):
    """One subnet of a network."""

    subnet: str
    ip_range: str | None = None
    gateway: str | None = None
    """The gateway's address alone; None where the network has none."""
    aux: dict[str, str] = field(default_factory=dict)
    """Name to address: kept free, for things that netctl does not manage."""

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.subnet else 4

    @property
    def link_local(self) -> bool:
        """Whether it is of fe80::/10: no router forwards what has such an address (RFC 4291 section
        2.5.6), and each interface may have the same ones."""
        return is_link_local(self.subnet)

    @property
    def prefix_length(self) -> int:
        return int(self.subnet.rpartition("/")[2])

    def with_prefix(self, address: str) -> str:
        """Return an address of this pool as interfaces bear it, ``172.18.0.2/16``."""
        return f"{address}/{self.prefix_length}"


def is_link_local(text: str) -> bool:
    """Whether an IPv6 address or subnet, in its shortest form, is of fe80::/10."""
    return text.startswith(("fe8", "fe9", "fea", "feb")) and text[4:5] == ":"


class Network(Record):
    """A group of endpoints that can talk to each other."""

    kind: ClassVar[str] = "network"

    id: str
    name: str
    driver: str
    created: str
    scope: str = "local"
    internal: bool = False
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    """Driver options as given, by their full label."""
    ipam_driver: str = "default"
    ipam_options: dict[str, str] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    """What the driver decided at creation and needs for removal, such as the bridge's name."""
    boot_id: str = ""
    """The boot in which the kernel objects were made; empty where the driver makes none."""
    lease: Lease | None = None

    @property
    def parent(self) -> str:
        return ""

    def pool(self, version: int) -> Pool | None:
        """Return the pool of an address family (4 or 6)."""
        return next((pool for pool in self.pools if pool.version == version), None)

    def routed_pool(self, version: int) -> Pool | None:
        """Return the pool of a family if its addresses mean something beyond the network."""
        pool = self.pool(version)
        return None if pool and pool.link_local else pool

    def claims(self) -> frozenset[str]:
        # Each claim is a file to be written; a name that comes from the id is nobody else's.
        bridge = self.facts.get("bridge")
        named = {f"link/{bridge}"} if bridge and bridge != bridge_ifname(self.id) else set()
        return frozenset({f"network/{self.name}", *named})

    @property
    def reserved(self) -> frozenset[str]:
        """The addresses of its pools that no endpoint gets: gateways and auxiliary ones."""
        found = {address for pool in self.pools for address in pool.aux.values()}
        return frozenset(found | {pool.gateway for pool in self.pools if pool.gateway})


class Attachment(Record):
    """An endpoint's place in a sandbox, with what ``leave`` needs."""

    sandbox_id: str
    netns: str
    """Path of the namespace it was joined in, ``""`` for the host's."""
    ifname: str = ""
    """Name inside the sandbox; empty where the driver makes no interface."""
    host_ifname: str = ""
    ifb: str = ""
    """The host's interface that limits what the sandbox sends; empty if there is no such limit, or
    if the kernel has no ifb."""
    mac: str = ""
    mtu: int = 0
    """Bytes; 0 where the driver makes no interface."""
    priority: int = 0
    order: int = 0
    """Position among the sandbox's joins, from 1."""
    boot_id: str = ""
    aliases: dict[str, str] = field(default_factory=dict)
    """Alias to the name in the network that it refers to, in this sandbox only."""


LOOPBACK6 = "::1"
EVERYWHERE = {4: "0.0.0.0", 6: "::"}
"""The host's addresses of a family, as one."""
RELAYED = ("tcp", "udp")
"""What is published there, by a process, for the kernel cannot."""


class Port(Record):
    """A published port of an endpoint, or a range of them."""

    protocol: str
    """tcp, udp or sctp."""
    first: int
    last: int
    """In the sandbox; a single port is both."""
    host_ip: str = ""
    """The host's address it is published on; ``0.0.0.0`` or ``::`` for all of a family, empty for
    all of both."""
    host_first: int = 0
    """The host's port for ``first``; a range continues from there. 0: not chosen yet."""
    host_last: int = 0
    """Last port that may be chosen, while none is."""
    version: int = 0
    """Family (4, 6) of a port without ``host_ip`` if the endpoint has only one; 0 is both."""

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    @property
    def host_ports(self) -> range:
        """The host's ports, empty where none is chosen yet."""
        return range(self.host_first, self.host_first + self.size) if self.host_first else range(0)

    def on(self, version: int) -> bool:
        """Whether it is published in a family (4, 6)."""
        if not self.host_ip:
            return self.version in (0, version)
        return (":" in self.host_ip) == (version == 6)

    @property
    def held_ip(self) -> str:
        """The host's address that it holds its port on: see ``host_ip``."""
        return self.host_ip or EVERYWHERE.get(self.version, "")


class Limits(Record):
    """The rate limits of an endpoint, in bits/s of Ethernet frames; 0 is no limit."""

    rate_in: int = 0
    """Toward the sandbox."""
    rate_out: int = 0
    """From the sandbox."""
    burst: int = 0
    """Burst size in bytes; 0 lets netctl choose."""

    def __bool__(self) -> bool:
        return bool(self.rate_in or self.rate_out)


class StaticRoute(Record):
    """A route that an endpoint brings into its sandbox."""

    destination: str
    """CIDR, host bits zero; never the default."""
    gateway: str = ""
    """Empty for what is on the link itself."""
    metric: int = 0
    """0 is the kernel's default."""
    kind: str = "unicast"
    """unicast, or what leads nowhere: blackhole, unreachable, prohibit."""

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.destination else 4


class Endpoint(Record):
    """A network's attachment point. It keeps its addresses while it is not joined."""

    kind: ClassVar[str] = "endpoint"

    id: str
    name: str
    network_id: str
    created: str
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    mac: str = ""
    ipv4: str = ""
    """With its prefix length; empty where it has none."""
    ipv6: str = ""
    ifname: str = ""
    """The name asked for inside a sandbox; empty lets netctl choose."""
    transient: bool = False
    """Made by connect: it goes with disconnect, or with its sandbox."""
    ports: tuple[Port, ...] = ()
    """Ports that are published while it gives its sandbox the default route."""
    aliases: tuple[str, ...] = ()
    """More names by which the network knows it."""
    anonymous: bool = False
    """Whether the network does not know it by its name, only by its aliases."""
    no_dns: bool = False
    """Whether it gives its sandbox no name server."""
    exposed: tuple[str, ...] = ()
    """Ports that it documents, ``80/tcp``; nothing is opened."""
    sysctls: dict[str, str] = field(default_factory=dict)
    """Sysctls of its interface: ``net.ipv4.conf.IFNAME.rp_filter``, with the word IFNAME."""
    routes: tuple[StaticRoute, ...] = ()
    no_default_route: bool = False
    """Whether it is never the way out of its sandbox."""
    limits: Limits = Limits()
    folded: bool = False
    """Whether it claims its name in small letters as well, so that no other differs from it by case
    alone, which DNS does not see. False for endpoints that an earlier netctl created."""
    attachment: Attachment | None = None

    @property
    def parent(self) -> str:
        return self.network_id

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for address in (self.ipv4, self.ipv6) if address)

    @property
    def routed_addresses(self) -> tuple[str, ...]:
        """The addresses that are not link-local."""
        return tuple(address for address in self.addresses if not is_link_local(address))

    def claims(self) -> frozenset[str]:
        keys = {f"endpoint/{self.network_id}/{self.name}"}
        if self.folded and self.name != self.name.lower():
            # The plain claim is in small letters already otherwise.
            keys.add(folded_claim(self.network_id, self.name))
        keys.update(address_claim(self.network_id, a.partition("/")[0]) for a in self.addresses)
        if self.mac:
            keys.add(f"mac/{self.network_id}/{self.mac}")
        for port in self.ports:
            keys.update(port_claim(port.protocol, port.held_ip, n) for n in port.host_ports)
        return frozenset(keys)


class SandboxKind(StrEnum):
    OWN = "own"
    """A namespace that netctl made."""
    EXTERNAL = "external"
    """A namespace that somebody else made; pinned, never deleted."""
    HOST = "host"
    """The host's own stack."""


class EndpointRef(Record):
    """Where an endpoint's document is."""

    network_id: str
    endpoint_id: str


class Upstream(Record):
    """A name server that the resolver asks for a sandbox."""

    address: str
    host: bool
    """Whether it is asked from the host's namespace, else from the sandbox's."""


class ResolvConf(Record):
    """What a sandbox's resolv.conf says, chosen when the sandbox is made or refreshed."""

    servers: tuple[str, ...] = ()
    """Name servers for a sandbox without the resolver."""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Further lines of the host's."""
    upstream: tuple[Upstream, ...] = ()
    """Name servers that the resolver asks."""
    overridden: bool = False
    """Whether the user set any of it, instead of taking it from the host."""


class Sandbox(Record):
    """A network stack: on Linux a network namespace, with its hosts and resolv.conf."""

    kind: ClassVar[str] = "sandbox"

    id: str
    name: str
    created: str
    type: SandboxKind = SandboxKind.OWN
    netns: str = ""
    """Path of the namespace, ``/run/netns/NAME``; ``""`` for the host's."""
    identity: str = ""
    """Identifies its namespace: see ``Kernel.netns_identity``."""
    source: str = ""
    """Path at which an external namespace was found; empty if netctl created the namespace."""
    pinned: bool = True
    """Whether ``netns`` is a mount that netctl made."""
    boot_id: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    hostname: str = ""
    domainname: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    """Pairs of name and address."""
    hosts_path: str = ""
    resolv_conf_path: str = ""
    """Where netctl writes the files; empty for the state directory."""
    origin_hosts_path: str = ""
    origin_resolv_conf_path: str = ""
    """Files of which they are copies, whatever else is asked for."""
    resolv: ResolvConf = field(default_factory=ResolvConf)
    served: bool = False
    """Whether the resolver answers in it: from the first join that asks for names until it goes."""
    digests: dict[str, str] = field(default_factory=dict)
    """Path of a file to a digest of what netctl wrote there last."""
    endpoints: tuple[EndpointRef, ...] = ()
    joins: int = 0
    """How many endpoints were ever joined."""
    lease: Lease | None = None

    @property
    def parent(self) -> str:
        return ""

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names that it has for itself, the full one first.

        A ``hostname`` with dots has its first label too, as ``hostname -s`` prints it. The dots in
        the sandbox's own name part nothing.
        """
        name = self.hostname or self.name
        full = f"{name}.{self.domainname}" if self.domainname else name
        short = self.hostname.partition(".")[0]
        found = (full, name, "" if unaskable(short) else short)
        return tuple(dict.fromkeys(filter(None, found)))

    @property
    def key(self) -> str:
        """Path by which anyone on the host can enter the stack."""
        return self.netns or "/proc/self/ns/net"

    def claims(self) -> frozenset[str]:
        return frozenset({f"sandbox/{self.name}"})


class Cursor(Record):
    """Where the next search for a free address or port begins (next-fit)."""

    kind: ClassVar[str] = "cursor"

    id: str
    """The network's id, or ``PORTS_CURSOR``."""
    last: dict[str, str] = field(default_factory=dict)
    """Pool's subnet to the address handed out last, or protocol to the port."""

    @property
    def parent(self) -> str:
        return ""

    def claims(self) -> frozenset[str]:
        return frozenset()


PORTS_CURSOR = "e" * 64
"""Id of the cursor in which the last ephemeral port of each protocol is kept."""


class HostState(Record):
    """What netctl changed on the host as a whole, one document."""

    kind: ClassVar[str] = "host"
    ID: ClassVar[str] = "0" * 64

    id: str = ID
    forwarding: dict[str, str] = field(default_factory=dict)
    """Sysctl that netctl had to turn on, to the value it had before."""
    uplinks: tuple[str, ...] = ()
    """The interfaces of other owners that there were at that moment."""
    reset: dict[str, str] = field(default_factory=dict)
    """Settings that turning it off resets, to the values that are put back then."""
    advertised: tuple[str, ...] = ()
    """The interfaces that heed routers' advertisements because netctl made them (accept_ra=2)."""
    heard: tuple[str, ...] = ()
    """Those that did in this boot or an earlier one: at boot netctl may come before the router."""
    boot_id: str = ""

    @property
    def parent(self) -> str:
        return ""

    def claims(self) -> frozenset[str]:
        return frozenset()

    def believed(self, boot_id: str) -> Self | HostState:
        """Return this state if it is of the given boot, else what outlives a boot of it."""
        return self if self.boot_id == boot_id else HostState(boot_id=boot_id, heard=self.heard)


KINDS: tuple[type[Network] | type[Endpoint] | type[Sandbox] | type[Cursor] | type[HostState], ...]
KINDS = (Network, Endpoint, Sandbox, Cursor, HostState)


def folded_claim(network_id: str, name: str) -> str:
    """Return the key under which the small letters of an endpoint's name are claimed."""
    return f"folded/{network_id}/{name.lower()}"


def address_claim(network_id: str, address: str) -> str:
    """Return the key under which a network's address is claimed."""
    return f"address/{network_id}/{address}"


def port_claim(protocol: str, host_ip: str, port: int) -> str:
    """Return the key under which a port of the host is claimed."""
    return f"port/{protocol}/{host_ip}/{port}"
