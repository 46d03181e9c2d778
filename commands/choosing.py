"""Which objects are removed where none is named: all, those that pass filters, those unused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from netctl.cli import State
from netctl.commands import common, looking
from netctl.errors import InvalidInput

if TYPE_CHECKING:
    from netctl.commands.complete import Completer
    from netctl.endpoints import Endpoints
    from netctl.filters import Filter
    from netctl.models import Endpoint, Network, Sandbox
    from netctl.networks import Networks
    from netctl.sandboxes import Sandboxes

F = TypeVar("F", bound=Callable[..., Any])
Passes = Callable[[Any], bool]


def removing(offered: Completer) -> Callable[[F], F]:
    """Return the options of an ``rm`` that choose objects without their names."""

    def add(function: F) -> F:
        function = click.option(
            "--filter",
            "filters",
            multiple=True,
            metavar="K=V",
            shell_complete=offered,
            help="Remove those that match, as in ls.",
        )(function)
        return click.option(
            "--all",
            "everything",
            is_flag=True,
            help="Remove all; asks first, unless --force is given.",
        )(function)

    return add


def pruning(offered: Completer) -> Callable[[F], F]:
    """Return the options of a ``prune``."""

    def add(function: F) -> F:
        function = click.option("-f", "--force", is_flag=True, help="Do not ask.")(function)
        return click.option(
            "--filter",
            "filters",
            multiple=True,
            metavar="K=V",
            shell_complete=offered,
            help="Only those that match, as in ls.",
        )(function)

    return add


class Chosen(NamedTuple):
    """What is to be removed."""

    names: Sequence[str]
    found: bool
    """Whether they were found, not named: one that has gone meanwhile is no error."""


def names(state: State, what: str, named: Sequence[str], given: Mapping[str, Any]) -> Chosen:
    """Return the names given, or those of the objects that ``--all`` or ``--filter`` choose; on a
    terminal all of them only after a question. Raises ``InvalidInput``."""
    everything, filters = given["everything"], given["filters"]
    if not (everything or filters):
        if not named:
            raise InvalidInput(
                f"no {what} is named", hint="name them, or give --all or --filter K=V"
            )
        return Chosen(named, found=False)
    if named:
        raise InvalidInput(
            "--all and --filter exclude names",
            hint="give the one or the other",
        )
    passes = passing(state, what, filters)
    chosen = [name for name, document in _all(state, what) if passes(document)]
    if everything and chosen and not (given["force"] or state.dry_run):
        count = f"{len(chosen)} {what}{'' if len(chosen) == 1 else _plural(what)}"
        ask("rm --all", f"Remove {count}?")
    return Chosen(chosen, found=True)


def remove(
    state: State,
    what: str,
    manager: Networks | Endpoints | Sandboxes,
    named: Sequence[str],
    given: Mapping[str, Any],
) -> int:
    """Remove the objects that ``names`` returns, by the manager of their kind; return the exit
    status."""
    chosen = names(state, what, named, given)
    return common.remove_each(
        chosen.names,
        lambda several, tell: manager.remove_each(several, tell, force=given["force"]),
        ignore_missing=given["ignore_missing"] or chosen.found,
        style=given["style"],
        look=looking.named(manager.get),
    )


def ask(what: str, question: str) -> None:
    """Ask on a terminal whether to go on; raise ``InvalidInput`` where there is none."""
    if not sys.stdin.isatty():
        raise InvalidInput(
            f"{what} asks before it removes, and there is nobody to ask", hint="--force"
        )
    click.confirm(question, abort=True, err=True)


def passing(state: State, what: str, filters: Sequence[str]) -> Passes:
    """Return whether a document passes the filters, of which each must have a value."""
    from netctl import filters as core

    for text in filters:
        key, _, value = text.partition("=")
        if key and not value:
            # As from a script's unset variable: an empty name would match everything.
            raise InvalidInput(f"--filter {key[:40]}= has no value", hint="give one")
    known: dict[str, Mapping[str, Filter]] = {
        "network": core.NETWORK,
        "endpoint": core.ENDPOINT,
        "sandbox": core.SANDBOX,
    }
    passes, row = core.compile_filters(filters, known[what]), _row(state, what)
    return lambda document: passes(row(document))


def _row(state: State, what: str) -> Callable[[Any], Mapping[str, Any]]:
    from netctl import views

    controller = state.controller
    if what == "network":
        return views.network_row
    if what == "sandbox":
        return lambda document: views.sandbox_row(document, controller.kernel)
    seen = views.Names(controller.store, controller.kernel)
    return lambda document: views.endpoint_row(document, seen)


def _all(state: State, what: str) -> Iterable[tuple[str, Network | Endpoint | Sandbox]]:
    controller = state.controller
    if what == "network":
        return [(each.name, each.doc) for each in controller.networks.list()]
    if what == "sandbox":
        return [(each.name, each.doc) for each in controller.sandboxes.list()]
    networks = {each.id: each.name for each in controller.networks.list()}
    return [
        (f"{networks[each.doc.network_id]}/{each.name}", each.doc)
        for each in controller.endpoints.list()
        if each.doc.network_id in networks
    ]


def _plural(what: str) -> str:
    return "es" if what.endswith("x") else "s"


def pruned(state: State, names: Sequence[str]) -> None:
    """Print the names of what was removed, and nothing in a dry run. Raises ``Stopped`` where a
    signal ended it."""
    state.hide_progress()
    if not state.dry_run:
        for name in names:
            click.echo(name)
    if left := state.controller.left:
        raise common.stopped(state, names, left)
