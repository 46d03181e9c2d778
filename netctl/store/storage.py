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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from tinydb.storages import Storage

from netctl.errors import KernelError, NotPermitted, StoreDamaged
from netctl.models import SCHEMA

Tables = dict[str, dict[str, Any]]

MIGRATIONS: dict[int, Callable[[Tables], Tables]] = {}
"""From a schema number to the function that brings its tables to the next number."""
_HEAD = rb'\{"schema":(\d+),"crc32":(\d+),"tables":'
_TAIL = b"}\n"
TEMPORARY = ".tmp"
_TOGETHER = 16
"""Files that are written at once: each is open meanwhile, and a process may have few, as 40."""
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

    def tables(self) -> Tables:
        """Return what belongs in the file; nothing where the file has to go."""
        tables = self._tables or {}
        return tables if any(tables.values()) else {}


def load(path: str) -> Tables | None:
    """Return a file's tables, None where there is no file. Raises ``StoreDamaged``."""
    raw = read_bytes(path)
    if raw is None:
        return None
    head = re.match(_HEAD, raw)
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


def flush(storages: Sequence[ShardStorage]) -> None:
    """Bring files up to date; those without documents are removed. The caller syncs the
    directories. Raises ``KernelError``: what was not reached is still dirty."""
    for start in range(0, len(storages), _TOGETHER):
        group = storages[start : start + _TOGETHER]
        files = {storage.path: storage.tables() for storage in group}
        save({path: tables for path, tables in files.items() if tables})
        for path in [path for path, tables in files.items() if not tables]:
            remove(path)
        for storage in group:
            storage.dirty = False


def save(files: Mapping[str, Tables]) -> None:
    """Write files, so that a crash leaves of each either the old or the new one. The caller syncs
    the directories. Raises ``KernelError`` and leaves the old ones, or some of them new."""
    try:
        with ExitStack() as opened:
            # All before the first is waited for: a disk takes many at once in little more time
            # than one, and a file system with a journal has to commit only once.
            begun = [opened.enter_context(_begun(path, files[path])) for path in files]
            for path, descriptor in zip(files, begun, strict=True):
                with _writing(path):
                    os.fsync(descriptor)
        for path in files:
            with _writing(path):
                _put_in_place(path)
    except KernelError:
        for path in files:
            with suppress(OSError):
                os.unlink(path + TEMPORARY)
        raise


@contextmanager
def _begun(path: str, tables: Tables) -> Iterator[int]:
    """Write the file that will take a file's place, and hold it open."""
    body = to_json(tables)
    head = b'{"schema":%d,"crc32":%d,"tables":' % (SCHEMA, zlib.crc32(body))
    with _writing(path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(path + TEMPORARY)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path + TEMPORARY, flags, 0o600)
    try:
        with _writing(path):
            write_all(descriptor, head + body + _TAIL)
            # So that the disk begins with it at once.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        yield descriptor
    finally:
        os.close(descriptor)


def _put_in_place(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path + ".bak")
    with suppress(FileNotFoundError):
        os.link(path, path + ".bak")
    os.rename(path + TEMPORARY, path)


@contextmanager
def _writing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
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


def write_all(descriptor: int, content: bytes, place: int = 0) -> None:
    """Write into a file from ``place`` on."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, place)
        view, place = view[written:], place + written


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
    error = StoreDamaged(
        f"{path} is damaged ({reason})",
        hint=_copy(path) or "put back a copy from a backup; without one, move the file away",
    )
    error.lines = tuple(filter(None, [_back(path)]))
    return error


def _copy(path: str) -> str:
    """Return how the previous copy is put back, ``""`` where there is no good one."""
    # It knows less than the kernel holds: what it does not know is in the way of a repair.
    known = "netctl gc shows what it does not know"
    return f"the previous good copy: {back}; {known}" if (back := _back(path)) else ""


def _back(path: str) -> str:
    return f"cp -p {path}.bak {path} && netctl repair" if _good(path + ".bak") else ""


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
