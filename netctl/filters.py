"""``--filter KEY=VALUE``: values of one key are alternatives, different keys all have to match."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from string import ascii_letters, digits
from typing import Any, NamedTuple

from netctl.definitions.lease import duration
from netctl.errors import InvalidInput
from netctl.models import SandboxKind
from netctl.names import is_id_prefix

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


class Filter(NamedTuple):
    """How a value is compared, and how one is refused that nothing can have."""

    match: Match
    check: Callable[[str, str], object] = lambda key, value: None
    words: Sequence[str] = ()
    """The values, where these are all."""


def _one_of(key: str, words: Sequence[str]) -> Filter:
    def check(key: str, value: str) -> None:
        if value not in words:
            raise _impossible(key, value, f"one of {', '.join(words)}")

    return Filter(_equals(key), check, words)


def _part_of_name(key: str, value: str) -> None:
    if value.strip(_OF_NAMES):
        raise _impossible(key, value, "letters, digits, '_', '.' and '-'")


def _id(key: str, value: str) -> None:
    if not is_id_prefix(value):
        raise _impossible(key, value, "the first digits of an id, 0-9a-f")


def _impossible(key: str, value: str, hint: str) -> InvalidInput:
    return InvalidInput(f"--filter {key}={value[:60]}: no object can match", hint=hint)


_OF_NAMES = f"{ascii_letters}{digits}_.-"
COMMON: dict[str, Filter] = {
    "name": Filter(_contains("name"), _part_of_name),
    "id": Filter(_begins("id"), _id),
    "label": Filter(_label),
    "label!": Filter(_no_label),
    "until": Filter(_until, lambda key, value: moment(value)),
}
NETWORK = {
    **COMMON,
    "driver": Filter(_equals("driver"), _part_of_name),
    "scope": _one_of("scope", ("local", "global")),
}
ENDPOINT = {
    **COMMON,
    "network": Filter(_equals("network"), _part_of_name),
    "sandbox": Filter(_equals("sandbox"), _part_of_name),
}
SANDBOX = {
    **COMMON,
    "type": _one_of("type", [kind.value for kind in SandboxKind]),
    "state": _one_of("state", ("ready", "gone", "left", "expired")),
}
KNOWN: dict[str, Mapping[str, Filter]] = {
    "network": NETWORK,
    "endpoint": ENDPOINT,
    "sandbox": SANDBOX,
}
"""Kind of object to its filters."""


def compile_filters(texts: Sequence[str], known: Mapping[str, Filter]) -> Callable[[Row], bool]:
    """Return whether a row passes; raise ``InvalidInput`` for a filter that is not known."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        key, value = _split(text)
        if key not in known:
            shown = ", ".join(sorted(known))
            raise InvalidInput(f"unknown filter {key[:40]!r}", hint=f"known filters: {shown}")
        known[key].check(key, value)
        groups.setdefault(key, []).append(value)
    # An exclusion excludes: several of them all have to hold.
    return lambda row: all(
        (all if key.endswith("!") else any)(known[key].match(row, value) for value in values)
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
