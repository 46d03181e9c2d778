"""The lock of one store: one writer at a time, a bounded wait, and a name for who holds it.

Writers take two: a file in the run directory, which says who holds it, and the state directory
itself, which they share even where their run directories differ. A reader that keeps being
disturbed takes the second, beside other readers.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from netctl.errors import LockTimeout
from netctl.store.storage import unreadable, unwritable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
"""Seconds between two tries."""
_PATIENCE = 1.0
"""Seconds after which waiting is announced."""

Announce = Callable[[str], object]
"""What is told who holds the lock that is waited for."""


@contextmanager
def held(
    run_dir: str, operation: str, timeout: float, announce: Announce | None = None
) -> Iterator[None]:
    """Hold the lock in ``run_dir``; raise ``LockTimeout`` after ``timeout`` seconds. ``announce``
    is called once, when it takes more than one second.

    flock(2) belongs to the open file, so it ends with the process, however that ends. The file
    stays: unlinking it would let two processes hold two different ones.
    """
    descriptor = _opened(f"{run_dir}/lock", run_dir)
    try:
        _wait(descriptor, fcntl.LOCK_EX, timeout, _holder, announce)
        _sign(descriptor, operation)
        yield
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


@contextmanager
def directory(
    path: str, timeout: float, announce: Announce | None = None, *, shared: bool = False
) -> Iterator[None]:
    """Hold the directory ``path`` itself; ``shared`` is for reading. Raises ``LockTimeout``, and
    calls ``announce`` as ``held`` does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from error
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        of_another = f"{path}, with a run directory of its own"
        _wait(descriptor, kind, timeout, lambda _: of_another, announce)
        yield
    finally:
        os.close(descriptor)


def _opened(path: str, run_dir: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise unwritable(path, error) from error


def _wait(
    descriptor: int,
    kind: int,
    timeout: float,
    holder: Callable[[int], str],
    announce: Announce | None,
) -> None:
    begun, pause = time.monotonic(), _FIRST_PAUSE
    end = begun + timeout
    while not _taken(descriptor, kind):
        left = end - time.monotonic()
        if left <= 0:
            raise LockTimeout(
                f"another netctl holds the lock: {holder(descriptor)}",
                hint=f"waited {timeout:g} s; --lock-timeout waits longer",
            )
        if announce and time.monotonic() - begun > _PATIENCE:
            announce(holder(descriptor))
            announce = None
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _taken(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, operation: str) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps({"pid": os.getpid(), "operation": operation, "since": since})
    # It only tells others who to wait for: a full disk is no reason to stop.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']}, '{holder['operation']}' since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not said who it is"
