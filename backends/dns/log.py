"""The resolver's log: rare, and bounded in rate and size."""

from __future__ import annotations

import os
import sys
import time
import traceback

_LARGEST = 1 << 20
"""Bytes at which the file begins anew."""
_MOST, _PERIOD = 20, 60.0
"""Lines in how many seconds."""


class Log:
    """Lines in a file, or on stderr for no path."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._since, self._lines, self._left_out = 0.0, 0, 0

    def tell(self, text: str) -> None:
        """Write a line, if there have not been too many."""
        now = time.monotonic()
        if now - self._since > _PERIOD:
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines > _MOST:
            self._left_out += 1
            return
        if self._left_out:
            text, self._left_out = f"{text} ({self._left_out} lines before it left out)", 0
        self._write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")

    def report(self) -> None:
        """Write the exception that is being handled."""
        self.tell("unexpected: " + traceback.format_exc().strip())

    def _write(self, line: str) -> None:
        # Nobody is there to be told of a full disk.
        try:
            if self._path is None:
                sys.stderr.write(line)
                return
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(self._path, flags, 0o600), "ab", buffering=0) as file:
                if file.tell() > _LARGEST:
                    file.truncate(0)
                file.write(line.encode(errors="replace"))
        except OSError:
            return
