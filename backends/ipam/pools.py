"""The pools that the driver ``default`` gives a network: those asked for, and free ones."""

from __future__ import annotations

from netctl.backends.ipam import choice, placing
from netctl.backends.ipam.base import AUTO, PoolRequest
from netctl.backends.ipam.parsing import Subnet, check_for_hosts, parse_subnet
from netctl.backends.ipam.surroundings import Occupied, Surroundings
from netctl.errors import Conflict, InvalidInput
from netctl.models import Pool
from netctl.record import replace

_BITS = {4: 32, 6: 128}


def pools(request: PoolRequest, around: Surroundings) -> tuple[Pool, ...]:
    """Return the pools, the IPv4 ones first. Raises ``InvalidInput``, ``Conflict`` for a subnet
    that another network has, or ``Exhausted``."""
    if not (request.ipv4 or request.ipv6):
        raise InvalidInput("a network needs IPv4 or IPv6", hint="--no-ipv4 goes with --ipv6")
    given = [_given(text, request) for text in request.subnets if not _is_auto(text)]
    for number, subnet in enumerate(given):
        _check_apart(subnet, given[:number], around)
    subnets = [*given, *_automatic(request, given, around)]
    subnets.sort(key=lambda subnet: subnet.version)
    return placing.furnished(subnets, given, request)


def _given(text: str, request: PoolRequest) -> Subnet:
    subnet = parse_subnet("subnet", text)
    _check_family(text, subnet.version, request)
    check_for_hosts(subnet, link_local=True)
    return subnet


def _check_family(text: str, version: int, request: PoolRequest) -> None:
    if not (request.ipv4 if version == 4 else request.ipv6):
        raise InvalidInput(
            f"subnet {text} is IPv{version}, which this network does not have",
            hint="add --ipv6" if version == 6 else "leave out --no-ipv4",
        )


def _check_apart(subnet: Subnet, others: list[Subnet], around: Surroundings) -> None:
    for item in around.networks:
        if item.overlaps(str(subnet)):
            raise Conflict(
                f"subnet {subnet} overlaps {item.by}", hint="choose another, or leave out --subnet"
            )
    for other in others:
        if other.version == subnet.version and other.overlaps(subnet):
            raise InvalidInput(
                f"subnets {other} and {subnet} overlap", hint="leave one of them out"
            )


def _is_auto(text: str) -> bool:
    base, _, size = text.partition("/")
    # The others are subnets of their own too, though none that hosts could be in.
    return base == "auto" or (base in AUTO and size not in ("", "0"))


def _automatic(request: PoolRequest, given: list[Subnet], around: Surroundings) -> list[Subnet]:
    """Return subnets for each ``auto/N``, and for a family that no subnet was asked for."""
    wanted: list[tuple[int, int | None]] = [
        _family_and_size(text, request) for text in request.subnets if _is_auto(text)
    ]
    present = {subnet.version for subnet in given} | {version for version, _ in wanted}
    enabled = {4: request.ipv4, 6: request.ipv6}
    wanted += [(v, None) for v in enabled if enabled[v] and v not in present]
    result: list[Subnet] = []
    for version, size in wanted:
        pools = choice.bases(request.address_pools, version, request.machine_id)
        result.append(choice.choose(pools, size, _with(around, [*given, *result])))
    return result


def _family_and_size(text: str, request: PoolRequest) -> tuple[int, int]:
    base, _, digits = text.partition("/")
    family = AUTO[base]
    limit = _BITS[family or 6]
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:4]) <= limit):
        raise InvalidInput(
            f"subnet {text[:60]!r} has no size, a prefix length from 1 to {limit}",
            hint="for instance auto/26",
        )
    size = int(digits)
    version = family or (4 if size <= _BITS[4] and request.ipv4 else 6)
    _check_family(text, version, request)
    return version, size


def _with(around: Surroundings, subnets: list[Subnet]) -> Surroundings:
    own = tuple(Occupied(subnet=str(subnet), by="this network itself") for subnet in subnets)
    return replace(around, networks=(*around.networks, *own))
