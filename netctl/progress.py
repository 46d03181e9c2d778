"""How far a command is, on stderr where that is a terminal and it takes long enough to be seen."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE = 0.5
"""Seconds before anything is shown, and rich is imported."""
_PAUSE = 0.1
"""Seconds between two changes of what is shown."""


class Meter:
    """A line that says what is done, and how much of it. It is drawn by whoever calls, without a
    thread: threads and namespaces do not go together."""

    def __init__(self, begun: float, *, colour: bool = True) -> None:
        """``begun`` is when the command began, by ``time.monotonic``."""
        self._colour = colour
        self._begun = begun
        self._drawn = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        dumb = os.environ.get("TERM") == "dumb"
        self._shown = not dumb and sys.stderr.isatty()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Say that ``done`` of ``total`` are done, where the total is known, and what is next."""
        now = time.monotonic()
        if self._shown and now - self._begun > _PATIENCE and now - self._drawn > _PAUSE:
            self._drawn = now
            self._draw(what, done, total)

    def hide(self) -> None:
        """Take the line away, as before another message."""
        if self._bar:
            self._bar.stop()
        self._bar = None

    def _draw(self, what: str, done: int, total: int | None) -> None:
        from netctl.streams import printable

        if not self._bar:
            self._bar = self._made()
            self._task = self._bar.add_task(printable(what), completed=done, total=total)
            self._bar.start()
        assert self._task is not None
        self._bar.update(
            self._task, completed=done, total=total, description=printable(what), refresh=True
        )

    def _made(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        return Progress(
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True, no_color=not self._colour),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )
