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
    """Finish or undo what a killed netctl left, and make the kernel match the store.

    Only differences are repaired (see netctl check); each is printed on a line. If something cannot
    be repaired, netctl names it and exits with 10.
    """
    _tell(state, state.controller.repair())


@click.command(epilog="Example: netctl restore")
@dry_run
@pass_state
def restore(state: State) -> None:
    """Recreate networks and sandboxes after a reboot, with the same addresses, MACs and ports.

    Other differences are repaired, as by netctl repair. netctl cannot recreate a namespace that it
    did not create: it names the sandbox and exits with 10.
    """
    _tell(state, state.controller.restore())


@click.command(epilog="Examples: netctl gc; netctl gc --yes")
@click.option("--yes", is_flag=True, help="Remove what is listed.")
@dry_run
@pass_state
def gc(state: State, yes: bool) -> None:
    """List what netctl created and nothing needs; remove it with --yes.

    Without --yes, what expires later is listed on stderr, the next one first.
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
