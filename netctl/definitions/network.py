"""A network as it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import netctl.backends.ipam as ipam
from netctl.backends import registry
from netctl.backends.options import PREFIX, boolean, full_labels, switch
from netctl.definitions.checks import check_alike, check_texts
from netctl.machine import machine_id
from netctl.models import Network, Pool
from netctl.names import check_id, check_name
from netctl.record import Record, field, field_names, replace

if TYPE_CHECKING:
    from netctl.config import Config

_FLAGS = {
    PREFIX + "enable_ipv4": "ipv4",
    PREFIX + "enable_ipv6": "ipv6",
    PREFIX + "internal": "internal",
}
OPTIONS = {
    PREFIX + "enable_ipv4": switch("Same as --no-ipv4 if false.", default=True),
    PREFIX + "enable_ipv6": switch("Same as --ipv6.", default=False),
    PREFIX + "internal": switch("Same as --internal.", default=False),
}
"""libnetwork's labels that are options of every driver."""


class NetworkDefinition(Record):
    """A network as it is asked for."""

    name: str
    driver: str
    subnets: tuple[str, ...] = ()
    ip_ranges: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    aux: dict[str, str] = field(default_factory=dict)
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] = field(default_factory=dict)
    id: str = ""

    def checked(self, defaults: Mapping[str, str]) -> NetworkDefinition:
        """Return the definition with the driver's configured default options filled in."""
        check_name("network", self.name)
        if self.id:
            check_id("network", self.id)
        check_texts(self.labels, self.options, self.ipam_options)
        known = {*registry.load(self.driver).options, *OPTIONS}
        options = {**full_labels(defaults, known), **full_labels(self.options, known)}
        flags = {
            name: boolean(options, label, default=getattr(self, name))
            for label, name in _FLAGS.items()
        }
        plain = {label: value for label, value in options.items() if label not in _FLAGS}
        return replace(
            self,
            options=plain,
            ipv4=flags["ipv4"],
            ipv6=flags["ipv6"],
            internal=flags["internal"],
        )

    def network(self, network_id: str, created: str, scope: str) -> Network:
        """Return the document, without pools and facts."""
        return Network(
            id=network_id,
            name=self.name,
            driver=self.driver,
            created=created,
            scope=scope,
            internal=self.internal,
            enable_ipv4=self.ipv4,
            enable_ipv6=self.ipv6,
            labels=self.labels,
            options=self.options,
            ipam_driver=self.ipam_driver,
            ipam_options=self.ipam_options,
        )

    def pool_request(
        self,
        config: Config,
        gateway_versions: tuple[int, ...] = (4, 6),
        spare_gateways: tuple[int, ...] = (),
    ) -> ipam.PoolRequest:
        """Return what the IPAM driver is asked for."""
        return ipam.PoolRequest(
            subnets=self.subnets,
            ip_ranges=self.ip_ranges,
            gateways=self.gateways,
            aux=self.aux,
            ipv4=self.ipv4,
            ipv6=self.ipv6,
            gateway_versions=gateway_versions,
            spare_gateways=spare_gateways,
            machine_id=machine_id(),
            address_pools=tuple(
                ipam.AddressPool(base=pool.base, size=pool.size) for pool in config.address_pools
            ),
        )

    def check_same(self, existing: Network) -> None:
        """Raise ``Conflict`` where ``existing`` was defined in another way.

        A subnet that was not asked for may be any, and ``auto/N`` any of that size.
        """
        wanted = self.network(existing.id, existing.created, existing.scope)
        same = replace(existing, pools=(), facts={}, boot_id="", lease=None)
        differing = [
            name for name in field_names(Network) if getattr(wanted, name) != getattr(same, name)
        ]
        pools = existing.pools
        differing += _missing("subnet", self.subnets, set(_answered_by(pools)))
        differing += _missing("ip_range", self.ip_ranges, {pool.ip_range for pool in pools})
        differing += _missing("gateway", self.gateways, {pool.gateway for pool in pools})
        aux = {name: address for pool in pools for name, address in pool.aux.items()}
        differing += ["aux_address"] if self.aux and self.aux != aux else []
        differing += ["id"] if self.id and self.id != existing.id else []
        check_alike("network", self.name, differing)


def _missing(what: str, wanted: tuple[str, ...], existing: set[str] | set[str | None]) -> list[str]:
    return [what for item in wanted if _shortest(item) not in existing]


def _answered_by(pools: Iterable[Pool]) -> Iterator[str]:
    """Yield what asks for a subnet that these pools have."""
    for pool in pools:
        yield pool.subnet
        for word, version in ipam.AUTO.items():
            if version in (None, pool.version):
                yield f"{word}/{pool.prefix_length}"


def _shortest(text: str) -> str:
    try:
        return str(ip_network(text) if "/" in text else ip_address(text))
    except ValueError:
        return text
