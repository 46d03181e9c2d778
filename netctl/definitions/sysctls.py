"""The settings of an endpoint's interface: ``net.ipv4.conf.IFNAME.rp_filter=2``.

The form is libnetwork's (moby 2026): the word IFNAME stands for the interface, whose name is known
when the endpoint joins. So no setting of another interface, or of the whole stack, can be written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from netctl.errors import InvalidInput, Unsupported
from netctl.kernel import Kernel
from netctl.names import sysctl_path

DISABLE_IPV6 = "net.ipv6.conf.IFNAME.disable_ipv6"
_KEY = r"net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.IFNAME\.[a-z0-9_]+"
_VALUE_LIMIT = 256
"""Characters."""


def check_sysctl(key: str, value: str) -> None:
    """Raise ``InvalidInput`` where it is not the setting of one interface."""
    if not re.fullmatch(_KEY, key):
        raise InvalidInput(
            f"--sysctl {key[:80]!r} is not a setting of an endpoint's interface",
            hint="net.ipv4.conf.IFNAME.rp_filter=2: ipv4, ipv6 or mpls, conf or neigh, and the"
            " word IFNAME for the interface",
        )
    if not value or not value.isprintable() or len(value) > _VALUE_LIMIT:
        raise InvalidInput(
            f"--sysctl {key}: {value[:40]!r} is not a value",
            hint=f"printable text of at most {_VALUE_LIMIT} characters",
        )


def check_known(keys: Iterable[str], kernel: Kernel) -> None:
    """Raise ``Unsupported`` for a setting that interfaces do not have."""
    for key in keys:
        path = sysctl_path(key, "lo")
        if kernel.sysctl_get("", path) is None:
            directory = path.rpartition("/")[0]
            raise Unsupported(
                f"this kernel has no setting {key}", hint=f"ls /proc/sys/{directory} shows them"
            )


def from_label(text: str) -> dict[str, str]:
    """Return the settings of libnetwork's label: ``KEY=VALUE,KEY=VALUE``."""
    found: dict[str, str] = {}
    for item in text.split(","):
        key, equals, value = item.partition("=")
        if not equals:
            raise InvalidInput(
                f"endpoint.sysctls: {item[:60]!r} is not KEY=VALUE",
                hint="for instance net.ipv4.conf.IFNAME.rp_filter=2",
            )
        found[key.strip()] = value.strip()
    return found


def without_ipv6(sysctls: Mapping[str, str]) -> bool:
    """Whether the settings turn the interface's IPv6 off: then it gets no address of it."""
    # The kernel reads numbers as C does: 0x0 and 00 are none.
    return not set(sysctls.get(DISABLE_IPV6, "0").strip().lower()) <= set("0x+-")
