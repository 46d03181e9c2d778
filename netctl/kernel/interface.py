"""What netctl asks of the kernel. The real one is ``netctl.kernel.linux``, the tests have a fake.

``netns`` is everywhere the path of a pinned namespace, or ``""`` for the one netctl runs in.
What a ``*_delete`` names may be absent already: that is no error, and they return whether there was
something. Everything else raises
``KernelError`` (its ``errno`` set), ``NotPermitted`` or ``Unsupported``, and names the object
and the operation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from netctl.record import Record

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from netctl.kernel.conntrack import Flow
    from netctl.kernel.inhabitants import Process
    from netctl.kernel.instructions import Rule, Verdict
    from netctl.kernel.lookup import Neighbour, PolicyRule, Way
    from netctl.kernel.probing import Journey, Probe
    from netctl.kernel.ruleset import Chain, LegacyChain

Message = Mapping[str, Any]
"""What the resolver is told: see ``netctl.backends.dns.model``."""
TICK_NANOSECONDS = 64
"""In which the kernel tells of a time that is a number of bytes (net/pkt_sched.h)."""
NAMES_TABLE = ("inet", "netctl-dns")
"""Family and name of the table that leads the questions of a sandbox to the resolver."""
NAMES_CHAIN = "output"
"""The chain in it that does."""


class Link(Record):
    """An interface as the kernel shows it."""

    index: int
    name: str
    type: str
    """``bridge``, ``veth``, ...; empty for a device without link info, such as lo."""
    mac: str
    mtu: int
    up: bool
    alias: str
    master: int
    """Index of the bridge it is a port of, or 0."""
    counters: dict[str, int]
    """rx_bytes, rx_packets, rx_errors, rx_dropped and the same for tx."""
    isolated: bool = False
    hairpin: bool = False
    """How it is a bridge's port."""
    state: str = ""
    """What the bridge does with such a port: ``forwarding``, ``blocking``, ``listening``, ...;
    empty where it is none."""
    carrier: bool = True
    """Whether something is at its other end."""
    peer: int = 0
    """Index of its other end, where that is in another namespace."""
    peer_netns: int = -1
    """Which namespace that is, to this one: see ``Kernel.netns_number``."""


class Address(Record):
    """An address of an interface."""

    link: str
    address: str
    """With prefix length."""


class Route(Record):
    """A route of the main table."""

    destination: str
    """CIDR, ``0.0.0.0/0`` or ``::/0`` for the default."""
    gateway: str
    link: str
    """Empty for a route that leads nowhere."""
    metric: int
    kind: str = "unicast"
    """unicast, blackhole, unreachable or prohibit."""
    advertised: bool = False
    """Whether it comes from a router's advertisement, or of IPv6 goes unless another comes."""


class Shape(Record):
    """How fast something may go."""

    rate: int
    """Bits/s of Ethernet frames, a multiple of 8."""
    burst: int
    """Bytes that may go at once."""
    limit: int = 0
    """Bytes that may wait; 0 where nothing does."""


class Shaper(Record):
    """The token bucket at what an interface sends."""

    shape: Shape
    sent_bytes: int
    dropped: int
    """Packets."""


class Ingress(Record):
    """What becomes of all that comes in at an interface: it goes to another, or is limited."""

    to: str = ""
    shape: Shape | None = None
    sent_bytes: int
    dropped: int


class Kernel(Protocol):
    # namespaces
    def netns_new(self, *, alias: str) -> str:
        """Make a namespace whose loopback is up and bears ``alias``, and return its identity. It
        has no path, and is gone at ``netns_let_go`` or with this process."""
        ...

    def netns_create(self, path: str, *, identity: str) -> None:
        """Pin a namespace that ``netns_new`` made at ``path``, which must be new."""
        ...

    def netns_let_go(self) -> None:
        """Let the namespaces go that have no pin: those that never got one, and those whose last
        one was deleted since."""
        ...

    def netns_pin(self, source: str, path: str) -> None:
        """Bind the existing namespace at ``source`` to ``path``, which must be new."""
        ...

    def netns_delete(self, path: str, *, identity: str) -> bool:
        """Unmount and remove the pin of the namespace of that identity; one of another is a
        KernelError, untouched. Until ``netns_let_go``, ``netns_create`` brings it back."""
        ...

    def netns_clear(self, path: str) -> None:
        """Remove the file that a killed netctl left of a pin; whatever else is there stays."""
        ...

    def netns_identity(self, path: str, known: str = "") -> str | None:
        """Return what tells the namespace at ``path`` from every other of this boot, None where
        there is none: the kernel's number, which nothing inside can change. ``known``, which a
        document has, is returned where an older netctl knew the namespace by that: by its mark."""
        ...

    def netns_in_use(self, path: str) -> bool:
        """Whether a process is in the namespace at ``path``, of those that this one may look at."""
        ...

    def netns_number(self, path: str) -> int:
        """Return the number by which the host's links name the namespace at ``path``; -1 where
        none leads there."""
        ...

    def netns_mark(self, path: str) -> str:
        """Return netctl's mark on the loopback of a namespace, ``""`` for none. Whatever is inside
        can change it: it hints at an orphan, and proves nothing."""
        ...

    def netns_exists(self, path: str) -> bool:
        """Whether some namespace is pinned there; nothing is entered."""
        ...

    # links
    def bridge_add(self, name: str, *, alias: str, mac: str, mtu: int) -> None:
        """Add a bridge, still down; ``mtu`` 0 is the kernel's default."""
        ...

    def veth_add(
        self,
        name: str,
        *,
        alias: str,
        master: str,
        isolated: bool,
        mtu: int,
        netns: str,
        peer: str,
        peer_mac: str,
    ) -> None:
        """Add a veth pair, both ends down: ``name`` here as a port of the bridge ``master``
        and ``peer`` directly in ``netns``. Both bear ``alias``."""
        ...

    def link_delete(self, netns: str, name: str, *, alias: str) -> bool:
        """Delete a link if it bears ``alias``; a foreign one is a KernelError, untouched."""
        ...

    def links_delete(self, links: Sequence[tuple[str, str]]) -> frozenset[str]:
        """Delete links of the host at once, given by name and alias; return the names of those that
        were there. Where one is foreign it is a KernelError, and none is deleted."""
        ...

    def link_set_up(self, netns: str, name: str, *, up: bool) -> None: ...

    def link_change(
        self, netns: str, name: str, *, mtu: int, mac: str, master: str, isolated: bool | None
    ) -> None:
        """Give a link another MTU, MAC or bridge, or as a port another isolation; 0, ``""`` and
        None leave it as it is."""
        ...

    def port_hairpin(self, name: str, *, on: bool) -> bool:
        """Let a bridge port send packets back to where they came from, or not. Returns whether it
        is there; its absence is an error for ``on`` alone."""
        ...

    def port_isolated(self, name: str, *, on: bool) -> bool:
        """Let a bridge port pass nothing from and to other isolated ports, or not. Returns whether
        it is there."""
        ...

    def link(self, netns: str, name: str) -> Link | None:
        """Return the link of a name, None where there is none. Of a host with thousands all take
        25 us each."""
        ...

    def links(self, netns: str) -> list[Link]:
        """Return all links. What a sandbox holds is decided in there: of that, as of all lists, a
        KernelError (EFBIG) is raised for more than some thousands."""
        ...

    def link_exists(self, name: str) -> bool:
        """Whether the host has an interface of that name."""
        ...

    # addresses and routes
    def address_add(self, netns: str, link: str, address: str) -> None:
        """Add an address with prefix length; IPv6 without duplicate detection (nodad)."""
        ...

    def address_delete(self, netns: str, link: str, address: str) -> bool: ...

    def addresses(self, netns: str) -> list[Address]: ...

    def route_add(self, netns: str, route: Route) -> None:
        """Add a route; there may be none of same destination and metric. An empty gateway is a
        route by interface."""
        ...

    def route_delete(self, netns: str, route: Route) -> bool: ...

    def routes(self, netns: str) -> list[Route]:
        """Unicast routes of the main table, both families."""
        ...

    def dead_ends(self, netns: str) -> list[Route]:
        """Routes of the main table that lead nowhere, both families."""
        ...

    def all_routes(self, netns: str) -> list[Route]:
        """``routes`` and ``dead_ends``, at the price of one."""
        ...

    def way(
        self, netns: str, destination: str, *, source: str = "", iif: str = "", oif: str = ""
    ) -> Way:
        """Look up the route of a packet; with ``iif`` of one that came in there, from ``source``,
        else of one from here."""
        ...

    def rules(self, version: int, netns: str = "") -> list[PolicyRule]:
        """Return the rules of routing of a family (4, 6), in their order."""
        ...

    def neighbours(self, netns: str) -> list[Neighbour]: ...

    def neighbours_forget(self, link: str, addresses: Sequence[str]) -> None:
        """Delete what the host knows of addresses on its interface ``link``."""
        ...

    def announce(
        self, netns: str, link: str, *, port: str, mac: str, count: int, gap: float
    ) -> None:
        """Have an interface tell its neighbours its addresses, ``count`` times, ``gap`` seconds
        apart, as soon as its other end ``port`` forwards: where ``arp_notify`` and ``ndisc_notify``
        are on. ``mac`` is what it has."""
        ...

    def probe(self, probe: Probe, source: str, seconds: float) -> Journey:
        """Send a packet from a namespace and watch it through the nftables of the host, of that
        namespace and of the one that it goes to."""
        ...

    def flow(self, source: str, destination: str, protocol: str, number: int) -> Flow | None:
        """Return the tracked flow that began with such a packet; ``number`` is the port of its
        source, or the identifier of a ping."""
        ...

    # traffic control, of interfaces of the host that bear the alias
    def has_link_kind(self, kind: str) -> bool:
        """Whether the kernel makes links of a kind, such as ``ifb``; nothing is changed."""
        ...

    def limiters(self) -> dict[str, bool]:
        """Return which of ``tbf``, ``ifb`` and ``police`` there are; nothing is loaded where the
        modules that could be are listed."""
        ...

    def ifb_add(self, name: str, *, alias: str, mtu: int) -> None:
        """Add an interface, down, to which others lead what comes in at them."""
        ...

    def shaper_set(self, link: str, *, alias: str, shape: Shape) -> None:
        """Limit what an interface sends, or limit it anew."""
        ...

    def shaper_delete(self, link: str, *, alias: str) -> bool: ...

    def shaper(self, link: str) -> Shaper | None: ...

    def divert_add(self, link: str, *, alias: str, to: str) -> None:
        """Lead all that comes in at an interface to another one, an ifb; it may do nothing else
        with that yet."""
        ...

    def police_add(self, link: str, *, alias: str, shape: Shape) -> None:
        """Drop what comes in at an interface too fast."""
        ...

    def ingress_delete(self, link: str, *, alias: str) -> bool:
        """Take away what ``divert_add`` or ``police_add`` did."""
        ...

    def ingress(self, link: str) -> Ingress | None: ...

    # settings, firewall, files
    def sysctl_get(self, netns: str, key: str) -> str | None:
        """``key`` with slashes, ``net/ipv4/ip_forward``; None where the kernel lacks it."""
        ...

    def sysctl_set(self, netns: str, key: str, value: str) -> None:
        """Nothing is written where the value is that already."""
        ...

    def conntrack_forget(
        self,
        addresses: Sequence[str],
        ports: Sequence[tuple[str, int]],
        *,
        spared: Sequence[str] = (),
        barred: str = "",
    ) -> None:
        """Delete the tracked flows of ``addresses``, to them and from them; with ``ports``
        (protocol, number) only those to them that were sent to one of these, and without addresses
        those to ports of the host itself that are not translated.

        Those to ``spared`` addresses stay where they are not translated. Before the flows to
        addresses go, their ends come into the set ``barred`` + family (4, 6) of nftables; of
        thousands the port alone, into ``barred`` + ``-ports`` + family."""
        ...

    def port_holder(self, protocol: str, address: str, port: int) -> str | None:
        """Return who holds a port of the host, None where it is free: it is bound for a moment.
        An empty address is all of both families."""
        ...

    def nft(self, commands: str) -> None:
        """Run nft commands as one transaction in the host's namespace."""
        ...

    def nft_list(self, command: str) -> list[dict[str, Any]]:
        """Run an nft ``list`` command; return the objects of its JSON answer ([] for ENOENT)."""
        ...

    def nft_preview(self, commands: str, command: str) -> list[dict[str, Any]]:
        """Return what the ``list`` command would find if the commands were run in an empty
        namespace."""
        ...

    def nft_chains(self) -> list[Chain]:
        """Return the chains of all tables, also those that libnftables cannot print."""
        ...

    def nft_has_chain(self, netns: str, chain: Chain) -> bool:
        """Whether there is a chain of that table and name in a namespace."""
        ...

    def nft_rules(self, chain: Chain) -> list[Rule]: ...

    def nft_key_size(self, chain: Chain, name: str) -> int:
        """Return the length of the keys of a set of a chain's table, bytes; 0 for no set."""
        ...

    def nft_element(self, chain: Chain, name: str, key: bytes) -> Verdict | bytes | None:
        """Return what a set or map of a chain's table holds for a key; None for nothing."""
        ...

    def nft_text(self, chain: Chain, netns: str = "") -> dict[int, str]:
        """Return the rules of a chain as nft prints them, by handle; those it can print."""
        ...

    def legacy_chain(self, version: int, hook: str) -> LegacyChain | None:
        """Return legacy iptables' built-in chain of table filter (4, 6); None without that table.
        ``hook`` is ``input``, ``forward`` or ``output``."""
        ...

    def file_read(self, path: str) -> str | None: ...

    def link_target(self, path: str) -> str | None:
        """Return where a symbolic link leads; None where there is none."""
        ...

    def directory_list(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none where it is missing."""
        ...

    def file_write(self, path: str, content: str) -> None:
        """Write a file, a new one with mode 0644; no symlink is followed. One that is there keeps
        its inode, which others may have bound elsewhere. The directory must exist."""
        ...

    def file_delete(self, path: str) -> bool: ...

    def directory_create(self, path: str) -> None:
        """Make the directory (0755) and its parents where they are missing."""
        ...

    def directory_delete(self, path: str) -> bool:
        """Remove the directory if it is empty."""
        ...

    def symlink(self, path: str, target: str) -> None:
        """Make a symbolic link; the same one being there already is fine, anything else is not."""
        ...

    def symlink_delete(self, path: str, target: str) -> bool:
        """Remove ``path`` if it is a symbolic link to ``target``; leave anything else alone."""
        ...

    def process_start(self, pid: int) -> int | None:
        """Return when a process was started, in clock ticks after the boot; None for none."""
        ...

    def inhabitants(self, path: str) -> list[Process]:
        """Return the processes in the namespace at ``path``, by their number."""
        ...

    def inhabited(self, paths: Collection[str]) -> set[str]:
        """Return those of some namespaces, given by their paths, in which there are processes."""
        ...

    # the resolver of a run directory
    def resolver_start(self, run_dir: str, state_dir: str, *, anew: bool) -> bool:
        """Start the resolver, which begins with what the store says, and wait until it is ready.
        One that is there stays, and False is returned; ``anew`` ends it first."""
        ...

    def resolver_stop(self, run_dir: str) -> bool:
        """End the resolver if it serves nobody."""
        ...

    def resolver_tell(self, run_dir: str, message: str) -> bool:
        """Tell the resolver something, as JSON: all of it has happened on return, or nothing.

        Returns whether one is at work. One that does not answer in time (ETIMEDOUT) is killed.
        """
        ...

    def batch(self) -> AbstractContextManager[None]:
        """Lend a block in which the resolver may answer later: what it refuses is raised at the
        next time that it is told something, or at the end."""
        ...

    def resolver_model(self, run_dir: str) -> list[Message] | None:
        """Return the messages that tell all that the resolver knows; None where none is at work.
        It raises KernelError (ETIMEDOUT) for one that does not answer."""
        ...

    def resolver_lost(self, run_dir: str) -> bool:
        """Whether a resolver has ended out of order: it was killed."""
        ...

    def boot_id(self) -> str: ...

    def close(self) -> None: ...
