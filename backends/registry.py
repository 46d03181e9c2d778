"""The drivers by name. Only the one that is asked for is imported."""

from __future__ import annotations

from netctl.backends import loading
from netctl.backends.driver import Driver

BUILT_IN = {
    "bridge": "netctl.backends.bridge:BridgeDriver",
    "host": "netctl.backends.single:HostDriver",
    "null": "netctl.backends.single:NullDriver",
}
ENTRY_POINTS = "netctl.drivers"
"""Group in which an installed package offers drivers of its own."""


def names() -> list[str]:
    """Return the built-in drivers' names, sorted."""
    return sorted(BUILT_IN)


def load(name: str) -> Driver:
    """Return the driver of that name. Raises ``InvalidInput`` or ``Unsupported``."""
    # A protocol is abstract to mypy, and what isinstance needs.
    kind: type[Driver] = Driver  # type: ignore[type-abstract]
    return loading.load("driver", name, BUILT_IN, ENTRY_POINTS, kind)
