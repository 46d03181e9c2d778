"""TinyDB's storage, made safe: files are written aside, synced and renamed, and checked.

A file is one JSON document, ``{"schema":N,"crc32":N,"tables":{...}}``; the checksum is over the
bytes of the tables. The previous good copy stays beside it as ``FILE.bak``.
"""

from __future__ import annotations

import errno
import json
import os
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tinydb.storages import Storage

from netctl.errors import KernelError, NotPermitted, StoreDamaged
from netctl.models import SCHEMA

Tables = dict[str, dict[str, Any]]

MIGRATIONS: dict[int, Callable[[Tables], Tables]] = {}
"""From a schema number to the function that brings its tables to the next number."""
_HEAD = re.compile(rb'\{"schema":(\d+),"crc32":(\d+),"tables":')
_TAIL = b"}\n"
TEMPORARY = ".tmp"
_NESTED = "endpoints"
"""The directory with one for each network: see ``documents.folder``."""
_NO_DIRECTORY = "a file is in the way; --state-dir and --run-dir are directories"
_UNREADABLE = {
    errno.ENOTDIR: _NO_DIRECTORY,
    errno.ELOOP: "a symbolic link is not followed there: move it out of the way",
    errno.EISDIR: "a directory is in the place of a file: move it out of the way",
}
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""The disk takes nothing, whoever asks."""
_MAKE_ROOM = "nothing was changed; make room there (df -h and df -i show how much), and try again"
_UNWRITABLE = {
    errno.EEXIST: _NO_DIRECTORY,
    errno.ENOTDIR: _NO_DIRECTORY,
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EROFS: "nothing was changed; the file system is mounted read-only: remount it writable",
}


class ShardStorage(Storage):
    """One file. What TinyDB writes is kept until ``flush``, so a shard is written once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.dirty = False
        self._tables = load(path)

    def read(self) -> Tables | None:
        return self._tables

    def write(self, data: Tables) -> None:
        self._tables = data
        self.dirty = True

    def flush(self) -> None:
        """Bring the file up to date; one without documents is removed."""
        if not self.dirty:
            return
        if any((self._tables or {}).values()):
            save(self.path, self._tables or {})
        else:
            remove(self.path)
        self.dirty = False


def load(path: str) -> Tables | None:
    """Return a file's tables, None where there is no file. Raises ``StoreDamaged``."""
    raw = read_bytes(path)
    if raw is None:
        return None
    head = _HEAD.match(raw)
    if not head or not raw.endswith(_TAIL):
        raise damaged(path, "it is cut off or not a file of the store")
    body = raw[head.end() : -len(_TAIL)]
    schema = int(head[1])
    if schema > SCHEMA:
        good = _copy(path)
        raise StoreDamaged(
            f"{path} was written by a newer netctl (schema {schema}, this one knows {SCHEMA})",
            hint="use that netctl, or a newer one"
            + (f"; if none was ever here it is damaged, and {good}" if good else ""),
        )
    if zlib.crc32(body) != int(head[2]):
        raise damaged(path, "its checksum is wrong")
    return _migrated(path, schema, body)


def to_json(value: dict[str, Any]) -> bytes:
    """Return the bytes of a record. What was read of a file of the host need not be UTF-8; its
    bytes come back as they were, for ``json.loads`` takes lone surrogates from bytes."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="surrogatepass")


def _migrated(path: str, schema: int, body: bytes) -> Tables:
    try:
        tables: Tables = json.loads(body)
        for number in range(schema, SCHEMA):
            tables = MIGRATIONS[number](tables)
    except (ValueError, KeyError) as error:
        raise damaged(path, str(error)) from error
    return tables


def save(path: str, tables: Tables) -> None:
    """Write a file, so that a crash leaves either the old or the new one. The caller syncs the
    directory. Raises ``KernelError`` and leaves the old file."""
    body = to_json(tables)
    head = b'{"schema":%d,"crc32":%d,"tables":' % (SCHEMA, zlib.crc32(body))
    temporary = path + TEMPORARY
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        write_new(temporary, head + body + _TAIL)
        with suppress(FileNotFoundError):
            os.unlink(path + ".bak")
        with suppress(FileNotFoundError):
            os.link(path, path + ".bak")
        os.rename(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise unwritable(path, error) from error


def remove(path: str) -> None:
    """Remove a file and its previous copy, and the directories where it was the last."""
    for name in (path, path + ".bak"):
        try:
            os.unlink(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unwritable(name, error) from error
    directory = os.path.dirname(path)
    with suppress(OSError):
        os.rmdir(directory)
        parent = os.path.dirname(directory)
        if os.path.basename(parent) == _NESTED:
            os.rmdir(parent)


def write_new(path: str, content: bytes) -> None:
    """Write a file that does not exist yet, and sync it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def read_bytes(path: str) -> bytes | None:
    """Return a file's content, None where there is none. A link is not followed."""
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            return file.readall()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error


def open_regular(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def sync_directory(path: str) -> None:
    """Make the renames in a directory last; one that is gone has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        os.close(descriptor)


def damaged(path: str, reason: str) -> StoreDamaged:
    """Return the error for a file that cannot be believed."""
    return StoreDamaged(
        f"{path} is damaged ({reason})",
        hint=_copy(path) or "put back a copy from a backup; without one, move the file away",
    )


def _copy(path: str) -> str:
    """Return how the previous copy is put back, ``""`` where there is no good one."""
    if not _good(path + ".bak"):
        return ""
    # It knows less than the kernel holds: what it does not know is in the way of a repair.
    back = f"cp -p {path}.bak {path} && netctl repair"
    return f"the previous good copy: {back}; netctl gc shows what it does not know"


def _good(path: str) -> bool:
    try:
        return os.path.exists(path) and load(path) is not None
    except (StoreDamaged, KernelError):
        return False


def unreadable(path: str, error: OSError) -> KernelError:
    """Return the error for a file or directory that cannot be opened."""
    if isinstance(error, PermissionError):
        return NotPermitted(f"{path} cannot be read ({error.strerror})", hint="run netctl as root")
    return KernelError(
        f"{path} cannot be read ({error.strerror})",
        hint=_UNREADABLE.get(error.errno or 0, "see what the system's log says of that disk"),
        errno=error.errno or 0,
    )


def unwritable(path: str, error: OSError) -> KernelError:
    """Return the error for a file that cannot be written."""
    if isinstance(error, PermissionError):
        return NotPermitted(f"{path} cannot be written ({error.strerror})", hint="run as root")
    return KernelError(
        f"{path} cannot be written ({error.strerror})",
        hint=_UNWRITABLE.get(error.errno or 0, "nothing was changed; make it writable"),
        errno=error.errno or 0,
    )
