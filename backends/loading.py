"""Finding drivers by name: the built-in ones, and those that installed packages offer."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from netctl.errors import InvalidInput, Unsupported

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


def load(what: str, name: str, built_in: Mapping[str, str], group: str, kind: type[T]) -> T:
    """Return the object of a name: a built-in ``module:Class``, or an entry point of ``group``.

    ``kind`` is a runtime-checkable protocol. Raises ``InvalidInput`` for an unknown name, and
    ``Unsupported`` for an installed one that cannot be used.
    """
    if name in built_in:
        module, _, attribute = built_in[name].partition(":")
        found: T = getattr(import_module(module), attribute)()
        return found
    point = _installed(name, group)
    if point is None:
        known = ", ".join(sorted(built_in))
        raise InvalidInput(f"unknown {what} {name[:60]!r}", hint=f"known {what}s: {known}")
    return _made(what, point, kind)


def _installed(name: str, group: str) -> EntryPoint | None:
    # Reading the entry points of everything installed takes 25 ms: only for names not built in.
    from importlib.metadata import entry_points

    return next(iter(entry_points(group=group, name=name)), None)


def _made(what: str, point: EntryPoint, kind: type[T]) -> T:
    package = point.dist.name if point.dist else point.module
    try:
        made = point.load()()
    except Exception as error:  # it is somebody else's code
        raise Unsupported(
            f"{what} {point.name!r} of package {package} cannot be loaded"
            f" ({type(error).__name__}: {error})",
            hint=f"update or remove {package}",
        ) from error
    if not isinstance(made, kind):
        raise Unsupported(
            f"{what} {point.name!r} of package {package} is not a {kind.__name__}",
            hint=f"update or remove {package}",
        )
    return made
