"""``netctl service``: dnet's words for endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netctl.cli import State
from netctl.commands import common, complete, forms, looking
from netctl.commands.common import dry_run, pass_state
from netctl.groups import AliasGroup

if TYPE_CHECKING:
    from netctl.columns import View
    from netctl.models import Endpoint


@click.group(cls=AliasGroup)
def service() -> None:
    """Services: endpoints, in dnet's words.

    SERVICE is NAME.NETWORK, split at the last dot; without a dot, the default network's. The
    beginning of an id works as well.
    """


@service.command(epilog="Examples: netctl service publish web1.web; netctl service publish web1")
@click.argument("name", metavar="SERVICE")
@click.option("--alias", "aliases", multiple=True, metavar="NAME", help="Another name for it.")
@forms.made_format("endpoint")
@dry_run
@pass_state
def publish(state: State, name: str, aliases: tuple[str, ...], style: str) -> None:
    """Create a service and print its id."""
    from netctl.references import split_service

    controller = state.controller
    label, network = split_service(name)
    made = controller.endpoints.create(
        network or controller.config.default_network, label, aliases=aliases
    )
    forms.created(state, made.id, style, looking.endpoint)


@service.command(epilog="Example: netctl service unpublish web1.web")
@click.argument("name", metavar="SERVICE", shell_complete=complete.services)
@click.option("-f", "--force", is_flag=True, help="Make it leave its container first.")
@forms.removed_format
@dry_run
@pass_state
def unpublish(state: State, name: str, force: bool, style: str) -> int:
    """Remove a service."""
    from netctl.commands import several

    found, endpoints = _find(state, name), state.controller.endpoints
    return several.remove_each(
        "service",
        [name],
        lambda _, tell: endpoints.remove_each(
            [found.id], lambda _, error: tell(name, error), force=force
        ),
        style=style,
        look=lambda _: {"id": found.id, "name": found.name},
    )


@service.command(epilog="Example: netctl service attach c1 web1.web --alias db1:database")
@click.argument("container", shell_complete=complete.sandboxes)
@click.argument("name", metavar="SERVICE", shell_complete=complete.free_services)
@click.option(
    "--alias",
    "aliases",
    multiple=True,
    metavar="NAME:ALIAS",
    help="Another name for NAME, in this container only.",
)
@dry_run
@pass_state
def attach(state: State, container: str, name: str, aliases: tuple[str, ...]) -> None:
    """Join a service to a container."""
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
    """Remove a service from its container; it keeps its addresses."""
    state.controller.endpoints.leave(_find(state, name).id, container)


@service.command(epilog="Example: netctl service ls --network web")
@click.option(
    "--network", shell_complete=complete.networks, help="Show only those of this network."
)
@forms.brief_listing("service")
@pass_state
def ls(state: State, network: str | None, view: View) -> None:
    """List services."""
    looking.listed(state, "service", (), view, network)


@service.command(epilog="Example: netctl service info web1.web")
@click.argument("name", metavar="SERVICE", shell_complete=complete.services)
@forms.format_option("table", "service in full")
@pass_state
def info(state: State, name: str, style: str) -> None:
    """Show a service at a glance."""
    from netctl import render, views

    names = views.Names(state.controller.store, state.controller.kernel)
    render.described(views.endpoint_detail(_find(state, name), names), style)


def _find(state: State, name: str) -> Endpoint:
    from netctl import references

    controller = state.controller
    return references.service(controller.store, name, controller.config.default_network)
