"""Frozen, slotted, keyword-only dataclasses that cost little to define.

``dataclass(frozen=True, slots=True)`` compiles six methods for each class, which takes 0.3 ms: for
the fifty classes behind a command that is more than all that the command does. Here
``dataclasses`` only finds the fields; nothing is compiled, and a class takes 0.03 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from typing import Any, TypeVar, dataclass_transform

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
    return tuple(field.name for field in fields(kind))


def _initialiser(kind: Any) -> Callable[..., None]:
    known = {field.name: field.default for field in fields(kind)}
    factories = {field.name: field.default_factory for field in fields(kind)}

    def __init__(self: object, **values: object) -> None:
        if unknown := values.keys() - known.keys():
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
        for name, value in {**known, **values}.items():
            if value is MISSING:
                value = _made(kind, name, factories[name])
            object.__setattr__(self, name, value)

    return __init__


def _made(kind: Any, name: str, factory: Any) -> object:
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
    return tuple(getattr(self, field.name) for field in fields(self))


def _eq(self: object, other: object) -> bool:
    if other.__class__ is not self.__class__:
        return False
    return _values(self) == _values(other)


def _hash(self: object) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
    return f"{type(self).__qualname__}({shown})"
