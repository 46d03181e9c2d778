"""The way of one packet from a sandbox: each station that it passes, and the one where it ends.

It is really sent, for that is the only way to know; the host's nftables are watched meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from netctl import references, rooms
from netctl.doctor import addressing, bridges, firewalls, ruled, services, state
from netctl.doctor.crossing import Crossing
from netctl.doctor.destination import Destination, parse
from netctl.doctor.finding import Severity
from netctl.doctor.inner import OwnFirewall
from netctl.doctor.machine import Machine
from netctl.doctor.next_hop import NextHop
from netctl.doctor.station import Station, ends, found, passes
from netctl.errors import InvalidInput, NotFound, Unsupported
from netctl.gateway import Member
from netctl.kernel.conntrack import Flow
from netctl.kernel.probing import Journey, Probe
from netctl.models import Attachment, Sandbox, SandboxKind
from netctl.record import replace
from netctl.rooms import Room

if TYPE_CHECKING:
    from netctl.controller import Controller

_SECONDS = 3.0
"""That an answer is awaited: a neighbour is asked for three times, a second apart."""
_WHOLE = "netctl doctor  # whether the host is in its way"
_LOOPBACK = 1
"""Its index in every namespace."""
_NOBODY = "is reached, and no process listens on that port"
_SERVE = ("netctl doctor  # names published ports without a server, and what listens instead",)
_FAULTS = (firewalls.our_table, firewalls.foreign_drops, addressing.led_elsewhere)
"""What is looked at where a packet is not answered."""
_ASKED = {"icmp": "ping", "tcp": "connect", "udp": "one datagram"}


def of(controller: Controller, sandbox: references.Ref, destination: str | None) -> list[Station]:
    """Return the stations of a packet from a sandbox; see ``Controller.follow``."""
    machine = Machine(controller)
    found = references.sandbox(machine.reader, sandbox)
    room = rooms.enter(machine.reader, found, machine.kernel, machine.config)
    if destination is not None:
        near = {item.network.id for item in room.members}
        return list(follow(machine, room, parse(destination, machine.reader, near)))
    gateway = machine.uplink(4).gateway or machine.uplink(6).gateway
    if not gateway:
        raise NotFound(
            "the host has no gateway to send a packet to", hint="name a destination, 192.0.2.1:443"
        )
    return list(follow(machine, room, Destination(address=gateway, protocol="icmp")))


def follow(machine: Machine, room: Room, to: Destination) -> Iterator[Station]:
    """Yield the stations of a packet; the last one says whether it arrives.

    Raises ``Unsupported`` for the host's own stack, ``NotPermitted`` without root.
    """
    if room.sandbox.type is SandboxKind.HOST:
        raise Unsupported(
            f"sandbox {room.sandbox.name} is the host's own stack",
            hint="only packets of namespaces are followed",
        )
    if not room.alive:
        for finding in state.of_sandbox(room, machine):
            yield found("sandbox", finding)
        return
    for station in _Path(machine, room, to).stations():
        yield station
        if not station.passes:
            return


class _Path:
    """One packet's way."""

    def __init__(self, machine: Machine, room: Room, to: Destination) -> None:
        self._machine, self._kernel, self._room = machine, machine.kernel, room
        self._name, self._netns = room.sandbox.name, room.sandbox.netns
        if to.zone and machine.kernel.link(self._netns, to.zone) is None:
            raise InvalidInput(
                f"sandbox {self._name} has no interface {to.zone}",
                hint=f"ip -n {self._name} link shows those that it has",
            )
        self._way = self._kernel.way(self._netns, to.address, oif=to.zone)
        self._source = self._way.source
        if self._way.kind == "unicast" and self._source:
            # As it is sent: a rule of routing may be about its source.
            self._way = self._kernel.way(self._netns, to.address, source=self._source, oif=to.zone)
        of_link = ip_address(to.address).version == 6 and ip_address(to.address).is_link_local
        zone = to.zone or (self._way.link if of_link else "")
        self._to = replace(to, zone=zone) if of_link and self._way.kind != "local" else to

    def stations(self) -> Iterator[Station]:
        """Yield them as if nothing ended the way: whoever reads stops there, so that no packet is
        sent that could not leave."""
        yield self._leaves()
        if self._way.kind == "local":
            yield from self._within()
            return
        member = self._member()
        yield from self._wires(member) if member else self._unknown()
        crosses = member and self._way.gateway
        yield from self._rules_away() if crosses else ()
        hop = NextHop(self._machine, self._room, member, self._way, self._to.address)
        journey, flow = self._sent(hop.place)
        self._machine.forget_neighbours()
        if journey.answer != "answered":
            yield from self._own_firewalls(journey, hop.place)
        yield from hop.stations()
        goal = self._to.address
        if member and crosses:
            bridge = member.network.facts["bridge"]
            crossing = Crossing(self._machine, bridge, self._to, journey, flow, self._name)
            yield from crossing.stations()
            goal = crossing.goal
        if journey.answer in ("silent", "unreachable"):
            yield from hop.misled()
            yield from self._faults(member)
        yield self._answer(journey, flow, goal)

    def _member(self) -> Member | None:
        """Return the endpoint that the packet leaves by: the other end of its wire says whose the
        interface is, whatever name somebody gave it."""
        found, members = self._machine.found, self._room.members
        inner = self._kernel.link(self._netns, self._way.link)
        there = (inner.index, found.number(self._netns)) if inner else None
        for item in members:
            near = found.link("", item.attachment.host_ifname)
            if near and (near.peer, near.peer_netns) == there:
                return item
        return next((m for m in members if m.attachment.ifname == self._way.link), None)

    def _rules_away(self) -> Iterator[Station]:
        """netctl's table, without which nothing is translated: the first thing to be said."""
        for finding in firewalls.our_table(self._machine):
            if finding.code == "table-missing":
                yield found("host", finding)

    def _faults(self, member: Member | None) -> Iterator[Station]:
        """What the host may do to a packet that was not answered."""
        bridge = member.network.facts["bridge"] if member else ""
        for check in _FAULTS if member else ():
            for finding in check(self._machine):
                if finding.on in ("", bridge) and finding.severity is Severity.PROBLEM:
                    yield found("host", finding)

    def _own_firewalls(self, journey: Journey, beyond: Attachment | None) -> Iterator[Station]:
        """What the sandboxes at both ends drop themselves."""
        reader, sandbox = self._machine.reader, self._room.sandbox
        other = reader.get(Sandbox, beyond.sandbox_id) if beyond else None
        for each, events in ((sandbox, journey.inside), (other, journey.beyond)):
            if each:
                own = OwnFirewall(self._machine, each, self._to, journey.source)
                yield from own.stations(events)

    def _within(self) -> Iterator[Station]:
        """What the sandbox does with a packet to itself, which needs not be sent to find out."""
        to, vitals = self._to, self._machine.vitals
        asked = [(to.protocol, to.address, to.port)] if to.port else []
        if False in vitals.hears(self._netns, _LOOPBACK, asked):
            listing = services.listing(self._machine, self._netns, to.protocol)
            yield ends("port-not-served", to.text, _NOBODY, listing, *_SERVE)

    def _leaves(self) -> Station:
        """The route in the sandbox."""
        way, asked, title = self._way, f"ip route get {self._to.address}", f"sandbox {self._name}"
        if way.kind == "local":
            return passes(title, "it is for the sandbox itself", f"{asked}: local")
        if way.kind != "unicast":
            return self._no_route(asked, title)
        via = f" via {way.gateway}" if way.gateway else ""
        what = f"leaves by {way.link}" + (f" for the gateway {way.gateway}" if via else "")
        return passes(title, what, f"{asked}:{via} dev {way.link} src {self._source}")

    def _no_route(self, asked: str, title: str) -> Station:
        members, version = self._room.members, 6 if ":" in self._to.address else 4
        evidence = f"{asked}: {self._way.kind}"
        if not members:
            what = "has no endpoint, so no route"
            return ends("no-endpoint", title, what, evidence, *self._connected())
        if not any(version in item.gateways for item in members):
            inner = ", ".join(item.network.name for item in members)
            what = f"none of its networks ({inner}) leads outside by IPv{version}"
            return ends("no-way-out", title, what, evidence, *self._connected())
        what = f"has no route there ({self._way.kind})"
        return ends("no-route", title, what, evidence, *self._mended_route())

    def _connected(self) -> Iterator[str]:
        """Yield the lines that bring the sandbox into a network that leads there."""
        machine, goal = self._machine, ip_address(self._to.address)
        networks = [n for n in machine.all_networks if "bridge" in n.facts]
        holding = [n for n in networks if any(goal in ip_network(p.subnet) for p in n.pools)]
        leading = [n for n in networks if not n.internal and n.routed_pool(goal.version)]
        name = next((n.name for n in (*holding, *leading)), "")
        if not name:
            name = machine.free_name("outside")
            yield f"netctl network create {name}{' --ipv6' if goal.version == 6 else ''}"
        yield f"netctl network connect {name} {self._name}"

    def _mended_route(self) -> Iterator[str]:
        to, source = self._to.address, self._source
        return ruled.mended(self._kernel, self._netns, self._way, to, source)

    def _unknown(self) -> Iterable[Station]:
        what = "is not netctl's: from here on only the answer tells"
        yield passes(self._way.link, what, f"{self._way.link} in {self._netns}")

    def _wires(self, member: Member) -> Iterator[Station]:
        """The other end of the interface, and the bridge."""
        place, bridge = member.attachment, member.network.facts["bridge"]
        for check in (bridges.bridges, bridges.ports):
            for finding in check(self._machine):
                if finding.on in (place.host_ifname, bridge):
                    yield found(f"bridge {bridge}", finding)
        title = f"{member.network.name}/{member.endpoint.name}"
        text = f"{place.host_ifname} is up, master {bridge}"
        yield passes(f"bridge {bridge}", f"comes in as endpoint {title}", text)

    def _sent(self, beyond: Attachment | None) -> tuple[Journey, Flow | None]:
        to, source = self._to, self._source
        probe = Probe(
            netns=self._netns,
            destination=to.address,
            protocol=to.protocol,
            port=to.port,
            zone=to.zone,
            beyond=beyond.netns if beyond else "",
        )
        journey = self._kernel.probe(probe, source, _SECONDS)
        return journey, self._kernel.flow(source, to.address, to.protocol, journey.number)

    def _answer(self, journey: Journey, flow: Flow | None, goal: str) -> Station:
        to, answer = self._to, journey.answer
        text = f"{_ASKED[to.protocol]} to {to.text}: {answer}"
        if journey.unseen:
            text += f"; its way could not be watched ({journey.unseen})"
        if answer == "answered":
            return passes(to.text, "answers", text)
        if answer == "refused":
            listing = services.answering(self._machine, goal, to.protocol)
            evidence = f"{text}; {listing}" if listing else text
            return ends("port-not-served", to.text, _NOBODY, evidence, *(_SERVE if listing else ()))
        if answer == "forbidden":
            title = f"sandbox {self._name}"
            return ends("own-firewall", title, "its own firewall forbids it", text)
        if answer != "silent":
            return ends("unreachable", to.text, f"is not reached ({answer})", text)
        if flow and flow.answered:
            what = "its answer comes to the host, and is lost there"
            return ends("answer-lost", to.text, what, text, _WHOLE)
        if to.protocol == "udp":
            return passes(to.text, "is sent it, and does not answer, which UDP need not", text)
        ours = {member.attachment.ifname for member in self._room.members}
        foreign = self._way.gateway and self._way.link not in ours
        lines = self._mended_route() if foreign else (_WHOLE,)
        return ends("no-answer", to.text, "does not answer", text, *lines)
