"""``netctl sandbox``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netctl.cli import State
from netctl.commands import choosing, common, complete, forms, looking
from netctl.commands import stats as counters
from netctl.commands.common import dry_run, if_not_exists, label, pass_state
from netctl.commands.forms import format_option, listing
from netctl.groups import AliasGroup

if TYPE_CHECKING:
    from netctl.columns import View

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=AliasGroup)
def sandbox() -> None:
    """Sandboxes: network stacks, with their hosts and resolv.conf."""


def _file_option(name: str, help: str) -> Callable[[F], F]:
    return click.option(name, metavar="FILE", default="", shell_complete=complete.file, help=help)


def sandbox_options(function: F) -> F:
    """Add the options that say what a sandbox is like; ``run`` has them too."""
    for option in reversed(
        (
            click.option(
                "--hostname",
                metavar="NAME",
                default="",
                help="Host name in its hosts file  [the sandbox's name]",
            ),
            click.option("--domainname", metavar="NAME", default="", help="Domain name."),
            click.option("--dns", multiple=True, metavar="IP", help="Name server."),
            click.option("--dns-search", multiple=True, metavar="DOMAIN", help="Search domain."),
            click.option("--dns-opt", multiple=True, metavar="OPT", help="resolv.conf option."),
            click.option(
                "--add-host",
                multiple=True,
                metavar="NAME:IP",
                help="Add a line to the hosts file; IPv6 lines only while the sandbox has IPv6.",
            ),
            _file_option("--hosts-path", "Write the hosts file to FILE."),
            _file_option("--resolv-conf-path", "Write resolv.conf to FILE."),
            _file_option("--origin-hosts-path", "Use a copy of FILE as hosts."),
            _file_option("--origin-resolv-conf-path", "Use a copy of FILE as resolv.conf."),
            label,
        )
    ):
        function = option(function)
    return function


def definition(given: dict[str, Any]) -> dict[str, Any]:
    """Return these options as the arguments of ``Sandboxes.create``."""
    return {
        "hostname": given["hostname"],
        "domainname": given["domainname"],
        "dns": given["dns"],
        "dns_search": given["dns_search"],
        "dns_options": given["dns_opt"],
        "extra_hosts": common.add_hosts(given["add_host"]),
        "hosts_path": given["hosts_path"],
        "resolv_conf_path": given["resolv_conf_path"],
        "origin_hosts_path": given["origin_hosts_path"],
        "origin_resolv_conf_path": given["origin_resolv_conf_path"],
        "labels": common.labels(given["labels"]),
    }


@sandbox.command(epilog="Examples: netctl sandbox create c1; netctl sandbox create vm --pid 4711")
@click.argument("name")
@sandbox_options
@click.option(
    "--netns",
    metavar="PATH",
    shell_complete=complete.file,
    help="Use this namespace; it is never deleted.",
)
@click.option("--pid", type=int, metavar="PID", help="Use the namespace of this process.")
@click.option("--host", is_flag=True, help="Use the host's own stack.")
@common.lease
@if_not_exists
@forms.made_format("sandbox")
@dry_run
@pass_state
def create(state: State, /, name: str, **given: Any) -> None:
    """Create a sandbox and print its id."""
    made = state.controller.sandboxes.create(
        name,
        netns_path=given["netns"],
        pid=given["pid"],
        host=given["host"],
        ttl=given["ttl"],
        owner_pid=given["owner_pid"],
        if_not_exists=given["if_not_exists"],
        **definition(given),
    )
    forms.created(state, made.id, given["style"], looking.sandbox)


@sandbox.command(
    epilog="Examples: netctl sandbox rm c1 c2 --force; netctl sandbox rm --all --force"
)
@click.argument("sandboxes", nargs=-1, shell_complete=complete.sandboxes)
@choosing.removing(complete.sandbox_filters)
@click.option("-f", "--force", is_flag=True, help="Make its endpoints leave first.")
@common.ignore_missing
@forms.removed_format
@dry_run
@pass_state
def rm(state: State, /, sandboxes: tuple[str, ...], **given: Any) -> int:
    """Remove sandboxes.

    With --force their endpoints leave first. Endpoints made by network connect or run are removed
    with them, and their addresses are free. If something that is not netctl's is in the place of
    the namespace, netctl leaves it, names it, and exits with 10.
    """
    return choosing.remove(state, "sandbox", state.controller.sandboxes, sandboxes, given)


@sandbox.command(epilog="Example: netctl sandbox prune --force --filter label=ci")
@choosing.pruning(complete.sandbox_filters)
@dry_run
@pass_state
def prune(state: State, /, **given: Any) -> int:
    """Remove the sandboxes without endpoints and without processes, and print their names.

    A sandbox stays if its --owner-pid is alive, or if netctl run uses it.
    """
    return choosing.prune(
        state, "sandbox", state.controller.sandboxes, "has no endpoints and no processes", given
    )


@sandbox.command(epilog="Examples: netctl sandbox ls; netctl sandbox ls --filter state=gone -q")
@listing("sandbox", "name, id, type, state, label, label!, until", complete.sandbox_filters)
@pass_state
def ls(state: State, filters: tuple[str, ...], view: View) -> None:
    """List sandboxes."""
    looking.listed(state, "sandbox", filters, view)


@sandbox.command(epilog="Example: netctl sandbox inspect c1 --format '{key}'")
@click.argument("sandboxes", nargs=-1, required=True, shell_complete=complete.sandboxes)
@format_option("json", "sandbox in full")
@pass_state
def inspect(state: State, sandboxes: tuple[str, ...], style: str) -> int:
    """Show sandboxes in full."""
    from netctl import render

    return render.inspected(sandboxes, lambda name: looking.sandbox(state, name), style)


@sandbox.command(epilog="Example: netctl sandbox info c1")
@click.argument("name", metavar="SANDBOX", shell_complete=complete.sandboxes)
@format_option("table", "sandbox in full")
@pass_state
def info(state: State, name: str, style: str) -> None:
    """Show a sandbox at a glance, with its endpoints."""
    from netctl.commands import glance

    glance.sandbox(looking.sandbox(state, name), style)


@sandbox.command(epilog="Example: netctl sandbox exists c1 || netctl sandbox create c1")
@click.argument("name", shell_complete=complete.sandboxes)
@pass_state
def exists(state: State, name: str) -> int:
    """Exit with 0 if there is such a sandbox, else with 3."""
    return common.exists(lambda: state.controller.sandboxes.get(name))


@sandbox.command(
    name="exec",
    context_settings={"allow_interspersed_args": False},
    epilog="Examples: netctl sandbox exec c1 -- ping -c1 192.0.2.1; netctl sandbox exec c1",
)
@common.terminal
@click.argument("name", metavar="SANDBOX", shell_complete=complete.sandboxes)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, shell_complete=complete.programs)
@pass_state
def exec_(state: State, name: str, command: tuple[str, ...]) -> None:
    """Run a command in a sandbox, with its files over /etc, and exit with its status.

    Without a command, run a shell: $SHELL, else /bin/sh.
    """
    state.controller.sandboxes.become(name, command)


@sandbox.command(epilog="Examples: netctl sandbox ps c1; netctl sandbox ps c1 --format '{pid}'")
@click.argument("name", metavar="SANDBOX", shell_complete=complete.sandboxes)
@format_option("table", "process")
@pass_state
def ps(state: State, name: str, style: str) -> None:
    """List the processes in a sandbox: those whose network namespace is the sandbox's."""
    from netctl import render, views

    rows = [views.process_row(each) for each in state.controller.sandboxes.processes(name)]
    columns = [
        render.Column("PID", "pid"),
        render.Column("USER", "user"),
        render.Column("COMMAND", "command"),
    ]
    render.show(rows, columns, style)


