"""The one tree of errors. Every class has an exit code of its own, and codes are never reused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self


class NetctlError(Exception):
    """Something netctl reports in one sentence: what, why and, as ``hint``, the remedy.

    ``code`` is the word in JSON errors and ``exit_code`` the process status; both are API.

    Example::

        try:
            controller.networks.get("absent")
        except netctl.NotFound as error:
            print(error.message, error.hint, error.exit_code)
    """

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | Callable[[], str] | None = None) -> None:
        """``hint`` may be a function, for one that costs something and is seldom read."""
        super().__init__(message)
        self.command_message = message
        self._hint = hint

    def __str__(self) -> str:
        return self.message

    @property
    def command_hint(self) -> str | None:
        """The remedy in the words of the command line."""
        return self._hint() if callable(self._hint) else self._hint

    @command_hint.setter
    def command_hint(self, hint: str | None) -> None:
        self._hint = hint

    @property
    def message(self) -> str:
        """What and why, in the library's words: ``ip``, where a command line says ``--ip``.
        ``command_message`` is the same for the command line."""
        return _for_programs(self.command_message)

    @property
    def hint(self) -> str | None:
        """The remedy as Python: ``force=True``, where a command line says ``--force``.
        ``command_hint`` is the same for the command line."""
        hint = self.command_hint
        return None if hint is None else _for_programs(hint)

    def __reduce__(self) -> tuple[object, ...]:
        """A hint may be a function, which does not go to another process."""
        return type(self), self.args, {**vars(self), "_hint": self.command_hint}

    @property
    def notes(self) -> list[str]:
        """What else went wrong while this error was handled (see ``add_note``).
        ``command_notes`` is the same for the command line."""
        return [_for_programs(note) for note in self.command_notes]

    @property
    def command_notes(self) -> list[str]:
        """The notes in the words of the command line."""
        return list(getattr(self, "__notes__", []))


def said(error: Exception) -> str:
    """Return what an error says, for what a command line prints of it within a sentence."""
    return error.command_message if isinstance(error, NetctlError) else str(error)


def _for_programs(text: str) -> str:
    from netctl.library_words import translated

    return translated(text)


class Notices(list[str]):
    """What is told beside a result, in the library's words as errors are. With ``words`` they are
    put in others: those of the command line, in which they are written, with ``str``."""

    _words = staticmethod(_for_programs)

    def __init__(self, words: Callable[[str], str] = _for_programs) -> None:
        super().__init__()
        self._words = words  # type: ignore[assignment]

    def append(self, text: str) -> None:
        super().append(self._words(text))

    def extend(self, texts: Iterable[str]) -> None:
        super().extend(map(self._words, texts))

    def __iadd__(self, texts: Iterable[str]) -> Self:  # type: ignore[override,misc]
        self.extend(texts)
        return self

    def __contains__(self, text: object) -> bool:
        return super().__contains__(self._words(str(text)))


class InvalidInput(NetctlError):
    """A value that the user gave is wrong: nothing was touched."""

    code, exit_code = "usage", 2


class BadConfig(InvalidInput):
    """The configuration file or an environment variable holds a wrong value."""

    code = "config"


class NotFound(NetctlError):
    """No object has that name or id."""

    code, exit_code = "not_found", 3


class Conflict(NetctlError):
    """The object exists already, is in use, or is in the wrong state."""

    code, exit_code = "conflict", 4


class NotJoined(Conflict):
    """The endpoint is in no sandbox."""


class Exhausted(NetctlError):
    """No address, pool or port is left."""

    code, exit_code = "exhausted", 5


class Unsupported(NetctlError):
    """This kernel or this driver cannot do it; the message names the feature."""

    code, exit_code = "unsupported", 6


class KernelError(NetctlError):
    """The kernel or the system refused. ``errno`` is 0 where there is none."""

    code, exit_code = "kernel", 7

    def __init__(
        self, message: str, *, hint: str | Callable[[], str] | None = None, errno: int = 0
    ) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class StoreDamaged(NetctlError):
    """A file of the store cannot be believed; the message names the file."""

    code, exit_code = "store_damaged", 8
    lines: tuple[str, ...] = ()
    """The commands that put the file's previous copy back, where that is a good one."""


class Partial(NetctlError):
    """Done in part; the notes list what is left."""

    code, exit_code = "partial", 10


class LockTimeout(NetctlError):
    """Another netctl holds the lock; the message names it."""

    code, exit_code = "locked", 75


class NotPermitted(KernelError):
    """A capability is missing; the message names it."""

    code, exit_code = "not_permitted", 77
