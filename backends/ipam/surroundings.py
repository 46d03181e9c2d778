"""What is in the way of a new pool: other networks, and what the host itself uses."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from netctl.kernel import Address, Route
from netctl.models import Network
from netctl.plainsocket import AF_INET, AF_INET6, inet_pton
from netctl.record import Record

_WAY_OUT = 1
"""Routes up to this prefix length lead outside: default routes, and the halves that VPNs add."""


class Occupied(Record):
    """A subnet that is used, and by whom: ``route 10.0.0.0/8 dev tun0``."""

    subnet: str
    """CIDR; host bits do not matter."""
    by: str
    link: str = ""
    """The host's interface, where it is one's route or address."""
    address: str = ""
    """Without prefix length, where it is an address of the host."""

    def overlaps(self, subnet: str) -> bool:
        """Whether the two have an address in common."""
        version, low, high = span(self.subnet)
        other, first, last = span(subnet)
        return version == other and low <= last and first <= high


class Surroundings(Record):
    """Networks are an error for any subnet that overlaps; what the host uses is only avoided by
    the automatic choice, as in libnetwork."""

    networks: tuple[Occupied, ...] = ()
    host: tuple[Occupied, ...] = ()

    @property
    def everything(self) -> tuple[Occupied, ...]:
        return (*self.networks, *self.host)

    def host_users(self, subnet: str, but: str = "") -> tuple[str, ...]:
        """Return who on the host uses a part of a subnet, but for the interface ``but``: worth a
        warning, but no error."""
        users = (item for item in self.host if item.overlaps(subnet))
        return tuple(dict.fromkeys(item.by for item in users if not but or item.link != but))


def span(subnet: str) -> tuple[int, int, int]:
    """Return the IP version, first and last address of a subnet that is known to be valid."""
    # A host may have thousands of routes: this takes a fifth of ip_network's time.
    base, _, length = subnet.partition("/")
    version, bits, family = (6, 128, AF_INET6) if ":" in base else (4, 32, AF_INET)
    mask = (1 << bits - int(length or bits)) - 1
    low = int.from_bytes(inet_pton(family, base), "big") & ~mask
    return version, low, low | mask


def surroundings(
    *,
    networks: Iterable[Network],
    routes: Iterable[Route],
    addresses: Iterable[Address],
    resolv_conf: str,
) -> Surroundings:
    """Return what is used, from the store's documents and the kernel's tables.

    ``resolv_conf`` is the text of the host's resolv.conf(5).
    """
    own = (
        Occupied(subnet=pool.subnet, by=f"network {network.name} ({pool.subnet})")
        for network in networks
        for pool in network.pools
    )
    host = [*_of_routes(routes), *_of_addresses(addresses), *_of_resolvers(resolv_conf)]
    return Surroundings(networks=tuple(own), host=tuple(host))


def leads_outside(route: Route) -> bool:
    """Whether a route is the default route, or one of the two halves of it that VPNs add."""
    return int(route.destination.partition("/")[2]) <= _WAY_OUT


def route_words(route: Route) -> str:
    """Return how a route of the host is named."""
    return f"route {route.destination} dev {route.link}"


def address_words(item: Address) -> str:
    """Return how an address of the host is named."""
    return f"address {item.address} on {item.link}"


def _of_routes(routes: Iterable[Route]) -> Iterable[Occupied]:
    for route in routes:
        if not leads_outside(route):
            by = route_words(route)
            yield Occupied(subnet=route.destination, by=by, link=route.link)


def _of_addresses(addresses: Iterable[Address]) -> Iterable[Occupied]:
    for item in addresses:
        yield Occupied(
            subnet=item.address,
            by=address_words(item),
            link=item.link,
            address=item.address.partition("/")[0],
        )


def _of_resolvers(resolv_conf: str) -> Iterable[Occupied]:
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                address = ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            yield Occupied(subnet=str(address), by=f"name server {address} in resolv.conf")