@sandbox.command(name="set-key", epilog="Example: netctl sandbox set-key c1 /proc/4711/ns/net")
@click.argument("name", metavar="SANDBOX", shell_complete=complete.sandboxes)
@click.argument("path", shell_complete=complete.file)
@dry_run
@pass_state
def set_key(state: State, name: str, path: str) -> None:
    """Move a sandbox, with its endpoints, into the namespace at PATH."""
    state.controller.sandboxes.set_key(name, path)


@sandbox.command(epilog="Example: netctl sandbox rename c1 front")
@click.argument("name", metavar="SANDBOX", shell_complete=complete.sandboxes)
@click.argument("new")
@dry_run
@pass_state
def rename(state: State, name: str, new: str) -> None:
    """Give a sandbox and its namespace another name."""
    state.controller.sandboxes.rename(name, new)


@sandbox.command(
    name="set", epilog="Example: netctl sandbox set c1 --label tier=front --label-rm old"
)
@click.argument("name", metavar="SANDBOX", shell_complete=complete.sandboxes)
@common.label_changes
@dry_run
@pass_state
def set_(state: State, name: str, labels: tuple[str, ...], labels_gone: tuple[str, ...]) -> None:
    """Change the labels of a sandbox."""
    common.check_change(labels, labels_gone)
    state.controller.sandboxes.update(name, labels=common.labels(labels), labels_gone=labels_gone)


@sandbox.command(epilog="Example: netctl sandbox refresh c1")
@click.argument("name", metavar="SANDBOX", shell_complete=complete.sandboxes)
@dry_run
@pass_state
def refresh(state: State, name: str) -> None:
    """Recreate a sandbox's interfaces and files, and its namespace if it is gone."""
    state.controller.sandboxes.refresh(name)


@sandbox.command(
    epilog="Examples: netctl sandbox stats c1 --format json; netctl sandbox stats c1 c2 --watch 5"
)
@click.argument("sandboxes", nargs=-1, shell_complete=complete.sandboxes)
@counters.watch
@format_option("table", "counters")
@pass_state
def stats(state: State, sandboxes: tuple[str, ...], watch: str | None, style: str) -> int:
    """Show the counters of sandboxes' interfaces: bytes, packets, errors, drops.

    Without a name those of all sandboxes. With --watch they are shown again and again until Ctrl-C,
    without those of sandboxes that are gone.
    """
    if watch is None:
        return counters.show(state, sandboxes, style)
    seconds, names = counters.pause(watch, sandboxes)
    return counters.follow(state, names, style, seconds)


@sandbox.command(
    epilog="Example: netctl sandbox unit c1 > /etc/systemd/system/web.service.d/netctl.conf"
)
@click.argument("name", shell_complete=complete.sandboxes)
@pass_state
def unit(state: State, name: str) -> None:
    """Print a systemd drop-in that runs a service in a sandbox, with its files."""
    from netctl import files, system

    found = state.controller.sandboxes.get(name).doc
    where = files.paths(found, state.controller.config.state_dir)
    click.echo(system.drop_in(found, where.hosts, where.resolv_conf), nl=False)
