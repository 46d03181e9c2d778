"""Going through several names: what is done and what is left, where one fails or a signal comes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from netctl.cli import State, report
from netctl.commands import forms
from netctl.errors import NetctlError, NotFound, Partial
from netctl.streams import printable

if TYPE_CHECKING:
    from netctl.removing import Report

_NAMED = 10
"""Names that a message gives of many."""
_LINE = 300
"""Characters of a command in a hint."""


def each(
    names: Sequence[str], action: Callable[[str], object], *, ignore_missing: bool = False
) -> int:
    """Do something with every name, go on after an error, and return the first error's code. A
    signal ends it before the next name: raises ``Stopped`` then."""
    state = click.get_current_context().ensure_object(State)
    status, done = 0, list[str]()
    with _reporting(state, names, done):
        for number, name in enumerate(names):
            if number:
                state.next_of(name, number, len(names))
            try:
                with contextlib.suppress(*([NotFound] if ignore_missing else [])):
                    action(name)
            except NetctlError as error:
                if len(names) == 1:
                    raise
                state.hide_progress()
                report(error, as_json=_json_wanted(), state=state)
                status = status or error.exit_code
            done.append(name)
    return status


def stopped(state: State, done: Sequence[str], left: Sequence[str]) -> NetctlError:
    """Return the error for what a signal ended: it says what is done, what is left, and how to go
    on."""
    from netctl.interruption import Stopped

    error = Stopped(
        f"interrupted: {len(done)} done, {len(left)} left", hint=_going_on(state.words, done)
    )
    error.exit_code = state.interruption.exit_code
    for word, names in (("done", done), ("left", left)):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            error.add_note(f"{word}: {', '.join(names[:_NAMED])}{more}")
    return error


def _going_on(words: Sequence[str], done: Sequence[str]) -> str:
    """Return the command that goes on: the same without the names that are done."""
    from shlex import join

    rest = list(words)
    for name in done:
        if name in rest:
            rest.reverse()  # Names come last: an option's value may be the same word.
            rest.remove(name)
            rest.reverse()
    line = join(["netctl", *rest])
    if len(line) > _LINE:
        return "the same command with the names that are left goes on"
    return f"to go on: {line}"


def remove_each(
    what: str,
    names: Sequence[str],
    remove: Callable[[Sequence[str], Report], None],
    *,
    ignore_missing: bool = False,
    style: str = "",
    look: Callable[[str], Mapping[str, Any] | None] = lambda name: None,
) -> int:
    """Remove what several names stand for, at once where that can be; go on after an error, and
    return the first error's code. With a style what ``look`` says of those that went is printed; in
    a dry run they are named behind the commands, as objects of the kind ``what``."""
    rows = {name: look(name) for name in names} if style else {}
    state = click.get_current_context().ensure_object(State)
    status, done, gone, seen = 0, list[str](), list[str](), set[str]()

    def tell(name: str, error: NetctlError | None) -> None:
        nonlocal status
        seen.add(name)
        if error is None or isinstance(error, Partial):
            gone.append(name)
        if error is None or (ignore_missing and isinstance(error, NotFound)):
            done.append(name)
            return
        if len(names) == 1:
            raise error
        state.hide_progress()
        report(error, as_json=_json_wanted(), state=state)
        status = status or error.exit_code

    try:
        with _reporting(state, names, done):
            remove(names, tell)
    finally:
        if state.dry_run:
            would_remove(what, gone)
        elif style:
            forms.gone([row for name in gone if (row := rows[name])], style)
    if state.controller.left:
        raise stopped(state, done, [name for name in names if name not in seen])
    return status


def would_remove(what: str, names: Sequence[str]) -> None:
    """Print what a dry run would have removed, as comments: what else it prints are commands."""
    for name in names:
        click.echo(printable(f"# would remove {what} {name}"))


@contextlib.contextmanager
def _reporting(state: State, names: Sequence[str], done: Sequence[str]) -> Iterator[None]:
    """Say what is done and what is left of several names where a signal ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        if len(names) == 1:
            raise
        raise stopped(state, done, [name for name in names if name not in done]) from None
    finally:
        state.hide_progress()


def _json_wanted() -> bool:
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.params.get("style") == "json")
