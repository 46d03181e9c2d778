"""The functions that docker's templates may call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from netctl import cells
from netctl.errors import InvalidInput
from netctl.samples import Fixed


class OutOfRange(InvalidInput):
    """A list has fewer items than are asked for, which only its values show."""


def _fits(name: str, least: int, most: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that refuses what it cannot take as bad input."""

    def called(*operands: Any) -> Any:
        if not least <= len(operands) <= most:
            raise InvalidInput(
                f"--format: {name} takes {least} to {most} values, and is given {len(operands)}",
                hint='for instance {{json .}}, {{index .A 0}} or {{join .A ","}}',
            )
        try:
            return function(*operands)
        except (TypeError, AttributeError, KeyError, IndexError, ValueError) as error:
            if None in operands:
                return None  # What is not set has no items and no parts.
            kind = OutOfRange if isinstance(error, IndexError) else InvalidInput
            raise kind(
                f"--format: {name} does not take such a value",
                hint="{{json .}} shows what is there",
            ) from error

    return called


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _join(values: Any, between: str) -> str:
    if isinstance(values, (str, Mapping)):
        raise TypeError
    return between.join(map(cells.text, values))


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Fixed):
            value = value[key]
        elif isinstance(value, Mapping):
            value = value.get(key)  # What a map lacks is empty, as in Go.
        elif isinstance(value, list) and isinstance(key, int) and key >= 0:
            value = value[key]
        else:
            raise TypeError
    return value


def _truncate(value: Any, length: int) -> str:
    return cells.text(value)[: max(0, length)]


def _print(*values: Any) -> str:
    return " ".join(map(cells.text, values))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: _fits(name, least, most, function)
    for name, least, most, function in (
        ("json", 1, 1, _json),
        ("join", 2, 2, _join),
        ("index", 1, 9, _index),
        ("len", 1, 1, lambda value: len(value or "")),
        ("lower", 1, 1, lambda value: cells.text(value).lower()),
        ("upper", 1, 1, lambda value: cells.text(value).upper()),
        ("title", 1, 1, lambda value: cells.text(value).title()),
        ("split", 2, 2, lambda value, by: cells.text(value).split(by)),
        ("truncate", 2, 2, _truncate),
        ("print", 0, 9, _print),
        ("println", 0, 9, lambda *values: f"{_print(*values)}\n"),
        ("eq", 2, 9, lambda value, *others: value in others),
        ("ne", 2, 2, lambda one, other: one != other),
        ("not", 1, 1, lambda value: not value),
        ("and", 1, 9, lambda *values: next((v for v in values if not v), values[-1])),
        ("or", 1, 9, lambda *values: next((v for v in values if v), values[-1])),
    )
}
