"""``netctl network``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netctl.cli import State
from netctl.commands import choosing, common, complete, forms, looking
from netctl.commands.common import dry_run, if_not_exists, label, pass_state
from netctl.commands.driver_options import WithDriverOptions
from netctl.commands.forms import format_option, listing
from netctl.groups import AliasGroup

if TYPE_CHECKING:
    from netctl.columns import View


@click.group(cls=AliasGroup)
def network() -> None:
    """Networks: groups of endpoints that can talk to each other."""


@network.command(
    cls=WithDriverOptions,
    epilog="Examples: netctl network create web; "
    "netctl network create db --subnet 10.8.0.0/24 --internal",
)
@click.argument("name")
@click.option("-d", "--driver", shell_complete=complete.drivers, help="bridge, host or null.")
@click.option(
    "--subnet", "subnets", multiple=True, metavar="CIDR", help="Subnet, or auto/N for a free one."
)
@click.option(
    "--ip-range",
    "ip_ranges",
    multiple=True,
    metavar="CIDR",
    help="Take endpoint addresses from this range.",
)
@click.option("--gateway", "gateways", multiple=True, metavar="IP", help="Gateway of a subnet.")
@click.option(
    "--aux-address",
    "aux",
    multiple=True,
    metavar="NAME=IP",
    help="Address that no endpoint gets.",
)
@click.option("--ipv6", is_flag=True, help="Give the network IPv6.")
@click.option("--no-ipv4", is_flag=True, help="Give the network no IPv4.")
@click.option("--internal", is_flag=True, help="No route to the outside.")
@click.option(
    "-o",
    "--opt",
    "opts",
    multiple=True,
    metavar="K=V[,K=V]",
    shell_complete=complete.driver_options,
    help="Driver options, see below; the last word of a name is enough: -o mtu=1400.",
)
@label
@click.option(
    "--ipam-driver",
    default="default",
    show_default=True,
    shell_complete=complete.ipam_drivers,
    help="default or null.",
)
@click.option("--ipam-opt", "ipam_opts", multiple=True, metavar="K=V", help="IPAM driver options.")
@click.option("--id", "network_id", metavar="ID", help="The id, 64 hexadecimal digits.")
@common.lease
@if_not_exists
@forms.made_format("network")
@dry_run
@pass_state
def create(state: State, /, name: str, **given: Any) -> None:
    """Create a network and print its id.

    Endpoints of driver null have no interface; endpoints of driver host are for sandboxes made with
    --host. One network of each is enough, and has neither addresses nor names nor published ports.
    """
    made = state.controller.networks.create(
        name,
        driver=given["driver"],
        subnets=given["subnets"],
        ip_ranges=given["ip_ranges"],
        gateways=given["gateways"],
        aux_addresses=common.pairs(given["aux"], "--aux-address"),
        ipv4=not given["no_ipv4"],
        ipv6=given["ipv6"],
        internal=given["internal"],
        options=common.options(given["opts"]),
        labels=common.labels(given["labels"]),
        ipam_driver=given["ipam_driver"],
        ipam_options=common.pairs(given["ipam_opts"], "--ipam-opt"),
        ttl=given["ttl"],
        owner_pid=given["owner_pid"],
        id=given["network_id"],
        if_not_exists=given["if_not_exists"],
    )
    forms.created(state, made.id, given["style"], looking.network)


@network.command(
    epilog="Examples: netctl network rm web db; netctl network rm --filter label=ci --force"
)
@click.argument("networks", nargs=-1, shell_complete=complete.networks)
@choosing.removing(complete.network_filters)
@click.option("-f", "--force", is_flag=True, help="Remove its endpoints too, joined or not.")
@common.ignore_missing
@forms.removed_format
@dry_run
@pass_state
def rm(state: State, /, networks: tuple[str, ...], **given: Any) -> int:
    """Remove networks."""
    return choosing.remove(state, "network", state.controller.networks, networks, given)


@network.command(epilog="Examples: netctl network ls; netctl network ls -q --filter driver=bridge")
@listing("network", "name, id, driver, scope, label, label!, until", complete.network_filters)
@pass_state
def ls(state: State, filters: tuple[str, ...], view: View) -> None:
    """List networks."""
    looking.listed(state, "network", filters, view)


@network.command(epilog="Example: netctl network inspect web --format '{ipam.pools.0.subnet}'")
@click.argument("networks", nargs=-1, required=True, shell_complete=complete.networks)
@format_option("json", "network in full")
@pass_state
def inspect(state: State, networks: tuple[str, ...], style: str) -> int:
    """Show networks in full."""
    from netctl import render

    return render.inspected(networks, lambda name: looking.network(state, name), style)


@network.command(epilog="Example: netctl network info web")
@click.argument("name", shell_complete=complete.networks)
@format_option("table", "network in full")
@pass_state
def info(state: State, name: str, style: str) -> None:
    """Show a network at a glance, with its endpoints."""
    from netctl.commands import glance

    glance.network(looking.network(state, name), style)


@network.command(epilog="Example: netctl network exists web || netctl network create web")
@click.argument("name", shell_complete=complete.networks)
@pass_state
def exists(state: State, name: str) -> int:
    """Exit with 0 if there is such a network, else with 3."""
    return common.exists(lambda: state.controller.networks.get(name))


@network.command(epilog="Example: netctl network prune --force --filter until=24h")
@choosing.pruning(complete.network_filters)
@dry_run
@pass_state
def prune(state: State, /, **given: Any) -> int:
    """Remove the networks that have no endpoints, and print their names."""
    return choosing.prune(state, "network", state.controller.networks, "has no endpoints", given)


@network.command(epilog="Example: netctl network connect web c1 --ip 172.17.0.10")
@click.argument("name", metavar="NETWORK", shell_complete=complete.networks)
@click.argument("sandbox", shell_complete=complete.sandboxes_outside)
@click.option("--name", "endpoint_name", help="Name of the endpoint  [that of the sandbox]")
@common.priority
@common.endpoint_aliases
@common.endpoint_options
@common.if_not_joined
@forms.made_format("endpoint")
@dry_run
@pass_state
def connect(state: State, /, name: str, sandbox: str, **given: Any) -> None:
    """Create an endpoint and join it to a sandbox; print the endpoint's id."""
    everywhere, here = common.aliases(given["aliases"])
    made = state.controller.endpoints.connect(
        name,
        sandbox,
        name=given["endpoint_name"],
        priority=given["priority"],
        local_aliases=here,
        if_not_exists=given["if_not_exists"],
        **common.endpoint_definition(given, everywhere),
    )
    forms.created(state, made.id, given["style"], looking.endpoint)


