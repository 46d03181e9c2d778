"""The lock of one store: one writer at a time, a bounded wait, and a name for who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from netctl.errors import KernelError, LockTimeout, NotPermitted

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
"""Seconds between two tries."""


@contextmanager
def held(run_dir: str, operation: str, timeout: float) -> Iterator[None]:
    """Hold the lock in ``run_dir``; raise ``LockTimeout`` after ``timeout`` seconds.

    flock(2) belongs to the open file, so it ends with the process, however that ends. The file
    stays: unlinking it would let two processes hold two different ones.
    """
    descriptor = _opened(f"{run_dir}/lock", run_dir)
    try:
        _wait(descriptor, timeout)
        _sign(descriptor, operation)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _opened(path: str, run_dir: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        return os.open(path, flags, 0o600)
    except PermissionError as error:
        raise NotPermitted(f"{path}: {error.strerror}", hint="run netctl as root") from error
    except OSError as error:
        raise KernelError(f"{path}: {error.strerror}", errno=error.errno or 0) from error


def _wait(descriptor: int, timeout: float) -> None:
    end, pause = time.monotonic() + timeout, _FIRST_PAUSE
    while not _taken(descriptor):
        left = end - time.monotonic()
        if left <= 0:
            raise LockTimeout(
                f"another netctl holds the lock: {_holder(descriptor)}",
                hint=f"waited {timeout:g} s; --lock-timeout waits longer",
            )
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, operation: str) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps({"pid": os.getpid(), "operation": operation, "since": since})
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']}, '{holder['operation']}' since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it does not say who it is"
