"""The configuration: option before environment, before ``netctl.yaml``, before default.

Every value knows where it came from. A key that is not known, or a value that is not allowed, is
``BadConfig`` with file and line: nothing is guessed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from netctl.record import Record, field, field_names

DEFAULT_PATH = "/etc/netctl/netctl.yaml"


class AddressPool(Record):
    """Where subnets are taken from: ``base`` (CIDR) in pieces of prefix length ``size``."""

    base: str
    size: int


class Config(Record):
    """The effective configuration."""

    default_network: str = "bridge"
    default_driver: str = "bridge"
    address_pools: tuple[AddressPool, ...] = ()
    driver_options: dict[str, dict[str, str]] = field(default_factory=dict)
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    lock_timeout: float = 30.0
    """Seconds."""
    ip_forward: str = "auto"
    ip_forward_interfaces: tuple[str, ...] = ()
    """Names, or beginnings of names with ``*`` after them."""
    state_dir: str = "/var/lib/netctl"
    run_dir: str = "/run/netctl"
    color: str = "auto"
    sources: dict[str, str] = field(default_factory=dict)
    """Key to where its value came from."""

    @property
    def needs_drivers(self) -> bool:
        """Whether somebody gave a value that only the drivers can check: their names and options,
        and the pools that addresses come from."""
        keys = ("default_driver", "driver_options", "address_pools")
        return any(self.sources.get(key, "default") != "default" for key in keys)


def load(path: str | None, overrides: Mapping[str, str], environ: Mapping[str, str]) -> Config:
    """Return the effective configuration; ``overrides`` are the command's options, by key.

    ``path`` must exist where it is given. Raises ``BadConfig``.
    """
    values: dict[str, Any] = {}
    sources = {key: "default" for key in field_names(Config) if key != "sources"}
    _take_user_defaults(values, environ)
    chosen = path or environ.get("NETCTL_CONFIG") or None
    if chosen or _there(DEFAULT_PATH):
        from netctl.config_values import take_file

        take_file(chosen or DEFAULT_PATH, chosen is not None, values, sources)
    texts = [
        (key, environ[name], f"environment {name}")
        for key, name in ((key, f"NETCTL_{key.upper()}") for key in sources)
        if name in environ
    ]
    texts += [(k, text, f"option --{k.replace('_', '-')}") for k, text in overrides.items()]
    if texts:
        from netctl.config_values import take_texts

        take_texts(texts, values, sources)
    return Config(**values, sources=sources)


def _there(path: str) -> bool:
    """Whether there is something to read; what cannot be seen is to be complained of."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _take_user_defaults(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Without root the files are in the user's own directories (XDG base directories)."""
    if os.geteuid() == 0 and _initial_user_namespace():
        return
    home = environ.get("HOME", "/")
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    run = environ.get("XDG_RUNTIME_DIR") or f"{home}/.cache"
    values.update(state_dir=f"{data}/netctl", run_dir=f"{run}/netctl")


def _initial_user_namespace() -> bool:
    """Whether root here is root of the host: only there all ids are mapped onto themselves."""
    try:
        with open("/proc/self/uid_map", encoding="utf-8") as mapping:
            return mapping.read().split() == ["0", "0", "4294967295"]
    except OSError:
        return True  # Without /proc, or a kernel without user namespaces.
