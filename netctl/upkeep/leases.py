"""What nobody wants any more: expired, or of an owner that is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from netctl import removing
from netctl.definitions.lease import ended
from netctl.errors import NetctlError, said
from netctl.models import Network, Sandbox, SandboxKind
from netctl.operation import Operation
from netctl.record import Record
from netctl.store import Reader
from netctl.upkeep import desired

if TYPE_CHECKING:
    from netctl.controller import Controller


class Ended(Record):
    """A network or sandbox that has expired, or whose owner is gone."""

    document: Network | Sandbox
    why: str
    """Why it is removed, in words."""

    @property
    def what(self) -> str:
        """Its kind and its name: ``sandbox c1``."""
        return f"{self.document.kind} {self.document.name}"


def find(reader: Reader, controller: Controller) -> Iterator[Ended]:
    """Yield the sandboxes and networks that are at their end; sandboxes first, for they use
    networks."""
    documents: list[Sandbox | Network] = [*reader.all(Sandbox), *reader.all(Network)]
    for document in documents:
        if why := ended(document.lease, controller.kernel):
            yield Ended(document=document, why=why)


def upcoming(reader: Reader, controller: Controller) -> list[Network | Sandbox]:
    """Return the sandboxes and networks that expire, the next one first."""
    documents: list[Sandbox | Network] = [*reader.all(Sandbox), *reader.all(Network)]
    found = [
        (document.lease.expires, document)
        for document in documents
        if document.lease
        and document.lease.expires
        and not ended(document.lease, controller.kernel)
    ]
    return [document for _, document in sorted(found, key=lambda pair: pair[0])]


def for_good(reader: Reader, controller: Controller) -> Iterator[Ended]:
    """Yield the sandboxes that can never come back: somebody else made their namespace, and it is
    gone."""
    for room in desired.rooms(reader, controller):
        sandbox = room.sandbox
        if sandbox.type is SandboxKind.EXTERNAL and not room.alive and not room.intruded:
            yield Ended(document=sandbox, why="its namespace, which somebody else made, is gone")


def remove(op: Operation, item: Ended, controller: Controller) -> None:
    """Remove a document with all that hangs on it."""
    if isinstance(item.document, Sandbox):
        controller.sandboxes.dissolve(op, item.document)
    else:
        controller.networks.dissolve(op, item.document)


def give_way(op: Operation, controller: Controller, document: Network | Sandbox) -> bool:
    """Remove a document that is in the way where it is at its end; return whether it was."""
    if not (why := ended(document.lease, controller.kernel)):
        return False
    item = Ended(document=document, why=why)
    remove(op, item, controller)
    _removed(item, controller)
    return True


def reclaim(op: Operation, controller: Controller, kept: Collection[str]) -> bool:
    """Remove what is at its end, for somebody is short of what it holds; return whether anything
    went. What bears one of the ids ``kept`` is in use, and stays."""
    items = {each.document.id: each for each in find(op.reader, controller)}
    gone: list[str] = []

    def report(document_id: str, error: NetctlError | None) -> None:
        item = items[document_id]
        if error:
            line = f"{item.what}, {item.why}, cannot be removed: {said(error)}"
            controller.happened(line, line)
        else:
            gone.append(document_id)
            _removed(item, controller)

    wanted = [document_id for document_id in items if document_id not in kept]
    removing.within(
        controller, op, wanted, lambda op, name: remove(op, items[name], controller), report
    )
    return bool(gone)


def _removed(item: Ended, controller: Controller) -> None:
    what = f"{item.what}: {item.why}"
    controller.happened(f"removed {what}", f"would remove {what}")
