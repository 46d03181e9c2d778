"""A small file of the host's that others write: read again when it has changed."""

from __future__ import annotations

import os
import stat
import time

LIMIT = 1 << 16
"""Bytes that are read of it."""
_YOUNG = 100_000_000
"""Nanoseconds in which a second change may leave the same times: the kernel counts in ticks."""


class HostFile:
    """The file at ``path``: it may be a link, be replaced or written in place, and be missing."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: tuple[int, ...] = ()

    def changed(self) -> str | None:
        """Return its text where it is not the file that it was at the last call; None where it is,
        and where there is none that can be read."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        times = found.st_mtime_ns, found.st_ctime_ns
        now = found.st_dev, found.st_ino, found.st_size, *times
        if now == self._known:
            return None
        text = read_start(self._path)
        # One that has only just been written may be written again in the same tick.
        settled = abs(time.time_ns() - found.st_ctime_ns) > _YOUNG
        self._known = now if settled else ()
        return text


def read_start(path: str) -> str | None:
    """Return the first bytes of a file as text; None where no file is there that can be read."""
    try:
        # A pipe without a writer would block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return _whole_lines(file.read(LIMIT + 1)).decode("utf-8", "surrogateescape")
    except OSError:
        return None


def _whole_lines(data: bytes) -> bytes:
    return data if len(data) <= LIMIT else data[: data.rfind(b"\n", 0, LIMIT) + 1]
