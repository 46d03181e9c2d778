"""How an endpoint comes into a sandbox, as it is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from netctl.errors import InvalidInput
from netctl.names import check_askable, check_name, is_hostname

PRIORITY_LIMIT = 1 << 31


def check_priority(priority: int) -> int:
    """Return a priority that is one, or raise ``InvalidInput``."""
    if not -PRIORITY_LIMIT <= priority < PRIORITY_LIMIT:
        raise InvalidInput(
            f"--priority {str(priority)[:40]} is out of bounds",
            hint=f"from {-PRIORITY_LIMIT} to {PRIORITY_LIMIT - 1}; the highest gives the default"
            " route",
        )
    return priority


def check_local_aliases(aliases: Mapping[str, str]) -> dict[str, str]:
    """Return aliases that are to hold in one sandbox, each with the name that it stands for.

    Raises ``InvalidInput``.
    """
    checked: dict[str, str] = {}
    held: dict[str, str] = {}
    for alias, name in aliases.items():
        # It stands for an alias, or for the name of an endpoint, which need not be a host's.
        if not is_hostname(name):
            check_name("endpoint", name)
        if held.setdefault(alias.lower(), name) != name:
            raise InvalidInput(
                f"--alias: {alias[:60]!r} stands for {held[alias.lower()][:60]!r} already, and DNS"
                " does not tell capital letters from small ones",
                hint="each alias stands for one name",
            )
        checked[check_askable("--alias", alias)] = name
    return checked
