"""Steps on addresses and routes."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from netctl.kernel.interface import Address, Kernel, Route
from netctl.plan import Difference
from netctl.record import replace
from netctl.steps.base import Once, absent, ip, place

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot

_DEFAULT = ("0.0.0.0/0", "::/0")
_IPV6_METRIC = 1024
"""What the kernel makes of 0 (net/ipv6.h, IP6_RT_PRIO_USER)."""
_IPV6_PREFIX_METRIC = 256
"""Of the route to an address's subnet (net/ipv6.h, IP6_RT_PRIO_ADDRCONF)."""


class AddressAdd(Once):
    """An address with prefix length on an interface."""

    netns: str
    link: str
    address: str

    def apply(self, kernel: Kernel) -> None:
        kernel.address_add(self.netns, self.link, self.address)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.address_delete(self.netns, self.link, self.address)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        if not found.has_address(Address(link=self.link, address=self.address), self.netns):
            what = f"address {self.address} of {self.link}{place(self.netns)}"
            yield replace(absent(self, what, "there"), on=((self.netns, self.link),))
            return
        link = found.link(self.netns, self.link)
        subnet = ip_interface(self.address).network
        if link and link.up and subnet.num_addresses > 1:
            # The kernel made it with the address: without it no gateway is reached.
            metric = _IPV6_PREFIX_METRIC if subnet.version == 6 else 0
            way = RouteAdd(netns=self.netns, destination=str(subnet), link=self.link, metric=metric)
            yield from way.differences(found)

    def describe(self) -> str:
        nodad = " nodad" if ":" in self.address else ""
        return f"{ip(self.netns)} address add {self.address} dev {self.link}{nodad}"

    def describe_revert(self) -> str:
        return f"{ip(self.netns)} address delete {self.address} dev {self.link}"


class RouteAdd(Once):
    """A route; of same destination and metric there was none. One that leads nowhere has neither
    gateway nor link."""

    netns: str
    destination: str
    gateway: str = ""
    link: str = ""
    metric: int = 0
    kind: str = "unicast"

    def _route(self) -> Route:
        return Route(
            destination=self.destination,
            gateway=self.gateway,
            link=self.link,
            metric=self.metric,
            kind=self.kind,
        )

    def _text(self) -> str:
        kind = f"{self.kind} " if self.kind != "unicast" else ""
        via = f" via {self.gateway}" if self.gateway else ""
        dev = f" dev {self.link}" if self.link else ""
        metric = f" metric {self.metric}" if self.metric else ""
        destination = "default" if self.destination in _DEFAULT else self.destination
        return f"{kind}{destination}{via}{dev}{metric}"

    def apply(self, kernel: Kernel) -> None:
        kernel.route_add(self.netns, self._route())

    def revert(self, kernel: Kernel) -> bool:
        return kernel.route_delete(self.netns, self._route())

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        wanted = _way(self._route())
        routes = found.routes(self.netns)
        if routes is None:
            from netctl.kernel.snapshot import towards

            rivals = towards(found.kernel, self.netns, self.destination)
        else:
            rivals = [route for route in routes if self._rivals(route)]
        ways = [_way(route) for route in rivals]
        if wanted in ways:
            return
        version = 6 if ":" in self.destination else 4
        default = self.destination in _DEFAULT
        name = f"IPv{version} default route" if default else f"route {self.destination}"
        yield Difference(
            what=f"{name}{place(self.netns)}",
            expected=wanted,
            found=", ".join(ways) or "nothing",
            # One that somebody set in its place is not taken away.
            repair=() if ways else (self,),
            on=((self.netns, self.link),),
        )

    def _rivals(self, route: Route) -> bool:
        metric = self.metric or (_IPV6_METRIC if ":" in self.destination else 0)
        return (route.destination, route.metric) == (self.destination, metric)

    def describe(self) -> str:
        return f"{ip(self.netns)} route add {self._text()}"

    def describe_revert(self) -> str:
        return f"{ip(self.netns)} route delete {self._text()}"


def _way(route: Route) -> str:
    return f"via {route.gateway or '-'} dev {route.link}" if route.link else route.kind
