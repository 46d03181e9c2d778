"""The one tree of errors. Every class has an exit code of its own, and codes are never reused."""

from __future__ import annotations


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

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.command_hint = hint

    @property
    def hint(self) -> str | None:
        """The remedy as Python: ``force=True``, where a command line says ``--force``.
        ``command_hint`` is the same for the command line."""
        if self.command_hint is None:
            return None
        from netctl.library_words import translated

        return translated(self.command_hint)

    @property
    def notes(self) -> list[str]:
        """What else went wrong while this error was handled (see ``add_note``)."""
        return list(getattr(self, "__notes__", []))


class InvalidInput(NetctlError):
    """A value that the user gave is wrong: nothing was touched."""

    code, exit_code = "usage", 2


class BadConfig(InvalidInput):
    """The configuration file or an environment variable holds a wrong value."""

    code = "config"


class NotFound(NetctlError):
    """No object bears that name or id."""

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

    def __init__(self, message: str, *, hint: str | None = None, errno: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class StoreDamaged(NetctlError):
    """A file of the store cannot be believed; the message names the file."""

    code, exit_code = "store_damaged", 8


class Partial(NetctlError):
    """Done in part; the notes list what is left."""

    code, exit_code = "partial", 10


class LockTimeout(NetctlError):
    """Another netctl holds the lock; the message names it."""

    code, exit_code = "locked", 75


class NotPermitted(KernelError):
    """A capability is missing; the message names it."""

    code, exit_code = "not_permitted", 77
