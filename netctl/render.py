"""How results are shown: the only place that prints data.

In a pipe a table is plain: columns separated by spaces, nothing cut, no colour. On a terminal rich
draws it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from netctl.errors import InvalidInput
from netctl.streams import printable

if TYPE_CHECKING:
    from rich.console import Console

Row = Mapping[str, Any]
_NARROWEST = 9
"""Columns of a terminal that are left of a cell which is cut."""
_GAP, _EDGES = 2, 2
"""Columns of a terminal between two cells, and at both ends of a line."""
_FIELD = re.compile(r"\{([^{}]*)\}")


class Column(NamedTuple):
    """A heading, and the key of a row that is shown below it."""

    heading: str
    key: str
    loose: bool = False
    """Whether a narrow terminal may show only the beginning: what else is no id, name or port."""


def show(rows: Sequence[Row], columns: Sequence[Column], style: str, *, trunc: bool = True) -> None:
    """Print rows in the style that ``--format`` gives: table, json, yaml, name or a template."""
    if style == "table":
        _table(rows, columns, trunc)
    elif style == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif style == "yaml":
        click.echo(_yaml(rows), nl=False)
    elif style == "name":
        for row in rows:
            click.echo(printable(str(row.get("name") or next(iter(row.values())))))
    else:
        for row in rows:
            click.echo(fill(style, row))


def listed(
    rows: Iterable[Row], columns: Sequence[Column], style: str, *, quiet: bool, trunc: bool
) -> None:
    """Print what an ``ls`` found: with ``quiet`` the ids alone."""
    found = list(rows)
    if quiet:
        for row in found:
            click.echo(row["id"][:12] if trunc else row["id"])
    else:
        show(found, columns, style, trunc=trunc)


def inspected(names: Sequence[str], look: Callable[[str], Row], style: str) -> int:
    """Print what an ``inspect`` found of every name; return the first error's code."""
    from netctl.commands.common import each

    found: list[Row] = []
    status = each(names, lambda name: found.append(look(name)))
    if style == "table":
        for row in found:
            described(row, style)
    else:
        show(found, [], style)
    return status


def explained(rows: Iterable[Row]) -> None:
    """Print findings as paragraphs: what, the evidence, and the commands that mend it."""
    for number, row in enumerate(rows):
        if number:
            click.echo()
        click.echo(printable(f"{row['severity']}: {row['what']} [{row['code']}]"))
        _grounds(row)


def followed(rows: Iterable[Row]) -> None:
    """Print the stations of a way, one after the other."""
    for row in rows:
        click.echo(printable(f"{'->' if row['passes'] else 'XX'} {row['where']}: {row['what']}"))
        _grounds(row)


def _grounds(row: Row) -> None:
    click.echo(printable(f"  found: {row['evidence']}"))
    for line in row["remedy"]:
        click.echo(printable(f"  mend:  {line}"))


def described(row: Row, style: str) -> None:
    """Print one object: as ``KEY  VALUE`` lines where the style is table."""
    if style != "table":
        show([row], [], style)
        return
    lines = list(_lines(row))
    width = max(len(key) for key, _ in lines)
    for key, value in lines:
        click.echo(f"{key.ljust(width)}  {printable(value)}".rstrip())


def _lines(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _lines(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for number, item in enumerate(value):
            yield from _lines(item, f"{path}.{number}")
    else:
        yield path, _cell(value)


def check_style(style: str) -> str:
    """Return the value of ``--format`` if it is one, else raise ``InvalidInput``."""
    if style in ("table", "json", "yaml", "name") or _FIELD.search(style):
        return style
    raise InvalidInput(
        f"--format {style[:60]!r} is neither table, json, yaml, name nor a template",
        hint="a template names fields in braces: '{name} {id}'",
    )


def fill(template: str, row: Row) -> str:
    """Return a template with ``{field}`` and ``{field.part}`` filled in.

    Only keys of the row are looked up: a template reaches no attribute of any object.
    """
    return _FIELD.sub(lambda match: printable(_cell(_look_up(match[1].strip(), row))), template)


def _look_up(path: str, row: Row) -> Any:
    value: Any = row
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise InvalidInput(
                f"--format: no field {path[:60]!r}", hint=f"fields: {', '.join(sorted(row))}"
            )
    return value


def _table(rows: Sequence[Row], columns: Sequence[Column], trunc: bool) -> None:
    if rich_wanted():
        _for_people(rows, columns, trunc)
        return
    cells = [[_shown(row, column.key, trunc) for column in columns] for row in rows]
    lines = [[column.heading for column in columns], *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True) if width)
        click.echo("  ".join(padded).rstrip())


def _shown(row: Row, key: str, trunc: bool, between: str = ",") -> str:
    value = row.get(key)
    if key in ("id", "sandbox_id") and trunc and isinstance(value, str):
        return value[:12]
    if isinstance(value, list):
        return between.join(printable(_cell(item)) for item in value)
    return printable(_cell(value))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_cell, value))
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_cell(item)}" for key, item in value.items())
    return str(value)


