"""The configured defaults of networks, checked where the configuration is read.

That a driver is known, and its options, only the drivers can say: a configuration that names none
does not look for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from netctl.backends import registry
from netctl.backends.ipam.parsing import check_for_hosts, parse_subnet
from netctl.backends.options import full_label, label_of, normalise
from netctl.config import Config
from netctl.definitions.network import OPTIONS
from netctl.errors import BadConfig, InvalidInput


def check(config: Config) -> None:
    """Raise ``BadConfig``, with file and line, for a driver or an option that is not known, and for
    an address pool that ``--subnet`` would refuse."""
    with _placed(config, "default_driver"):
        if config.default_driver not in registry.BUILT_IN:
            registry.load(config.default_driver)
    with _placed(config, "driver_options"):
        for driver, options in config.driver_options.items():
            own = {key: value for key, value in options.items() if full_label(key) not in OPTIONS}
            normalise(driver, own, registry.load(driver).options)
    with _placed(config, "address_pools"):
        for pool in config.address_pools:
            check_for_hosts(parse_subnet("address pool", pool.base))


@contextmanager
def told(config: Config, driver: str, given: Mapping[str, str]) -> Iterator[None]:
    """Say where an option's value comes from that a driver refuses, where it was not ``given`` but
    configured: its value is looked at only when a network is made with it."""
    try:
        yield
    except InvalidInput as error:
        configured = config.driver_options.get(driver, {})
        known = {*registry.load(driver).options, *OPTIONS} if configured else set()
        own = {label_of(key, known) for key in given}
        for key in configured:
            if (label := label_of(key, known)) in error.command_message and label not in own:
                place = f"{config.sources['driver_options']}: driver_options"
                raise BadConfig(
                    f"{place}: {error.command_message}", hint=error.command_hint
                ) from error
        raise


@contextmanager
def _placed(config: Config, key: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        message = f"{config.sources[key]}: {key}: {error.command_message}"
        raise BadConfig(message, hint=error.command_hint) from error
