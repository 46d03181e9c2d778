"""``netctl system``."""

from __future__ import annotations

import click

from netctl.cli import State
from netctl.commands.common import pass_state
from netctl.groups import AliasGroup


@click.group(cls=AliasGroup)
def system() -> None:
    """The units of systemd that keep networks alive, and words for network managers."""


_root = click.option(
    "--root", metavar="DIR", default="", help="Below this directory, as for an image  [/]"
)


@system.command(epilog="Example: netctl system install && systemctl daemon-reload")
@_root
def install(root: str) -> None:
    """Install and enable the units, and print the paths of their files.

    At boot netctl-restore.service makes networks and sandboxes anew, netctl-check.timer compares
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
    """Remove what install has put there, and print the paths."""
    from netctl import system as core

    for path in core.remove(root.rstrip("/")):
        click.echo(path)


@system.command(epilog="Example: netctl system resolver")
@pass_state
def resolver(state: State) -> None:
    """Be the resolver in the foreground, for netctl-resolver.service, until a signal comes.

    It takes the place of one that a command has started, and stays when the last sandbox goes.
    """
    from netctl import serving

    serving.stand(state.controller)
