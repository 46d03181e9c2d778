"""Which ports of the host are published for an endpoint: those asked for, or free ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from netctl.allotment import Place, allot
from netctl.backends import registry
from netctl.errors import Exhausted, InvalidInput, NotFound
from netctl.kernel import Kernel
from netctl.models import PORTS_CURSOR, Cursor, Endpoint, Network, Port
from netctl.names import short
from netctl.ports import means, shown
from netctl.record import Record, replace
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.controller import Controller

_EPHEMERAL = (49153, 65535)
"""Where the kernel says nothing (libnetwork's)."""
_WILDCARD = {4: "0.0.0.0", 6: "::"}
_FAMILIES = {"": {4, 6}, "0.0.0.0": {4}, "::": {6}}


class Chosen(Record):
    """The ports with their host's ports, and the cursor afterwards where it has moved."""

    ports: tuple[Port, ...]
    cursor: tuple[Cursor, ...] = ()
    notices: tuple[str, ...] = ()
    """What the user should know of it, one line each."""


def choose(reader: Reader, kernel: Kernel, place: Place, asked: Sequence[Port]) -> Chosen:
    """Choose the host's ports: exact ones first, so that no other takes them.

    Raises ``Exhausted`` for a port that is held, which names the holder, or where none is free;
    ``InvalidInput`` or ``Conflict`` for one that cannot be published there.
    """
    if not asked:
        return Chosen(ports=())
    parts, notices = allot(place, asked)
    wanted = [part.port for part in parts if part.lent]
    opened = tuple(part.port for part in parts if not part.lent)
    cursor = reader.get(Cursor, PORTS_CURSOR) or Cursor(id=PORTS_CURSOR)
    last = dict(cursor.last)
    done: dict[int, Port] = {}
    for index in sorted(range(len(wanted)), key=lambda i: not _exact(wanted[i])):
        port = wanted[index]
        candidates = _candidates(port, last.get(port.protocol, ""), kernel)
        done[index] = _first_free(reader, kernel, port, candidates, tuple(done.values()))
        if not port.host_first:
            last[port.protocol] = str(done[index].host_ports[-1])
    moved = (replace(cursor, last=last),) if last != cursor.last else ()
    lent = tuple(done[index] for index in range(len(wanted)))
    return Chosen(ports=(*lent, *opened), cursor=moved, notices=notices)


def ports_for(
    reader: Reader,
    network: Network,
    endpoint: Endpoint,
    ports: Sequence[Port],
    controller: Controller,
) -> Chosen:
    """Return the ports as they are published on an endpoint. Raises ``InvalidInput``, ``Conflict``
    or ``Exhausted``."""
    if ports and not registry.load(network.driver).has_pools:
        raise InvalidInput(
            f"endpoints of network {network.name} (driver {network.driver}) publish no ports",
            hint="what listens in the host's stack is reachable without"
            if registry.load(network.driver).host_stack
            else "leave out --publish, or use a network of driver bridge",
        )
    place = Place(
        network=network,
        endpoint=endpoint.name,
        versions=tuple(6 if ":" in address else 4 for address in endpoint.routed_addresses),
        ports=endpoint.ports,
        way_out=not endpoint.no_default_route,
    )
    chosen = choose(reader, controller.kernel, place, ports)
    controller.notices += chosen.notices
    return chosen


def check_unheld(kernel: Kernel, endpoint: Endpoint, versions: Iterable[int]) -> None:
    """Raise ``Exhausted`` where a process of the host has come to hold a port, chosen earlier, that
    an endpoint is now to be published on in those families (4, 6)."""
    for version in versions:
        for port in (port for port in endpoint.ports if port.on(version)):
            there = replace(port, host_ip=port.host_ip or _WILDCARD[version])
            if holder := _process_at(kernel, there):
                raise Exhausted(
                    f"{port.protocol} port {holder}",
                    hint="end that process, or publish another port: netctl endpoint unpublish,"
                    " netctl endpoint publish",
                )


def published_as(endpoint: Endpoint, wanted: Sequence[Port]) -> tuple[Port, ...]:
    """Return the endpoint's publications that ``wanted`` name; raise ``NotFound`` for none."""
    found: dict[Port, None] = {}
    for port in wanted:
        matching = [each for each in endpoint.ports if means(port, each)]
        if not matching:
            raise NotFound(
                f"endpoint {endpoint.name} does not publish {port.first}/{port.protocol} like that",
                hint=f"it publishes: {', '.join(map(shown, endpoint.ports)) or 'nothing'}",
            )
        found.update(dict.fromkeys(matching))
    return tuple(found)


def _exact(port: Port) -> bool:
    return bool(port.host_first) and port.host_last - port.host_first + 1 == port.size


def _candidates(port: Port, cursor: str, kernel: Kernel) -> Iterable[int]:
    """Return the host's ports that ``port.first`` could become, in the order they are tried."""
    if _exact(port):
        return (port.host_first,)
    if port.host_first:
        return range(port.host_first, port.host_last - port.size + 2)
    return _ephemeral(port.size, int(cursor or 0), kernel)


def _ephemeral(size: int, cursor: int, kernel: Kernel) -> Iterator[int]:
    words = (kernel.sysctl_get("", "net/ipv4/ip_local_port_range") or "").split()
    low, high = (int(words[0]), int(words[1])) if len(words) == 2 else _EPHEMERAL
    reserved = set(_reserved(kernel.sysctl_get("", "net/ipv4/ip_local_reserved_ports") or ""))
    span = max(high - low + 1, 0)
    offset = cursor + 1 - low if low <= cursor < high else 0
    for step in range(span):
        first = low + (offset + step) % span
        if first + size - 1 <= high and reserved.isdisjoint(range(first, first + size)):
            yield first


def _reserved(text: str) -> Iterator[int]:
    """Yield the ports of ``ip_local_reserved_ports``, ``8080,9000-9010``."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _first_free(
    reader: Reader,
    kernel: Kernel,
    port: Port,
    candidates: Iterable[int],
    others: tuple[Port, ...],
) -> Port:
    holder = ""
    for first in candidates:
        chosen = replace(port, host_first=first, host_last=first + port.size - 1)
        holder = _holder(reader, kernel, chosen, others)
        if not holder:
            return chosen
    if _exact(port):
        raise Exhausted(
            f"{port.protocol} port {holder}",
            hint="choose another, or leave it out to get a free one",
        )
    raise Exhausted(
        f"no free {port.protocol} port"
        + (
            f" in {port.host_first}-{port.host_last}" if port.host_first else " among the ephemeral"
        ),
        hint="unpublish one, or give another range",
    )


def _holder(reader: Reader, kernel: Kernel, port: Port, others: tuple[Port, ...]) -> str:
    """Return which of the ports is held by whom, ``""`` where all are free."""
    for other in others:
        if other.protocol == port.protocol and overlap(other.held_ip, port.held_ip):
            for number in sorted(set(other.host_ports) & set(port.host_ports)):
                return f"{number} is asked for twice"
    names = {str(number) for number in port.host_ports}
    for claim, owner in reader.owners(names, f"port/{port.protocol}").items():
        _, _, host_ip, taken = claim.split("/")
        if overlap(host_ip, port.held_ip):
            return f"{taken} is held by endpoint {_named(reader, owner)}"
    return _process_at(kernel, port)


def _process_at(kernel: Kernel, port: Port) -> str:
    for number in port.host_ports:
        if process := kernel.port_holder(port.protocol, port.held_ip, number):
            return f"{number} is held by {process}"
    return ""


def overlap(one: str, other: str) -> bool:
    """Whether two addresses that ports are published on have one in common."""
    if one == other:
        return True
    families = [_FAMILIES.get(ip) or {6 if ":" in ip else 4} for ip in (one, other)]
    return bool(families[0] & families[1]) and (one in _FAMILIES or other in _FAMILIES)


def _named(reader: Reader, endpoint_id: str) -> str:
    for network in reader.all(Network):
        if endpoint := reader.get(Endpoint, endpoint_id, network.id):
            return f"{network.name}/{endpoint.name}"
    return short(endpoint_id)
