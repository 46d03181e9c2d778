"""Ctrl-C and what else ends a command: between two objects, and never after the last one.

While an operation changes the kernel and the store, signals are held off. One that came meanwhile
arrives when the operation has ended; then it only keeps the next from beginning, so that what is
finished is reported as finished.
"""

from __future__ import annotations

from types import FrameType
from typing import Any

from netctl import plainsignal as signal
from netctl.errors import NetctlError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal ends this command."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Stopped(NetctlError):
    """A signal ended the command between two objects; the notes say what is done and what is left.

    The exit status is 128 and the number of the signal.
    """

    code, exit_code = "interrupted", 130


class Interruption:
    """The signals that end a command; what is ignored stays so, as after ``nohup``."""

    def __init__(self) -> None:
        self._number = 0
        self._held = False
        self._raised = False
        self._before: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """The exit status of what a signal ended."""
        return 128 + (self.number or signal.SIGINT)

    @property
    def number(self) -> int:
        """The first signal that came; 0 for none."""
        return self._number

    def arm(self) -> None:
        """Handle the signals from here on. Only a main thread can, and only it is ended."""
        for each in _ENDING:
            handler = signal.getsignal(each)
            if handler in (signal.SIG_DFL, signal.default_int_handler):
                self._before[each] = handler
                signal.signal(each, self._arrived)

    def disarm(self) -> None:
        """Leave the signals as they were."""
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before.clear()

    def begin(self) -> None:
        """Begin an operation. Raises ``Interrupted``, once, where a signal came before it: what
        clears up after that is not kept from its work."""
        self._held = False
        if self.number and not self._raised:
            self._raise()

    def hold(self) -> None:
        """An operation is being carried out, and soon has been: a signal is noted alone. It may
        come although it is held off, where another thread of this process takes it."""
        self._held = True

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self._number = self._number or number
        if not self._held:
            self._raise()

    def _raise(self) -> None:
        self._raised = True
        raise Interrupted(self.number)
