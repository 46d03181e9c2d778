"""Whoever is next on a sandbox's link: the gateway, or the destination itself."""

from __future__ import annotations

from collections.abc import Iterator

from netctl.doctor import addressing, believed, ruled
from netctl.doctor.machine import Machine
from netctl.doctor.station import SILENT, Station, ends, found, passes
from netctl.gateway import Member
from netctl.kernel.lookup import Way
from netctl.models import Attachment, Endpoint, Network, Sandbox, address_claim
from netctl.rooms import Room


class NextHop:
    """What a packet was sent to, on the link that it left by."""

    def __init__(
        self, machine: Machine, room: Room, member: Member | None, way: Way, goal: str
    ) -> None:
        self._machine, self._room, self._member, self._way = machine, room, member, way
        self._goal, self._address = goal, way.gateway or goal
        self._netns, self._name = room.sandbox.netns, room.sandbox.name

    def stations(self) -> Iterator[Station]:
        """Whether it answers, and is the one that it is taken for."""
        member, address, way = self._member, self._address, self._way
        entry = self._machine.neighbour(self._netns, way.link, address)
        facts = " ".join(filter(None, (entry.mac, entry.state))) if entry else ""
        text = f"ip -n {self._name} neighbour show {address}: {facts}"
        silent = entry is not None and entry.state in SILENT
        if silent and member:
            yield self._nobody(member.network, text)
        elif silent:
            yield ends(
                "neighbour-silent",
                way.link,
                f"no host answers for {address}",
                text,
                *self._mended(),
            )
        elif member:
            mac, whose = self._known(member.network)
            for finding in believed.misled(entry, self._netns, mac, whose) if mac else ():
                yield found(f"sandbox {self._name}", finding)
            if not way.gateway:
                what = f"reaches {self._seen(member.network)}, on the same bridge"
                yield passes(f"network {member.network.name}", what, text)

    def misled(self) -> Iterator[Station]:
        """The answer, where the next one sends it elsewhere: to be asked when none came."""
        member = self._member
        if member is None:
            return
        network, endpoint, own = member.network, member.endpoint, member.attachment
        for finding in believed.of_us(self._machine, network, endpoint, own):
            yield found("host", finding)
        peer = None if self._way.gateway else self._holder(network)
        place = peer.attachment if peer else None
        for text in endpoint.addresses if place else ():
            assert place
            entry = self._machine.neighbour(place.netns, place.ifname, text.partition("/")[0])
            title = f"endpoint {network.name}/{endpoint.name}"
            for finding in believed.misled(entry, place.netns, own.mac, title):
                yield found(f"sandbox {_sandbox_of(place, self._machine)}", finding)

    @property
    def place(self) -> Attachment | None:
        """Where the destination itself is, if it is on the same bridge and one of ours."""
        peer = self._holder(self._member.network) if self._member else None
        return peer.attachment if peer and not self._way.gateway else None

    def _mended(self) -> tuple[str, ...]:
        if not self._way.gateway:
            return ()
        return tuple(ruled.mended(self._machine.kernel, self._netns, self._way, self._goal))

    def _nobody(self, network: Network, text: str) -> Station:
        title, holder, address = f"network {network.name}", self._holder(network), self._address
        if self._way.gateway:
            return self._no_gateway(network, title, text)
        if not holder:
            remedy = f"netctl endpoint ls --network {network.name}"
            what = f"no host has the address {address}"
            return ends("address-unheld", title, what, text, remedy)
        named = f"{network.name}/{holder.name}"
        if network.facts["icc"] != "true":
            what = f"forbids its endpoints to reach each other; {address} is {named}"
            evidence = f"option enable_icc is false; {text}"
            return ends("icc-forbidden", title, what, evidence, *self._beside(network, holder))
        what = f"{named}, which has {address}, does not answer"
        remedy = f"netctl endpoint inspect {named}  # is it in a sandbox, and up?"
        return ends("endpoint-silent", title, what, text, remedy)

    def _no_gateway(self, network: Network, title: str, text: str) -> Station:
        """A host that sends its packets to a network elsewhere answers nobody there."""
        what = f"the gateway {self._address} does not answer on the bridge"
        if self._address not in {pool.gateway for pool in network.pools}:
            return ends("gateway-silent", title, what, text, *self._mended())
        for finding in addressing.led_elsewhere(self._machine):
            if finding.on == network.facts["bridge"]:
                return found("host", finding)
        return ends("gateway-silent", title, what, text, "netctl repair")

    def _beside(self, network: Network, holder: Endpoint) -> Iterator[str]:
        """Yield the lines that bring both into a network that lets them reach each other."""
        other = self._machine.free_name(f"{network.name}-open")
        yield f"netctl network create {other}  # in which they have other addresses"
        yield f"netctl network connect {other} {self._name}"
        if holder.attachment:
            yield f"netctl network connect {other} {_sandbox_of(holder.attachment, self._machine)}"

    def _known(self, network: Network) -> tuple[str, str]:
        """Return the MAC address of the next one, where netctl knows it, and who that is."""
        bridge = self._machine.bridge(network)
        if bridge and self._address in self._machine.own(bridge.name):
            return bridge.mac, f"the gateway of network {network.name}"
        holder = self._holder(network)
        if holder and holder.attachment:
            return holder.attachment.mac, f"endpoint {network.name}/{holder.name}"
        return "", ""

    def _seen(self, network: Network) -> str:
        """Return who the next one is: an endpoint, the host, or an address that netctl did not
        give."""
        if holder := self._holder(network):
            return f"{network.name}/{holder.name}"
        own = self._machine.own(network.facts["bridge"])
        return "the host" if self._address in own else "a neighbour"

    def _holder(self, network: Network) -> Endpoint | None:
        """Return the endpoint of a network that has the address, None for nobody."""
        owner = self._machine.reader.owner(address_claim(network.id, self._address))
        return self._machine.reader.get(Endpoint, owner, network.id) if owner else None


def _sandbox_of(place: Attachment, machine: Machine) -> str:
    sandbox = machine.reader.get(Sandbox, place.sandbox_id)
    return sandbox.name if sandbox else place.sandbox_id
