"""Files and directories. Nothing is written through a symbolic link."""

from __future__ import annotations

import errno
import os

from netctl.errors import KernelError
from netctl.kernel.refusal import file_refused

_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


def read(path: str) -> str | None:
    """Return a file's text; None where there is no file. Odd bytes survive a write."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise file_refused(f"read {path}", error) from error


def write(path: str, content: str) -> None:
    """Put a new file at ``path``, mode 0644: readers see the old one or the new one.

    A symbolic link that stands there is replaced, not followed. Nothing is synced: a sandbox's
    files serve its namespace, which does not outlive the machine's power either, and whoever makes
    that anew writes them anew.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name[:200]}.{os.urandom(6).hex()}")
    try:
        try:
            _write_new(temporary, content)
            os.rename(temporary, path)
        except BaseException:
            _unlink(temporary)
            raise
    except OSError as error:
        raise file_refused(f"write {path}", error) from error


def delete(path: str) -> None:
    """Remove a file."""
    try:
        _unlink(path)
    except OSError as error:
        raise file_refused(f"remove {path}", error) from error


def directory_create(path: str) -> None:
    """``mkdir -p PATH``, mode 0755 whatever the umask."""
    try:
        make_directories(path)
    except OSError as error:
        raise file_refused(f"make directory {path}", error) from error


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


def directory_delete(path: str) -> None:
    """``rmdir PATH``; one that is not empty stays."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError as error:
        # EEXIST is what POSIX allows in the place of ENOTEMPTY.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise file_refused(f"remove directory {path}", error) from error


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
        raise file_refused(f"link {path} to {target}", error) from error


def symlink_delete(path: str, target: str) -> None:
    """Remove a symbolic link if it leads to ``target``."""
    try:
        if _link_target(path) == target:
            _unlink(path)
    except OSError as error:
        raise file_refused(f"remove link {path}", error) from error


def _link_target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return


def _write_new(path: str, content: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, _FILE_MODE), "wb") as file:
        os.fchmod(file.fileno(), _FILE_MODE)
        file.write(content.encode("utf-8", "surrogateescape"))