def rich_wanted() -> bool:
    """Whether stdout is for a person: a terminal, or ``--color always``."""
    when = _color()
    return when == "always" or (when == "auto" and sys.stdout.isatty())


def _color() -> str:
    ctx = click.get_current_context(silent=True)
    state = ctx.obj if ctx else None
    return state.controller.config.color if state else "auto"


def _for_people(rows: Sequence[Row], columns: Sequence[Column], trunc: bool) -> None:
    """Print a table on a terminal, each item of a list on a line of its own; where it is too narrow
    for one, without the empty columns, or each row as a block of lines."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR")) and _color() != "always"
    console = Console(no_color=plain, force_terminal=_color() == "always" or None)
    cells = [[_shown(row, column.key, trunc, "\n") for column in columns] for row in rows]
    filled = [number for number in range(len(columns)) if any(line[number] for line in cells)]
    for numbers in ([*range(len(columns))], filled):
        some = [columns[number] for number in numbers]
        fitted = _fitted([[line[n] for n in numbers] for line in cells], some, console.width)
        if fitted is not None:
            _rich_table(console, fitted, some, bold=not plain)
            return
    _blocks(cells, columns)


def _rich_table(
    console: Console, cells: Sequence[Sequence[str]], columns: Sequence[Column], *, bold: bool
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=SIMPLE_HEAD, header_style="bold" if bold else "", pad_edge=False, padding=(0, 1, 0, 0)
    )
    for column in columns:
        table.add_column(column.heading, no_wrap=True)
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    console.print(table)


def _fitted(
    cells: Sequence[Sequence[str]], columns: Sequence[Column], width: int
) -> Sequence[Sequence[str]] | None:
    """Return the cells with the loose ones cut, so that a line takes at most ``width`` columns;
    None where they cannot be."""
    wide = [
        max(map(_width, (column.heading, *(line[number] for line in cells))))
        for number, column in enumerate(columns)
    ]
    narrow = [
        min(size, max(_NARROWEST, len(column.heading))) if column.loose else size
        for size, column in zip(wide, columns, strict=True)
    ]
    room = width - _GAP * (len(columns) - 1) - _EDGES
    if sum(narrow) > room:
        return None
    while (excess := sum(wide) - room) > 0:
        slack = [size - least for size, least in zip(wide, narrow, strict=True)]
        widest = slack.index(max(slack))
        wide[widest] -= min(excess, -(-slack[widest] // 2))
    return [[_cut(cell, size) for cell, size in zip(line, wide, strict=True)] for line in cells]


def _width(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split("\n")))


def _cut(text: str, size: int) -> str:
    from rich.cells import cell_len, set_cell_size

    lines = text.split("\n")
    return "\n".join(
        line if cell_len(line) <= size else f"{set_cell_size(line, size - 1).rstrip()}…"
        for line in lines
    )


def _blocks(cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    indent = max(len(column.heading) for column in columns) + _GAP
    for number, line in enumerate(cells):
        if number:
            click.echo()
        for column, cell in zip(columns, line, strict=True):
            if cell:
                below = cell.replace("\n", "\n" + " " * indent)
                click.echo(f"{column.heading.ljust(indent)}{below}")


def _yaml(rows: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(rows, sort_keys=False, allow_unicode=True)
    return text
