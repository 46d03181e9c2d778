"""``netctl repair``."""

from __future__ import annotations

import click

from netctl.cli import State
from netctl.commands.common import dry_run, pass_state


@click.command(epilog="Example: netctl repair")
@dry_run
@pass_state
def repair(state: State) -> None:
    """Settle what a killed netctl left half done, and say what that was.

    Every command that changes something does this first, so it is seldom needed.
    """
    for line in state.controller.repair():
        click.echo(line)
