"""The columns of a listing: which are shown, in which order, and what the rows are sorted by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from netctl.errors import InvalidInput

Row = Mapping[str, Any]
_HEXADECIMAL = ("id", "sandbox_id", "mac")
_DIGITS = re.compile(r"(\d+)", re.ASCII)


def is_never(text: str) -> bool:
    """Whether a text that says nothing of a state needs attention: it does not."""
    return False


class Column(NamedTuple):
    """A heading, and the key of a row that is shown below it."""

    heading: str
    key: str
    alarming: Callable[[str], bool] = is_never
    """Whether a text in this column says that something needs attention."""
    shown: bool | None = True
    """Whether it is shown unasked; None: where a row has something in it."""


def is_amiss(state: str) -> bool:
    """Whether the state of an object needs attention."""
    return state not in ("", "ready")


def is_exposed(reach: str) -> bool:
    """Whether a word of REACHED FROM needs attention: not reached, or more than was published."""
    return reach.startswith(("nobody:", "unpublished="))


_PLAIN = (Column("CREATED", "created", shown=False), Column("LABELS", "labels", shown=False))
"""Columns that every object has, and that are shown when they are asked for."""
_ADDED = (
    Column("EXPIRES", "expires", shown=None),
    Column("OWNER PID", "owner_pid", shown=None),
    *_PLAIN,
)
"""Columns of what may have a lease."""
KNOWN: dict[str, tuple[Column, ...]] = {
    "network": (
        Column("NETWORK ID", "id"),
        Column("NAME", "name"),
        Column("DRIVER", "driver"),
        Column("SCOPE", "scope"),
        Column("SUBNETS", "subnets"),
        *_ADDED,
        Column("INTERNAL", "internal", shown=False),
        Column("IPV6", "ipv6", shown=False),
    ),
    "endpoint": (
        Column("ENDPOINT ID", "id"),
        Column("NAME", "name"),
        Column("NETWORK", "network"),
        Column("SANDBOX", "sandbox"),
        Column("IPV4", "ipv4"),
        Column("IPV6", "ipv6"),
        Column("PORTS", "ports"),
        Column("REACHED FROM", "reached_from", is_exposed),
        Column("MAC", "mac", shown=False),
        *_PLAIN,
    ),
    "sandbox": (
        Column("SANDBOX ID", "id"),
        Column("NAME", "name"),
        Column("TYPE", "type"),
        Column("STATE", "state", is_amiss),
        Column("ENDPOINTS", "endpoint_count"),
        Column("KEY", "key"),
        *_ADDED,
    ),
    "service": (
        Column("SERVICE ID", "id"),
        Column("NAME", "name"),
        Column("NETWORK", "network"),
        Column("CONTAINER", "container"),
        Column("SANDBOX", "sandbox_id"),
    ),
    "container": (
        Column("SANDBOX ID", "id"),
        Column("CONTAINER", "name"),
        Column("SERVICES", "endpoint_count"),
        Column("KEY", "key"),
    ),
}
"""Kind of object to the columns of its ``ls``."""


class View(NamedTuple):
    """How a listing is wanted: see the options of ``ls``."""

    style: str = "table"
    quiet: bool = False
    trunc: bool = True
    headers: bool = True
    columns: str = ""
    sort: str = ""


def chosen(columns: Sequence[Column], text: str, rows: Sequence[Row]) -> Sequence[Column]:
    """Return the columns that ``--columns`` names, in its order; those shown unasked where it names
    none."""
    if text:
        return [named(columns, word, "--columns") for word in text.split(",")]
    return [each for each in columns if each.shown or (each.shown is None and _used(rows, each))]


def named(columns: Sequence[Column], word: str, option: str) -> Column:
    """Return the column of that heading or key; case, spaces and hyphens make no difference. Raises
    ``InvalidInput``."""
    for column in columns:
        if _plain(word) in (_plain(column.heading), _plain(column.key)):
            return column
    known = ", ".join(map(word_of, columns))
    raise InvalidInput(f"{option}: no column {word[:60]!r}", hint=f"columns: {known}")


def word_of(column: Column) -> str:
    """Return what a column is called on the command line."""
    return column.heading.lower().replace(" ", "-")


def ordered(rows: Sequence[Row], columns: Sequence[Column], text: str) -> Sequence[Row]:
    """Return the rows sorted by the column that ``--sort`` names, descending with a ``-`` before
    it. Numbers in a text are compared as numbers; rows without a value come last."""
    if not text:
        return rows
    key = named(columns, text.removeprefix("-"), "--sort").key
    filled = [row for row in rows if not _empty(row.get(key))]
    empty = [row for row in rows if _empty(row.get(key))]
    rank = str if key in _HEXADECIMAL else _rank
    return [*sorted(filled, key=lambda row: rank(row[key]), reverse=text[:1] == "-"), *empty]


def _plain(word: str) -> str:
    return word.strip().casefold().translate({ord(c): None for c in " _-"})


def _used(rows: Sequence[Row], column: Column) -> bool:
    return not all(_empty(row.get(column.key)) for row in rows)


def _empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def _rank(value: Any) -> Any:
    """Return what values of one column are compared by."""
    if isinstance(value, (bool, int, float)):
        return [(0, value, "")]
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return [_part(part) for part in _DIGITS.split(text.casefold())]


def _part(text: str) -> tuple[int, int, str]:
    if not text.isdecimal():
        return (1, 0, text)
    digits = text.lstrip("0")
    return (0, len(digits), digits)
