"""Frozen, slotted, keyword-only dataclasses that cost little to define.

``dataclass(frozen=True, slots=True)`` compiles six methods for each class, which takes 0.3 ms: for
the fifty classes behind a command that is more than all that the command does. Here
``dataclasses`` only finds the fields; nothing is compiled, and a class takes 0.03 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Make a class a dataclass whose objects are compared by value and never change."""
    for method in (_setattr, _delattr, _eq, _hash, _repr):
        name = f"__{method.__name__[1:]}__"
        setattr(cls, name, method)
    made = dataclass(init=False, slots=True, kw_only=True, eq=False, repr=False)(cls)
    made.__init__ = _initialiser(made)  # type: ignore[method-assign]  # one for all its objects
    return made


def field_names(kind: Any) -> tuple[str, ...]:
    """Return the names of a record's fields."""
    return _field_names(kind)


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


if TYPE_CHECKING:
    from dataclasses import replace as replace
else:

    def replace(value, **changes):
        """Return a record with some fields changed: as ``dataclasses.replace``, but faster."""
        kind = type(value)
        return kind(**{**{name: getattr(value, name) for name in field_names(kind)}, **changes})


def _initialiser(kind: Any) -> Callable[..., None]:
    others = {field.name: (field.default, field.default_factory) for field in fields(kind)}
    # What the slots themselves offer passes by __setattr__, and is twice as fast as object's.
    fill = {name: getattr(kind, name).__set__ for name in others}

    def __init__(self: object, **values: object) -> None:
        for name, value in values.items():
            if name not in fill:
                raise TypeError(f"{kind.__name__} has no field {name}")
            fill[name](self, value)
        if len(values) < len(fill):
            for name in fill.keys() - values.keys():
                fill[name](self, _default(kind, name, *others[name]))

    return __init__


def _default(kind: Any, name: str, value: object, factory: Any) -> object:
    if value is not MISSING:
        return value
    if factory is MISSING:
        raise TypeError(f"{kind.__name__} needs the field {name}")
    return factory()


def _setattr(self: object, name: str, value: object) -> None:
    # An empty slot is filled once, as pickle does it.
    if hasattr(self, name):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delattr(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _values(self: Any) -> tuple[object, ...]:
    return tuple(getattr(self, name) for name in field_names(type(self)))


def _eq(self: object, other: object) -> bool:
    if other.__class__ is not self.__class__:
        return False
    return _values(self) == _values(other)


def _hash(self: object) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in field_names(type(self)))
    return f"{type(self).__qualname__}({shown})"
