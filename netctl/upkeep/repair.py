"""Bringing the kernel to the store, touching only what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netctl import joining
from netctl.errors import NetctlError
from netctl.models import Network, Sandbox, SandboxKind
from netctl.operation import Operation
from netctl.plan import Plan
from netctl.record import record
from netctl.upkeep import check, leftovers

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
        self._left: list[str] = []

    @property
    def result(self) -> Repaired:
        return Repaired(done=tuple(self._done), left=tuple(self._left))

    def everything(self) -> None:
        """Bring back what another boot left behind, then whatever differs."""
        self.lost()
        dry = self._controller.dry_run
        for _ in range(1 if dry else _ROUNDS):
            if not self._round():
                break
        for finding in check.findings(self._op.reader, self._controller):
            difference = finding.difference
            if dry and difference.repair:
                continue
            line = f"{finding.title}: {difference.what}"
            self._left.append(f"{line}: expected {difference.expected}, found {difference.found}")

    def _round(self) -> bool:
        """Carry out every repair that is found, each once; return whether there was any."""
        found = check.findings(self._op.reader, self._controller)
        plans = dict.fromkeys(f.difference.repair for f in found if f.difference.repair)
        for plan in plans:
            first = next(f for f in found if f.difference.repair == plan)
            self._try(f"{first.title}: {first.difference.what}", self._committing(plan))
        return bool(plans)

    def lost(self) -> None:
        """Make anew the networks and sandboxes whose objects are gone with another boot, or whose
        namespace is gone."""
        for network in self._op.reader.all(Network):
            if check.old(network, self._controller):
                self._try(f"network {network.name}", self._reviving(network))
        for sandbox in self._op.reader.all(Sandbox):
            if not self._room(sandbox).alive and sandbox.type is not SandboxKind.EXTERNAL:
                self._try(f"sandbox {sandbox.name}", self._refreshing(sandbox))

    def collect(self) -> None:
        """Take away what no document knows."""
        for item in leftovers.find(self._op.reader, self._controller):
            self._try(f"{item.what}: {item.why}", self._committing(item.plan))

    def _try(self, line: str, action: Callable[[], object]) -> None:
        try:
            action()
        except NetctlError as error:
            self._left.append(f"{line}: {'; '.join([error.message, *error.notes])}")
        else:
            self._done.append(line)

    def _committing(self, plan: Plan) -> Callable[[], object]:
        return lambda: self._op.commit(plan, forward=True)

    def _reviving(self, network: Network) -> Callable[[], object]:
        return lambda: self._controller.networks.need(self._op, network.id)

    def _refreshing(self, sandbox: Sandbox) -> Callable[[], object]:
        return lambda: self._controller.sandboxes.renew(self._op, sandbox)

    def _room(self, sandbox: Sandbox) -> joining.Room:
        kernel, state_dir = self._controller.kernel, self._controller.config.state_dir
        return joining.enter(self._op.reader, sandbox, kernel, state_dir)
