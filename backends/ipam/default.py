"""The IPAM driver ``default``: libnetwork's rules of 2026."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from netctl.backends.ipam import choice
from netctl.backends.ipam.base import PoolRequest, Taken
from netctl.backends.ipam.surroundings import Subnet, Surroundings
from netctl.errors import Conflict, Exhausted, InvalidInput
from netctl.models import Network, Pool

IpAddress = IPv4Address | IPv6Address
_SCAN_LIMIT = 1 << 17
"""Addresses looked at in one search; a pool of more is never that full."""
_AUTO = {"auto": None, "0.0.0.0": 4, "::": 6}
"""How a subnet of a size, rather than a certain one, is asked for."""


class DefaultIpam:
    """Pools of CIDR, addresses by next-fit."""

    name = "default"

    def validate_options(self, options: Mapping[str, str]) -> None:
        if options:
            raise InvalidInput(
                f"IPAM driver default has no option {next(iter(options))!r}",
                hint="this driver takes no options",
            )

    def pools(self, request: PoolRequest, around: Surroundings) -> tuple[Pool, ...]:
        if not (request.ipv4 or request.ipv6):
            raise InvalidInput("a network needs a family", hint="--no-ipv4 goes with --ipv6")
        explicit = [_subnet(text, request) for text in request.subnets if not _is_auto(text)]
        for number, subnet in enumerate(explicit):
            _check_apart(subnet, explicit[:number], around)
        chosen = [*explicit, *_automatic(request, explicit, around)]
        chosen.sort(key=lambda subnet: subnet.version)
        return _furnished(chosen, request)

    def address(
        self, network: Network, pool: Pool, cursor: str, taken: Taken, preferred: str | None
    ) -> str:
        if preferred:
            return _preferred(network, pool, preferred, taken)
        found = _next_free(pool, cursor, taken)
        if found is None:
            where = f"{pool.ip_range} of {pool.subnet}" if pool.ip_range else pool.subnet
            raise Exhausted(
                f"no free address is left in {where} (network {network.name})",
                hint="remove endpoints that are not needed, or make a network with a larger subnet",
            )
        return found


def _is_auto(text: str) -> bool:
    base, _, size = text.partition("/")
    return base in _AUTO and size not in ("", "0")


def _automatic(request: PoolRequest, explicit: list[Subnet], around: Surroundings) -> list[Subnet]:
    sizes: dict[int, list[int | None]] = {4: [], 6: []}
    for text in filter(_is_auto, request.subnets):
        length = _size(text)
        sizes[_AUTO[text.partition("/")[0]] or _family_of_size(length, request)].append(length)
    result: list[Subnet] = []
    for version, enabled in ((4, request.ipv4), (6, request.ipv6)):
        given = any(subnet.version == version for subnet in explicit)
        if sizes[version] and not enabled:
            raise _wrong_family(f"/{sizes[version][0]}", version)
        for size in sizes[version] or ([None] if enabled and not given else []):
            pools = choice.bases(request.address_pools, version, request.machine_id)
            result.append(choice.choose(pools, size, _with(around, [*explicit, *result])))
    return result


def _with(around: Surroundings, subnets: list[Subnet]) -> Surroundings:
    from netctl.backends.ipam.surroundings import Occupied

    own = tuple(Occupied(subnet=subnet, by="this network itself") for subnet in subnets)
    return Surroundings(networks=(*around.networks, *own), host=around.host)


def _size(text: str) -> int:
    size = text.partition("/")[2]
    if not (size.isascii() and size.isdigit() and 1 <= int(size[:4]) <= 128):
        raise InvalidInput(
            f"subnet {text[:60]!r}: the size is a prefix length", hint="for instance auto/26"
        )
    return int(size)


def _family_of_size(size: int, request: PoolRequest) -> int:
    return 4 if size <= 32 and request.ipv4 else 6


def _subnet(text: str, request: PoolRequest) -> Subnet:
    subnet = parse_subnet("subnet", text)
    enabled = request.ipv4 if subnet.version == 4 else request.ipv6
    if not enabled:
        raise _wrong_family(text, subnet.version)
    special = subnet.is_multicast or subnet.is_loopback or subnet.is_link_local
    if special or subnet.prefixlen == 0:
        raise InvalidInput(
            f"subnet {text} is not for hosts (multicast, loopback, link-local or everything)",
            hint="use a private one such as 10.0.0.0/24 or fd00:0:0:1::/64",
        )
    return subnet


def _wrong_family(text: str, version: int) -> InvalidInput:
    hint = "add --ipv6" if version == 6 else "leave out --no-ipv4"
    return InvalidInput(f"subnet {text} is IPv{version}, which this network has not", hint=hint)


def parse_subnet(what: str, text: str) -> Subnet:
    """Return a subnet given as CIDR with host bits zero; raise ``InvalidInput``."""
    try:
        if "/" not in text or "%" in text:
            raise ValueError
        loose = ip_network(text, strict=False)
    except ValueError:
        raise InvalidInput(
            f"{what} {text[:60]!r} is not CIDR", hint="for instance 10.0.0.0/24 or auto/24"
        ) from None
    if str(loose.network_address) != str(ip_address(text.partition("/")[0])):
        raise InvalidInput(f"invalid {what} {text}: it should be {loose}", hint=f"use {loose}")
    return loose


def _parse_address(what: str, text: str) -> IpAddress:
    try:
        if "%" in text:
            raise ValueError
        return ip_address(text)
    except ValueError:
        raise InvalidInput(f"{what} {text[:60]!r} is not an IP address") from None


def _check_apart(subnet: Subnet, others: list[Subnet], around: Surroundings) -> None:
    for item in around.networks:
        if item.subnet.version == subnet.version and item.subnet.overlaps(subnet):
            raise Conflict(
                f"subnet {subnet} overlaps {item.by}", hint="choose another, or leave out --subnet"
            )
    for other in others:
        if other.version == subnet.version and other.overlaps(subnet):
            raise InvalidInput(f"subnets {other} and {subnet} overlap")


def _furnished(subnets: list[Subnet], request: PoolRequest) -> tuple[Pool, ...]:
    ranges = _placed_ranges(request.ip_ranges, subnets)
    aux = _placed_aux(request.aux, subnets)
    gateways = _placed_gateways(request.gateways, subnets)
    return tuple(
        _pool(subnet, ranges.get(subnet), gateways.get(subnet), aux[subnet], request.needs_gateway)
        for subnet in subnets
    )


def _pool(
    subnet: Subnet, ip_range: str | None, gateway: str | None, aux: dict[str, str], needed: bool
) -> Pool:
    if gateway and gateway in aux.values():
        raise InvalidInput(f"{gateway} is both the gateway and an auxiliary address")
    pool = Pool(subnet=str(subnet), ip_range=ip_range, gateway=gateway, aux=aux)
    if gateway or not needed:
        return pool
    reserved = set(aux.values())
    chosen = _next_free(pool, "", lambda address: address if address in reserved else None)
    if chosen is None:
        raise Exhausted(f"no address is left in {subnet} for a gateway", hint="give --gateway")
    return Pool(subnet=str(subnet), ip_range=ip_range, gateway=chosen, aux=aux)


def _home(what: str, address: IpAddress, subnets: list[Subnet]) -> Subnet:
    """Return the subnet of an address that a host of it may bear."""
    for subnet in subnets:
        if address in subnet:
            low, high = _usable(subnet)
            if low <= int(address) <= high:
                return subnet
            raise InvalidInput(
                f"{what} {address} is the network or broadcast address of {subnet}",
                hint=f"use one from {_text(low, subnet)} to {_text(high, subnet)}",
            )
    shown = ", ".join(map(str, subnets)) or "none"
    raise InvalidInput(
        f"{what} {address} is outside of the subnets ({shown})",
        hint="give its subnet with --subnet",
    )


def _placed_gateways(texts: tuple[str, ...], subnets: list[Subnet]) -> dict[Subnet, str]:
    placed: dict[Subnet, str] = {}
    for text in texts:
        address = _parse_address("gateway", text)
        subnet = _home("gateway", address, subnets)
        if subnet in placed:
            raise InvalidInput(f"subnet {subnet} has two gateways: {placed[subnet]} and {address}")
        placed[subnet] = str(address)
    return placed


def _placed_aux(aux: Mapping[str, str], subnets: list[Subnet]) -> dict[Subnet, dict[str, str]]:
    placed: dict[Subnet, dict[str, str]] = {subnet: {} for subnet in subnets}
    for name, text in aux.items():
        address = _parse_address(f"auxiliary address {name}", text)
        subnet = _home(f"auxiliary address {name}", address, subnets)
        if str(address) in placed[subnet].values():
            raise InvalidInput(f"auxiliary address {address} is given twice")
        placed[subnet][name] = str(address)
    return placed


def _placed_ranges(texts: tuple[str, ...], subnets: list[Subnet]) -> dict[Subnet, str]:
    placed: dict[Subnet, str] = {}
    for text in texts:
        part = parse_subnet("IP range", text)
        home = next((s for s in subnets if s.version == part.version and part.subnet_of(s)), None)  # type: ignore[arg-type]
        if home is None:
            shown = ", ".join(map(str, subnets)) or "none"
            raise InvalidInput(
                f"IP range {part} is not within a subnet ({shown})",
                hint="give its subnet with --subnet",
            )
        if home in placed:
            raise InvalidInput(f"subnet {home} has two IP ranges: {placed[home]} and {part}")
        placed[home] = str(part)
    return placed


def _usable(subnet: Subnet) -> tuple[int, int]:
    """Return the first and last address of a subnet that a host may bear.

    IPv4 keeps the network and broadcast address, except in /31 (RFC 3021) and /32; IPv6 the
    subnet-router anycast address (RFC 4291 section 2.6.1), except in /127 (RFC 6164) and /128.
    """
    low, high = int(subnet.network_address), int(subnet.broadcast_address)
    if subnet.prefixlen >= subnet.max_prefixlen - 1:
        return low, high
    return low + 1, high - (subnet.version == 4)


def _text(number: int, subnet: Subnet) -> str:
    return str(IPv4Address(number) if subnet.version == 4 else IPv6Address(number))


def _next_free(pool: Pool, cursor: str, taken: Taken) -> str | None:
    subnet = ip_network(pool.subnet)
    low, high = _usable(subnet)
    if pool.ip_range:
        part = ip_network(pool.ip_range)
        low = max(low, int(part.network_address))
        high = min(high, int(part.broadcast_address))
    size = high - low + 1
    start = int(ip_address(cursor)) + 1 if cursor else low
    offset = start - low if low <= start <= high else 0
    for step in range(min(size, _SCAN_LIMIT)):
        address = _text(low + (offset + step) % size, subnet)
        if not taken(address):
            return address
    return None


def _preferred(network: Network, pool: Pool, text: str, taken: Taken) -> str:
    address = _parse_address("address", text)
    _home("address", address, [ip_network(p.subnet) for p in network.pools])
    if str(address) == pool.gateway:
        raise Conflict(f"address {address} is the gateway of network {network.name}")
    if holder := taken(str(address)):
        raise Conflict(
            f"address {address} of network {network.name} is held by {holder}",
            hint="choose another, or leave it out to get a free one",
        )
    return str(address)
