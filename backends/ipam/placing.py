"""Which range, gateway and auxiliary addresses belong to which of a network's subnets."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from netctl.backends.ipam.allocate import bounds, next_free
from netctl.backends.ipam.base import PoolRequest
from netctl.backends.ipam.parsing import Subnet, home, parse_address, parse_subnet
from netctl.errors import Exhausted, InvalidInput
from netctl.models import Pool
from netctl.record import replace


def furnished(subnets: list[Subnet], given: list[Subnet], request: PoolRequest) -> tuple[Pool, ...]:
    """Return the subnets as pools, with what the request wants in them.

    Ranges and addresses belong only into the subnets that were ``given``: in one that netctl
    chose they would be right by chance, and wrong on the next host.
    """
    ranges = _ranges(request.ip_ranges, given)
    aux = _aux(request.aux, given)
    gateways = _gateways(request.gateways, given)
    pools = (
        Pool(
            subnet=str(subnet),
            ip_range=ranges.get(subnet),
            gateway=gateways.get(subnet),
            aux=aux.get(subnet, {}),
        )
        for subnet in subnets
    )
    placed = (_with_gateway(pool, needed=_needs_gateway(pool, request)) for pool in pools)
    return tuple(map(_with_room, placed))


def _needs_gateway(pool: Pool, request: PoolRequest) -> bool:
    """Whether a pool needs a gateway. Of two addresses (RFC 3021) none is kept for an address that
    no interface has."""
    spare = pool.version in request.spare_gateways
    pair = ip_network(pool.subnet).num_addresses == 2
    return pool.version in request.gateway_versions and not (spare and pair)


def _with_room(pool: Pool) -> Pool:
    """Return the pool if an endpoint can have an address of it, in or outside of the range."""
    if next_free(replace(pool, ip_range=None), "", lambda address: None) is None:
        named = [("gateway", pool.gateway), *pool.aux.items()]
        taken = ", ".join(f"{address} ({name})" for name, address in named if address)
        raise InvalidInput(
            f"subnet {pool.subnet} has no address for an endpoint beside {taken}",
            hint="use a larger one",
        )
    return pool


def _with_gateway(pool: Pool, *, needed: bool) -> Pool:
    """Return the pool with its first free address as gateway, where it needs one and has none.

    As in libnetwork that comes out of the range. In a /31 it leaves one address for an endpoint.
    """
    if pool.gateway in pool.aux.values():
        raise InvalidInput(
            f"{pool.gateway} is both the gateway and an auxiliary address",
            hint="leave one of them out",
        )
    if pool.gateway or not needed:
        return pool
    chosen = next_free(pool, "", lambda address: None)
    if chosen is None:
        raise Exhausted(
            f"no address is left in {pool.ip_range or pool.subnet} for a gateway",
            hint="give --gateway, or fewer auxiliary addresses",
        )
    return replace(pool, gateway=chosen)


def _gateways(texts: tuple[str, ...], subnets: list[Subnet]) -> dict[Subnet, str]:
    placed: dict[Subnet, str] = {}
    for text in texts:
        address = parse_address("gateway", text)
        subnet = home("gateway", address, subnets)
        if subnet in placed:
            raise InvalidInput(
                f"subnet {subnet} has two gateways: {placed[subnet]} and {address}",
                hint="give one --gateway for a subnet",
            )
        placed[subnet] = str(address)
    return placed


def _aux(aux: Mapping[str, str], subnets: list[Subnet]) -> dict[Subnet, dict[str, str]]:
    placed: dict[Subnet, dict[str, str]] = {}
    for name, text in aux.items():
        what = f"auxiliary address {name[:40]}"
        address = parse_address(what, text)
        here = placed.setdefault(home(what, address, subnets), {})
        for other, present in here.items():
            if present == str(address):
                raise InvalidInput(
                    f"auxiliary address {address} is given twice, as {other} and as {name}",
                    hint="give each address one name",
                )
        here[name] = str(address)
    return placed


def _ranges(texts: tuple[str, ...], subnets: list[Subnet]) -> dict[Subnet, str]:
    placed: dict[Subnet, str] = {}
    for text in texts:
        part = parse_subnet("IP range", text)
        subnet = _around(part, subnets)
        if subnet in placed:
            raise InvalidInput(
                f"subnet {subnet} has two IP ranges: {placed[subnet]} and {part}",
                hint="give one --ip-range for a subnet",
            )
        low, high = bounds(Pool(subnet=str(subnet), ip_range=str(part)))
        if high < low:
            raise InvalidInput(
                f"IP range {part} is only the network or broadcast address of {subnet}",
                hint="use a larger one",
            )
        placed[subnet] = str(part)
    return placed


def _around(part: Subnet, subnets: list[Subnet]) -> Subnet:
    for subnet in subnets:
        if part.prefixlen >= subnet.prefixlen and part.network_address in subnet:
            return subnet
    larger = any(part.overlaps(s) for s in subnets if s.version == part.version)
    raise InvalidInput(
        f"IP range {part} is not within a subnet ({', '.join(map(str, subnets)) or 'none given'})",
        hint="it is larger than its subnet" if larger else "give its subnet with --subnet",
    )
