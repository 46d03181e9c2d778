"""A packet's way through the host, from a network's bridge to wherever its route leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from shlex import quote

from netctl.backends import diversion, obstacles
from netctl.backends.firewall import TABLES, USER_CHAINS
from netctl.backends.forwarding import SYSCTLS
from netctl.backends.routing_rules import blamed
from netctl.doctor import addressing, firewalls, ruled
from netctl.doctor.destination import Destination
from netctl.doctor.machine import Machine
from netctl.doctor.station import SILENT, Station, ends, found, passes
from netctl.kernel.conntrack import Flow
from netctl.kernel.lookup import Way
from netctl.kernel.probing import Journey
from netctl.kernel.watching import Event
from netctl.models import Network

Passage = Sequence[Event]
"""What one chain with a hook, and those that it leads to, did with a packet."""


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
        sender = (journey.source, journey.port)
        there = passages(journey.events)
        self._out = [each for each in there if each[0].source == sender]
        self._back = [each for each in there if each[0].source != sender]
        reached = self._out[-1][0].destination if self._out else (to.address, to.port)
        self.goal, self._port = reached

    def stations(self) -> Iterator[Station]:
        """Translation, firewall, route, the next one on the link, and the way back."""
        if not (self._journey.came or self._journey.unseen or self._journey.answer != "silent"):
            yield from self._lost()
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

    def _lost(self) -> Iterator[Station]:
        """A packet that left the sandbox, and did not come to the host."""
        where = f"bridge {self._bridge}"
        for finding in firewalls.foreign_drops(self._machine):
            if finding.on == self._bridge:
                yield found(where, finding)
        what = "it never comes to the host: a filter on the way, as of traffic control, keeps it"
        text = f"nft monitor trace: no packet from {self._journey.source}"
        shown = f"tc filter show dev {self._bridge} ingress  # shows those of the bridge"
        yield ends("lost-on-bridge", where, what, text, shown)

    def _dropped(self, passages: Sequence[Passage], what: str, flow: str) -> Iterator[Station]:
        passage = next((each for each in passages if each[-1].verdict == "drop"), None)
        if passage is None:
            return
        lost = passage[-1]
        text = "policy drop"
        if lost.kind != "policy":
            rule = self._kernel.nft_text(lost.chain).get(lost.handle, "a rule")
            text = f"{rule} # handle {lost.handle}"
        where = f"chain {lost.chain.place}"
        chain, first = lost.chain, passage[0]
        if f"{chain.family} {chain.table}" not in TABLES:
            lines = self._let_through(first, flow)
            yield ends("foreign-drop", where, f"{what} by another firewall", text, *lines)
        elif chain.place in USER_CHAINS:
            line = f"nft delete rule {chain.place} handle {lost.handle}  # if it is not wanted"
            yield ends("user-drop", where, f"{what} by a rule of yours", text, line)
        else:
            yield from self._dropped_here(lost, where, what, text)

    def _dropped_here(self, lost: Event, where: str, what: str, text: str) -> Iterator[Station]:
        """The packet was dropped in netctl's own table."""
        from netctl.upkeep.check import foreign_rules

        machine = self._machine
        if (lost.chain.place, lost.handle) in foreign_rules(machine.reader, machine.controller):
            by = f"{what} by a rule that is not netctl's, which was added to its table"
            line = f"nft delete rule {lost.chain.place} handle {lost.handle}"
            yield ends("foreign-rule", where, by, text, line)
        for finding in firewalls.our_table(machine):
            yield found(where, finding)
        goal = ip_address(self.goal)
        if other := next((n for n in machine.networks if _within(n, goal)), None):
            by = f"{what} by netctl's own rules, which keep network {other.name} apart from others"
            line = f"netctl network connect {other.name} {self._sandbox}  # or publish a port of it"
            yield ends("kept-apart", where, by, text, line)
        else:
            yield ends("own-drop", where, f"{what} by netctl's own rules", text)

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
                yield ends(
                    "foreign-drop",
                    f"chain {chain.name}",
                    what,
                    f"{tool} -P {chain.name} DROP",
                    *lines,
                )

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
            line = f"sysctl -w {dotted}=1"
            return ends("forwarding-off", "host", what, f"{dotted} = 0", line)
        source = self._journey.source
        if rule := blamed(self._kernel, "", way, self.goal, source, self._bridge):
            what = f"a rule of routing refuses it ({way.kind})"
            line = f"{ruled.deletion(rule, '', self.goal)}  # if nothing needs it"
            return ends("rule-refuses", "host", what, f"{asked}: {way.kind}", line)
        kind = way.kind
        if kind == "blackhole" and self._kernel.way("", self.goal).kind == "unicast":
            # Since Linux 6.13 the kernel gives both the same number.
            kind = "martian"
        evidence = f"{asked}: {kind}"
        if kind == "martian":
            return self._disbelieved(evidence)
        if kind == "none":
            line = f"ip route add {self.goal} via GATEWAY  # the one that leads there"
            return ends("no-way-out", "host", "has no route there", evidence, line)
        what = f"has a route that refuses it ({kind})"
        return ends("route-refuses", "host", what, evidence, self._reopened())

    def _disbelieved(self, evidence: str) -> Station:
        """The host would send an answer another way than the packet came by."""
        lines = (f for each in addressing.led_elsewhere(self._machine) for f in each.remedy)
        what = "does not believe its source"
        return ends("source-martian", "host", what, evidence, *(list(lines) or ["netctl doctor"]))

    def _reopened(self) -> str:
        """Return the line that takes away the route which refuses the packet."""
        goal = ip_address(self.goal)
        there = [r for r in self._kernel.dead_ends("") if goal in ip_network(r.destination)]
        best = max(there, key=lambda r: ip_network(r.destination).prefixlen, default=None)
        return diversion.deletion(best).partition("; else")[0] if best else "netctl doctor"

    def _next(self, way: Way) -> Iterator[Station]:
        hop = way.gateway or self.goal
        entry = self._machine.neighbour("", way.link, hop)
        link = self._machine.found.link("", way.link)
        if link and not link.carrier:
            line = f"ethtool {way.link}  # shows what its other end says"
            what, text = "has no carrier", f"ip link show {way.link}: no carrier"
            yield ends("uplink-down", way.link, what, text, line)
        elif entry and entry.state in SILENT:
            text = f"ip neighbour show {hop} dev {way.link}: {entry.state}"
            yield ends("next-hop-silent", way.link, f"no host answers for {hop}", text)


def _within(network: Network, address: IPv4Address | IPv6Address) -> bool:
    return any(address in ip_network(pool.subnet) for pool in network.pools)


def passages(events: Sequence[Event]) -> list[Passage]:
    """Return what was done with each packet, chain by chain."""
    found: list[list[Event]] = []
    for event in events:
        if event.source[0] or not found:
            found.append([])
        found[-1].append(event)
    return [*found]
