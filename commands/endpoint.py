"""``netctl endpoint``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netctl.cli import State
from netctl.commands import choosing, common, complete, forms, looking
from netctl.commands.common import dry_run, if_not_exists, pass_state
from netctl.commands.forms import format_option, listing
from netctl.errors import InvalidInput
from netctl.groups import AliasGroup

if TYPE_CHECKING:
    from netctl.columns import View


@click.group(cls=AliasGroup)
def endpoint() -> None:
    """Endpoints: a network's attachment points."""


@endpoint.command(epilog="Example: netctl endpoint create web web1 --ip 172.17.0.10")
@click.argument("network", shell_complete=complete.networks)
@click.argument("name")
@common.endpoint_options
@click.option("--alias", "aliases", multiple=True, metavar="NAME", help="Another name for it.")
@if_not_exists
@forms.made_format("endpoint")
@dry_run
@pass_state
def create(state: State, /, network: str, name: str, **given: Any) -> None:
    """Create an endpoint and print its id."""
    made = state.controller.endpoints.create(
        network,
        name,
        if_not_exists=given["if_not_exists"],
        **common.endpoint_definition(given, given["aliases"]),
    )
    forms.created(state, made.id, given["style"], looking.endpoint)


@endpoint.command(
    epilog="Examples: netctl endpoint join web/web1 c1 --priority 10;"
    " netctl endpoint join web/web1 c1 --alias db1:database"
)
@click.argument("name", metavar="ENDPOINT", shell_complete=complete.free_endpoints)
@click.argument("sandbox", shell_complete=complete.sandboxes)
@common.priority
@click.option(
    "--alias",
    "aliases",
    multiple=True,
    metavar="NAME:ALIAS",
    help="Another name for NAME, in this sandbox only.",
)
@common.if_not_joined
@dry_run
@pass_state
def join(state: State, /, name: str, sandbox: str, **given: Any) -> None:
    """Join an endpoint to a sandbox."""
    state.controller.endpoints.join(
        name,
        sandbox,
        priority=given["priority"],
        local_aliases=common.local_aliases(given["aliases"]),
        if_not_exists=given["if_not_exists"],
    )


@endpoint.command(
    epilog="Examples: netctl endpoint publish web/web1 8080:80 53:53/udp;"
    " netctl endpoint publish web/web1 80 --format '{ports}'"
)
@click.argument("name", metavar="ENDPOINT", shell_complete=complete.endpoints)
@click.argument("ports", nargs=-1, required=True, metavar="SPEC...")
@forms.changed_format
@dry_run
@pass_state
def publish(state: State, name: str, ports: tuple[str, ...], style: str) -> None:
    """Publish ports of an endpoint on the host.

    SPEC is [HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp], with an IPv6 HOSTIP in brackets.
    Without a HOSTPORT, or with 0, netctl chooses a free ephemeral port. With a range for a single
    PORT, 8080-8090:80, it chooses the first free one. The ports are reachable while the endpoint
    gives its sandbox the default route.
    """
    changed = state.controller.endpoints.publish(name, ports)
    forms.changed(state, changed.id, style, looking.endpoint)


@endpoint.command(epilog="Example: netctl endpoint unpublish web/web1 80")
@click.argument("name", metavar="ENDPOINT", shell_complete=complete.publishing_endpoints)
@click.argument(
    "ports", nargs=-1, required=True, metavar="SPEC...", shell_complete=complete.published_ports
)
@forms.changed_format
@dry_run
@pass_state
def unpublish(state: State, name: str, ports: tuple[str, ...], style: str) -> None:
    """Stop publishing ports; 80 means every publication of port 80.

    A range is unpublished as a whole.
    """
    changed = state.controller.endpoints.unpublish(name, ports)
    forms.changed(state, changed.id, style, looking.endpoint)


@endpoint.command(epilog="Example: netctl endpoint limit web/web1 --rate-in 10mbit --rate-out none")
@click.argument("name", metavar="ENDPOINT", shell_complete=complete.endpoints)
@click.option("--rate-in", metavar="RATE", help="Toward the sandbox: 10mbit, or none.")
@click.option("--rate-out", metavar="RATE", help="From the sandbox: 10mbit, or none.")
@click.option(
    "--burst", metavar="BYTES", help="Burst size in bytes; none chooses it from the rate."
)
@dry_run
@pass_state
def limit(
    state: State, name: str, rate_in: str | None, rate_out: str | None, burst: str | None
) -> None:
    """Change the rate limits of an endpoint at once; limits that are not given stay."""
    if rate_in is rate_out is burst is None:
        raise InvalidInput(
            "nothing to change is given", hint="--rate-in, --rate-out or --burst; none lifts it"
        )
    state.controller.endpoints.limit(name, rate_in=rate_in, rate_out=rate_out, burst=burst)


