"""What is in the way of a new pool: other networks, and what the host itself uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network

from netctl.kernel import Address, Route
from netctl.models import Network

Subnet = IPv4Network | IPv6Network

_TOO_WIDE = {4: 1, 6: 1}
"""Routes up to this prefix length are ways out, VPNs' halves of everything among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupied:
    """A subnet that is used, and by whom: ``route 10.0.0.0/8 dev tun0``."""

    subnet: Subnet
    by: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Networks are an error for any subnet that overlaps; what the host uses is only avoided by
    the automatic choice, as in libnetwork."""

    networks: tuple[Occupied, ...] = ()
    host: tuple[Occupied, ...] = ()

    @cached_property
    def everything(self) -> tuple[Occupied, ...]:
        return (*self.networks, *self.host)


def surroundings(
    *,
    networks: Iterable[Network],
    routes: Iterable[Route],
    addresses: Iterable[Address],
    resolv_conf: str,
) -> Surroundings:
    """Return what is used, from the store's documents and the kernel's tables."""
    own = [
        Occupied(subnet=ip_network(pool.subnet), by=f"network {network.name} ({pool.subnet})")
        for network in networks
        for pool in network.pools
    ]
    host = [*_of_routes(routes), *_of_addresses(addresses), *_of_resolvers(resolv_conf)]
    return Surroundings(networks=tuple(own), host=tuple(host))


def _of_routes(routes: Iterable[Route]) -> Iterable[Occupied]:
    for route in routes:
        subnet = ip_network(route.destination, strict=False)
        if subnet.prefixlen > _TOO_WIDE[subnet.version] and not subnet.is_link_local:
            yield Occupied(subnet=subnet, by=f"route {route.destination} dev {route.link}")


def _of_addresses(addresses: Iterable[Address]) -> Iterable[Occupied]:
    for item in addresses:
        subnet = ip_interface(item.address).network
        if not (subnet.is_loopback or subnet.is_link_local):
            yield Occupied(subnet=subnet, by=f"address {item.address} on {item.link}")


def _of_resolvers(resolv_conf: str) -> Iterable[Occupied]:
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                address = ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            yield Occupied(subnet=ip_network(address), by=f"name server {address} in resolv.conf")
