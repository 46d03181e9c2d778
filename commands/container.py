"""``netctl container``: dnet's words for sandboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netctl.cli import State
from netctl.commands import common, complete, looking
from netctl.commands.common import dry_run, pass_state
from netctl.groups import AliasGroup

if TYPE_CHECKING:
    from netctl.columns import View


@click.group(cls=AliasGroup)
def container() -> None:
    """Containers: sandboxes, in dnet's words."""


@container.command(epilog="Example: netctl container create c1")
@click.argument("name", metavar="ID")
@common.made_format
@dry_run
@pass_state
def create(state: State, name: str, style: str) -> None:
    """Make a container called ID and print the id of its sandbox."""
    common.created(state, state.controller.sandboxes.create(name).id, style, looking.sandbox)


@container.command(epilog="Example: netctl container rm c1")
@click.argument("name", metavar="ID", shell_complete=complete.sandboxes)
@dry_run
@pass_state
def rm(state: State, name: str) -> None:
    """Remove a container. What is attached is detached first, and stays published."""
    state.controller.sandboxes.remove(name, force=True)


@container.command(epilog="Example: netctl container ls")
@common.brief_listing
@pass_state
def ls(state: State, view: View) -> None:
    """List containers."""
    from netctl import render, views
    from netctl.models import Sandbox

    kernel = state.controller.kernel
    rows = [views.sandbox_row(doc, kernel) for doc in state.controller.store.all(Sandbox)]
    columns = [
        render.Column("SANDBOX ID", "id"),
        render.Column("CONTAINER", "name"),
        render.Column("SERVICES", "endpoint_count"),
        render.Column("KEY", "key"),
    ]
    render.listed(rows, columns, view)
