"""Published ports behind which no process of the sandbox listens.

The kernel is asked who would take a packet, one port at a time, and of what else listens a bounded
number is read: nobody inside decides how long that takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netctl.backends import access
from netctl.doctor.finding import Finding, note, problem
from netctl.doctor.machine import Machine
from netctl.errors import KernelError, NetctlError
from netctl.gateway import Member, ways_out
from netctl.kernel.diag import LIMIT, Socket
from netctl.kernel.interface import NAMES_TABLE
from netctl.models import Port, SandboxKind
from netctl.ports import outside, spec
from netctl.rooms import Room

_NUMBERS = 128
"""Ports of a range that are asked for; of a longer one the sockets that are read are looked at."""
_SHOWN = 8
_LOOPBACKS = ("127.", "::1")
_RESOLVER = "127.0.0.11"


def unheard(machine: Machine) -> Iterator[Finding]:
    """Published ports at which no process listens."""
    for room in machine.rooms:
        if room.sandbox.type is SandboxKind.HOST or not room.alive:
            continue
        ways = ways_out(room.members)
        for item in room.members:
            here = item.attachment.boot_id == machine.boot_id and "bridge" in item.network.facts
            if here and item.endpoint.ports:
                try:
                    yield from _of_member(room, item, ways.get(item.endpoint.id, ()), machine)
                except KernelError:
                    continue  # The namespace or the interface went: another check names that.


def _of_member(
    room: Room, item: Member, ways: Sequence[int], machine: Machine
) -> Iterator[Finding]:
    netns, addresses = item.attachment.netns, access.addresses(item.endpoint)
    link = machine.kernel.link(netns, item.attachment.ifname)
    for port in item.endpoint.ports if link else ():
        there = {
            version: address
            for version, address in addresses.items()
            if port.on(version) and (version in ways or not port.host_first)
        }
        assert link
        deaf = [a for a in there.values() if not _heard(machine, netns, link.index, port, a)]
        if deaf and not _translates(machine, netns):
            yield _finding(room, item, port, deaf, len(deaf) == len(there), machine)


def _heard(machine: Machine, netns: str, index: int, port: Port, address: str) -> bool:
    """Whether a process takes what is sent to any of the port's numbers; also where that cannot be
    found out."""
    numbers = range(port.first, port.last + 1)
    asked = [(port.protocol, address, number) for number in numbers[:_NUMBERS]]
    if any(answer is not False for answer in machine.vitals.hears(netns, index, asked)):
        return True
    if len(numbers) <= _NUMBERS:
        return False
    found = machine.vitals.listening(netns, port.protocol)
    return len(found) >= LIMIT or any(each.port in numbers for each in found)


def _translates(machine: Machine, netns: str) -> bool:
    """Whether the sandbox itself leads elsewhere what comes to it, as a router or a proxy does."""
    try:
        chains = machine.vitals.chains(netns)
    except NetctlError:
        return False
    return any(
        chain.hook == "prerouting" and (chain.family, chain.table) != NAMES_TABLE
        for chain in chains
    )


def answering(machine: Machine, address: str, protocol: str) -> str:
    """Say what listens in the sandbox that has an address; nothing where none of netctl's has."""
    for _, endpoint, place in machine.joined:
        if address in (own.partition("/")[0] for own in endpoint.addresses):
            return listing(machine, place.netns, protocol)
    return ""


def listing(machine: Machine, netns: str, protocol: str) -> str:
    """Say what listens in a namespace."""
    return _listing(others(machine, netns, protocol))


def _finding(
    room: Room, item: Member, port: Port, deaf: list[str], entirely: bool, machine: Machine
) -> Finding:
    name, endpoint = room.sandbox.name, f"{item.network.name}/{item.endpoint.name}"
    number = _number(port)
    found = others(machine, item.attachment.netns, port.protocol)
    as_ = f" as port {outside(port)} of the host" if port.host_first else ""
    say = problem if entirely else note
    family = "" if entirely else f" by IPv{6 if ':' in deaf[0] else 4}"
    return say(
        "port-not-served",
        f"no process in sandbox {name} listens on port {number}{family}, which endpoint {endpoint}"
        f" publishes{as_}: {_why(port, found, deaf)}",
        f"nothing takes {' or '.join(_at(address, port) for address in deaf)}; {_listing(found)}",
        *_remedy(endpoint, port, found, deaf, entirely),
    )


def others(machine: Machine, netns: str, protocol: str) -> list[Socket]:
    """Return what listens in a sandbox, but for netctl's resolver."""
    found: dict[str, Socket] = {}
    for each in machine.vitals.listening(netns, protocol):
        if each.address != _RESOLVER:
            found.setdefault(each.text, each)
    return sorted(found.values(), key=lambda each: (each.port, each.address))


def _listing(found: Sequence[Socket]) -> str:
    if not found:
        return "no socket listens there"
    texts = [each.text for each in found[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"sockets that listen: {', '.join(texts)}{more}"


def _why(port: Port, found: Sequence[Socket], deaf: Sequence[str]) -> str:
    same = [each for each in found if port.first <= each.port <= port.last]
    if same and all(each.address.startswith(_LOOPBACKS) for each in same):
        return f"the server listens on {same[0].address} alone"
    versions = {6 if ":" in address else 4 for address in deaf}
    if same and not any(versions & set(each.takes) for each in same):
        return f"the server listens on IPv{same[0].takes[0]} alone"
    if same:
        return f"the server listens on {same[0].address} alone"
    if found:
        return f"its servers listen on other ports, such as {found[0].port}"
    return "is the server running?"


def _remedy(
    endpoint: str, port: Port, found: Sequence[Socket], deaf: Sequence[str], entirely: bool
) -> Iterator[str]:
    where = " or ".join(_at(address, port) for address in deaf)
    one = port.first == port.last
    able = [
        each for each in found if all((6 if ":" in a else 4) in each.takes for a in deaf) and one
    ]
    able = [each for each in able if not each.address.startswith(_LOOPBACKS)]
    gone = f"netctl endpoint unpublish {endpoint} {spec(port)}"
    if not entirely:
        yield f"# let the server listen on {where} too; clients fall back to the other family"
    elif len({each.port for each in able}) == 1:
        number = able[0].port
        yield gone
        moved = spec(port).rpartition(":")[0]
        into = f"{moved}:{number}" if moved else f"{number}"
        yield f"netctl endpoint publish {endpoint} {into}/{port.protocol}"
    else:
        yield f"{gone}  # or start the server, and let it listen on {where}"


def _at(address: str, port: Port) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{_number(port)}"


def _number(port: Port) -> str:
    numbers = f"{port.first}" if port.first == port.last else f"{port.first}-{port.last}"
    return f"{numbers}/{port.protocol}"
