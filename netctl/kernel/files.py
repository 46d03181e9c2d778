"""Files and directories. Nothing is written through a symbolic link."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from netctl.errors import KernelError, NetctlError
from netctl.names import quote

_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755
_LONGEST = 16 << 20
"""Bytes of a file that is read."""


def _refused(what: str, error: OSError) -> NetctlError:
    from netctl.kernel.refusal import file_refused

    return file_refused(what, error)


def read(path: str) -> str | None:
    """Return a file's text; None where there is no file. Odd bytes survive a write."""
    try:
        # A pipe that nobody writes to would hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            _check_regular(path, os.fstat(descriptor))
            return file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _refused(f"read {path}", error) from error


def is_namespace(path: str) -> bool:
    """Whether a namespace is bound to a path, of which kind is not looked at."""
    try:
        return os.stat(path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _check_regular(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_size >= _LONGEST:
        raise KernelError(
            f"read {path}: not a file, or longer than {_LONGEST >> 20} MiB",
            hint="give the path of a file of text",
        )


def write(path: str, content: str) -> None:
    """Write a file; a new one, mode 0644, is there whole or not at all.

    One that is there is written in place, for a running program may have it bound over /etc/hosts.
    A symbolic link is replaced, not followed. Nothing is synced: a sandbox's files serve its
    namespace, which does not outlive the machine's power either, and whoever makes that anew
    writes them anew.
    """
    data = content.encode("utf-8", "surrogateescape")
    try:
        if not _overwritten(path, data):
            _put(path, data)
    except FileNotFoundError as error:
        directory = os.path.dirname(path)
        raise KernelError(
            f"write {path}: there is no directory {directory}",
            hint=f"mkdir -p {quote(directory)}",
            errno=errno.ENOENT,
        ) from error
    except OSError as error:
        raise _refused(f"write {path}", error) from error


def delete(path: str) -> bool:
    """Remove a file; return whether it was there."""
    try:
        return _unlink(path)
    except OSError as error:
        raise _refused(f"remove {path}", error) from error


def directory_create(path: str) -> None:
    """``mkdir -p PATH``, mode 0755 whatever the umask."""
    try:
        make_directories(path)
    except OSError as error:
        raise _refused(f"make directory {path}", error) from error


def make_directories(path: str) -> None:
    """Make a directory and its parents; raises ``OSError``."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and parent != path:
        make_directories(parent)
    try:
        os.mkdir(path, _DIRECTORY_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    else:
        os.chmod(path, _DIRECTORY_MODE)


def directory_delete(path: str) -> bool:
    """``rmdir PATH``; one that is not empty, or mounted upon, stays. Returns whether it went."""
    try:
        os.rmdir(path)
    except OSError as error:
        # EEXIST is what POSIX allows in the place of ENOTEMPTY.
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            raise _refused(f"remove directory {path}", error) from error
        return False
    return True


def symlink(path: str, target: str) -> None:
    """``ln -s TARGET PATH``; the same link being there already is fine."""
    try:
        os.symlink(target, path)
    except FileExistsError as error:
        if _link_target(path) != target:
            raise KernelError(
                f"link {path} to {target}: something else is there",
                hint="move it out of the way",
                errno=errno.EEXIST,
            ) from error
    except OSError as error:
        raise _refused(f"link {path} to {target}", error) from error


def symlink_delete(path: str, target: str) -> bool:
    """Remove a symbolic link if it leads to ``target``; return whether it did."""
    try:
        return _link_target(path) == target and _unlink(path)
    except OSError as error:
        raise _refused(f"remove link {path}", error) from error


def directory_list(path: str) -> list[str]:
    """Return the names in a directory, sorted; none where it is missing."""
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _refused(f"list {path}", error) from error


def link_target(path: str) -> str | None:
    """Return where a symbolic link leads; None where there is none."""
    try:
        return _link_target(path)
    except OSError as error:
        raise _refused(f"read link {path}", error) from error


def _link_target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _overwritten(path: str, data: bytes) -> bool:
    """Write into the regular file that is there; False where there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        return False
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            _fill(descriptor, data, os.pread(descriptor, found.st_size, 0))
        return stat.S_ISREG(found.st_mode)
    finally:
        os.close(descriptor)


def _fill(descriptor: int, data: bytes, before: bytes) -> None:
    try:
        _write_at_start(descriptor, data)
    except OSError:
        with suppress(OSError):
            _write_at_start(descriptor, before)
        raise


def _write_at_start(descriptor: int, data: bytes) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], done)
    os.ftruncate(descriptor, len(data))


def _put(path: str, data: bytes) -> None:
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name[:200]}.{os.urandom(6).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, _FILE_MODE), "wb", buffering=0) as file:
            os.fchmod(file.fileno(), _FILE_MODE)
            _write_at_start(file.fileno(), data)
        os.rename(temporary, path)
    except BaseException:
        _unlink(temporary)
        raise
