"""Static routes as text: ``DST[,GATEWAY|KIND][,METRIC]``, as podman writes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network

from netctl.errors import InvalidInput
from netctl.models import Network, StaticRoute
from netctl.names import several

KINDS = ("blackhole", "unreachable", "prohibit")
"""Routes that lead nowhere: silently, or with an ICMP error."""
_METRIC_HIGH = 2**32 - 1
_FORM = "DST[,GATEWAY][,METRIC], or DST,blackhole|unreachable|prohibit[,METRIC]"


def parse(text: str) -> StaticRoute:
    """Return the route that ``text`` says; raise ``InvalidInput``. Without a gateway the
    destination is on the link itself."""
    destination, *rest = text.split(",")
    subnet = _destination(text, destination)
    metric = _metric(text, rest.pop()) if rest and rest[-1].isdigit() else 0
    if len(rest) > 1:
        raise _wrong(text, f"does not have the form {_FORM}", "for instance 10.9.0.0/16,172.17.0.7")
    target = rest[0] if rest else ""
    kind = target if target in KINDS else "unicast"
    gateway = _gateway(text, target, subnet.version) if rest and kind == "unicast" else ""
    return StaticRoute(destination=str(subnet), gateway=gateway, metric=metric, kind=kind)


def parse_all(texts: Iterable[str]) -> tuple[StaticRoute, ...]:
    """Return the routes that several texts say; one destination with one metric is one route."""
    found = tuple(dict.fromkeys(map(parse, several(texts))))
    keys = [(route.destination, route.metric) for route in found]
    for key in keys:
        if keys.count(key) > 1:
            raise InvalidInput(
                f"--route {key[0]} is given twice with metric {key[1]}",
                hint="give them different metrics: the lower one is used",
            )
    return found


def check_on(network: Network, routes: Iterable[StaticRoute], versions: Collection[int]) -> None:
    """Raise ``InvalidInput`` for a route that an endpoint of the network, with addresses of those
    families, cannot have."""
    for route in routes:
        if route.version not in versions and route.kind == "unicast":
            raise InvalidInput(
                f"--route {route.destination}: the endpoint has no IPv{route.version} address",
                hint=f"make the network with{'' if route.version == 6 else 'out'} "
                + ("--ipv6" if route.version == 6 else "--no-ipv4"),
            )
        subnets = [pool.subnet for pool in network.pools if pool.version == route.version]
        if route.destination in subnets and not (route.gateway or route.metric):
            raise InvalidInput(
                f"--route {route.destination} is the network's own subnet",
                hint="leave it out: it is on the link anyway",
            )
        if route.gateway and not _on_link(route.gateway, subnets):
            raise InvalidInput(
                f"--route {route.destination}: gateway {route.gateway} is not in the subnet of"
                f" network {network.name}",
                hint=f"an address of {', '.join(subnets)}",
            )


def _on_link(gateway: str, subnets: Iterable[str]) -> bool:
    address = ip_address(gateway)
    return (address.version == 6 and address.is_link_local) or any(
        address in ip_network(subnet) for subnet in subnets
    )


def _destination(text: str, part: str) -> IPv4Network | IPv6Network:
    try:
        if "%" in part or not part.isascii():
            raise ValueError
        found = ip_interface(part).network
    except ValueError:
        raise _wrong(
            text, f"{part[:40]!r} is not a destination", "a subnet, 10.9.0.0/16, or an address"
        ) from None
    if "/" in part and ip_interface(part).ip != found.network_address:
        raise _wrong(text, f"{part[:60]} has host bits set", f"use {found}")
    if found.is_loopback:
        raise _wrong(text, f"{part[:60]} is the loopback", "it never leads to an interface")
    if found.prefixlen == 0:
        raise _wrong(
            text,
            "the default route is not a static one",
            "it leads through the network's --gateway; --priority says through which network's",
        )
    return found


def _gateway(text: str, part: str, version: int) -> str:
    try:
        if "%" in part:
            raise ValueError
        found = ip_address(part)
    except ValueError:
        raise _wrong(
            text, f"{part[:40]!r} is neither a gateway's address nor {', '.join(KINDS)}", _FORM
        ) from None
    if found.version != version:
        raise _wrong(text, f"gateway {found} is not of IPv{version}", "one of the same family")
    if found.is_unspecified or found.is_multicast or found.is_loopback:
        raise _wrong(text, f"gateway {found} is not an address of a router", _FORM)
    return str(found)


def _metric(text: str, part: str) -> int:
    if not part.isascii() or not 1 <= int(part[:12]) <= _METRIC_HIGH:
        raise _wrong(
            text, f"{part[:20]} is not a metric", f"1 to {_METRIC_HIGH}; the lowest is used"
        )
    return int(part)


def _wrong(text: str, reason: str, hint: str | None) -> InvalidInput:
    return InvalidInput(f"--route {text[:80]!r}: {reason}", hint=hint)
