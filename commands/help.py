"""``netctl help``."""

from __future__ import annotations

import click

from netctl.commands import complete
from netctl.groups import Command


@click.command(
    cls=Command, epilog="Examples: netctl help network create; netctl help doctor", name="help"
)
@click.argument("words", nargs=-1, metavar="[COMMAND]...", shell_complete=complete.commands)
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command, as its --help does."""
    at = ctx.find_root()
    for word in words:
        if not isinstance(at.command, click.Group):
            raise click.UsageError(f"{at.command_path} has no command {word[:60]!r}.", at)
        name, found, _ = at.command.resolve_command(at, [word])
        if found is None:
            raise click.UsageError(f"No such command {word[:60]!r}.", at)
        at = click.Context(found, parent=at, info_name=name)
    click.echo(at.get_help())
