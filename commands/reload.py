"""``netctl reload``."""

from __future__ import annotations

import click

from netctl.cli import State
from netctl.commands.common import dry_run, pass_state


@click.command(epilog="Example: nft flush ruleset; netctl reload")
@dry_run
@pass_state
def reload(state: State) -> None:
    """Put the firewall's rules back, as after somebody flushed them.

    This is one transaction, and works whether the rules are there or not. The chains user-pre and
    user-post stay as they are.
    """
    state.controller.reload()
