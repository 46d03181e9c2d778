"""Addresses of a pool: next-fit, or a certain one."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from netctl.backends.ipam.base import Taken
from netctl.backends.ipam.parsing import address_text, home, parse_address, usable
from netctl.errors import Conflict, Exhausted, InvalidInput
from netctl.models import Network, Pool

SCAN_LIMIT = 1 << 17
"""Addresses looked at in one search: two /16 full."""


def next_free(pool: Pool, cursor: str, taken: Taken) -> str | None:
    """Return the first address after ``cursor`` that is neither reserved nor taken, or None.

    The search goes round through the pool's range, or the whole subnet, once at most.
    """
    reserved = {pool.gateway, *pool.aux.values()}
    for address in _candidates(pool, cursor):
        if address not in reserved and not taken(address):
            return address
    return None


def _candidates(pool: Pool, cursor: str) -> Iterator[str]:
    low, high = bounds(pool)
    size = high - low + 1
    after = int(ip_address(cursor)) + 1 if cursor else low
    offset = after - low if low <= after <= high else 0
    for step in range(min(size, SCAN_LIMIT)):
        yield address_text(low + (offset + step) % size, pool.version)


def bounds(pool: Pool) -> tuple[int, int]:
    """Return the first and last address that is handed out by itself; none if last < first."""
    low, high = usable(ip_network(pool.subnet))
    if not pool.ip_range:
        return low, high
    part = ip_network(pool.ip_range)
    return max(low, int(part.network_address)), min(high, int(part.broadcast_address))


def full(network: Network, pool: Pool) -> Exhausted:
    """Return the error for a search that found nothing."""
    low, high = bounds(pool)
    where = f"{pool.ip_range} of {pool.subnet}" if pool.ip_range else pool.subnet
    flag = "--ip" if pool.version == 4 else "--ip6"
    if high - low + 1 > SCAN_LIMIT:
        return Exhausted(
            f"none of the {SCAN_LIMIT} addresses looked at in {where} is free"
            f" (network {network.name})",
            hint=f"choose one yourself with {flag}, or make another network",
        )
    elsewhere = f"choose one outside of the range with {flag}, " if pool.ip_range else ""
    return Exhausted(
        f"no free address is left in {where} (network {network.name})",
        hint=f"{elsewhere}remove endpoints that are not needed, or make a network with a larger"
        " subnet",
    )


def certain(network: Network, pool: Pool, text: str, taken: Taken) -> str:
    """Return the address that was asked for in its shortest form, anywhere in the pool's subnet.

    Raises ``InvalidInput`` where it is outside or bears no host, ``Conflict`` where it is held.
    """
    address = parse_address("address", text)
    subnet = home("address", address, [ip_network(p.subnet) for p in network.pools])
    if str(subnet) != pool.subnet:
        raise InvalidInput(
            f"address {address} is of {subnet}, but one of {pool.subnet} is wanted",
            hint="IPv4 goes with --ip, IPv6 with --ip6",
        )
    _check_free(network, pool, str(address), taken)
    return str(address)


def _check_free(network: Network, pool: Pool, address: str, taken: Taken) -> None:
    hint = "choose another, or leave it out to get a free one"
    if address == pool.gateway:
        raise Conflict(f"address {address} is the gateway of network {network.name}", hint=hint)
    for name, auxiliary in pool.aux.items():
        if address == auxiliary:
            raise Conflict(
                f"address {address} of network {network.name} is reserved"
                f" as auxiliary address {name}",
                hint=hint,
            )
    if holder := taken(address):
        raise Conflict(
            f"address {address} of network {network.name} is held by {holder}", hint=hint
        )
