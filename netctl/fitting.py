"""Whether an endpoint fits into a sandbox."""

from __future__ import annotations

import errno
from ipaddress import ip_network

from netctl.backends import registry
from netctl.errors import Conflict, KernelError
from netctl.gateway import Member
from netctl.kernel import Route
from netctl.kernel.snapshot import Snapshot
from netctl.models import Endpoint, Network, SandboxKind
from netctl.plan import in_words
from netctl.rooms import Room, absent
from netctl.steps.links import clearing, is_end_of_ours


def check_fits(room: Room, network: Network, endpoint: Endpoint) -> None:
    """Raise ``Conflict`` where the endpoint cannot come into this sandbox."""
    sandbox = room.sandbox
    host_network = registry.load(network.driver).host_stack
    if host_network != (sandbox.type is SandboxKind.HOST):
        raise Conflict(
            f"network {network.name} (driver {network.driver}) and sandbox {sandbox.name}"
            f" ({sandbox.type}) do not go together",
            hint="the host's stack takes endpoints of driver host, and only it does",
        )
    if not room.alive:
        raise absent(room)
    if sandbox.type is SandboxKind.EXTERNAL:
        check_routes(room, network)
    _check_static_routes(room, endpoint)


def check_routes(room: Room, network: Network) -> None:
    """Raise ``Conflict`` where a route that the namespace brought along covers the new subnet."""
    ours = {item.attachment.ifname for item in room.members}
    foreign = [r for r in _routes(room) if r.link not in ours]
    for pool in (pool for pool in network.pools if not pool.link_local):
        subnet = ip_network(pool.subnet)
        for route in foreign:
            taken = ip_network(route.destination, strict=False)
            if taken.prefixlen and taken.version == subnet.version and taken.overlaps(subnet):
                raise Conflict(
                    f"subnet {subnet} of network {network.name} conflicts with the route"
                    f" {taken} dev {route.link} in sandbox {room.sandbox.name}",
                    hint="remove the route, or use a network with another --subnet",
                )


def _routes(room: Room) -> list[Route]:
    """Return the routes of a sandbox; none of one that has more than are read, as a router has:
    whoever runs that knows which subnets it uses."""
    try:
        return room.kernel.routes(room.sandbox.netns)
    except KernelError as error:
        if error.errno != errno.EFBIG:
            raise
        return []


def _check_static_routes(room: Room, endpoint: Endpoint) -> None:
    """Raise ``Conflict`` where another endpoint of the sandbox has brought the same route."""
    holders = {(r.destination, r.metric): m for m in room.members for r in m.endpoint.routes}
    for route in endpoint.routes:
        if holder := holders.get((route.destination, route.metric)):
            raise Conflict(
                f"sandbox {room.sandbox.name} has the route {route.destination} already, of"
                f" endpoint {holder.network.name}/{holder.endpoint.name}",
                hint="give one of them another metric: --route DST,GATEWAY,METRIC",
            )


def check_distinct(room: Room) -> None:
    """Raise ``Conflict`` where two endpoints of a sandbox have one interface name, as after a file
    of the store was put back from an older copy."""
    holders: dict[str, Member] = {}
    for item in (item for item in room.members if item.attachment.ifname):
        other = holders.setdefault(item.attachment.ifname, item)
        if other is not item:
            raise Conflict(
                f"endpoints {_title(other)} and {_title(item)} of sandbox {room.sandbox.name} have"
                f" the same interface name {item.attachment.ifname}",
                hint="netctl repair gives one of them another",
            )


def check_names_free(room: Room) -> None:
    """Raise ``Conflict`` where an interface that is none of ours has the name of one that is to be
    made again in a sandbox."""
    netns, found = room.sandbox.netns, Snapshot(room.kernel)
    for item in room.members:
        link = found.link(netns, item.attachment.ifname) if item.attachment.ifname else None
        if link and not is_end_of_ours(link, netns, found):
            raise Conflict(
                f"interface {link.name} in sandbox {room.sandbox.name} is not netctl's, and has the"
                f" name of that of endpoint {_title(item)}",
                hint=f"{in_words((clearing(netns, link),))}; then the same command again",
            )


def _title(item: Member) -> str:
    return f"{item.network.name}/{item.endpoint.name}"
