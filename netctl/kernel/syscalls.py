"""The system calls that Python 3.11 has no function for. Each raises ``OSError``."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from netctl import plainsignal as signal

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_IN_GOING = 0x40 | 0x80 | 0x200 | 0x400 | 0x800
"""linux/inotify.h: moved from and to, deleted; the directory itself deleted, moved."""
_IN_NAMES = 0x40 | 0x80 | 0x100 | 0x200
"""linux/inotify.h: moved from and to, created, deleted."""
_UNSPECIFIED = bytes(16)
"""A socket address of family AF_UNSPEC."""


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: object) -> int:
    import ctypes

    result: int = getattr(_libc(), name)(*args)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _long(value: int) -> object:
    import ctypes

    return ctypes.c_ulong(value)


def setns(fd: int, kind: int) -> None:
    """Bring the calling thread into the namespace behind ``fd``."""
    _call("setns", fd, kind)


def unshare(kinds: int) -> None:
    """Give the calling thread new namespaces."""
    _call("unshare", kinds)


def mount(source: str, target: str, flags: int) -> None:
    """Bind a mount or change its propagation."""
    _call("mount", os.fsencode(source), os.fsencode(target), None, _long(flags), None)


def umount(target: str, flags: int) -> None:
    _call("umount2", os.fsencode(target), flags)


def mount_kind(source: str, target: str, kind: str) -> None:
    """Mount a file system of a kind, ``sysfs``."""
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode(), _long(0), None)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (prctl PR_SET_PDEATHSIG)."""
    _call("prctl", _PR_SET_PDEATHSIG, _long(signal.SIGKILL))


def disconnect(fd: int) -> None:
    """Take address and port from a datagram socket, whose port the kernel has chosen (connect(2)
    with AF_UNSPEC)."""
    _call("connect", fd, _UNSPECIFIED, len(_UNSPECIFIED))


def set_title(title: str) -> None:
    """Name the calling thread, 15 letters at most, as ``ps -e`` shows it (prctl PR_SET_NAME)."""
    _call("prctl", _PR_SET_NAME, title.encode())


def watch(path: str) -> int:
    """Return a descriptor, not blocking, that is readable when something in a directory was deleted
    or moved, or the directory itself (inotify(7))."""
    descriptor = watcher()
    try:
        _call("inotify_add_watch", descriptor, os.fsencode(path), _IN_GOING)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def watcher() -> int:
    """Return a descriptor, not blocking, of a new inotify(7)."""
    return _call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)


def watch_names(descriptor: int, path: str) -> None:
    """Have an inotify tell when a name in a directory comes, goes, or becomes another file's."""
    _call("inotify_add_watch", descriptor, os.fsencode(path), _IN_NAMES)


def getsockopt(fd: int, level: int, option: int, request: bytes) -> bytes:
    """Ask with a request in the buffer of the answer, which Python's own function has not."""
    import ctypes

    buffer = ctypes.create_string_buffer(request, len(request))
    size = ctypes.c_uint(len(request))
    _call("getsockopt", fd, level, option, buffer, ctypes.byref(size))
    return buffer.raw[: size.value]
