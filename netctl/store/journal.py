"""The write-ahead journal: what is intended and what is done, durable line by line.

A line is ``CRC32 JSON``. A commit line is the moment in which an operation has happened; the shards
follow when the lock is released. A last line without its end was torn by a crash, and was never
acknowledged; one that has its end and not its checksum is damage.

In a batch the file grows ahead of its lines, by zeros: a sync that has no length to record waits
half as long. A loss of power may then leave zeros in the middle of what was not synced yet. Lines
tell how much was when they were written, so that such a hole is known from damage.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from netctl.codec import CodecError
from netctl.errors import StoreDamaged
from netctl.models import SCHEMA
from netctl.store.documents import (
    Delta,
    Intent,
    decode_changes,
    decode_delta,
    encode_changes,
    encode_delta,
)
from netctl.store.storage import (
    open_regular,
    read_bytes,
    sync_directory,
    to_json,
    unreadable,
    unwritable,
    write_all,
)

_FOLD = b'{"type":"fold"'
_LEAST, _MOST = 16384, 262144
"""Bytes by which the file of a batch grows, about as many as it has."""
_UNWRITTEN = b"\0"
"""What is where the file has grown and no line is yet; JSON has none."""


class NewerSchema(ValueError):
    """A record in a form that this netctl does not know."""


class Recorded:
    """What a journal says."""

    def __init__(self, *, written: bool) -> None:
        """``written`` says whether there is anything in it."""
        self.written = written
        self.done = Delta()
        self.pending: Intent | None = None
        self.length = 0
        """Bytes of its whole lines."""
        self.torn = False
        """Whether there is more: a line that has no end, or the room for others."""


class Reading:
    """The journal as a reader found it, and whether that is still so. It is held open meanwhile:
    another file cannot get its number."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: io.FileIO | None = None
        self._length = 0

    def __enter__(self) -> Self:
        try:
            self._file = open(self._path, "rb", buffering=0, opener=open_regular)
        except FileNotFoundError:
            self._file = None
        except OSError as error:
            raise unreadable(self._path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def recorded(self) -> Recorded:
        """Return what it says. Raises ``StoreDamaged``."""
        found = _settled(self._path, self._content)
        self._length = found.length
        return found

    def _content(self) -> bytes:
        if not self._file:
            return b""
        self._file.seek(0)
        return self._file.readall()

    def undisturbed(self) -> bool:
        """Whether no line has gone into the shards since ``recorded``."""
        try:
            there = os.stat(self._path).st_ino
        except OSError:
            there = 0
        if not self._file:
            return not there
        if there != os.fstat(self._file.fileno()).st_ino:
            return False
        # What was torn then may have an end by now, or be cut off.
        self._file.seek(self._length)
        return _FOLD not in self._file.readall()


def read(path: str) -> Recorded:
    """Return what the journal says, nothing where there is none. Raises ``StoreDamaged``."""
    return _settled(path, lambda: read_bytes(path) or b"")


def _settled(path: str, content: Callable[[], bytes]) -> Recorded:
    """Return what a journal says that may be written meanwhile.

    Who reads where the file has grown may miss a line and see those after it. It is there when it
    is read again; what is not is damage.
    """
    before = ""
    while True:
        try:
            return parsed(path, content())
        except StoreDamaged as error:
            if str(error) == before:
                raise
            before = str(error)


def parsed(path: str, raw: bytes) -> Recorded:
    """Return what a journal of that content says. Raises ``StoreDamaged``."""
    whole = raw.split(b"\n")[:-1]
    recorded = Recorded(written=bool(raw))
    for number, line in enumerate(whole, 1):
        record = _record(line)
        if record is None:
            if _UNWRITTEN in line and recorded.length >= _synced(whole[number:]):
                break
            raise _damaged(path, number)
        recorded.length += len(line) + 1
        try:
            _apply(record, recorded)
        except NewerSchema as error:
            raise _newer(path) from error
        except (KeyError, TypeError, ValueError, CodecError) as error:
            raise _damaged(path, number) from error
    recorded.torn = recorded.length < len(raw)
    return recorded


def _synced(lines: list[bytes]) -> int:
    """Return how many bytes of the journal were synced when these lines were written."""
    return max((record.get("synced", 0) for record in map(_record, lines) if record), default=0)


def _record(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    record: dict[str, Any] = json.loads(text)
    return record


def _apply(record: dict[str, Any], recorded: Recorded) -> None:
    if record.get("schema", SCHEMA) > SCHEMA:
        raise NewerSchema
    match record["type"]:
        case "intent":
            recorded.pending = _decode_intent(record)
        case "commit":
            recorded.done.add(decode_delta(record))
            recorded.pending = None
        case "abort":
            recorded.pending = None
        case "fold":
            pass
        case other:
            raise ValueError(other)


def _newer(path: str) -> StoreDamaged:
    return StoreDamaged(
        f"{path} was written by a newer netctl (this one knows schema {SCHEMA})",
        hint="use that netctl, or a newer one",
    )


def _damaged(path: str, number: int) -> StoreDamaged:
    return StoreDamaged(
        f"{path} is damaged in line {number}",
        hint="it holds what the last operations did: keep a copy, then move it away",
    )


def _encode_intent(intent: Intent) -> dict[str, Any]:
    return {
        "type": "intent",
        "schema": SCHEMA,
        "operation": intent.operation,
        "pid": intent.pid,
        "boot_id": intent.boot_id,
        "forward": intent.forward,
        "plan": list(intent.plan),
        "changes": encode_changes(intent.changes),
    }


def _decode_intent(record: dict[str, Any]) -> Intent:
    return Intent(
        operation=record["operation"],
        pid=record["pid"],
        boot_id=record["boot_id"],
        forward=record["forward"],
        plan=tuple(record["plan"]),
        changes=decode_changes(record["changes"]),
    )


class Journal:
    """The journal of the process that holds the lock."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._size = 0
        """Bytes of its lines."""
        self._synced = 0
        """Of those, how many no loss of power takes."""
        self._room = 0
        """Bytes that the file has grown to."""
        self.batched = False
        """Whether many lines are to come."""

    def intent(self, intent: Intent, *, sync: bool = True) -> None:
        """Without ``sync`` the line outlives this process, but not yet a loss of power."""
        self._append(_encode_intent(intent), sync=sync)

    def commit(self, delta: Delta, *, sync: bool = True) -> None:
        """See ``intent`` for ``sync``."""
        self._append({"type": "commit", "schema": SCHEMA, **encode_delta(delta)}, sync=sync)

    def abort(self) -> None:
        self._append({"type": "abort"})

    def fold(self) -> None:
        """Say to readers that what is written here goes into the shards from now on.

        Were power lost with half of them written, the journal would have to tell the rest.
        """
        # Of a journal that was found nobody knows how much of it is on the disk.
        found = self._descriptor < 0
        self._append({"type": "fold"}, sync=found or self._synced < self._size)

    def sync(self) -> None:
        """Wait until no loss of power takes any of its lines. Raises ``KernelError``."""
        try:
            if self._synced < self._size:
                os.fdatasync(self._descriptor)
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._synced = self._size

    def cut(self, length: int) -> None:
        """Take away what comes after ``length`` bytes, a torn line: another written behind it would
        make it a whole one, which is damage."""
        try:
            os.truncate(self._path, length)
        except OSError as error:
            raise unwritable(self._path, error) from error

    def restart(self, pending: Intent | None) -> None:
        """Begin anew: forget what is in the shards by now, keep what is pending.

        Another file takes the journal's place, if only an empty one: it is by the file's number
        that readers see what has happened, for the times of files are too coarse (10 ms and more
        before Linux 6.13).
        """
        self.close()
        aside = self._path + ".tmp"
        try:
            if not pending and not _size_of(self._path):
                return
            _unlink(aside)
            fresh = Journal(aside)
            if pending:
                fresh.intent(pending)
            else:
                fresh._open()
            fresh.close()
            os.rename(aside, self._path)
            if pending:
                sync_directory(os.path.dirname(self._path))
        except OSError as error:
            raise unwritable(self._path, error) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size, self._synced, self._room = -1, 0, 0, 0

    def _append(self, record: dict[str, Any], *, sync: bool = True) -> None:
        text = to_json({**record, "synced": self._synced} if self._synced else record)
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        try:
            if self._descriptor < 0:
                self._open()
                sync_directory(os.path.dirname(self._path))
            if self.batched and self._size + len(line) > self._room:
                self._grow(len(line))
            write_all(self._descriptor, line, self._size)
            if sync:
                os.fdatasync(self._descriptor)
        except OSError as error:
            self._take_back()
            raise unwritable(self._path, error) from error
        self._size += len(line)
        self._synced = self._size if sync else self._synced

    def _grow(self, least: int) -> None:
        """Make room for more lines than the next one; where there is none, that one says so."""
        more = least + min(max(self._size, _LEAST), _MOST)
        with suppress(OSError):
            write_all(self._descriptor, _UNWRITTEN * more, self._size)
            self._room = self._size + more

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = self._room = os.fstat(self._descriptor).st_size

    def _take_back(self) -> None:
        """Cut off what was written of a line that could not be written whole."""
        with suppress(OSError):
            if self._descriptor >= 0:
                self._room = self._size
                os.ftruncate(self._descriptor, self._size)


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
