"""What neighbours believe of each other's MAC addresses, where netctl knows them."""

from __future__ import annotations

from collections.abc import Iterator

from netctl.doctor import apart
from netctl.doctor.finding import Finding, problem
from netctl.doctor.machine import Machine
from netctl.kernel import Link
from netctl.kernel.lookup import Neighbour
from netctl.models import Attachment, Endpoint, Network
from netctl.steps.base import ip

_FIXED = ("permanent", "noarp")
"""States of entries that the kernel never asks about again."""


def forged(machine: Machine) -> Iterator[Finding]:
    """Entries that somebody wrote into a table of neighbours, and that are wrong: of gateways in
    sandboxes, and of endpoints on the host."""
    names = {room.sandbox.id: room.sandbox.name for room in machine.rooms}
    for network, endpoint, place in machine.intact:
        bridge = machine.bridge(network)
        if bridge and place.ifname:
            found = _of_gateways(machine, network, bridge, place)
            yield from apart.noted("the neighbours", names[place.sandbox_id], found)
            title = f"endpoint {network.name}/{endpoint.name}"
            for entry in _of_endpoint(machine, bridge.name, endpoint):
                yield from _fixed(entry, "", place.mac, title)


def _of_gateways(
    machine: Machine, network: Network, bridge: Link, place: Attachment
) -> Iterator[Finding]:
    own = machine.own(bridge.name)
    for address in (pool.gateway for pool in network.pools if pool.gateway in own):
        entry = machine.neighbour(place.netns, place.ifname, address)
        whose = f"the gateway of network {network.name}"
        yield from _fixed(entry, place.netns, bridge.mac, whose)


def _fixed(entry: Neighbour | None, netns: str, mac: str, whose: str) -> Iterator[Finding]:
    if entry and entry.state in _FIXED:
        yield from misled(entry, netns, mac, whose)


def misled(entry: Neighbour | None, netns: str, mac: str, whose: str) -> Iterator[Finding]:
    """Yield that an entry has another MAC address than ``whose`` address it is has."""
    if entry and entry.mac and entry.mac != mac:
        asked = f"{ip(netns)} neighbour show {entry.address}"
        yield problem(
            "neighbour-forged",
            f"packets to {entry.address}, the address of {whose}, go to another MAC address",
            f"{asked}: {entry.mac} {entry.state}, not {mac}",
            f"{ip(netns)} neighbour delete {entry.address} dev {entry.link}",
        )


def of_us(
    machine: Machine, network: Network, endpoint: Endpoint, place: Attachment
) -> Iterator[Finding]:
    """Yield that the host sends what is for an endpoint elsewhere."""
    for entry in _of_endpoint(machine, network.facts["bridge"], endpoint):
        yield from misled(entry, "", place.mac, f"endpoint {network.name}/{endpoint.name}")


def _of_endpoint(machine: Machine, link: str, endpoint: Endpoint) -> Iterator[Neighbour]:
    for address in endpoint.addresses:
        if entry := machine.neighbour("", link, address.partition("/")[0]):
            yield entry
