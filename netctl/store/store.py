"""The store: readers without a lock, one writer with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

from netctl.errors import KernelError
from netctl.store import journal, lock
from netctl.store.documents import D, Intent
from netctl.store.storage import unwritable
from netctl.store.view import View
from netctl.store.writer import Writer

T = TypeVar("T")
_TRIES = 20
"""How often a reader begins again because a writer came in between."""


class Store:
    """The documents of one host, in ``state_dir``; who holds the lock is said in ``run_dir``.

    Nothing is opened before the first use. One object belongs to one thread.
    """

    def __init__(
        self,
        state_dir: str,
        run_dir: str,
        *,
        lock_timeout: float = 30.0,
        waiting: lock.Announce | None = None,
    ) -> None:
        """``lock_timeout`` is in seconds. ``waiting`` is told who holds the lock, once, where that
        takes more than one second."""
        self._waiting = waiting
        self.state_dir = state_dir
        self._run_dir = run_dir
        self._lock_timeout = lock_timeout
        self._writer: Writer | None = None

    def get(self, kind: type[D], object_id: str, parent: str = "") -> D | None:
        return self._read(lambda view: view.get(kind, object_id, parent))

    def all(self, kind: type[D], parent: str = "") -> list[D]:
        return self._read(lambda view: view.all(kind, parent))

    def by_prefix(self, kind: type[D], prefix: str, parent: str = "") -> list[D]:
        return self._read(lambda view: view.by_prefix(kind, prefix, parent))

    def owner(self, claim: str) -> str | None:
        return self._read(lambda view: view.owner(claim))

    def owners(self, names: Collection[str], prefix: str) -> dict[str, str]:
        return self._read(lambda view: view.owners(names, prefix))

    def claims(self) -> dict[str, str]:
        return self._read(lambda view: view.claims())

    def is_empty(self, kind: type[D], parent: str = "") -> bool:
        return self._read(lambda view: view.is_empty(kind, parent))

    def pending(self) -> Intent | None:
        """Return the intent in the journal, be its process dead or still at work."""
        return journal.read(f"{self.state_dir}/journal").pending

    @contextmanager
    def locked(self, operation: str) -> Iterator[Writer]:
        """Hold the lock as ``operation``; inside another such block, the same writer again.

        Raises ``LockTimeout``, ``StoreDamaged``, ``KernelError``.
        """
        if self._writer:
            self._writer.batch()
            yield self._writer
            return
        with (
            lock.held(self._run_dir, operation, self._lock_timeout, self._waiting),
            self._directory(),
        ):
            self._writer = Writer(self.state_dir)
            try:
                yield self._writer
            finally:
                writer, self._writer = self._writer, None
                writer.finish()

    def _read(self, look: Callable[[View], T]) -> T:
        """Read without a lock; once writers have come in between too often, among them."""
        if self._writer:
            return look(self._writer)
        for _ in range(_TRIES):
            found, undisturbed = self._try(look)
            if undisturbed:
                return found
        with lock.directory(self.state_dir, self._lock_timeout, self._waiting, shared=True):
            return self._try(look)[0]

    def _try(self, look: Callable[[View], T]) -> tuple[T, bool]:
        """Return what was read, and whether it was all of one moment.

        The journal says what was committed on top of the shards, and the shards change only after
        a line in it says so: what is appended meanwhile does not matter.
        """
        with journal.Reading(f"{self.state_dir}/journal") as reading:
            found = look(View(self.state_dir, reading.recorded().done))
            return found, reading.undisturbed()

    @contextmanager
    def _directory(self) -> Iterator[None]:
        self._prepare()
        with lock.directory(self.state_dir, self._lock_timeout, self._waiting):
            yield

    def _prepare(self) -> None:
        try:
            os.makedirs(self.state_dir, mode=0o700, exist_ok=True)
            found = os.lstat(self.state_dir)
        except OSError as error:
            raise unwritable(self.state_dir, error) from error
        if not stat.S_ISDIR(found.st_mode):
            raise KernelError(
                f"the state directory {self.state_dir} is not a directory of its own",
                hint="a symbolic link is not followed: give the real path with --state-dir",
            )
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise KernelError(
                f"the state directory {self.state_dir} can be changed by other users",
                hint=f"chown root {self.state_dir} && chmod 0700 {self.state_dir}",
            )
