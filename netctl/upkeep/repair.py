"""Bringing the kernel to the store, touching only what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netctl.errors import NetctlError
from netctl.models import Network, Sandbox
from netctl.operation import Operation
from netctl.plan import Plan
from netctl.record import record
from netctl.rooms import Room
from netctl.upkeep import check, desired, leases, leftovers
from netctl.upkeep.check import Finding
from netctl.upkeep.leases import Ended

if TYPE_CHECKING:
    from netctl.controller import Controller


_ROUNDS = 3
"""An interface that was made anew lacks what it had, which only then is seen."""


@record
class Repaired:
    """What was brought back, and what could not be, one line each."""

    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class Repairs:
    """The repairs of one operation: each is done or not done on its own, and none stops another."""

    def __init__(self, op: Operation, controller: Controller) -> None:
        self._op = op
        self._controller = controller
        self._done: list[str] = []
        self._failed: dict[str, str] = {}

    @property
    def result(self) -> Repaired:
        left = tuple(f"{line}: {reason}" for line, reason in self._failed.items())
        return Repaired(done=tuple(self._done), left=left)

    def everything(self) -> None:
        """Bring back what another boot took, and whatever else differs."""
        dry = self._controller.dry_run
        for _ in range(1 if dry else _ROUNDS):
            self._failed.clear()
            # The networks first: sandboxes are joined to their bridges.
            if not any(
                [self._documents(), self._networks(), self._differences(), self._sandboxes()]
            ):
                break
        for finding in check.findings(self._op.reader, self._controller):
            if not (dry and finding.repairable) and finding.title not in self._failed:
                found = finding.difference
                reason = f"expected {found.expected}, found {found.found}"
                self._failed.setdefault(_line(finding), reason)

    def lost(self) -> None:
        """Make anew the networks and sandboxes whose objects are gone with another boot, or whose
        namespace is gone."""
        self._networks()
        self._sandboxes()
        for finding in check.lost_sandboxes(self._rooms()):
            if not finding.lost:
                self._failed[finding.title] = f"{_line(finding)} is {finding.difference.found}"

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
        for each in ended.values():
            self._try(f"{each.what}: {each.why}", self._dissolving(each))
        for item in strays:
            self._try(f"{item.what}: {item.why}", self._committing(item.plan))

    def _documents(self) -> bool:
        """Put documents right that contradict each other; one may hide another."""
        for number in range(_ROUNDS):
            found = [each for each in check.contradicting(self._op.reader) if each.changes]
            for finding in found:
                self._try(_line(finding), self._putting(finding))
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
        for network in old:
            self._try(f"network {network.name}", self._reviving(network))
        return bool(old)

    def _sandboxes(self) -> bool:
        found = check.lost_sandboxes(self._rooms())
        names = [finding.title for finding in found if finding.lost]
        for sandbox in self._op.reader.all(Sandbox):
            if f"sandbox {sandbox.name}" in names:
                self._try(f"sandbox {sandbox.name}", self._refreshing(sandbox))
        return bool(names)

    def _differences(self) -> bool:
        """Carry out every repair that is found, each once; return whether there was any."""
        plans: dict[Plan, str] = {}
        for finding in check.findings(self._op.reader, self._controller):
            if finding.difference.repair:
                plans.setdefault(finding.difference.repair, _line(finding))
        for plan, line in plans.items():
            self._try(line, self._committing(plan))
        return bool(plans)

    def _try(self, line: str, action: Callable[[], object]) -> None:
        try:
            action()
        except NetctlError as error:
            self._failed[line] = "; ".join([error.message, *error.notes])
        else:
            self._done.append(line)

    def _dissolving(self, item: Ended) -> Callable[[], object]:
        return lambda: leases.remove(self._op, item, self._controller)

    def _rooms(self) -> list[Room]:
        return list(desired.rooms(self._op.reader, self._controller))

    def _committing(self, plan: Plan) -> Callable[[], object]:
        return lambda: self._op.commit(plan, forward=True)

    def _reviving(self, network: Network) -> Callable[[], object]:
        return lambda: self._controller.networks.need(self._op, network.id)

    def _refreshing(self, sandbox: Sandbox) -> Callable[[], object]:
        return lambda: self._controller.sandboxes.renew(self._op, sandbox)


def _line(finding: Finding) -> str:
    return f"{finding.title}: {finding.difference.what}"
