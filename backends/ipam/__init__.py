"""IPAM: pools for networks and addresses for endpoints, by drivers that neither store nor touch."""

from __future__ import annotations

from netctl.backends import loading
from netctl.backends.ipam.base import AUTO, AddressPool, IpamDriver, PoolRequest

BUILT_IN = {
    "default": "netctl.backends.ipam.default:DefaultIpam",
    "null": "netctl.backends.ipam.null:NullIpam",
}
ENTRY_POINTS = "netctl.ipam"
"""Group in which an installed package offers IPAM drivers of its own."""


def load(name: str) -> IpamDriver:
    """Return the IPAM driver of that name. Raises ``InvalidInput`` or ``Unsupported``."""
    # A protocol is abstract to mypy, and what isinstance needs.
    kind: type[IpamDriver] = IpamDriver  # type: ignore[type-abstract]
    return loading.load("IPAM driver", name, BUILT_IN, ENTRY_POINTS, kind)


__all__ = [
    "AUTO",
    "AddressPool",
    "IpamDriver",
    "PoolRequest",
    "load",
]
