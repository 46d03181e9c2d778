"""What somebody else's firewall drops of a network's traffic.

An accept holds in its own table alone, a drop everywhere: a rule of ours cannot let through what
another table drops. Nothing foreign is changed here; it is looked at, and the lines that mend it
are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from shlex import quote
from shutil import which

from netctl.backends.evaluation import Evaluation, Outcome, Packet, TooMany
from netctl.backends.foreign import FAMILIES, OUTSIDE, Foreign
from netctl.kernel import Kernel
from netctl.kernel.ruleset import Chain
from netctl.models import Network, Pool
from netctl.record import Record, replace

FEW, MANY = 100, 100_000
"""Rules that a packet is followed through: beside something else that was asked for, and where
this was. What comes after so many is not looked at."""
BRIDGED = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}
_FLOWS = {
    "out": "packets to the outside",
    "answers": "answers from there",
    "published": "connections to its published ports",
    "inside": "packets between its endpoints",
}


class Obstacle(Record):
    """A chain of somebody else's that drops traffic of a network."""

    network: str
    bridge: str
    base: Chain
    """The chain with the hook; of type ``legacy`` where it is one of legacy iptables."""
    chain: Chain
    """Where the packet is dropped: ``base``, or one that it leads to."""
    handle: int
    """Of the rule, 0 for the policy."""
    flows: tuple[str, ...]
    versions: tuple[int, ...]
    partly: bool
    """Whether a rule before it may accept some of the traffic."""
    remedy: tuple[str, ...]
    """The commands that let it through."""

    @property
    def place(self) -> str:
        """What drops it."""
        if self.base.type == "legacy":
            tool = "iptables-legacy" if self.base.family == "ip" else "ip6tables-legacy"
            return f"the policy of chain {self.base.name} of {tool}"
        if not self.handle:
            return f"the policy of chain {self.chain.place}"
        return f"rule {self.handle} of chain {self.chain.place}"

    def sentence(self, rule: str = "") -> str:
        """Say it in one sentence; ``rule`` is the text of the rule."""
        *others, last = (_FLOWS[flow] for flow in self.flows)
        flows = f"{', '.join(others)} and {last}" if others else last
        family = "" if len(self.versions) == 2 else f" (IPv{self.versions[0]})"
        shown = f" ({rule})" if rule else ""
        unless = ", unless another rule there accepts them" if self.partly else ""
        return (
            f"network {self.network}{family}: {flows} are dropped by {self.place}{shown}, which is"
            f" not netctl's{unless}"
        )


def obstacles(
    networks: Sequence[Network],
    kernel: Kernel,
    foreign: Foreign,
    *,
    published: bool,
    limit: int,
) -> list[Obstacle]:
    """Return what drops the traffic of networks; ``published`` asks for that to their ports too.

    A packet is followed through at most ``limit`` rules. Raises ``NetctlError`` where they cannot
    be read.
    """
    look = _Look(kernel, foreign, limit)
    return [
        obstacle
        for network in networks
        for base in (foreign.bases if "bridge" in network.facts else ())
        for obstacle in look.at(base, network, published=published)
    ]


