"""The configured defaults of networks, checked where the configuration is read.

That a driver is known, and its options, only the drivers can say: a configuration that names none
does not look for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netctl.backends import registry
from netctl.backends.options import full_label, normalise
from netctl.config import Config
from netctl.definitions.network import OPTIONS
from netctl.errors import BadConfig, InvalidInput


def check(config: Config) -> None:
    """Raise ``BadConfig``, with file and line, for a driver or an option that is not known."""
    with _placed(config, "default_driver"):
        if config.default_driver not in registry.BUILT_IN:
            registry.load(config.default_driver)
    with _placed(config, "driver_options"):
        for driver, options in config.driver_options.items():
            own = {key: value for key, value in options.items() if full_label(key) not in OPTIONS}
            normalise(driver, own, registry.load(driver).options)


@contextmanager
def _placed(config: Config, key: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        message = f"{config.sources[key]}: {key}: {error.message}"
        raise BadConfig(message, hint=error.hint) from error
