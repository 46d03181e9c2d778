"""Whether an endpoint is in the sandbox that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netctl import rooms
from netctl.errors import Conflict, NotJoined
from netctl.models import Attachment, Endpoint, Network, Sandbox
from netctl.names import short
from netctl.record import replace
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.definitions.endpoint import EndpointDefinition
    from netctl.joining import Entrance


def check_joined(reader: Reader, endpoint: Endpoint, expected: Sandbox | None) -> None:
    """Raise ``NotJoined`` for an endpoint in no sandbox, ``Conflict`` for one in another than the
    expected one."""
    if endpoint.attachment is None:
        raise NotJoined(
            f"endpoint {endpoint.name} is in no sandbox", hint="netctl endpoint ls shows who is"
        )
    if expected and expected.id != endpoint.attachment.sandbox_id:
        there = holder(reader, endpoint.attachment)
        raise Conflict(
            f"endpoint {endpoint.name} is in sandbox {there}, not in {expected.name}",
            hint=f"netctl endpoint leave {_path(reader, endpoint)} {there}",
        )


def joined_already(
    reader: Reader, network: Network, endpoint: Endpoint, wanted: Sandbox
) -> Conflict:
    """Return the error for an endpoint that is in a sandbox, the wanted one or another."""
    assert endpoint.attachment
    name, there = f"{network.name}/{endpoint.name}", holder(reader, endpoint.attachment)
    if endpoint.attachment.sandbox_id == wanted.id:
        return Conflict(
            f"endpoint {name} is in sandbox {there} already",
            hint=f"netctl sandbox refresh {there} recreates its interface",
        )
    return Conflict(f"endpoint {name} is in sandbox {there}", hint=f"netctl endpoint leave {name}")


def _path(reader: Reader, endpoint: Endpoint) -> str:
    """Return what names an endpoint alone: its name may be that of others in other networks."""
    network = reader.get(Network, endpoint.network_id)
    return f"{network.name}/{endpoint.name}" if network else short(endpoint.id)


def holder(reader: Reader, attachment: Attachment) -> str:
    """Return the name of the sandbox that an endpoint is in."""
    found = reader.get(Sandbox, attachment.sandbox_id)
    return found.name if found else short(attachment.sandbox_id)


def check_entered(room: rooms.Room, endpoint: Endpoint, entrance: Entrance) -> None:
    """Raise ``Conflict`` where an endpoint that is in a sandbox came in otherwise, or where there
    is nothing left of that sandbox."""
    place = endpoint.attachment
    assert place and place.sandbox_id == room.sandbox.id
    if not room.alive:
        raise rooms.absent(room)
    from netctl.definitions.checks import check_alike

    differing = ["priority"] if place.priority != entrance.priority else []
    differing += ["local aliases"] if place.aliases != entrance.aliases else []
    check_alike("endpoint", endpoint.name, differing, short(endpoint.id))


def connected(
    room: rooms.Room, network: Network, name: str | None, wanted: EndpointDefinition
) -> Endpoint | None:
    """Return the endpoint by which a sandbox is in a network, of that name where one is given, else
    preferably of the sandbox's; None for none. Raises ``Conflict`` for one of another definition.
    """
    there = [item.endpoint for item in room.members if item.network.id == network.id]
    named = [each for each in there if each.name == wanted.name]
    found = next(iter(named or ([] if name else there)), None)
    if found:
        replace(wanted, name=found.name).check_same(found)
    return found
