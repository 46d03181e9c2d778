"""``netctl repair``, ``restore`` and ``gc``: the kernel and the store are brought together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netctl.cli import State
from netctl.commands.common import dry_run, pass_state
from netctl.streams import say

if TYPE_CHECKING:
    from netctl.upkeep.repair import Repaired


@click.command(epilog="Examples: netctl repair --dry-run; netctl repair")
@dry_run
@pass_state
def repair(state: State) -> None:
    """Settle what a killed netctl left half done, and bring the kernel back to the store.

    Only what differs is touched (see netctl check), and printed, a line each. What cannot be
    brought back is named, and the exit status is 10.
    """
    _tell(state, state.controller.repair())


@click.command(epilog="Example: netctl restore")
@dry_run
@pass_state
def restore(state: State) -> None:
    """Make networks and sandboxes anew after a reboot, with the same addresses, MACs and ports.

    Whatever else differs is brought back as by netctl repair. A namespace that somebody else had
    made cannot be made again: it is named, and the exit status is 10.
    """
    _tell(state, state.controller.restore())


@click.command(epilog="Examples: netctl gc; netctl gc --yes")
@click.option("--yes", is_flag=True, help="Remove it.")
@dry_run
@pass_state
def gc(state: State, yes: bool) -> None:
    """List what bears netctl's mark and no document knows; remove it with --yes.

    What expires later is named on stderr, the next one first.
    """
    if not yes or state.dry_run:
        for item in state.controller.leftovers():
            click.echo(f"{'# ' if state.dry_run else ''}would remove {item.what}: {item.why}")
    if state.dry_run or yes:
        _tell(state, state.controller.collect())
        return
    for document in state.controller.expiring():
        if lease := document.lease:
            say(f"netctl: {document.kind} {document.name} expires at {lease.expires}")


def _tell(state: State, repaired: Repaired) -> None:
    from netctl.errors import Partial

    state.hide_progress()
    for line in repaired.done:
        click.echo(line)
    if repaired.stopped:
        from netctl.commands.several import stopped

        error = stopped(state, list(repaired.done), list(repaired.stopped))
        for line in repaired.left:
            error.add_note(f"failed: {line}")
        raise error
    if repaired.left:
        hint = "; ".join(repaired.remedies) or "netctl check shows them"
        count = len(repaired.left)
        what = f"{count} would be left" if state.dry_run else f"done in part: {count} left"
        partial = Partial(what, hint=hint)
        for line in repaired.left:
            partial.add_note(line)
        raise partial
