"""Addresses and MACs for endpoints, out of what no other endpoint of the network holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netctl.backends import ipam
from netctl.errors import Conflict, InvalidInput
from netctl.models import Cursor, Document, Endpoint, Network, address_claim
from netctl.names import short
from netctl.record import replace
from netctl.store import Reader


def check_mac_free(reader: Reader, network: Network, mac: str) -> None:
    """Raise ``Conflict`` where another endpoint of the network has the MAC address."""
    if mac and (holder := reader.owner(f"mac/{network.id}/{mac}")):
        other = reader.get(Endpoint, holder, network.id)
        raise Conflict(
            f"MAC address {mac} of network {network.name} is held by endpoint"
            f" {other.name if other else short(holder)}",
            hint="leave out --mac to get a free one",
        )


def allocate(
    reader: Reader, network: Network, preferred: Mapping[int, str]
) -> tuple[dict[int, str], tuple[Document, ...]]:
    """Return an address with prefix length for each family, and the cursor's document.

    Raises ``InvalidInput`` for a preferred address outside the subnets, ``Conflict`` for one that
    is taken, ``Exhausted``.
    """
    _check_families(network, preferred)
    allocator = ipam.load(network.ipam_driver)
    cursor = reader.get(Cursor, network.id) or Cursor(id=network.id)
    last = dict(cursor.last)
    addresses: dict[int, str] = {}
    for version, wanted in preferred.items():
        pool = network.pool(version)
        if pool is None:
            continue
        taken = _taken(reader, network, wanted)
        address = allocator.address(network, pool, last.get(pool.subnet, ""), taken, wanted or None)
        addresses[version] = pool.with_prefix(address)
        if not wanted:
            last[pool.subnet] = address
    return addresses, (replace(cursor, last=last),) if last != cursor.last else ()


def _check_families(network: Network, preferred: Mapping[int, str]) -> None:
    """What cannot be is said before anything is looked for, and removed to make room."""
    for version, wanted in preferred.items():
        if wanted and network.pool(version) is None:
            raise InvalidInput(
                f"address {wanted}: network {network.name} has no IPv{version} subnet",
                hint="make the network with --ipv6" if version == 6 else "leave out --ip",
            )


def _taken(reader: Reader, network: Network, wanted: str) -> Callable[[str], str | None]:
    reserved = network.reserved

    def holder(address: str) -> str | None:
        if address in reserved:
            return f"network {network.name} itself"
        found = reader.owner(address_claim(network.id, address))
        if not found or address != wanted:
            return found
        endpoint = reader.get(Endpoint, found, network.id)
        return f"endpoint {endpoint.name}" if endpoint else short(found)

    return holder
