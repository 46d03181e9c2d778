"""``netctl run``."""

from __future__ import annotations

from typing import Any

import click

from netctl.cli import State
from netctl.commands import common, complete
from netctl.commands.common import dry_run, pass_state
from netctl.commands.sandbox import definition, sandbox_options
from netctl.groups import Command


@click.command(
    cls=Command,
    context_settings={"allow_interspersed_args": False},
    epilog="Examples: netctl run -- ip address; netctl run --network web --network db -- ./server",
)
@click.option("--name", metavar="NAME", help="Name of the sandbox  [run-ID]")
@click.option(
    "--network",
    "networks",
    multiple=True,
    shell_complete=complete.networks,
    help="Network to join  [the default one]",
)
@common.publish
@common.sysctl
@common.limits
@sandbox_options
@common.terminal
@dry_run
@click.argument(
    "command", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=complete.programs
)
@pass_state
def run(
    state: State,
    /,
    name: str | None,
    networks: tuple[str, ...],
    ports: tuple[str, ...],
    sysctls: tuple[str, ...],
    rate_in: str | None,
    rate_out: str | None,
    burst: str | None,
    command: tuple[str, ...],
    **given: Any,
) -> int:
    """Run one command in a sandbox that is gone when the command ends.

    The default network comes into being where it is needed, and stays, whatever becomes of the
    command.

    The exit status is the command's, 128 and the number of the signal that ended it. The command is
    killed when this netctl dies.
    """
    return state.controller.sandboxes.run(
        command,
        name=name,
        networks=networks,
        ports=ports,
        endpoint={
            "sysctls": common.pairs(sysctls, "--sysctl"),
            "rate_in": rate_in,
            "rate_out": rate_out,
            "burst": burst,
        },
        **definition(given),
    )
