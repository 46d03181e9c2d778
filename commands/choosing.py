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
    from netctl.removing import References
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
            help="Remove those that match, as in ls; name=TEXT matches part of a name. Asks on a"
            " terminal, unless --force is given.",
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
            help="Only those that match, as in ls; name=TEXT matches part of a name.",
        )(function)

    return add


class Declined(NetctlError):
    """Somebody was asked whether to go on, and answered no: nothing was touched. The exit status is
    that of Ctrl-C at the same question."""

    code, exit_code = "declined", 130


def references(
    state: State, what: str, named: Sequence[str], given: Mapping[str, Any]
) -> References:
    """Return the names given, or the ids and names of the objects that ``--all`` or ``--filter``
    choose, on a terminal after a question. Raises ``InvalidInput``, ``Declined``."""
    everything, filters = given["everything"], given["filters"]
    if not (everything or filters):
        if not named:
            raise InvalidInput(
                f"no {what} is named", hint="name them, or give --all or --filter K=V"
            )
        return named
    if named:
        raise InvalidInput(
            "--all and --filter exclude names",
            hint="give the one or the other",
        )
    passes = passing(state, what, filters)
    chosen = {each.id: name for name, each in _all(state, what) if passes(each)}
    # A script has always removed by a filter without --force.
    asking = everything or sys.stdin.isatty()
    if asking and chosen and not (given["force"] or state.dry_run):
        count = f"{len(chosen)} {what}{'' if len(chosen) == 1 else _plural(what)}"
        ask("rm --all", f"Remove {count}?")
    return chosen


def remove(
    state: State,
    what: str,
    manager: Networks | Endpoints | Sandboxes,
    named: Sequence[str],
    given: Mapping[str, Any],
) -> int:
    """Remove the objects that ``references`` returns, by the manager of their kind; return the exit
    status."""
    from netctl.commands import several

    chosen = references(state, what, named, given)
    return several.remove_each(
        what,
        chosen,
        lambda chosen, tell: manager.remove_each(chosen, tell, force=given["force"]),
        # One that was found and has gone meanwhile is no error.
        ignore_missing=given["ignore_missing"] or isinstance(chosen, Mapping),
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
) -> int:
    """Remove the objects that ``unused`` describes and that pass the filters, on a terminal after a
    question. Print their names, in a dry run behind the commands, then what failed; return the
    first error's code. Raises ``Stopped`` where a signal ended it."""
    from netctl.commands import several

    passes = passing(state, what, given["filters"])
    if not (given["force"] or state.dry_run):
        ask("prune", f"Remove every {what} that {unused}?")
    called = _caller(state, what)
    rows: dict[str, Row] = {}

    def chosen(document: Any) -> bool:
        if passed := passes(document):
            # As prune tells one whose network is gone.
            rows[called(document) or f"/{document.name}"] = {
                "id": document.id,
                "name": document.name,
            }
        return passed

    errors: list[NetctlError] = []
    tally = several.Tally(state, rows, errors.append, found=True)
    try:
        with tally.reporting():
            manager.prune(chosen, tally.tell)
    finally:
        _show_pruned(state, what, {name: rows[name] for name in tally.gone}, given["style"])
        for error in errors:
            several.complain(state, error)
    return tally.status


def _show_pruned(state: State, what: str, names: Mapping[str, Row], style: str) -> None:
    from netctl.commands import several

    if state.dry_run:
        several.would_remove(what, list(names))
    elif style:
        forms.gone(list(names.values()), style)
    else:
        for name in names:
            click.echo(name)
