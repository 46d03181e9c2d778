"""Answers of published ports that go another way than the packets came."""

from __future__ import annotations

from collections.abc import Iterable

from netctl.gateway import Member
from netctl.record import Record
from netctl.rooms import Room
from netctl.steps.base import ip

_TABLE = 1000
"""Of routes, for one to suggest."""


class Astray(Record):
    """Answers of published ports that take a default route which is not ours.

    They have the endpoint's source, and so lead back through this host or nowhere. moby's join ends
    here with an error, for its own default route is refused (osl/route_linux.go, RouteAdd).
    """

    version: int
    """4 or 6."""
    address: str
    """The endpoint's."""
    what: str
    remedy: tuple[str, ...]
    """The commands that send what comes from the address through its network."""

    @property
    def notice(self) -> str:
        return f"{self.what}; or else: {'; '.join(self.remedy)}"


def astray(room: Room, item: Member, versions: Iterable[int]) -> Iterable[Astray]:
    """Yield what to say where answers of the published ports of a member, which is the way out in
    ``versions``, take somebody else's default route."""
    endpoint, netns = item.endpoint, item.attachment.netns
    for version in versions:
        if not any(port.host_first and port.on(version) for port in endpoint.ports):
            continue
        address = (endpoint.ipv6 if version == 6 else endpoint.ipv4).partition("/")[0]
        there, table = f"{ip(netns)} -{version}", f"table {_TABLE}"
        yield Astray(
            version=version,
            address=address,
            what=f"sandbox {room.sandbox.name} has an IPv{version} default route of its own:"
            f" answers of the published ports of {item.network.name}/{endpoint.name} go there,"
            " which has to lead back through this host",
            remedy=(
                f"{there} rule add from {address} {table}",
                f"{there} route add default via {item.gateways[version]} {table}",
            ),
        )