@network.command(epilog="Example: netctl network disconnect web c1")
@click.argument("name", metavar="NETWORK", shell_complete=complete.inhabited_networks)
@click.argument("sandbox", shell_complete=complete.sandboxes_inside)
@common.ignore_missing
@dry_run
@pass_state
def disconnect(state: State, name: str, sandbox: str, ignore_missing: bool) -> None:
    """Remove a sandbox from a network."""
    with common.missing_ignored(ignore_missing):
        state.controller.endpoints.disconnect(name, sandbox)


@network.command(epilog="Example: netctl network rename web front")
@click.argument("name", metavar="NETWORK", shell_complete=complete.networks)
@click.argument("new")
@dry_run
@pass_state
def rename(state: State, name: str, new: str) -> None:
    """Give a network another name; its sandboxes resolve NAME.NETWORK with it at once."""
    state.controller.networks.rename(name, new)


@network.command(
    name="set", epilog="Example: netctl network set web --label tier=front --label-rm old"
)
@click.argument("name", metavar="NETWORK", shell_complete=complete.networks)
@common.label_changes
@dry_run
@pass_state
def set_(state: State, name: str, labels: tuple[str, ...], labels_gone: tuple[str, ...]) -> None:
    """Change the labels of a network."""
    common.check_change(labels, labels_gone)
    state.controller.networks.update(name, labels=common.labels(labels), labels_gone=labels_gone)
