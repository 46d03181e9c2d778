"""``--filter KEY=VALUE``: values of one key are alternatives, different keys all have to match."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from netctl.definitions.lease import duration
from netctl.errors import InvalidInput

Row = Mapping[str, Any]
Match = Callable[[Row, str], bool]


def _equals(key: str) -> Match:
    return lambda row, value: str(row.get(key) or "") == value


def _contains(key: str) -> Match:
    return lambda row, value: value in str(row.get(key) or "")


def _begins(key: str) -> Match:
    return lambda row, value: str(row.get(key) or "").startswith(value)


def _label(row: Row, value: str) -> bool:
    name, given, wanted = value.partition("=")
    labels = row["labels"]
    return name in labels and (not given or labels[name] == wanted)


def _no_label(row: Row, value: str) -> bool:
    return not _label(row, value)


def _until(row: Row, value: str) -> bool:
    created = datetime.fromisoformat(row["created"])
    return created < moment(value)


COMMON: dict[str, Match] = {
    "name": _contains("name"),
    "id": _begins("id"),
    "label": _label,
    "label!": _no_label,
    "until": _until,
}
NETWORK = {**COMMON, "driver": _equals("driver"), "scope": _equals("scope")}
ENDPOINT = {**COMMON, "network": _equals("network"), "sandbox": _equals("sandbox")}
SANDBOX = {**COMMON, "type": _equals("type"), "state": _equals("state")}


def compile_filters(texts: Sequence[str], known: Mapping[str, Match]) -> Callable[[Row], bool]:
    """Return whether a row passes; raise ``InvalidInput`` for a filter that is not known."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        key, value = _split(text)
        if key not in known:
            shown = ", ".join(sorted(known))
            raise InvalidInput(f"unknown filter {key[:40]!r}", hint=f"known filters: {shown}")
        if key == "until":
            moment(value)
        groups.setdefault(key, []).append(value)
    # An exclusion excludes: several of them all have to hold.
    return lambda row: all(
        (all if key.endswith("!") else any)(known[key](row, value) for value in values)
        for key, values in groups.items()
    )


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidInput(f"--filter {text[:60]!r} is not KEY=VALUE", hint="for instance name=web")
    return key, value


def moment(text: str) -> datetime:
    """Return a time given as an age (``10m``, ``2h``), RFC 3339 or seconds since 1970."""
    if (age := duration(text)) is not None:
        return datetime.now(UTC) - age
    try:
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"until={text[:40]!r} is not a time", hint="an age (10m, 2h), or 2026-01-31T12:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
