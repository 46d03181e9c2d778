"""Which endpoint of a sandbox is the way out, chosen for IPv4 and IPv6 each on its own.

The order is libnetwork's (moby 2026): higher priority, then networks that are not internal, then
those with gateways of both families, then the network's name.
"""

from __future__ import annotations

from collections.abc import Sequence

from netctl.models import Attachment, Endpoint, Network
from netctl.plan import Step, Undo
from netctl.record import Record
from netctl.steps.addresses import RouteAdd

DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
FAMILIES = tuple(DEFAULT)


class Member(Record):
    """An endpoint in its sandbox, with what its driver says of the way out."""

    network: Network
    endpoint: Endpoint
    attachment: Attachment
    gateways: dict[int, str]
    """Family (4, 6) to the gateway's address, where both it and the endpoint have one."""

    def rank(self) -> tuple[int, bool, int, str, str]:
        return (
            -self.attachment.priority,
            self.network.internal,
            -len(self.gateways),
            self.network.name,
            self.endpoint.name,
        )

    def default_route(self, version: int) -> RouteAdd:
        return RouteAdd(
            netns=self.attachment.netns,
            destination=DEFAULT[version],
            gateway=self.gateways[version],
            link=self.attachment.ifname,
        )


def elect(members: Sequence[Member], version: int) -> Member | None:
    """Return the member whose gateway the sandbox uses for a family, None for no way out."""
    able = [member for member in members if version in member.gateways]
    return min(able, key=Member.rank, default=None)


def ways_out(members: Sequence[Member]) -> dict[str, tuple[int, ...]]:
    """Return the endpoints that are the way out, by id, each with the families it is that for."""
    found: dict[str, tuple[int, ...]] = {}
    for version in FAMILIES:
        if chosen := elect(members, version):
            found[chosen.endpoint.id] = (*found.get(chosen.endpoint.id, ()), version)
    return found


def withdraw(
    before: Sequence[Member], after: Sequence[Member], families: Sequence[int]
) -> tuple[Step, ...]:
    """Return the steps that take away the default routes which do not outlive the change."""
    return tuple(
        Undo(step=old.default_route(version))
        for version in families
        if (old := elect(before, version)) and not _same(old, elect(after, version))
    )


def announce(
    before: Sequence[Member], after: Sequence[Member], families: Sequence[int]
) -> tuple[Step, ...]:
    """Return the steps that set the default routes which the change brings."""
    return tuple(
        new.default_route(version)
        for version in families
        if (new := elect(after, version)) and not _same(new, elect(before, version))
    )


def _same(one: Member, other: Member | None) -> bool:
    return other is not None and one.endpoint.id == other.endpoint.id
