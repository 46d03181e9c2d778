"""Which objects are removed where none is named: all, those that pass filters, those unused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netctl.cli import State
from netctl.commands import forms, looking
from netctl.errors import InvalidInput, NetctlError

if TYPE_CHECKING:
    from netctl.columns import Row
    from netctl.commands.complete import Completer
    from netctl.endpoints import Endpoints
    from netctl.models import Endpoint
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
        function = click.option("-f", "--force", is_flag=True, help="Do not ask.")(
            forms.pruned_format(function)
        )
        return click.option(
            "--filter",
            "filters",
            multiple=True,
            metavar="K=V",
            shell_complete=offered,
            help="Only those that match, as in ls.",
        )(function)

    return add


class Declined(NetctlError):
    """Somebody was asked whether to go on, and answered no: nothing was touched."""

    code = "declined"


class Chosen:
    """What is to be removed."""

    def __init__(self, names: Sequence[str], *, found: bool) -> None:
        self.names = names
        self.found = found
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
    from netctl.commands import several

    chosen = names(state, what, named, given)
    return several.remove_each(
        what,
        chosen.names,
        lambda names, tell: manager.remove_each(names, tell, force=given["force"]),
        ignore_missing=given["ignore_missing"] or chosen.found,
        style=given["style"],
        look=looking.named(manager.get),
    )


def ask(what: str, question: str) -> None:
    """Ask on a terminal whether to go on. Raises ``InvalidInput`` where there is none, ``Declined``
    where the answer is no."""
    if not sys.stdin.isatty():
        raise InvalidInput(
            f"{what} asks before it removes, and the input is not a terminal",
            hint="--force does not ask",
        )
    try:
        if click.confirm(question, err=True):
            return
    except click.Abort as end:
        # click makes one of the end of the input and of Ctrl-C.
        if not isinstance(end.__context__, EOFError):
            raise
        click.echo(err=True)
    raise Declined("nothing is removed: that was not confirmed", hint="answer y, or give --force")


def passing(state: State, what: str, filters: Sequence[str]) -> Passes:
    """Return whether a document passes the filters, of which each must have a value."""
    from netctl import filters as core

    for text in filters:
        key, _, value = text.partition("=")
        if key and not value:
            # As from a script's unset variable: an empty name would match everything.
            raise InvalidInput(f"--filter {key[:40]}= has no value", hint="give one")
    passes, row = core.compile_filters(filters, core.KNOWN[what]), looking.row_of(state, what)
    return lambda document: passes(row(document))


def _all(state: State, what: str) -> Iterable[tuple[str, Any]]:
    called = _caller(state, what)
    found = ((called(each), each) for each in looking.documents(state, what))
    return [(name, document) for name, document in found if name]


def _caller(state: State, what: str) -> Callable[[Any], str]:
    """Return what gives the name by which an object is found, ``""`` where there is none."""
    if what != "endpoint":
        return lambda document: str(document.name)
    networks = {each.id: each.name for each in looking.documents(state, "network")}

    def called(endpoint: Endpoint) -> str:
        parent = networks.get(endpoint.network_id)
        return f"{parent}/{endpoint.name}" if parent else ""

    return called


def _plural(what: str) -> str:
    return "es" if what.endswith("x") else "s"


def prune(
    state: State,
    what: str,
    manager: Networks | Endpoints | Sandboxes,
    unused: str,
    given: Mapping[str, Any],
) -> None:
    """Remove the objects that ``unused`` describes and that pass the filters, on a terminal after a
    question, and print their names; in a dry run behind the commands. Raises ``Stopped`` where a
    signal ended it."""
    from netctl.commands import several

    passes = passing(state, what, given["filters"])
    if not (given["force"] or state.dry_run):
        ask("prune", f"Remove every {what} that {unused}?")
    called = _caller(state, what)
    rows: dict[str, Row] = {}

    def chosen(document: Any) -> bool:
        rows[called(document)] = {"id": document.id, "name": document.name}
        return passes(document)

    removed = manager.prune(chosen)
    state.hide_progress()
    if state.dry_run:
        several.would_remove(what, removed)
    elif given["style"]:
        forms.gone([rows[name] for name in removed], given["style"])
    else:
        for name in removed:
            click.echo(name)
    if left := state.controller.left:
        raise several.stopped(state, removed, left)
