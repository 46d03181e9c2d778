"""How results are asked for, by ``--format`` and the options of an ``ls``, and what prints them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netctl.cli import State
from netctl.commands import complete
from netctl.errors import InvalidInput, Partial

if TYPE_CHECKING:
    from netctl.columns import Row

F = TypeVar("F", bound=Callable[..., Any])
Look = Callable[[State, str], Mapping[str, Any]]


def _format(kind: str, default: str, help: str, *, show_default: bool = False) -> Callable[[F], F]:
    def check(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
        if value == default:
            return value
        from netctl import formats

        return formats.check(value, kind)

    return click.option(
        "--format",
        "style",
        default=default,
        show_default=show_default,
        callback=check,
        metavar="FORM",
        shell_complete=complete.styles,
        help=help,
    )


def format_option(default: str, kind: str) -> Callable[[F], F]:
    """Return the option ``--format``, for rows of a kind (see ``samples.ROWS``)."""
    help = "table, json, jsonl, yaml, name, or a template: '{name} {id}' or '{{.Name}}'."
    return _format(kind, default, help, show_default=True)


def made_format(kind: str) -> Callable[[F], F]:
    """Return the ``--format`` of what makes an object."""
    what = "Print it as inspect does, in this format: json, ...  [only its id]"
    return _format(f"{kind} in full", "", what)


changed_format = _format(
    "endpoint in full", "", "Print the endpoint as inspect does, as json, ...  [nothing]"
)
removed_format = _format(
    "removed", "", "Print what was removed in this format: json, ...  [nothing]"
)
pruned_format = _format(
    "removed", "", "Print what was removed in this format: json, ...  [the names]"
)

_LISTING = (
    ("quiet", click.option("-q", "--quiet", is_flag=True, help="Print only the ids.")),
    ("no_trunc", click.option("--no-trunc", is_flag=True, help="Print ids in full.")),
    ("no_headers", click.option("--no-headers", is_flag=True, help="Print no header line.")),
    (
        "columns",
        click.option(
            "--columns",
            default="",
            metavar="A,B",
            shell_complete=complete.columns,
            help="Show these columns, in this order; an unknown name lists the columns.",
        ),
    ),
    (
        "sort",
        click.option(
            "--sort",
            default="",
            metavar="COLUMN",
            shell_complete=complete.sorting,
            help="Sort by COLUMN; -COLUMN sorts descending.",
        ),
    ),
)


_IN_COLUMNS = ("json", "jsonl", "yaml")
"""Forms beside a table that ``--columns`` chooses from."""


def brief_listing(kind: str) -> Callable[[F], F]:
    """Return the options of an ``ls`` that knows no filters, of objects of a kind; the function
    gets them as ``view``."""
    options = [*(option for _, option in _LISTING), format_option("table", kind)]

    def add(function: F) -> F:
        @functools.wraps(function)
        def called(*arguments: Any, **given: Any) -> Any:
            from netctl.columns import View

            asked = {name: given.pop(name) for name, _ in _LISTING}
            _check_apart(given["style"], asked)
            view = View(
                style=given.pop("style"),
                quiet=asked["quiet"],
                trunc=not asked["no_trunc"],
                headers=not asked["no_headers"],
                columns=asked["columns"],
                sort=asked["sort"],
            )
            return function(*arguments, view=view, **given)

        for option in reversed(options):
            called = option(called)
        return called  # type: ignore[return-value]

    return add


def _check_apart(style: str, asked: Mapping[str, Any]) -> None:
    """Raise ``InvalidInput`` for options of an ``ls`` of which one would have no effect."""
    if style == "table":
        form = ""
    else:
        form = f"--format {style}" if style in _IN_COLUMNS or style == "name" else "a template"
    columns = "--columns" if asked["columns"] else ""
    if asked["quiet"] and (other := columns or form):
        raise InvalidInput(
            f"--quiet and {other} exclude each other",
            hint="leave out --quiet, or the other; '{id}' is a template for the ids",
        )
    if columns and form and style not in _IN_COLUMNS:
        raise InvalidInput(
            f"--columns and {form} exclude each other",
            hint="--columns goes with --format table, json, jsonl or yaml",
        )


def listing(kind: str, filters: str, offered: complete.Completer) -> Callable[[F], F]:
    """Return the options of an ``ls`` of objects of a kind, with the names of its filters."""

    def add(function: F) -> F:
        option = click.option(
            "-f",
            "--filter",
            "filters",
            multiple=True,
            metavar="K=V",
            shell_complete=offered,
            help=f"Only those with: {filters}.",
        )
        return option(brief_listing(kind)(function))

    return add


def created(state: State, object_id: str, style: str, look: Look) -> None:
    """Print the id of what was made, or with a style all of it; nothing in a dry run. Raises
    ``Partial`` where it is made, and the style does not fit it."""
    if state.dry_run:
        return
    if not style:
        click.echo(object_id)
        return
    from netctl import render

    with afterwards(f"{object_id} is made"):
        render.described(look(state, object_id), style)


def changed(state: State, reference: str, style: str, look: Look) -> None:
    """Print the endpoint that was changed where a style is given; nothing in a dry run. Raises
    ``Partial`` as ``created`` does."""
    if state.dry_run or not style:
        return
    from netctl import render

    row = look(state, reference)
    with afterwards(f"{row['network']}/{row['name']} is changed"):
        render.described(row, style)


def gone(rows: Sequence[Row], style: str) -> None:
    """Print what was removed, in a style. Raises ``Partial`` as ``created`` does."""
    from netctl import render

    columns = [render.Column("ID", "id"), render.Column("NAME", "name")]
    with afterwards(f"{len(rows)} {'is' if len(rows) == 1 else 'are'} removed"):
        render.show(rows, columns, style)


@contextlib.contextmanager
def afterwards(done: str) -> Iterator[None]:
    """Enter a block that prints a result: what only the result shows not to fit the style, as an
    item that a list does not have, undoes nothing."""
    try:
        yield
    except InvalidInput as error:
        raise Partial(
            f"{done}, but not printed: {error.command_message}", hint=error.command_hint
        ) from error
