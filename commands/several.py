"""Going through several names: what is done and what is left, where one fails or a signal comes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netctl.cli import State, report
from netctl.commands import forms
from netctl.errors import NetctlError, NotFound, Partial
from netctl.streams import printable

if TYPE_CHECKING:
    from netctl.removing import References, Report

T = TypeVar("T")
_NAMED = 10
"""Names that a message for people gives of many."""
_LINE = 300
"""Characters of a command in a hint for people."""


def looked_up(names: Sequence[str], look: Callable[[str], T]) -> tuple[list[T], int]:
    """Return what ``look`` finds of every name, and the first error's code; go on after an error. A
    signal just ends it: nothing is printed yet, and nothing is changed."""
    state = click.get_current_context().ensure_object(State)
    found, status = list[T](), 0
    for number, name in enumerate(names):
        if number:
            state.next_of(name, number, len(names))
        try:
            found.append(look(name))
        except NetctlError as error:
            if len(names) == 1:
                raise
            complain(state, error)
            status = status or error.exit_code
    state.hide_progress()
    return found, status


class Tally:
    """What becomes of several objects: each is told, with its error, when it is seen to."""

    def __init__(
        self,
        state: State,
        names: Collection[str],
        failed: Callable[[NetctlError], object],
        *,
        found: bool,
        ignore_missing: bool = False,
    ) -> None:
        """``failed`` is given each error. ``found`` says that the names are not on the command
        line; they may still be added while it goes on."""
        self._state, self._names, self._failed = state, names, failed
        self._found, self._ignore_missing = found, ignore_missing
        self.status = 0
        """The first error's code."""
        self.gone: list[str] = []
        """Those that are removed, be it that something is left of one."""
        self._done: list[str] = []
        self._seen: set[str] = set()

    def tell(self, name: str, error: NetctlError | None) -> None:
        """Note what became of one."""
        self._seen.add(name)
        removed = error is None or isinstance(error, Partial)
        ignored = self._ignore_missing and isinstance(error, NotFound)
        if removed:
            self.gone.append(name)
        if removed or ignored:
            self._done.append(name)
        if error and not ignored:
            self.status = self.status or error.exit_code
            self._failed(error)

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Lend a block. Raises ``Stopped`` where a signal ended it, with what is done and what is
        left; not where one object alone was named."""
        try:
            yield
        except KeyboardInterrupt:
            if len(self._names) == 1 and not self._found:
                raise
            raise self._stopped() from None
        finally:
            self._state.hide_progress()
        if self._state.controller.left:
            raise self._stopped()

    def _stopped(self) -> NetctlError:
        left = [name for name in self._names if name not in self._seen]
        return stopped(self._state, self._done, left, named=not self._found)


def stopped(
    state: State, done: Sequence[str], left: Sequence[str], *, named: bool = False
) -> NetctlError:
    """Return the error for what a signal ended: it says what is done, what is left, and how to go
    on. ``named`` says that the names are on the command line."""
    from netctl.interruption import Stopped

    some = done or left
    error = Stopped(
        f"interrupted: {len(done)} done, {len(left)} left" if some else "interrupted: nothing done",
        hint=_going_on(state.words, done if named else ()),
    )
    error.exit_code = state.interruption.exit_code
    most = len(done) + len(left) if _json_wanted() else _NAMED
    for word, names in (("done", done), ("left", left)):
        if names:
            more = f" and {len(names) - most} more" if len(names) > most else ""
            error.add_note(f"{word}: {', '.join(names[:most])}{more}")
    return error


def _going_on(words: Sequence[str], done: Sequence[str]) -> str:
    """Return the command that goes on: the same without the names that are done. One that is too
    long for people is the same with ``--ignore-missing``, where there is that option."""
    from shlex import join

    rest = list(words)
    for name in done:
        if name in rest:
            rest.reverse()  # Names come last: an option's value may be the same word.
            rest.remove(name)
            rest.reverse()
    line = join(["netctl", *rest])
    if len(line) <= _LINE or _json_wanted():
        return f"to go on: {line}"
    params = click.get_current_context().params
    if not done or params.get("ignore_missing"):
        return "the same command goes on"
    if "ignore_missing" in params:
        return "the same command with --ignore-missing goes on"
    return "the same command with the names that are left goes on"


def remove_each(
    what: str,
    references: References,
    remove: Callable[[References, Report], None],
    *,
    ignore_missing: bool = False,
    style: str = "",
    look: Callable[[str], Mapping[str, Any] | None] = lambda name: None,
) -> int:
    """Remove what several names stand for, at once where that can be; go on after an error, and
    return the first error's code. What was found is given by id, with its names: it is removed even
    where its name has come to mean another. With a style what ``look`` says of those that went is
    printed; in a dry run they are named behind the commands, as objects of the kind ``what``."""
    found = isinstance(references, Mapping)
    named = references if isinstance(references, Mapping) else {each: each for each in references}
    rows = {name: look(each) for each, name in named.items()} if style else {}
    state = click.get_current_context().ensure_object(State)

    def failed(error: NetctlError) -> None:
        if len(references) == 1:
            raise error
        complain(state, error)

    tally = Tally(state, named.values(), failed, found=found, ignore_missing=ignore_missing)
    try:
        with tally.reporting():
            remove(references, tally.tell)
    finally:
        if state.dry_run:
            would_remove(what, tally.gone)
        elif style:
            forms.gone([row for name in tally.gone if (row := rows[name])], style)
    return tally.status


def would_remove(what: str, names: Sequence[str]) -> None:
    """Print what a dry run would have removed, as comments: what else it prints are commands."""
    for name in names:
        click.echo(printable(f"# would remove {what} {name}"))


def complain(state: State, error: NetctlError) -> None:
    """Print an error that does not end the command."""
    state.hide_progress()
    report(error, as_json=_json_wanted(), state=state)


def _json_wanted() -> bool:
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.params.get("style") == "json")
