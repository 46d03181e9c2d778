"""``netctl container``: dnet's words for sandboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netctl.cli import State
from netctl.commands import complete, forms, looking
from netctl.commands.common import dry_run, pass_state
from netctl.groups import AliasGroup

if TYPE_CHECKING:
    from netctl.columns import View


@click.group(cls=AliasGroup)
def container() -> None:
    """Containers: sandboxes, in dnet's words."""


@container.command(epilog="Example: netctl container create c1")
@click.argument("name", metavar="ID")
@forms.made_format("sandbox")
@dry_run
@pass_state
def create(state: State, name: str, style: str) -> None:
    """Make a container called ID and print the id of its sandbox."""
    forms.created(state, state.controller.sandboxes.create(name).id, style, looking.sandbox)


@container.command(epilog="Example: netctl container rm c1")
@click.argument("name", metavar="ID", shell_complete=complete.sandboxes)
@forms.removed_format
@dry_run
@pass_state
def rm(state: State, name: str, style: str) -> int:
    """Remove a container. What is attached is detached first, and stays published."""
    from netctl.commands import several

    sandboxes = state.controller.sandboxes
    return several.remove_each(
        "container",
        [name],
        lambda names, tell: sandboxes.remove_each(names, tell, force=True),
        style=style,
        look=looking.named(sandboxes.get),
    )


@container.command(epilog="Example: netctl container ls")
@forms.brief_listing("container")
@pass_state
def ls(state: State, view: View) -> None:
    """List containers."""
    looking.listed(state, "container", (), view)