@endpoint.command(epilog="Example: netctl endpoint leave web/web1")
@click.argument("name", metavar="ENDPOINT", shell_complete=complete.joined_endpoints)
@click.argument("sandbox", required=False, shell_complete=complete.sandbox_of_endpoint)
@common.ignore_missing
@dry_run
@pass_state
def leave(state: State, name: str, sandbox: str | None, ignore_missing: bool) -> None:
    """Remove an endpoint from its sandbox; it keeps its addresses."""
    with common.missing_ignored(ignore_missing):
        state.controller.endpoints.leave(name, sandbox)


@endpoint.command(epilog="Example: netctl endpoint rename web/web1 front")
@click.argument("name", metavar="ENDPOINT", shell_complete=complete.endpoints)
@click.argument("new")
@dry_run
@pass_state
def rename(state: State, name: str, new: str) -> None:
    """Give an endpoint another name; sandboxes of its network resolve it at once.

    Its aliases and the name of its sandbox stay. An alias that another sandbox has by --alias
    NAME:ALIAS still refers to the old name.
    """
    state.controller.endpoints.rename(name, new)


@endpoint.command(
    name="set", epilog="Example: netctl endpoint set web/web1 --alias www --label-rm old"
)
@click.argument("name", metavar="ENDPOINT", shell_complete=complete.endpoints)
@click.option("--alias", "aliases", multiple=True, metavar="NAME", help="Another name for it.")
@click.option("--alias-rm", "aliases_gone", multiple=True, metavar="NAME", help="Remove an alias.")
@common.label_changes
@dry_run
@pass_state
def set_(state: State, /, name: str, **given: Any) -> None:
    """Change the aliases and labels of an endpoint; a sandbox sees new aliases at once."""
    keys = ("labels", "labels_gone", "aliases", "aliases_gone")
    hint = "--alias NAME, --alias-rm NAME, --label K=V or --label-rm K"
    common.check_change(*(given[key] for key in keys), hint=hint)
    state.controller.endpoints.update(
        name,
        labels=common.labels(given["labels"]),
        labels_gone=given["labels_gone"],
        aliases=given["aliases"],
        aliases_gone=given["aliases_gone"],
    )


@endpoint.command(
    epilog="Examples: netctl endpoint rm web/web1; netctl endpoint rm --filter network=web"
)
@click.argument("endpoints", nargs=-1, shell_complete=complete.endpoints)
@choosing.removing(complete.endpoint_filters)
@click.option("-f", "--force", is_flag=True, help="Make it leave its sandbox first.")
@common.ignore_missing
@forms.removed_format
@dry_run
@pass_state
def rm(state: State, /, endpoints: tuple[str, ...], **given: Any) -> int:
    """Remove endpoints."""
    return choosing.remove(state, "endpoint", state.controller.endpoints, endpoints, given)


@endpoint.command(epilog="Example: netctl endpoint prune --force --filter network=web")
@choosing.pruning(complete.endpoint_filters)
@dry_run
@pass_state
def prune(state: State, /, **given: Any) -> int:
    """Remove the endpoints that are in no sandbox, and print their names."""
    return choosing.prune(state, "endpoint", state.controller.endpoints, "is in no sandbox", given)


@endpoint.command(
    epilog="Examples: netctl endpoint ls; netctl endpoint ls --network web --format json"
)
@click.option(
    "--network", shell_complete=complete.networks, help="Show only those of this network."
)
@listing("endpoint", "name, id, network, sandbox, label, label!, until", complete.endpoint_filters)
@pass_state
def ls(state: State, network: str | None, filters: tuple[str, ...], view: View) -> None:
    """List endpoints.

    REACHED FROM lists for each port, in the same order, which clients reach it beside the host and
    the endpoints of its network: anywhere, host, via:ADDRESS, link:ADDRESS, trusted:INTERFACES or
    nobody:REASON. unpublished=WORDS follows if ports that are not published are reachable too.
    """
    looking.listed(state, "endpoint", filters, view, network)


@endpoint.command(epilog="Example: netctl endpoint inspect web/web1 --format '{ipv4}'")
@click.argument("endpoints", nargs=-1, required=True, shell_complete=complete.endpoints)
@format_option("json", "endpoint in full")
@pass_state
def inspect(state: State, endpoints: tuple[str, ...], style: str) -> int:
    """Show endpoints in full."""
    from netctl import render

    return render.inspected(endpoints, lambda name: looking.endpoint(state, name), style)


@endpoint.command(epilog="Example: netctl endpoint info web/web1")
@click.argument("name", metavar="ENDPOINT", shell_complete=complete.endpoints)
@format_option("table", "endpoint in full")
@pass_state
def info(state: State, name: str, style: str) -> None:
    """Show an endpoint at a glance, with its addresses and who reaches its ports."""
    from netctl.commands import glance

    glance.endpoint(looking.endpoint(state, name), style)


@endpoint.command(epilog="Example: netctl endpoint exists web/web1 && echo there")
@click.argument("name", shell_complete=complete.endpoints)
@pass_state
def exists(state: State, name: str) -> int:
    """Exit with 0 if there is such an endpoint, else with 3."""
    return common.exists(lambda: state.controller.endpoints.get(name))
