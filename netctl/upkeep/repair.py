"""Bringing the kernel to the store, touching only what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netctl import removing
from netctl.errors import NetctlError
from netctl.models import Network, Sandbox
from netctl.operation import Operation
from netctl.plan import Plan
from netctl.record import Record
from netctl.rooms import Room
from netctl.upkeep import check, desired, leases, leftovers
from netctl.upkeep.check import Finding
from netctl.upkeep.leases import Ended
from netctl.upkeep.leftovers import Leftover

if TYPE_CHECKING:
    from netctl.controller import Controller


Removal = Callable[[Operation], object]
_ROUNDS = 3
"""An interface that was made anew lacks what it had, which only then is seen."""


class Repaired(Record):
    """The result of ``repair``, ``restore`` and ``collect``."""

    done: tuple[str, ...] = ()
    """What was mended or removed, one line each."""
    left: tuple[str, ...] = ()
    """What could not be, with the reason, one line each."""
    remedies: tuple[str, ...] = ()
    """What to do about ``left``."""
    stopped: tuple[str, ...] = ()
    """Names of the objects that it did not reach, because a signal ended it."""


class Repairs:
    """The repairs of one operation: each is done or not done on its own, and none stops another."""

    def __init__(self, op: Operation, controller: Controller) -> None:
        self._op = op
        self._controller = controller
        self._done: list[str] = []
        self._failed: dict[str, str] = {}
        self._remedies: dict[str, str] = {}

    @property
    def result(self) -> Repaired:
        left = tuple(f"{line}: {reason}" for line, reason in self._failed.items())
        remedies = dict.fromkeys(filter(None, map(self._remedies.get, self._failed)))
        return Repaired(done=tuple(self._done), left=left, remedies=tuple(remedies))

    def everything(self) -> None:
        """Bring back what another boot took, and whatever else differs."""
        dry = self._controller.dry_run
        for _ in range(1 if dry else _ROUNDS):
            self._failed.clear()
            documents = self._documents()
            # Looked for before all else: a dry run leaves in the kernel what it would make anew.
            found = check.findings(self._op.reader, self._controller)
            if self._controller.left:
                return
            # The networks first: sandboxes are joined to their bridges.
            if not any([documents, self._networks(), self._differences(found), self._sandboxes()]):
                break
            if self._controller.left:
                return
        left = found if dry else check.findings(self._op.reader, self._controller)
        for finding in () if self._controller.left else left:
            if not ((dry and finding.repairable) or finding.because):
                self._leave(finding)

    def _leave(self, finding: Finding) -> None:
        if finding.title in self._failed or finding.line in self._failed:
            return
        there = finding.difference
        self._failed[finding.line] = f"expected {there.expected}, found {there.found}"
        self._remedies[finding.line] = finding.remedy

    def collect(self) -> None:
        """Take away what is at its end, and what no document knows."""
        reader, controller = self._op.reader, self._controller
        ended = {
            item.document.id: item
            for found in (leases.find(reader, controller), leases.for_good(reader, controller))
            for item in found
        }
        # Looked for first: a dry run leaves in the kernel what it takes out of the documents.
        strays = tuple(leftovers.find(reader, controller))
        removals: dict[str, Removal] = {
            f"{each.what}: {each.why}": _dissolving(each, controller) for each in ended.values()
        }
        removals |= {f"{item.what}: {item.why}": _sweeping(item) for item in strays}
        removing.within(
            controller, self._op, list(removals), lambda op, line: removals[line](op), self._told
        )
        self._done = [f"removed {line}" for line in self._done]

    def _documents(self) -> bool:
        """Put documents right that contradict each other; one may hide another."""
        for number in range(_ROUNDS):
            found = [
                each
                for each in check.contradicting(self._op.reader, self._controller.kernel)
                if each.changes
            ]
            for finding in found:
                self._try(finding.line, self._putting(finding))
            if not found:
                return number > 0
        return True

    def _putting(self, finding: Finding) -> Callable[[], object]:
        changes = finding.changes
        assert changes
        return lambda: self._op.commit(
            (), put=changes.put, delete=changes.delete, claims=changes.claims
        )

    def _networks(self) -> bool:
        old = [n for n in self._op.reader.all(Network) if check.old(n, self._controller)]
        for network in self._controller.through(old, lambda each: f"network {each.name}"):
            self._try(f"network {network.name}", self._reviving(network))
        return bool(old)

    def _sandboxes(self) -> bool:
        found = check.lost_sandboxes(self._rooms())
        names = [finding.title for finding in found if finding.lost]
        lost = [s for s in self._op.reader.all(Sandbox) if f"sandbox {s.name}" in names]
        for sandbox in self._controller.through(lost, lambda each: f"sandbox {each.name}"):
            self._try(f"sandbox {sandbox.name}", self._refreshing(sandbox))
        return bool(names)

    def _differences(self, found: list[Finding]) -> bool:
        """Carry out every repair that is found, each once; return whether there was any. What
        follows from something that is not brought back is left: it would be of somebody else's."""
        if self._controller.left:
            return False  # They follow from what is left.
        tried: set[Plan] = set()
        stuck = {each.line for each in found if not each.repairable}
        for finding in self._controller.through(found, lambda each: each.line):
            plan = finding.difference.repair
            if not plan or plan in tried or finding.because in stuck:
                continue
            tried.add(plan)
            if not self._try(finding.line, self._committing(plan)):
                stuck.add(finding.line)
        return bool(tried)

    def _try(self, line: str, action: Callable[[], object]) -> bool:
        try:
            with self._controller.noticing():
                action()
        except NetctlError as error:
            self._told(line, error)
            return False
        self._told(line, None)
        return True

    def _told(self, line: str, error: NetctlError | None) -> None:
        if error is None:
            self._done.append(line)
        else:
            self._failed[line] = "; ".join([error.command_message, *error.command_notes])
            self._remedies[line] = error.command_hint or ""

    def _rooms(self) -> list[Room]:
        return list(desired.rooms(self._op.reader, self._controller))

    def _committing(self, plan: Plan) -> Callable[[], object]:
        return lambda: self._op.commit(plan, forward=True)

    def _reviving(self, network: Network) -> Callable[[], object]:
        return lambda: self._controller.networks.need(self._op, network.id)

    def _refreshing(self, sandbox: Sandbox) -> Callable[[], object]:
        return lambda: self._controller.sandboxes.renew(self._op, sandbox)


def _dissolving(item: Ended, controller: Controller) -> Removal:
    return lambda op: leases.remove(op, item, controller)


def _sweeping(item: Leftover) -> Removal:
    return lambda op: op.commit(item.plan, forward=True)
