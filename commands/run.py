"""``netctl run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netctl.cli import State
from netctl.commands import common, complete
from netctl.commands.common import dry_run, pass_state
from netctl.commands.sandbox import definition, sandbox_options
from netctl.groups import Command

if TYPE_CHECKING:
    from netctl.definitions.endpoint import EndpointOptions


@click.command(
    cls=Command,
    context_settings={"allow_interspersed_args": False},
    epilog="Examples: netctl run -- ip address; netctl run --network web --network db -- ./server;"
    " netctl run --network web --ip 172.17.0.9 --alias www -p 8080:80 -- ./server",
)
@click.option("--name", metavar="NAME", help="Name of the sandbox  [run-ID]")
@click.option(
    "--network",
    "networks",
    multiple=True,
    shell_complete=complete.run_networks,
    help="Network to join, or none or host  [the default one]",
)
@common.priority
@common.endpoint_aliases
@common.endpoint_details
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
    command: tuple[str, ...],
    **given: Any,
) -> int:
    """Run one command in a sandbox that is gone when the command ends.

    The default network is created if the command needs it, and stays afterwards. --network none
    gives the sandbox a loopback only, --network host the host's own stack; neither goes with
    another network. A network of that name takes precedence.

    With several --network, --sysctl and the rates apply to every endpoint, -p to the way out, and
    the other options of endpoints to the first network.

    The exit status is the command's, 128 and the number of the signal that ended it. The command is
    killed when this netctl dies.
    """
    everywhere, here = common.aliases(given["aliases"])
    first = common.endpoint_definition({**given, "labels": (), "ports": ()}, everywhere)
    each: EndpointOptions = {
        "sysctls": first["sysctls"],
        "rate_in": first["rate_in"],
        "rate_out": first["rate_out"],
        "burst": first["burst"],
    }
    return state.controller.sandboxes.run(
        command,
        name=name,
        networks=networks,
        ports=given["ports"],
        endpoint=each,
        first=first,
        priority=given["priority"],
        local_aliases=here,
        **definition(given),
    )
