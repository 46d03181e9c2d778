"""What netctl stands on: the configuration and its sources, the kernel's features, the versions."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from netctl import __version__
from netctl.config import Config
from netctl.config_keys import KEYS
from netctl.errors import NetctlError, NotPermitted
from netctl.kernel import Kernel, has_capability, library_version

PACKAGES = ("click", "rich", "pyroute2", "pyyaml", "tinydb")
_FEATURES = {
    "ipv4 forwarding": "net/ipv4/ip_forward",
    "ipv6": "net/ipv6/conf/all/disable_ipv6",
    "bridge netfilter": "net/bridge/bridge-nf-call-iptables",
}
"""Feature to the sysctl that is there with it."""
_LIMITS = ("limits toward sandboxes", "limits from sandboxes")
_CAPABILITIES = ("CAP_NET_ADMIN", "CAP_SYS_ADMIN")


def versions() -> dict[str, str]:
    """Return the version of netctl and of all that it stands on; ``none`` for what is missing."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"netctl": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return {**found, "libnftables": library_version() or "none", "kernel": platform.release()}


def effective(config: Config) -> list[dict[str, Any]]:
    """Return every key with its value and where that came from."""
    from netctl.codec import encode

    return [
        {"key": key, "value": encode(getattr(config, key)), "source": config.sources[key]}
        for key in KEYS
    ]


def features(kernel: Kernel) -> dict[str, str]:
    """Return what this kernel and this process can do, found out without changing anything."""
    found = {name: _present(kernel, key) for name, key in _FEATURES.items()}
    found["nftables"] = _nftables(kernel)
    found.update(_limits(kernel))
    namespaces = Path("/proc/self/ns")
    found["network namespaces"] = "yes" if (namespaces / "net").exists() else "no"
    found["user namespaces"] = "yes" if (namespaces / "user").exists() else "no"
    found["privileges"] = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    found.update((name, "yes" if has_capability(name) else "no") for name in _CAPABILITIES)
    return found


def _present(kernel: Kernel, key: str) -> str:
    value = kernel.sysctl_get("", key)
    return "no" if value is None else f"{key.rpartition('/')[2]} = {value}"


def _limits(kernel: Kernel) -> dict[str, str]:
    try:
        there = kernel.limiters()
    except NotPermitted:
        return dict.fromkeys(_LIMITS, "unknown (not permitted)")
    away = "yes (ifb)" if there["ifb"] and there["tbf"] else "no"
    if not there["ifb"] and there["police"]:
        away = "yes (police: what is too fast is dropped)"
    toward = "yes (tbf)" if there["tbf"] else "no"
    return dict(zip(_LIMITS, (toward, away), strict=True))


def _nftables(kernel: Kernel) -> str:
    try:
        kernel.nft_list("list tables")
    except NotPermitted:
        return "no (not permitted)"
    except NetctlError as error:
        return f"no ({error.command_message})"
    return "yes"
