"""The one process that may change the store: intents, commits, and the way into the shards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tinydb.table import Document as Row
from tinydb.table import Table

from netctl.codec import encode
from netctl.errors import Conflict, KernelError, NetctlError
from netctl.models import Document
from netctl.store import journal
from netctl.store.documents import KIND_OF, Changes, Delta, Intent, claim_shard
from netctl.store.storage import NO_ROOM, flush, sync_directory
from netctl.store.view import CLAIMS_ROW, View, of, place

_CHECKPOINT = 5000
"""Documents after which a long batch writes its shards."""


class Writer(View):
    """The store under its lock. Belongs to one ``Store.locked`` block."""

    def __init__(self, state_dir: str) -> None:
        super().__init__(state_dir, Delta())
        self._path = f"{state_dir}/journal"
        self._journal = journal.Journal(self._path)
        self._pending: Intent | None = None
        self._prepared: tuple[Changes, Delta] | None = None
        self._waiting = 0
        self._recover()

    def batch(self) -> None:
        """Say that many commits come under one lock, which are acknowledged together."""
        self._journal.batched = True

    def pending(self) -> Intent | None:
        """Return the intent that a dead process left."""
        return self._pending

    def begin(self, intent: Intent, *, sync: bool = True) -> None:
        """Write down what is about to be done. Raises ``Conflict`` for a held claim.

        ``sync`` is for what outlives a loss of power, which the intent has to outlive then.
        """
        self._prepared = intent.changes, self.delta(intent.changes)
        self._journal.intent(intent, sync=sync)
        self._pending = intent

    def commit(self, changes: Changes) -> None:
        """Record durably what was done; ends the intent. Raises ``Conflict``, ``KernelError``."""
        prepared, self._prepared = self._prepared, None
        delta = prepared[1] if prepared and prepared[0] is changes else self.delta(changes)
        # In a batch the next intent's sync, or the checkpoint at its end, takes it along.
        self._journal.commit(delta, sync=not self._journal.batched)
        # It has happened: nothing may fail any more, or the kernel would be rolled back.
        self._pending = None
        self._apply(delta)
        self._known.update(((doc.kind, doc.parent, doc.id), doc) for doc in changes.put)
        self._waiting += len(delta.documents)
        if self._waiting >= _CHECKPOINT:
            with suppress(NetctlError):
                self.checkpoint()

    def abort(self) -> None:
        """End the intent: nothing was done."""
        self._journal.abort()
        self._pending = self._prepared = None

    def checkpoint(self) -> None:
        """Bring the shards up to date, and begin the journal anew. What cannot be written
        (``KernelError``) is still in the journal."""
        storages = self.dirty()
        if storages:
            self._journal.fold()
        flush(storages)
        for directory in sorted({os.path.dirname(storage.path) for storage in storages}):
            sync_directory(directory)
        self._journal.restart(self._pending)
        self._waiting = 0

    def finish(self) -> None:
        """Bring the shards up to date at the end. The journal holds everything, so what cannot be
        written now is written by the next process; what was done is done all the same.

        Raises ``KernelError`` where a batch's commits may not outlive a loss of power.
        """
        try:
            self._journal.sync()
            with suppress(NetctlError):
                if self.dirty() or self._pending is None:
                    self.checkpoint()
        finally:
            self._journal.close()

    def delta(self, changes: Changes) -> Delta:
        """Return the changes as they are written; raise ``Conflict`` for another's claim.

        Every shard that they go into is open afterwards, so ``StoreDamaged`` comes before anything
        has happened.
        """
        delta = Delta(claims=dict(changes.claims))
        for document in changes.delete:
            delta.documents[document.kind, document.parent, document.id] = None
            delta.claims.update(dict.fromkeys(document.claims()))
        for document in changes.put:
            old = self.get(KIND_OF[document.kind], document.id, document.parent)
            for claim in (old.claims() if old else frozenset()) - document.claims():
                delta.claims.setdefault(claim, None)
        for document in changes.put:
            delta.documents[document.kind, document.parent, document.id] = encode(document)
            for claim in document.claims():
                self._check_free(claim, document, delta)
                delta.claims[claim] = document.id
        for path in _touched(delta):
            self.table(path)
        return delta

    def _check_free(self, claim: str, document: Document, delta: Delta) -> None:
        holder = delta.claims[claim] if claim in delta.claims else self.owner(claim)
        if holder not in (None, document.id):
            kind, _, name = claim.partition("/")
            raise Conflict(
                f"{kind} {name.rpartition('/')[2]} is taken already", hint="choose another"
            )

    def _apply(self, delta: Delta) -> None:
        for (kind, parent, object_id), row in delta.documents.items():
            _replace(self.table(place(kind, parent, object_id)), object_id, row)
            self._known.pop((kind, parent, object_id), None)
        shards: dict[str, dict[str, str | None]] = {}
        for claim, holder in delta.claims.items():
            shards.setdefault(claim_shard(claim), {})[claim] = holder
        for path, changes in shards.items():
            self._apply_claims(path, changes)

    def _apply_claims(self, path: str, changes: dict[str, str | None]) -> None:
        after = {**self.held(path), **changes}
        kept = {claim: holder for claim, holder in after.items() if holder}
        self._held[path] = kept
        self.table(path).truncate()
        if kept:
            self.table(path).insert(Row({"claims": kept}, doc_id=CLAIMS_ROW))

    def _recover(self) -> None:
        recorded = journal.read(self._path)
        if not recorded.written:
            return
        if recorded.torn:
            self._journal.cut(recorded.length)
        self._pending = recorded.pending
        self._apply(recorded.done)
        try:
            self.checkpoint()
        except KernelError as error:
            # A full disk stops nobody who only looks: the journal stays as long as it is.
            if error.errno not in NO_ROOM:
                raise


def _touched(delta: Delta) -> Iterator[str]:
    yield from (place(*key) for key in delta.documents)
    yield from map(claim_shard, delta.claims)


def _replace(table: Table, object_id: str, row: dict[str, Any] | None) -> None:
    # Not upsert: that would keep the keys that the new row no longer has.
    table.remove(of(object_id))
    if row is not None:
        table.insert(row)
