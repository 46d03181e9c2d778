"""``netctl service``: dnet's words for endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netctl.cli import State
from netctl.commands import common, complete, looking
from netctl.commands.common import dry_run, format_option, pass_state
from netctl.groups import AliasGroup

if TYPE_CHECKING:
    from netctl.columns import View
    from netctl.models import Endpoint


@click.group(cls=AliasGroup)
def service() -> None:
    """Services: endpoints, in dnet's words.

    SERVICE is NAME.NETWORK: the last dot splits, without one it is of the default network. The
    beginning of an id does as well.
    """


@service.command(epilog="Examples: netctl service publish web1.web; netctl service publish web1")
@click.argument("name", metavar="SERVICE")
@click.option("--alias", "aliases", multiple=True, metavar="NAME", help="One more name of it.")
@common.made_format
@dry_run
@pass_state
def publish(state: State, name: str, aliases: tuple[str, ...], style: str) -> None:
    """Make a service and print its id."""
    from netctl.references import split_service

    controller = state.controller
    label, network = split_service(name)
    made = controller.endpoints.create(
        network or controller.config.default_network, label, aliases=aliases
    )
    common.created(state, made.id, style, looking.endpoint)


@service.command(epilog="Example: netctl service unpublish web1.web")
@click.argument("name", metavar="SERVICE", shell_complete=complete.services)
@click.option("-f", "--force", is_flag=True, help="Take it out of its container first.")
@dry_run
@pass_state
def unpublish(state: State, name: str, force: bool) -> None:
    """Remove a service."""
    state.controller.endpoints.remove(_find(state, name).id, force=force)


@service.command(epilog="Example: netctl service attach c1 web1.web --alias db1:database")
@click.argument("container", shell_complete=complete.sandboxes)
@click.argument("name", metavar="SERVICE", shell_complete=complete.free_services)
@click.option(
    "--alias",
    "aliases",
    multiple=True,
    metavar="NAME:ALIAS",
    help="Another name for NAME, in this container alone.",
)
@dry_run
@pass_state
def attach(state: State, container: str, name: str, aliases: tuple[str, ...]) -> None:
    """Bring a service into a container."""
    everywhere, here = common.aliases(aliases)
    # A name alone is an alias for itself, as in dnet.
    local = {**{alias: alias for alias in everywhere}, **here}
    state.controller.endpoints.join(_find(state, name).id, container, local_aliases=local)


@service.command(epilog="Example: netctl service detach c1 web1.web")
@click.argument("container", shell_complete=complete.inhabited_sandboxes)
@click.argument("name", metavar="SERVICE", shell_complete=complete.attached_services)
@dry_run
@pass_state
def detach(state: State, container: str, name: str) -> None:
    """Take a service out of a container; it keeps its addresses."""
    state.controller.endpoints.leave(_find(state, name).id, container)


@service.command(epilog="Example: netctl service ls --network web")
@click.option("--network", shell_complete=complete.networks, help="Only those of this network.")
@common.brief_listing
@pass_state
def ls(state: State, network: str | None, view: View) -> None:
    """List services."""
    from netctl import render, views

    controller = state.controller
    names = views.Names(controller.store, controller.kernel)
    rows = [views.service_row(handle.doc, names) for handle in controller.endpoints.list(network)]
    columns = [
        render.Column("SERVICE ID", "id"),
        render.Column("NAME", "name"),
        render.Column("NETWORK", "network"),
        render.Column("CONTAINER", "container"),
        render.Column("SANDBOX", "sandbox_id"),
    ]
    render.listed(rows, columns, view)


@service.command(epilog="Example: netctl service info web1.web")
@click.argument("name", metavar="SERVICE", shell_complete=complete.services)
@format_option("table")
@pass_state
def info(state: State, name: str, style: str) -> None:
    """Show a service for people."""
    from netctl import render, views

    names = views.Names(state.controller.store, state.controller.kernel)
    render.described(views.endpoint_detail(_find(state, name), names), style)


def _find(state: State, name: str) -> Endpoint:
    from netctl import references

    controller = state.controller
    return references.service(controller.store, name, controller.config.default_network)
