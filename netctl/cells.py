"""A value of a row as the text that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netctl.streams import printable

Row = Mapping[str, Any]
_IDS = ("id", "sandbox_id")


def text(value: Any) -> str:
    """Return a value as a text: nothing for None, lists with commas, mappings as ``key=value``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(text, value))
    if isinstance(value, Mapping):
        return ",".join(f"{key}={text(item)}" for key, item in value.items())
    return str(value)


def shown(row: Row, key: str, trunc: bool, between: str = ",") -> str:
    """Return the cell of a row below ``key``: ids in short with ``trunc``, items of a list with
    ``between`` in between."""
    value = row.get(key)
    if key in _IDS and trunc and isinstance(value, str):
        return value[:12]
    if isinstance(value, list):
        return between.join(printable(text(item)) for item in value)
    return printable(text(value))
