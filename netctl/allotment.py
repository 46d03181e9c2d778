"""What becomes of a port that is to be published: lent by the host, or open where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netctl.backends import access
from netctl.errors import Conflict, InvalidInput
from netctl.models import Network, Port
from netctl.ports import check_relayed, shown
from netctl.record import Record, replace


class Place(Record):
    """Where ports are to be published."""

    network: Network
    endpoint: str
    """Its name."""
    versions: tuple[int, ...]
    """The families (4, 6) in which the endpoint has addresses."""
    ports: tuple[Port, ...] = ()
    """What it publishes already."""
    way_out: bool = True
    """Whether it can be its sandbox's way out, which a lent port needs."""


class Part(Record):
    """A port in the families that have the same in mind for it."""

    port: Port
    lent: bool
    """Whether the host lends a port of its own; else it is open on the endpoint's address."""


def allot(place: Place, wanted: Sequence[Port]) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return what becomes of the ports, and what the user should know of it.

    Raises ``InvalidInput`` or ``Conflict`` where nothing can.
    """
    parts = tuple(dict.fromkeys(part for port in wanted for part in _parts(place, port)))
    for part in parts:
        if not part.lent and part.port in place.ports:
            raise Conflict(
                f"endpoint {place.network.name}/{place.endpoint} publishes {shown(part.port)}"
                " already",
                hint="netctl endpoint inspect shows what it publishes",
            )
    notices = (notice for port in wanted for notice in _notices(place, port))
    return parts, tuple(dict.fromkeys(notices))


def _parts(place: Place, port: Port) -> Iterator[Part]:
    versions = [version for version in place.versions if port.on(version)]
    if not versions and _is_link_local(place, port):
        raise InvalidInput(
            f"port {shown(port)}: the IPv6 addresses of network {place.network.name} are"
            " link-local, and the host forwards nothing to them",
            hint="publish by IPv4, or on a network with another --subnet",
        )
    if not versions:
        raise InvalidInput(
            f"port {shown(port)}: endpoint {place.endpoint} has no IPv{6 if port.on(6) else 4}"
            f" address in network {place.network.name}",
            hint="publish on an address of the other family, or on none in particular",
        )
    opened = [version for version in versions if _opens(place, version)]
    lent = [version for version in versions if version not in opened and place.way_out]
    if not (opened or lent):
        raise InvalidInput(
            "ports are published on the way out, which --no-default-route excludes",
            hint="publish on an endpoint that is the way out of its sandbox",
        )
    if opened:
        yield Part(port=_open(place, port, opened, alone=not lent), lent=False)
    if lent:
        host_ip = _host_ip(place, port, lent, opened)
        only = lent[0] if len(lent) == 1 and not host_ip else 0
        yield Part(port=replace(port, host_ip=host_ip, version=only), lent=True)


def _is_link_local(place: Place, port: Port) -> bool:
    pool = place.network.pool(6)
    return port.on(6) and pool is not None and pool.link_local


def _opens(place: Place, version: int) -> bool:
    routed = access.mode(place.network, version) == access.ROUTED
    return routed or (not place.way_out and access.opens(place.network, version))


def _open(place: Place, port: Port, versions: list[int], *, alone: bool) -> Port:
    if access.is_loopback(port.host_ip):
        raise InvalidInput(
            f"port {shown(port)}: network {place.network.name} opens it on the endpoint's own"
            " address, where it is not for this host alone",
            hint="leave the address out, or use a network that is not routed",
        )
    family = "" if alone and not port.host_ip else access.ALL[versions[0]]
    return replace(port, host_ip=family, host_first=0, host_last=0)


def _host_ip(place: Place, port: Port, lent: list[int], opened: list[int]) -> str:
    if port.host_ip:
        return port.host_ip
    default = access.binding(place.network)
    if default and not replace(port, host_ip=default).on(lent[0]) and len(lent) == 1:
        raise InvalidInput(
            f"port {shown(port)}: network {place.network.name} publishes on {default}, and"
            f" endpoint {place.endpoint} has only IPv{lent[0]} for it",
            hint=f"give an address, for instance {'[::]:' if lent[0] == 6 else '0.0.0.0:'}8080:80",
        )
    check_relayed(shown(port), port.protocol, default)
    return default or (access.ALL[lent[0]] if opened else "")


def _notices(place: Place, port: Port) -> Iterator[str]:
    network = place.network
    inside = f"{port.first}/{port.protocol}"
    if network.internal:
        yield f"network {network.name} is internal: port {inside} is not reachable from outside"
        return
    asked = port.host_ip not in ("", *access.ALL.values()) or port.host_first
    if asked and all(_opens(place, version) for version in place.versions if port.on(version)):
        yield (
            f"port {inside} is open on the endpoint's own address (network {network.name});"
            f" what {shown(port).partition('->')[0]} says of the host is not used for it"
        )
