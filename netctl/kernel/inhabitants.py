"""The processes of a network namespace, found by the namespace that each says to be in (proc(5)).

A process is where its main thread is. What it says of itself is its own choice: it is cut, and
whoever prints it makes it printable.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress

from netctl.record import Record

_OWN = "/proc/thread-self/ns/net"
_COMMAND_BYTES = 4096
"""Of a command line that are read."""

Place = tuple[int, int]
"""Device and inode of a namespace."""


class Process(Record):
    """A process in a network namespace."""

    pid: int
    uid: int
    """Effective user, as the namespace of this process counts them."""
    command: str
    """Its words with spaces between; where it has none the name, ``[NAME]``."""


def of(path: str) -> list[Process]:
    """Return the processes in the namespace at ``path`` (``""``: the host's), by their number."""
    place = _place(path or _OWN)
    found = (_process(pid) for pid, where in _everybody() if where == place)
    return sorted((each for each in found if each), key=lambda each: each.pid)


def inhabited(paths: Collection[str]) -> set[str]:
    """Return those of some namespaces, given by their paths, in which there are processes.

    Nothing is read that a process says of itself: that could make the reader wait.
    """
    taken = {where for _, where in _everybody()}
    return {path for path in paths if _place(path or _OWN) in taken}


def _everybody() -> Iterator[tuple[int, Place]]:
    """Yield every process with its namespace; who may not be looked at is left out."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (place := _place(f"/proc/{name}/ns/net")):
            yield int(name), place


def _place(path: str) -> Place | None:
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


def _process(pid: int) -> Process | None:
    """Return what a process is; None where it has ended meanwhile."""
    with suppress(OSError):
        uid = os.stat(f"/proc/{pid}").st_uid
        return Process(pid=pid, uid=uid, command=_command(pid))
    return None


def _command(pid: int) -> str:
    text = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ")
    if text:
        return text.decode(errors="replace")
    # A zombie, or a thread of the kernel.
    return f"[{_read(f'/proc/{pid}/comm').decode(errors='replace').strip()}]"


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(_COMMAND_BYTES) or b""
