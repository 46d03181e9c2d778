"""The automatic choice of a subnet: interval arithmetic, never a walk through candidates."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from netctl.backends.ipam.base import AddressPool
from netctl.backends.ipam.parsing import Subnet
from netctl.backends.ipam.surroundings import Occupied, Surroundings, span
from netctl.errors import Exhausted, InvalidInput

# libnetwork's local defaults (ipamutils): 172.17/16 to 172.31/16, then 192.168/16 in /20.
DEFAULT_IPV4 = (
    AddressPool(base="172.17.0.0/16", size=16),
    AddressPool(base="172.18.0.0/16", size=16),
    AddressPool(base="172.19.0.0/16", size=16),
    AddressPool(base="172.20.0.0/14", size=16),
    AddressPool(base="172.24.0.0/14", size=16),
    AddressPool(base="172.28.0.0/14", size=16),
    AddressPool(base="192.168.0.0/16", size=20),
)
_BLOCKERS_SHOWN = 8

_Span = tuple[int, int, str]
"""First and last address, and who uses them."""


def bases(configured: Iterable[AddressPool], version: int, machine_id: str) -> list[AddressPool]:
    """Return the address pools of a family; without one configured, the defaults."""
    chosen = [pool for pool in configured if (":" in pool.base) == (version == 6)]
    if chosen:
        return chosen
    return list(DEFAULT_IPV4) if version == 4 else [unique_local(machine_id)]


def unique_local(machine_id: str) -> AddressPool:
    """Return the machine's private IPv6 pool, a /48 in pieces of /64 (RFC 4193 section 3.2).

    Its 40 bits after fd00::/8 are those that moby takes (ipamutils, DeriveULABaseNetwork): the low
    ones of the first 64 bits of the id's SHA-256.
    """
    from hashlib import sha256

    digest = sha256(machine_id.encode()).digest()[3:8]
    prefix = (0xFD << 120) | (int.from_bytes(digest, "big") << 80)
    return AddressPool(base=str(IPv6Network((prefix, 48))), size=64)


def choose(pools: Iterable[AddressPool], size: int | None, around: Surroundings) -> Subnet:
    """Return the first free subnet of the pools, of their own size or of prefix length ``size``.

    Raises ``InvalidInput`` where no pool is that large, ``Exhausted`` where none is free.
    """
    spans = _spans(around.everything)
    blockers: dict[str, None] = {}
    large_enough = False
    for pool in pools:
        base, wanted = ip_network(pool.base), pool.size if size is None else size
        if wanted < base.prefixlen:
            continue
        large_enough = True
        if (found := _first_free(base, wanted, spans[base.version], blockers)) is not None:
            return found
    if not large_enough:
        raise InvalidInput(
            f"no address pool is as large as /{size}",
            hint="give the subnet itself with --subnet CIDR, or a larger pool in the configuration",
        )
    raise _exhausted(list(blockers))


def _spans(occupied: Iterable[Occupied]) -> dict[int, list[_Span]]:
    """Return what is used by family, in the order of first addresses.

    A network comes before its own route and address: its name says more.
    """
    spans: dict[int, list[_Span]] = {4: [], 6: []}
    for item in occupied:
        version, low, high = span(item.subnet)
        spans[version].append((low, high, item.by))
    for each in spans.values():
        each.sort(key=lambda entry: entry[:2])
    return spans


def _first_free(
    base: Subnet, size: int, spans: Iterable[_Span], blockers: dict[str, None]
) -> Subnet | None:
    """Return the first free subnet of a base, and note whoever stands before it."""
    bits = base.max_prefixlen - size
    candidate, end = int(base.network_address), int(base.broadcast_address)
    for low, high, by in spans:
        if low >= candidate + (1 << bits) or candidate > end:
            break
        if high >= candidate:
            blockers[by] = None
            candidate = ((high >> bits) + 1) << bits
    kind = IPv4Network if base.version == 4 else IPv6Network
    return kind((candidate, size)) if candidate <= end else None


def _exhausted(blockers: list[str]) -> Exhausted:
    shown = "; ".join(blockers[:_BLOCKERS_SHOWN])
    hidden = len(blockers) - _BLOCKERS_SHOWN
    more = f"; and {hidden} more" if hidden > 0 else ""
    return Exhausted(
        f"no free subnet is left: in the way are {shown}{more}",
        hint="give one with --subnet CIDR, ask for a smaller one with --subnet auto/26, "
        "or configure address_pools",
    )
