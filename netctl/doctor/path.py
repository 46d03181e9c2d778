"""The way of one packet from a sandbox: each station that it passes, and the one where it ends.

It is really sent, for that is the only way to know; the host's nftables are watched meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from netctl import references, rooms
from netctl.backends import diversion
from netctl.doctor import bridges, services
from netctl.doctor.crossing import Crossing
from netctl.doctor.destination import Destination, parse
from netctl.doctor.machine import Machine
from netctl.doctor.station import SILENT, Station, ends, passes
from netctl.errors import InvalidInput, NotFound, Unsupported
from netctl.gateway import Member
from netctl.kernel.conntrack import Flow
from netctl.kernel.probing import Journey, Probe
from netctl.models import Endpoint, Network, SandboxKind, address_claim
from netctl.record import replace
from netctl.rooms import Room
from netctl.steps.base import ip

if TYPE_CHECKING:
    from netctl.controller import Controller

_SECONDS = 3.0
"""That an answer is awaited: a neighbour is asked for three times, a second apart."""
_WHOLE = "netctl doctor  # whether the host is in its way"
_LOOPBACK = 1
"""Its index in every namespace."""
_NOBODY = "is reached, and no process listens on that port"
_SERVE = ("netctl doctor  # names published ports without a server, and what listens instead",)
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
        error = rooms.absent(room)
        remedy = (error.command_hint,) if error.command_hint else ()
        yield ends(
            "sandbox", error.command_message, f"{room.sandbox.netns}: not its namespace", *remedy
        )
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
        link = self._way.link
        member = next((m for m in self._room.members if m.attachment.ifname == link), None)
        yield from self._wires(member) if member else self._unknown()
        journey, flow = self._sent()
        yield from self._next_hop(member)
        goal = self._to.address
        if member and self._way.gateway:
            bridge = member.network.facts["bridge"]
            crossing = Crossing(self._machine, bridge, self._to, journey, flow, self._name)
            yield from crossing.stations()
            goal = crossing.goal
        yield self._answer(journey, flow, goal)

    def _within(self) -> Iterator[Station]:
        """What the sandbox does with a packet to itself, which needs not be sent to find out."""
        to, vitals = self._to, self._machine.vitals
        asked = [(to.protocol, to.address, to.port)] if to.port else []
        if False in vitals.hears(self._netns, _LOOPBACK, asked):
            listing = services.listing(self._machine, self._netns, to.protocol)
            yield ends(to.text, _NOBODY, listing, *_SERVE)

    def _leaves(self) -> Station:
        """The route in the sandbox."""
        way, asked, title = self._way, f"ip route get {self._to.address}", f"sandbox {self._name}"
        if way.kind == "local":
            return passes(title, "it is for the sandbox itself", f"{asked}: local")
        if way.kind != "unicast":
            return self._no_route(asked, title)
        via = f" via {way.gateway}" if way.gateway else ""
        what = f"leaves by {way.link}" + (f" for the gateway {way.gateway}" if via else "")
        return passes(title, what, f"{asked}:{via} dev {way.link} src {way.source}")

    def _no_route(self, asked: str, title: str) -> Station:
        members, version = self._room.members, 6 if ":" in self._to.address else 4
        remedy = f"netctl network connect NETWORK {self._name}"
        if not members:
            what = "has no endpoint, so no route"
        elif not any(version in item.gateways for item in members):
            inner = ", ".join(item.network.name for item in members)
            what = f"none of its networks ({inner}) leads outside by IPv{version}"
        else:
            what = f"has no route there ({self._way.kind})"
            return ends(title, what, f"{asked}: {self._way.kind}", *self._mended_route())
        return ends(title, what, f"{asked}: {self._way.kind}", remedy)

    def _mended_route(self) -> Iterator[str]:
        """Yield the lines that take away the route which leads the packet, if it is not netctl's,
        and bring back netctl's."""
        way, goal = self._way, ip_address(self._to.address)
        kernel, netns = self._kernel, self._netns
        taken = [
            route
            for route in (*kernel.routes(netns), *kernel.dead_ends(netns))
            if goal in ip_network(route.destination)
            and (
                (route.link, route.gateway) == (way.link, way.gateway)
                if way.kind == "unicast"
                else route.kind != "unicast"
            )
        ]
        if taken:
            best = max(taken, key=lambda route: ip_network(route.destination).prefixlen)
            yield diversion.deletion(best).replace("ip", ip(netns), 1).partition("  #")[0]
        yield "netctl repair"

    def _unknown(self) -> Iterable[Station]:
        what = "is not netctl's: from here on only the answer tells"
        yield passes(self._way.link, what, f"{self._way.link} in {self._netns}")

    def _wires(self, member: Member) -> Iterator[Station]:
        """The interface, its other end and the bridge."""
        inner = self._machine.found.link(self._netns, self._way.link)
        if inner and not inner.up:
            text = f"ip -n {self._name} link show {inner.name}: state DOWN"
            yield ends(inner.name, "is down", text, "netctl repair")
        place, bridge = member.attachment, member.network.facts["bridge"]
        for check in (bridges.bridges, bridges.ports):
            for found in check(self._machine):
                if found.on in (place.host_ifname, bridge):
                    yield ends(f"bridge {bridge}", found.what, found.evidence, *found.remedy)
        title = f"{member.network.name}/{member.endpoint.name}"
        text = f"{place.host_ifname} is up, master {bridge}"
        yield passes(f"bridge {bridge}", f"comes in as endpoint {title}", text)

    def _sent(self) -> tuple[Journey, Flow | None]:
        to, source = self._to, self._way.source
        probe = Probe(
            netns=self._netns,
            destination=to.address,
            protocol=to.protocol,
            port=to.port,
            zone=to.zone,
        )
        journey = self._kernel.probe(probe, source, _SECONDS)
        return journey, self._kernel.flow(source, to.address, to.protocol, journey.number)

    def _next_hop(self, member: Member | None) -> Iterator[Station]:
        """Whoever is next on the link, and whether it answers."""
        hop = self._way.gateway or self._to.address
        entries = self._kernel.neighbours(self._netns)
        state, mac = next(
            ((n.state, n.mac) for n in entries if (n.link, n.address) == (self._way.link, hop)),
            ("", ""),
        )
        text = f"ip -n {self._name} neighbour show {hop}: {' '.join(filter(None, (mac, state)))}"
        if state in SILENT and member:
            yield self._nobody(member.network, hop, text)
        elif state in SILENT:
            lines = self._mended_route() if self._way.gateway else ()
            yield ends(self._way.link, f"nobody answers for {hop}", text, *lines)
        elif member and not self._way.gateway:
            holder = self._holder(member.network, hop) or self._beside(member.network, hop)
            what = f"reaches {holder}, on the same bridge"
            yield passes(f"network {member.network.name}", what, text)

    def _nobody(self, network: Network, hop: str, text: str) -> Station:
        title, holder = f"network {network.name}", self._holder(network, hop)
        if self._way.gateway:
            what = f"the gateway {hop} does not answer on the bridge"
            known = hop in {pool.gateway for pool in network.pools}
            return ends(title, what, text, *(("netctl repair",) if known else self._mended_route()))
        if not holder:
            remedy = f"netctl endpoint ls --network {network.name}"
            return ends(title, f"nobody has the address {hop}", text, remedy)
        if network.facts["icc"] != "true":
            what = f"forbids its endpoints to reach each other; {hop} is {holder}"
            remedy = "netctl network create NAME  # without -o bridge.enable_icc=false"
            return ends(title, what, f"option enable_icc is false; {text}", remedy)
        remedy = f"netctl endpoint inspect {holder}  # is it in a sandbox, and up?"
        return ends(title, f"{holder}, which has {hop}, does not answer", text, remedy)

    def _beside(self, network: Network, address: str) -> str:
        """Return whose an address is that netctl gave to no endpoint."""
        own = (a for a in self._machine.found.addresses("") if a.link == network.facts["bridge"])
        mine = any(item.address.partition("/")[0] == address for item in own)
        return "the host" if mine else "a neighbour"

    def _holder(self, network: Network, address: str) -> str:
        """Return the endpoint of a network that has an address, ``""`` for nobody."""
        owner = self._machine.reader.owner(address_claim(network.id, address))
        found = self._machine.reader.get(Endpoint, owner, network.id) if owner else None
        return f"{network.name}/{found.name}" if found else ""

    def _answer(self, journey: Journey, flow: Flow | None, goal: str) -> Station:
        to, answer = self._to, journey.answer
        text = f"{_ASKED[to.protocol]} to {to.text}: {answer}"
        if journey.unseen:
            text += f"; its way could not be watched ({journey.unseen})"
        if answer == "answered":
            return passes(to.text, "answers", text)
        if answer == "refused":
            found = services.answering(self._machine, goal, to.protocol)
            evidence = f"{text}; {found}" if found else text
            return ends(to.text, _NOBODY, evidence, *(_SERVE if found else ()))
        if answer == "forbidden":
            return ends(f"sandbox {self._name}", "its own firewall forbids it", text)
        if answer != "silent":
            return ends(to.text, f"is not reached ({answer})", text)
        if flow and flow.answered:
            what = "its answer comes to the host, and is lost there"
            return ends(to.text, what, text, _WHOLE)
        if to.protocol == "udp":
            return passes(to.text, "is sent it, and does not answer, which UDP need not", text)
        ours = {member.attachment.ifname for member in self._room.members}
        foreign = self._way.gateway and self._way.link not in ours
        lines = self._mended_route() if foreign else (_WHOLE,)
        return ends(to.text, "does not answer", text, *lines)
