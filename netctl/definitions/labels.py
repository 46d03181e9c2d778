"""libnetwork's labels for what endpoints have options of their own for."""

from __future__ import annotations

from collections.abc import Mapping

from netctl.backends.options import PREFIX, full_labels
from netctl.definitions import sysctls
from netctl.definitions.checks import check_texts
from netctl.errors import InvalidInput

IFNAME = PREFIX + "endpoint.ifname"
SYSCTLS = PREFIX + "endpoint.sysctls"
_KNOWN = (IFNAME, SYSCTLS)


def checked(options: Mapping[str, str]) -> dict[str, str]:
    """Return an endpoint's options by full label; raise ``InvalidInput`` for another."""
    check_texts(options)
    found = full_labels(options, _KNOWN)
    for label in found:
        if label not in _KNOWN:
            raise InvalidInput(
                f"endpoints have no option {label.removeprefix(PREFIX)!r}",
                hint="known options: endpoint.ifname, endpoint.sysctls",
            )
    return found


def ifname(given: str, labelled: Mapping[str, str]) -> str:
    """Return the interface name that was asked for in either way."""
    return _merged("ifname", given, labelled.get(IFNAME, ""))


def settings(given: Mapping[str, str], labelled: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that were asked for in either way."""
    label = labelled.get(SYSCTLS)
    more = sysctls.from_label(label) if label else {}
    asked = {key: value.strip() for key, value in given.items()}
    return {**asked, **{k: _merged(f"sysctl {k}", asked.get(k, ""), v) for k, v in more.items()}}


def _merged(what: str, one: str, other: str) -> str:
    if one and other and one != other:
        raise InvalidInput(
            f"--{what} {one[:60]} and the option's {other[:60]} differ", hint="give one of them"
        )
    return one or other
