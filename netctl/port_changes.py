"""Ports that are published, or not any more, on an endpoint that is in a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netctl import joining
from netctl.backends import registry
from netctl.backends.driver import Publishing
from netctl.gateway import FAMILIES, ways_out
from netctl.models import Endpoint, Network, Port
from netctl.plan import Plan
from netctl.record import replace
from netctl.rooms import Room


class Change(NamedTuple):
    """Some of an endpoint's ports, which come or go, beside the rest."""

    network: Network
    endpoint: Endpoint
    ports: tuple[Port, ...]
    rest: tuple[Port, ...]
    ending: bool = False


def plan(room: Room | None, change: Change) -> Plan:
    """Return how the ports are published at once; nothing where the endpoint is in no sandbox, or
    was in an earlier boot."""
    network, endpoint, ports, rest, ending = change
    place = endpoint.attachment
    if not place or not room or place.boot_id != room.kernel.boot_id():
        return ()
    publishing = Publishing(
        endpoint=replace(endpoint, ports=ports),
        versions=ways_out(room.members).get(endpoint.id, ()),
        rest=rest,
        ending=ending,
        beside=ending and joining.beside(room, network, endpoint),
    )
    driver = registry.load(network.driver)
    bare, full = (replace(endpoint, ports=found) for found in (rest, (*rest, *ports)))
    return (
        *driver.plan_publish(network, publishing, room.kernel),
        *joining.relayed(room, bare, full),
    )


def unreached(room: Room | None, endpoint: Endpoint) -> Iterator[str]:
    """Yield the notices of an endpoint's ports that are not reached, or whose answers take another
    way than its network."""
    if not room or not room.alive:
        return
    ways = ways_out(room.members).get(endpoint.id, ())
    for item in room.members:
        if item.endpoint.id == endpoint.id:
            foreign = set(ways).difference(room.families)
            yield from joining.astray_answers(room, item, foreign)
            yield from joining.idle_ports(room, item, set(FAMILIES).difference(ways))
