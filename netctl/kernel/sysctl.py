"""Settings below /proc/sys, of any namespace."""

from __future__ import annotations

import errno
import os
import re
from typing import Self

from netctl.errors import InvalidInput, NetctlError
from netctl.kernel import namespaces
from netctl.kernel.refusal import not_permitted, refused
from netctl.names import same_setting

_PART = r"[!-.0-~]+"
"""Printable ASCII without the slash, as interfaces are named."""


def get(netns: str, key: str) -> str | None:
    """Return a setting; None where the kernel (or this namespace) lacks it."""
    path = _path(key)
    try:
        with _opened(netns, path, os.O_RDONLY) as file:
            return file.read().decode().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _refused(f"read {_name(netns, key)}", error) from error


def set(netns: str, key: str, value: str) -> None:
    """Bring a setting to ``value``; nothing is opened for writing where it has it already, as below
    a /proc/sys that is mounted read-only."""
    path, what = _path(key), f"set {_name(netns, key)} to {value}"
    try:
        # Entering costs more than what is done inside: once, to look and to write.
        with namespaces.entered(netns):
            if not _has(path, value):
                with _File(os.open(path, os.O_WRONLY | os.O_CLOEXEC)) as file:
                    file.write(value.encode())
    except OSError as error:
        raise _refused(what, error) from error


def _has(path: str, value: str) -> bool:
    try:
        with _File(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as file:
            return same_setting(file.read().decode().strip(), value)
    except PermissionError:
        return False  # One that can only be written.


def _opened(netns: str, path: str, flags: int) -> _File:
    # /proc/sys/net shows the opening thread's namespace; reading and writing then stay with it.
    with namespaces.entered(netns):
        return _File(os.open(path, flags | os.O_CLOEXEC))


class _File:
    """An open setting. One read or write is one value: no buffering."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self) -> bytes:
        return os.pread(self._fd, 65536, 0)

    def write(self, value: bytes) -> None:
        os.pwrite(self._fd, value, 0)


def _path(key: str) -> str:
    parts = key.split("/")
    if not all(re.fullmatch(_PART, part) and part not in (".", "..") for part in parts):
        raise InvalidInput(
            f"sysctl {key[:80]!r} is not a key",
            hint="give it with slashes, such as net/ipv4/ip_forward",
        )
    return "/proc/sys/" + key


def _name(netns: str, key: str) -> str:
    return f"sysctl {key} in {netns}" if netns else f"sysctl {key}"


def _refused(what: str, error: OSError) -> NetctlError:
    number = error.errno or 0
    if number == errno.EACCES:
        return not_permitted(what, number, "CAP_NET_ADMIN")
    found = refused(what, number)
    if number == errno.EROFS:
        found.command_hint = "/proc/sys is read-only, as in a container: set it outside"
    if number in (errno.EINVAL, errno.ERANGE):
        found.command_hint = (
            "the setting takes no such value: sysctl(8), and the kernel's ip-sysctl.rst"
        )
    return found
