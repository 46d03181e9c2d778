"""Frozen, slotted, keyword-only classes of values that cost little to define.

``dataclass(frozen=True, slots=True)`` compiles six methods for each class and makes it twice, which
takes 0.3 ms: for the hundred classes behind a command that is more than all that the command does.
Here a class is made once, of its annotations, in 0.01 ms, and nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, dataclass_transform

if TYPE_CHECKING:
    from dataclasses import replace as replace


MISSING = object()
"""The default of a field that has none."""


class _Made:
    """A default that is made anew for each record."""

    __slots__ = ("factory",)

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def field(*, default_factory: Callable[[], Any]) -> Any:
    """Say how a field's default is made, as ``dataclasses.field`` does."""
    return _Made(default_factory)


class _Slotted(type):
    """Gives a class a slot for each of its annotations, and takes their defaults aside."""

    _defaults: dict[str, Any]
    _fill: dict[str, Any]

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _Slotted:
        annotations: dict[str, str] = namespace.get("__annotations__", {})
        own = [each for each, kind in annotations.items() if not kind.startswith("ClassVar")]
        defaults = {each: namespace.pop(each, MISSING) for each in own}
        made = super().__new__(cls, name, bases, {**namespace, "__slots__": own})
        inherited = (base._defaults for base in bases if isinstance(base, _Slotted))
        made._defaults = {k: v for each in (*inherited, defaults) for k, v in each.items()}
        # What the slots themselves offer passes by __setattr__, and is twice as fast as object's.
        made._fill = {each: getattr(made, each).__set__ for each in made._defaults}
        return made


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Record(metaclass=_Slotted):
    """Base of classes whose objects are compared by value and never change. Their annotations are
    text (``from __future__ import annotations``)."""

    if not TYPE_CHECKING:  # else anything could be assigned

        def __init__(self, **values):
            fill = type(self)._fill
            for name, value in values.items():
                if name not in fill:
                    raise TypeError(f"{type(self).__name__} has no field {name}")
                fill[name](self, value)
            if len(values) < len(fill):
                for name in fill.keys() - values.keys():
                    fill[name](self, _default(type(self), name))

        def __setattr__(self, name, value):
            # An empty slot is filled once, as pickle does it.
            if hasattr(self, name):
                raise _frozen(f"cannot assign to field {name!r}")
            object.__setattr__(self, name, value)

        def __delattr__(self, name):
            raise _frozen(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return False
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in field_names(type(self)))
        return f"{type(self).__qualname__}({shown})"


def _values(record: Record) -> tuple[object, ...]:
    return tuple([getattr(record, name) for name in type(record)._defaults])


def field_names(kind: type[Record]) -> tuple[str, ...]:
    """Return the names of a record's fields."""
    return tuple(kind._defaults)


def required(kind: type[Record], name: str) -> bool:
    """Whether a field has no default."""
    return kind._defaults[name] is MISSING


if not TYPE_CHECKING:

    def replace(value, **changes):
        """Return a record with some fields changed, as ``dataclasses.replace`` does."""
        kind = type(value)
        return kind(**{**{name: getattr(value, name) for name in kind._defaults}, **changes})


def _default(kind: type[Record], name: str) -> Any:
    value = kind._defaults[name]
    if value is MISSING:
        raise TypeError(f"{kind.__name__} needs the field {name}")
    return value.factory() if isinstance(value, _Made) else value


def _frozen(what: str) -> AttributeError:
    from dataclasses import FrozenInstanceError

    return FrozenInstanceError(what)
