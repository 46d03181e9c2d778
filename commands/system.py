"""``netctl system``."""

from __future__ import annotations

import click

from netctl.cli import State
from netctl.commands.common import pass_state
from netctl.groups import AliasGroup


@click.group(cls=AliasGroup)
def system() -> None:
    """Units of systemd, and configuration for network managers."""


_root = click.option(
    "--root", metavar="DIR", default="", help="Use this root directory, such as an image's  [/]"
)


@system.command(epilog="Example: netctl system install && systemctl daemon-reload")
@_root
def install(root: str) -> None:
    """Install and enable the units, and print the paths of their files.

    At boot netctl-restore.service recreates networks and sandboxes, netctl-check.timer compares
    them with the store now and then, netctl-resolver.service keeps names resolving, and
    NetworkManager and systemd-networkd keep off netctl's interfaces.
    """
    from netctl import system as core

    for path in core.install(root.rstrip("/")):
        click.echo(path)
    if not root:
        click.echo("netctl: systemctl daemon-reload makes systemd read them", err=True)


@system.command(epilog="Example: netctl system uninstall")
@_root
def uninstall(root: str) -> None:
    """Remove what install installed, and print the paths."""
    from netctl import system as core

    for path in core.remove(root.rstrip("/")):
        click.echo(path)


@system.command(epilog="Example: netctl system resolver")
@pass_state
def resolver(state: State) -> None:
    """Run the resolver in the foreground, for netctl-resolver.service, until a signal ends it.

    It replaces a resolver that a command started, and stays after the last sandbox is removed.
    """
    from netctl import serving

    serving.stand(state.controller)
