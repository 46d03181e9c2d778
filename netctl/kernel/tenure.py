"""Being the resolver of a run directory: one process at a time, and only while it can be told."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from netctl.errors import Conflict
from netctl.kernel import syscalls
from netctl.kernel.nameserver import Identity
from netctl.kernel.refusal import file_refused
from netctl.kernel.resolver import pid_path, socket_path

_EVENTS = 1 << 16
"""Bytes of events that are read at once; what they say does not matter."""


class Vigil:
    """Notices that somebody has taken a resolver's socket away, so that nobody can tell it anything
    any more: ``/run`` was cleared, or another one has begun."""

    def __init__(self, run_dir: str) -> None:
        """To be kept from when the socket listens. Raises ``KernelError``."""
        self._path = socket_path(run_dir)
        try:
            self._known = _identity(self._path)
            self._descriptor = syscalls.watch(run_dir)
        except OSError as error:
            raise file_refused(f"watch {run_dir}", error) from error

    def fileno(self) -> int:
        """What is readable when ``is_over`` is worth a look."""
        return self._descriptor

    def is_over(self) -> bool:
        with suppress(BlockingIOError):
            os.read(self._descriptor, _EVENTS)
        return _identity(self._path) != self._known

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_abandoned(namespaces: Collection[Identity]) -> bool:
    """Whether this process alone keeps these network namespaces: no other is in one of them, or in
    our mount namespace, or has one open, and no other mount namespace has a pin of one."""
    home = os.readlink("/proc/self/ns/mnt")
    names = {home, *(f"net:[{number}]" for _, number in namespaces)}
    others = [pid for pid in filter(str.isdecimal, os.listdir("/proc")) if int(pid) != os.getpid()]
    return not (_is_in(others, names) or _has_open(others, names))


def _is_in(pids: Sequence[str], names: Collection[str]) -> bool:
    seen: set[str] = set()
    for pid in pids:
        with suppress(OSError):  # It has ended, or is none of ours.
            mounts = os.readlink(f"/proc/{pid}/ns/mnt")
            if mounts in names or os.readlink(f"/proc/{pid}/ns/net") in names:
                return True
            if mounts not in seen:
                seen.add(mounts)
                with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as file:
                    if any(name in line for line in file for name in names):
                        return True
    return False


def _has_open(pids: Sequence[str], names: Collection[str]) -> bool:
    for pid in pids:
        with suppress(OSError):
            for entry in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):  # It has been closed.
                    if os.readlink(f"/proc/{pid}/fd/{entry}") in names:
                        return True
    return False


def leave_sign(run_dir: str) -> None:
    """Put a socket on which nobody listens where there is none: to the next command it says that
    a resolver has ended out of order."""
    with suppress(OSError):
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.bind(socket_path(run_dir))


@contextmanager
def owned(run_dir: str) -> Iterator[Callable[[], None]]:
    """Be the resolver of a run directory; lend a function that ends this before the block does.

    Raises ``Conflict`` where another process is it. The lock ends with the process.
    """
    path = pid_path(run_dir)
    descriptor = _locked(path)
    released = False

    def release() -> None:
        nonlocal released
        if not released:
            released = True
            with suppress(OSError):
                os.unlink(path)
            os.close(descriptor)

    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield release
    finally:
        release()


def _locked(path: str) -> int:
    """Return the locked file at ``path``; before it is locked its holder may remove it."""
    try:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise Conflict(
                    f"another process is the resolver: see {path}",
                    hint="one serves the whole host; that one ends with its last sandbox",
                ) from None
            if os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)
    except OSError as error:
        raise file_refused(f"lock {path}", error) from error
