"""Documents and steps as JSON, driven by the annotations of their records."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

from netctl.plan import Assembly, Attempt, Plan, Step, Undo
from netctl.record import Record, field_names, required

T = TypeVar("T")
Decoder = Callable[[Any, str], Any]


_PLAIN = frozenset({str, int, float, bool, type(None)})
_NAMED: dict[str, Any] = {"str": str, "int": int, "bool": bool}
_NESTED = "steps"
"""The field of a step that is made of others."""


class CodecError(ValueError):
    """A JSON value does not have the form of its type; the message names the place."""


def encode(value: Any) -> Any:
    """Return ``value`` as JSON types: mappings, lists, text, numbers, booleans, None."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if kind in (tuple, list):
        return [encode(item) for item in value]
    if kind is dict:
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    fields_of = {name: getattr(value, name) for name in field_names(kind)}
    return {k: v if type(v) in _PLAIN else encode(v) for k, v in fields_of.items()}


def decode(kind: type[T], value: Any) -> T:
    """Return what ``json.loads`` gave as a ``kind``; raise ``CodecError`` where it is not one.

    Unknown keys are ignored, so that an older netctl reads what a newer one of the same schema
    wrote; missing ones take their default.
    """
    wanted: Any = kind
    result: T = _decoder(wanted)(value, kind.__name__)
    return result


def encode_plan(plan: Plan) -> list[dict[str, Any]]:
    """Return a plan as a list of ``{"step": NAME, "taken_back": BOOL, FIELD: VALUE...}``."""
    return [_encode_step(step) for step in plan]


def decode_plan(value: Any) -> Plan:
    """Return the plan that ``encode_plan`` wrote; raise ``CodecError``."""
    return tuple(_decode_step(item) for item in value)


def _encode_step(step: Step) -> dict[str, Any]:
    if isinstance(step, Attempt):
        return {**_encode_step(step.step), "attempt": True}
    inner = step.step if isinstance(step, Undo) else step
    record = {"step": type(inner).__name__, "taken_back": isinstance(step, Undo)}
    if nested := getattr(inner, _NESTED, None):
        return {**record, _NESTED: encode_plan(nested)}
    return {**record, **encode(inner)}


def _decode_step(value: Any) -> Step:
    from netctl.steps.every import STEPS

    kinds: dict[str, type[Any]] = {kind.__name__: kind for kind in (Assembly, *STEPS)}
    kind = kinds.get(str(value.get("step"))) if isinstance(value, dict) else None
    if kind is None:
        raise CodecError(f"step: {value!r:.80} is not known")
    nested = _NESTED in field_names(kind)
    step: Step = kind(steps=decode_plan(value[_NESTED])) if nested else decode(kind, value)
    step = Undo(step=step) if value["taken_back"] else step
    return Attempt(step=step) if value.get("attempt") is True else step


@cache
def _decoder(kind: Any) -> Decoder:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union or origin is types.UnionType:
        return _optional(_decoder(next(a for a in arguments if a is not type(None))))
    if origin is tuple:
        return _tuple(arguments)
    if origin is dict:
        return _mapping(_decoder(arguments[1]))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    return _record(kind) if issubclass(kind, Record) else _plain(kind)


def _plain(kind: type[Any]) -> Decoder:
    def plain(value: Any, place: str) -> Any:
        if type(value) is not kind:
            raise CodecError(f"{place}: expected {kind.__name__}, found {value!r:.40}")
        return value

    return plain


def _enum(kind: type[Enum]) -> Decoder:
    def enum(value: Any, place: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise CodecError(f"{place}: {value!r:.40} is not a {kind.__name__}") from None

    return enum


def _optional(inner: Decoder) -> Decoder:
    return lambda value, place: None if value is None else inner(value, place)


def _tuple(arguments: tuple[Any, ...]) -> Decoder:
    endless = arguments[-1] is Ellipsis
    kinds = arguments[:-1] if endless else arguments

    def row(value: Any, place: str) -> Any:
        if not isinstance(value, list) or (not endless and len(value) != len(kinds)):
            raise CodecError(f"{place}: expected a list, found {value!r:.40}")
        # Most lists are empty, and what would read their items is not made for them.
        each = kinds * len(value) if endless else kinds
        return tuple([_decoder(each[i])(item, f"{place}.{i}") for i, item in enumerate(value)])

    return row


def _mapping(inner: Decoder) -> Decoder:
    def mapping(value: Any, place: str) -> Any:
        if not isinstance(value, dict):
            raise CodecError(f"{place}: expected a mapping, found {value!r:.40}")
        return {key: inner(item, f"{place}.{key}") for key, item in value.items()}

    return mapping


def _record(kind: type[Record]) -> Decoder:
    hints = _annotations(kind)
    plan = [(name, _decoder(hints[name]), required(kind, name)) for name in field_names(kind)]

    def record(value: Any, place: str) -> Any:
        if not isinstance(value, dict):
            raise CodecError(f"{place}: expected a mapping, found {value!r:.40}")
        found = {}
        for name, decoder, needed in plan:
            if name in value:
                found[name] = decoder(value[name], f"{place}.{name}")
            elif needed:
                raise CodecError(f"{place}.{name}: missing")
        return kind(**found)

    return record


def _annotations(kind: type[Record]) -> dict[str, Any]:
    """Return the types of a record's fields, as ``typing.get_type_hints`` does in ten times the
    time: annotations are text, and most are one of three."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        names = vars(sys.modules[base.__module__])
        for name, text in vars(base).get("__annotations__", {}).items():
            found[name] = _NAMED.get(text) or eval(text, names)
    return found
