"""A packet's way through the host, from a network's bridge to wherever its route leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from shlex import quote

from netctl.backends import diversion, obstacles
from netctl.backends.firewall import TABLES, USER_CHAINS
from netctl.backends.forwarding import SYSCTLS
from netctl.doctor.destination import Destination
from netctl.doctor.machine import Machine
from netctl.doctor.station import SILENT, Station, ends, passes
from netctl.kernel.conntrack import Flow
from netctl.kernel.lookup import Way
from netctl.kernel.probing import Event, Journey
from netctl.kernel.ruleset import Chain
from netctl.models import Network

Passage = Sequence[Event]
"""What one chain with a hook, and those that it leads to, did with a packet."""
_REFUSALS = {"none": "has no route there", "martian": "does not believe its source"}


class Crossing:
    """One packet that came to the host by a bridge."""

    def __init__(
        self,
        machine: Machine,
        bridge: str,
        to: Destination,
        journey: Journey,
        flow: Flow | None,
        sandbox: str,
    ) -> None:
        self._sandbox = sandbox
        self._machine, self._kernel = machine, machine.kernel
        self._bridge, self._to = bridge, to
        self._journey, self._flow = journey, flow
        self._out, self._back = _passages(journey)
        reached = self._out[-1][0].destination if self._out else (to.address, to.port)
        self.goal, self._port = reached

    def stations(self) -> Iterator[Station]:
        """Translation, firewall, route, the next one on the link, and the way back."""
        if not (self._journey.came or self._journey.unseen or self._journey.answer != "silent"):
            what = "it never comes to the host: the sandbox's own firewall, or a filter, keeps it"
            text = f"nft monitor trace: no packet from {self._journey.source}"
            yield ends(f"bridge {self._bridge}", what, text)
        if (self.goal, self._port) != (self._to.address, self._to.port):
            where = f"{self.goal}:{self._port}" if self._port else self.goal
            what = f"translates the destination {self._to.text} to {where}"
            yield passes("host", what, f"nft monitor trace: daddr {where} afterwards")
        yield from self._dropped(self._out, "dropped", "out")
        yield from self._legacy()
        source = self._journey.source
        way = self._kernel.way("", self.goal, source=source, iif=self._bridge)
        yield self._routed(way)
        if way.kind == "unicast":
            yield from self._next(way)
        yield from self._dropped(self._back, "its answer came, and is dropped", "answers")

    def _dropped(self, passages: Sequence[Passage], what: str, flow: str) -> Iterator[Station]:
        passage = next((each for each in passages if each[-1].verdict == "drop"), None)
        if passage is None:
            return
        lost = passage[-1]
        text = "policy drop"
        if lost.kind != "policy":
            rule = self._kernel.nft_text(lost.chain).get(lost.handle, "a rule")
            text = f"{rule} # handle {lost.handle}"
        whose, *remedy = self._whose(lost.chain, passage[0], flow)
        yield ends(f"chain {lost.chain.place}", f"{what} {whose}", text, *remedy)

    def _whose(self, chain: Chain, first: Event, flow: str) -> Iterator[str]:
        """Yield whose rules dropped it and, where there is one, what to do; ``first`` is what came
        of it in the chain with the hook."""
        goal = ip_address(self.goal)
        if f"{chain.family} {chain.table}" not in TABLES:
            yield "by another firewall"
            yield from self._let_through(first, flow)
        elif chain.place in USER_CHAINS:
            yield "by a rule of yours"
            yield f"nft -a list chain {chain.place}"
        elif other := next((n for n in self._machine.networks if _within(n, goal)), None):
            yield f"by netctl's own rules, which keep network {other.name} apart from others"
            yield f"netctl network connect {other.name} {self._sandbox}  # or publish a port of it"
        else:
            yield "by netctl's own rules"

    def _let_through(self, first: Event, flow: str) -> Iterator[str]:
        """Yield the lines that let the packet through a chain of somebody else's."""
        foreign, chain = self._machine.foreign, first.chain
        key = (chain.family, chain.table, chain.name)
        base = next((c for c in foreign.chains if (c.family, c.table, c.name) == key), None)
        if base and base.hook == "forward":
            yield from obstacles.remedy(base, self._bridge, (flow,), foreign)
            return
        where = f"{chain.family} {quote(chain.table)} {quote(chain.name)}"
        known = "" if flow == "out" else " ct state established,related"
        yield f"nft insert rule {where} iifname {quote(first.iif)}{known} accept"

    def _legacy(self) -> Iterator[Station]:
        """Legacy iptables, which cannot be watched: an answer shows that it lets packets pass."""
        family = "ip6" if ":" in self.goal else "ip"
        for chain in self._machine.foreign.legacy if self._journey.answer == "silent" else ():
            if chain.family == family:
                tool = f"{family}tables-legacy"
                what = "dropped by legacy iptables, unless a rule of it accepts it"
                flows = ("out", "answers")
                lines = obstacles.remedy(chain, self._bridge, flows, self._machine.foreign)
                yield ends(f"chain {chain.name}", what, f"{tool} -P {chain.name} DROP", *lines)

    def _routed(self, way: Way) -> Station:
        asked = f"ip route get {self.goal} from {self._journey.source} iif {self._bridge}"
        if way.kind == "local":
            return passes("host", "it is for the host itself", f"{asked}: local")
        if way.kind != "unicast":
            return self._refused(way, asked)
        chains = ", ".join(dict.fromkeys(each[0].chain.place for each in self._out))
        via = f"via {way.gateway} " if way.gateway else ""
        hidden = self._flow and self._flow.source != self._journey.source
        as_whom = f", as {self._flow.source}" if self._flow and hidden else ""
        text = f"{asked}: {via}dev {way.link}" + (f"; passes {chains}" if chains else "")
        return passes("host", f"forwards it by {way.link}{as_whom}", text)

    def _refused(self, way: Way, asked: str) -> Station:
        version = 6 if ":" in self.goal else 4
        if self._machine.sysctl(SYSCTLS[version]) == "0":
            dotted = SYSCTLS[version].replace("/", ".")
            what = f"does not forward IPv{version}"
            return ends("host", what, f"{dotted} = 0", f"sysctl -w {dotted}=1")
        kind = way.kind
        if kind == "blackhole" and self._kernel.way("", self.goal).kind == "unicast":
            # Since Linux 6.13 the kernel gives both the same number.
            kind = "martian"
        what = _REFUSALS.get(kind, f"has a route that refuses it ({kind})")
        return ends("host", what, f"{asked}: {kind}", self._reopened())

    def _reopened(self) -> str:
        """Return the line that takes away the route which refuses the packet."""
        goal = ip_address(self.goal)
        there = [r for r in self._kernel.dead_ends("") if goal in ip_network(r.destination)]
        best = max(there, key=lambda r: ip_network(r.destination).prefixlen, default=None)
        return diversion.deletion(best).partition("; else")[0] if best else "netctl doctor"

    def _next(self, way: Way) -> Iterator[Station]:
        hop = way.gateway or self.goal
        state = next((n.state for n in self._kernel.neighbours("") if n.address == hop), "")
        link = self._machine.found.link("", way.link)
        if link and not link.carrier:
            yield ends(way.link, "has no carrier", f"ip link show {way.link}: no carrier")
        elif state in SILENT:
            yield ends(way.link, f"nobody answers for {hop}", f"ip neighbour show {hop}: {state}")


def _within(network: Network, address: IPv4Address | IPv6Address) -> bool:
    return any(address in ip_network(pool.subnet) for pool in network.pools)


def _passages(journey: Journey) -> tuple[list[Passage], list[Passage]]:
    """Return what was done with the packet, and with what answers it."""
    found: list[list[Event]] = []
    for event in journey.events:
        if event.source[0] or not found:
            found.append([])
        found[-1].append(event)
    sender = (journey.source, journey.port)
    out: list[Passage] = [each for each in found if each[0].source == sender]
    return out, [each for each in found if each[0].source != sender]
