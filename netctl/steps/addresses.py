"""Steps on addresses and routes."""

from __future__ import annotations

from netctl.kernel.interface import Kernel, Route
from netctl.record import record
from netctl.steps.base import Once, ip


@record
class AddressAdd(Once):
    """An address with prefix length on an interface."""

    netns: str
    link: str
    address: str

    def apply(self, kernel: Kernel) -> None:
        kernel.address_add(self.netns, self.link, self.address)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.address_delete(self.netns, self.link, self.address)

    def describe(self) -> str:
        nodad = " nodad" if ":" in self.address else ""
        return f"{ip(self.netns)} address add {self.address} dev {self.link}{nodad}"

    def describe_revert(self) -> str:
        return f"{ip(self.netns)} address delete {self.address} dev {self.link}"


@record
class RouteAdd(Once):
    """A route; of same destination and metric there was none."""

    netns: str
    destination: str
    gateway: str
    link: str
    metric: int = 0

    def _route(self) -> Route:
        return Route(
            destination=self.destination, gateway=self.gateway, link=self.link, metric=self.metric
        )

    def _text(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        metric = f" metric {self.metric}" if self.metric else ""
        destination = "default" if self.destination in ("0.0.0.0/0", "::/0") else self.destination
        return f"{destination}{via} dev {self.link}{metric}"

    def apply(self, kernel: Kernel) -> None:
        kernel.route_add(self.netns, self._route())

    def revert(self, kernel: Kernel) -> bool:
        return kernel.route_delete(self.netns, self._route())

    def describe(self) -> str:
        return f"{ip(self.netns)} route add {self._text()}"

    def describe_revert(self) -> str:
        return f"{ip(self.netns)} route delete {self._text()}"
