"""The standard streams: what cannot be printed, and what must not reach a terminal."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TextIO

import click


class Output:
    """The standard output. It remembers why it could not be written: what is held back for a later
    flush fails then, and what is not held back fails only once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.trouble: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self.trouble = error
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self.trouble = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def say(line: str) -> None:
    """Print a line on stderr. Where that cannot be written nobody can be told so: the exit status
    still says it, and a change that is under way goes on."""
    with suppress(OSError):
        click.echo(line, err=True, color=True)


def printable(text: str) -> str:
    """Return text without the control characters that could steer a terminal."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