class _Look:
    """One look at a ruleset, for any number of networks."""

    def __init__(self, kernel: Kernel, foreign: Foreign, limit: int) -> None:
        self._kernel = kernel
        self._foreign = foreign
        self._evaluation = Evaluation(kernel, foreign.chains, limit=limit)
        self._uplinks: dict[int, str] = {}
        self._bridged: dict[int, bool] = {}

    def at(self, base: Chain, network: Network, *, published: bool) -> Iterator[Obstacle]:
        dropped: dict[tuple[Chain, int], list[tuple[str, int, Outcome]]] = {}
        for version in FAMILIES[base.family]:
            pool = network.routed_pool(version)
            for flow, packet in self._flows(base, network, pool, published) if pool else ():
                outcome = self._outcome(base, packet)
                if outcome.word == "drop":
                    where = (outcome.chain, outcome.handle)
                    dropped.setdefault(where, []).append((flow, version, outcome))
        for (chain, handle), found in dropped.items():
            flows = tuple(flow for flow in _FLOWS if any(item[0] == flow for item in found))
            yield Obstacle(
                network=network.name,
                bridge=network.facts["bridge"],
                base=base,
                chain=chain,
                handle=handle,
                flows=flows,
                versions=tuple(sorted({item[1] for item in found})),
                partly=any(item[2].exceptions for item in found),
                remedy=remedy(base, network.facts["bridge"], flows, self._foreign),
            )

    def _outcome(self, base: Chain, packet: Packet) -> Outcome:
        if legacy := self._foreign.legacy.get(base):
            exceptions = () if legacy.empty else ((base, 0),)
            return Outcome(word=legacy.policy, chain=base, exceptions=exceptions)
        try:
            return self._evaluation.outcome(base, packet)
        except TooMany:
            return Outcome(word=base.policy, chain=base, exceptions=((base, 0),))

    def _flows(
        self, base: Chain, network: Network, pool: Pool, published: bool
    ) -> Iterator[tuple[str, Packet]]:
        """Yield the packets that have to come through."""
        version, bridge, address = pool.version, network.facts["bridge"], _some_address(pool)
        inside = Packet(version=version, iif=bridge, oif=bridge, source=address)
        if base.family == "bridge" or self._through_the_firewall(version):
            yield "inside", inside
        if network.internal or base.family == "bridge":
            return
        uplink = self._uplink(version)
        out = Packet(version=version, iif=bridge, oif=uplink, source=address, protocol="tcp")
        back = Packet(version=version, iif=uplink, oif=bridge, destination=address, protocol="tcp")
        yield "out", out
        yield "answers", replace(back, state="established")
        if published:
            yield "published", replace(back, translated=True)

    def _uplink(self, version: int) -> str:
        if version not in self._uplinks:
            self._uplinks[version] = self._kernel.way("", OUTSIDE[version]).link
        return self._uplinks[version]

    def _through_the_firewall(self, version: int) -> bool:
        """Whether br_netfilter shows bridged packets to the host's firewall."""
        if version not in self._bridged:
            self._bridged[version] = self._kernel.sysctl_get("", BRIDGED[version]) == "1"
        return self._bridged[version]


def remedy(base: Chain, bridge: str, flows: Iterable[str], foreign: Foreign) -> tuple[str, ...]:
    """Return the lines that let traffic of a bridge through a chain of the forward path."""
    names = {c.name for c in foreign.chains if (c.family, c.table) == (base.family, base.table)}
    return tuple(_remedy(base, bridge, flows, names))


def _some_address(pool: Pool) -> str:
    subnet = ip_network(pool.subnet)
    return str(subnet[min(2, subnet.num_addresses - 1)])


def _remedy(base: Chain, bridge: str, flows: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    outward = {"out", "inside"} & set(flows)
    inward = {"answers", "published"} & set(flows)
    if base.table == "firewalld":
        add = f"firewall-cmd --zone=trusted --add-interface={bridge}"
        yield f"{add} && {add.replace(' ', ' --permanent ', 1)}"
    elif base.family in ("ip", "ip6") and (base.table, base.name) == ("filter", "FORWARD"):
        yield from _for_iptables(base, bridge, outward, inward, names)
    else:
        yield from _for_nft(base, base.name, bridge, outward, inward)


def _for_nft(
    base: Chain, chain: str, bridge: str, outward: set[str], inward: set[str]
) -> Iterator[str]:
    # Names are the kernel's to allow: what is not plain is quoted, for a shell.
    start = f"nft insert rule {base.family} {quote(base.table)} {quote(chain)}"
    if base.family == "bridge":
        yield f"{start} meta ibrname {bridge} accept"
    elif outward:
        yield f"{start} iifname {bridge} accept"
    if inward:
        yield f"{start} oifname {bridge} ct state established,related accept"
        yield f"{start} oifname {bridge} ct status dnat accept"


def _for_iptables(
    base: Chain, bridge: str, outward: set[str], inward: set[str], names: Iterable[str]
) -> Iterator[str]:
    chain = "DOCKER-USER" if "DOCKER-USER" in names else base.name
    if base.type != "legacy" and which(_TOOLS[base.family]) is None:
        yield from _for_nft(base, chain, bridge, outward, inward)
        return
    if not {"ufw-before-forward", "ufw6-before-forward"}.isdisjoint(names):
        if outward:
            yield f"ufw route allow in on {bridge}"
        if inward:
            yield f"ufw route allow out on {bridge}"
        return
    tool = _TOOLS[base.family] + ("-legacy" if base.type == "legacy" else "")
    if outward:
        yield f"{tool} -I {chain} -i {bridge} -j ACCEPT"
    if inward:
        states = "RELATED,ESTABLISHED,DNAT"
        yield f"{tool} -I {chain} -o {bridge} -m conntrack --ctstate {states} -j ACCEPT"


_TOOLS: Mapping[str, str] = {"ip": "iptables", "ip6": "ip6tables"}
