"""The drivers by name. Only the one that is asked for is imported."""

from __future__ import annotations

from importlib import import_module

from netctl.backends.driver import Driver
from netctl.errors import InvalidInput

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
    """Return the driver of that name; raise ``InvalidInput`` where there is none."""
    target = BUILT_IN.get(name) or _installed(name)
    if target is None:
        raise InvalidInput(f"unknown driver {name!r}", hint=f"known drivers: {', '.join(names())}")
    module, _, attribute = target.partition(":")
    driver: Driver = getattr(import_module(module), attribute)()
    return driver


def _installed(name: str) -> str | None:
    # Reading the entry points of everything installed takes 25 ms: only for names not built in.
    from importlib.metadata import entry_points

    return next((point.value for point in entry_points(group=ENTRY_POINTS, name=name)), None)
