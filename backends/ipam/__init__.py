"""IPAM: pools for networks and addresses for endpoints, by drivers that neither store nor touch."""

from __future__ import annotations

from importlib import import_module

from netctl.backends.ipam.base import AUTO, AddressPool, IpamDriver, PoolRequest
from netctl.backends.ipam.surroundings import Occupied, Surroundings, surroundings
from netctl.errors import InvalidInput

BUILT_IN = {
    "default": "netctl.backends.ipam.default:DefaultIpam",
    "null": "netctl.backends.ipam.null:NullIpam",
}
ENTRY_POINTS = "netctl.ipam"
"""Group in which an installed package offers IPAM drivers of its own."""


def load(name: str) -> IpamDriver:
    """Return the IPAM driver of that name; raise ``InvalidInput`` where there is none."""
    target = BUILT_IN.get(name) or _installed(name)
    if target is None:
        known = ", ".join(sorted(BUILT_IN))
        raise InvalidInput(f"unknown IPAM driver {name!r}", hint=f"known IPAM drivers: {known}")
    module, _, attribute = target.partition(":")
    driver: IpamDriver = getattr(import_module(module), attribute)()
    return driver


def _installed(name: str) -> str | None:
    from importlib.metadata import entry_points

    return next((point.value for point in entry_points(group=ENTRY_POINTS, name=name)), None)


__all__ = [
    "AUTO",
    "AddressPool",
    "IpamDriver",
    "Occupied",
    "PoolRequest",
    "Surroundings",
    "load",
    "surroundings",
]
