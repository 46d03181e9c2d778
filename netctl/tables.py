"""Rows as a table: plain in a pipe, drawn by rich on a terminal.

Nothing is ever cut: what does not fit on a terminal becomes a block of lines for each row.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from netctl import cells as cell
from netctl import colours
from netctl.columns import Column, Row

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2
"""Columns of a terminal between two cells."""

Lines = Sequence[Sequence[str]]


def plain(rows: Sequence[Row], columns: Sequence[Column], *, trunc: bool, headers: bool) -> None:
    """Print columns separated by spaces: no colour, nothing wrapped."""
    found = [[cell.shown(row, column.key, trunc) for column in columns] for row in rows]
    heading = [[column.heading for column in columns]] if headers else []
    aligned([*heading, *found])


def aligned(lines: Lines) -> None:
    """Print cells below each other; a column that is empty takes no room."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True) if width)
        click.echo("  ".join(padded).rstrip())


def drawn(rows: Sequence[Row], columns: Sequence[Column], *, trunc: bool, when: str) -> None:
    """Draw a table for a terminal, each item of a list on a line of its own; where it is too narrow
    for one, without the empty columns, or each row as a block of lines. ``when`` is that of
    ``--color``."""
    from rich.console import Console

    colour = colours.wanted(sys.stdout, when)
    console = Console(no_color=not colour, force_terminal=when == "always" or None)
    cells = [[cell.shown(row, column.key, trunc, "\n") for column in columns] for row in rows]
    filled = [number for number in range(len(columns)) if any(line[number] for line in cells)]
    for numbers in ([*range(len(columns))], filled):
        some = [columns[number] for number in numbers]
        lines = [[line[number] for number in numbers] for line in cells]
        if _needed(lines, some) <= console.width:
            _rich_table(console, lines, some, colour)
            return
    _blocks(cells, columns, colour)


def _needed(cells: Lines, columns: Sequence[Column]) -> int:
    """Return how wide a table is."""
    widths = [
        max(map(_width, (column.heading, *(line[number] for line in cells))))
        for number, column in enumerate(columns)
    ]
    return sum(widths) + _GAP * (len(columns) - 1)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split("\n")))


def _rich_table(console: Console, cells: Lines, columns: Sequence[Column], colour: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=SIMPLE_HEAD,
        header_style="bold" if colour else "",
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(column.heading, no_wrap=True, overflow="ignore")
    for line in cells:
        marked = (_marked(text, column, colour) for text, column in zip(line, columns, strict=True))
        table.add_row(*(Text.from_ansi(text) for text in marked))
    console.print(table)


def _blocks(cells: Lines, columns: Sequence[Column], colour: bool) -> None:
    indent = max(len(column.heading) for column in columns) + _GAP
    for number, line in enumerate(cells):
        if number:
            click.echo()
        for column, text in zip(columns, line, strict=True):
            if text:
                below = _marked(text, column, colour).replace("\n", "\n" + " " * indent)
                click.echo(f"{column.heading.ljust(indent)}{below}", color=colour)


def _marked(text: str, column: Column, colour: bool) -> str:
    """Return a cell with colour on those of its lines that need attention."""
    return "\n".join(
        colours.tinted(line, colours.CAUTION, wanted=colour and column.alarming(line))
        for line in text.split("\n")
    )
