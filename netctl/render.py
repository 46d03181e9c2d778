"""How results are shown: the only place that prints data.

In a pipe a table is plain: columns separated by spaces, nothing cut, no colour. On a terminal rich
draws it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from netctl import cells, colours, columns, tables
from netctl.columns import Column, Row, View
from netctl.streams import printable

__all__ = ["Column", "Row", "View"]

_SEVERITIES = {"problem": colours.ALARM, "warning": colours.CAUTION}


def show(rows: Sequence[Row], columns: Sequence[Column], style: str) -> None:
    """Print rows in the style that ``--format`` gives: one of ``formats.FORMS``, or a template."""
    _show(rows, columns, View(style, trunc=False))


def listed(rows: Iterable[Row], known: Sequence[Column], view: View) -> None:
    """Print what an ``ls`` found: with ``quiet`` the ids alone."""
    found = columns.ordered(list(rows), known, view.sort)
    some = columns.chosen(known, view.columns, found)
    if view.quiet:
        for row in found:
            click.echo(row["id"][:12] if view.trunc else row["id"])
    elif view.columns and view.style in ("json", "jsonl", "yaml"):
        keys = [column.key for column in some]
        _show([{key: row.get(key) for key in keys} for row in found], some, view)
    else:
        _show(found, some if view.style == "table" else known, view)


def _show(rows: Sequence[Row], columns: Sequence[Column], view: View) -> None:
    if view.style == "table":
        _table(rows, columns, view)
    elif view.style == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif view.style == "jsonl":
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    elif view.style == "yaml":
        click.echo(_yaml(rows), nl=False)
    elif view.style == "name":
        for row in rows:
            click.echo(printable(str(row.get("name") or next(iter(row.values())))))
    else:
        from netctl import templates

        templates.show(rows, columns, view)


def _table(rows: Sequence[Row], columns: Sequence[Column], view: View) -> None:
    if view.headers and for_people():
        tables.drawn(rows, columns, trunc=view.trunc, when=_when())
    else:
        tables.plain(rows, columns, trunc=view.trunc, headers=view.headers)


def inspected(names: Sequence[str], look: Callable[[str], Row], style: str) -> int:
    """Print what an ``inspect`` found of every name; return the first error's code."""
    from netctl.commands.several import looked_up

    found, status = looked_up(names, look)
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
        severity = _tinted(f"{row['severity']}:", _SEVERITIES.get(row["severity"], ""))
        _echo(severity + printable(f" {row['what']} [{row['code']}]"))
        _grounds(row)


def followed(rows: Iterable[Row]) -> None:
    """Print the stations of a way, one after the other."""
    for row in rows:
        mark = "->" if row["passes"] else _tinted("XX", colours.ALARM)
        _echo(mark + printable(f" {row['where']}: {row['what']}"))
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


def at_a_glance(facts: Row, rows: Sequence[Row], known: Sequence[Column]) -> None:
    """Print what is to be said of an object, a line each, and a table of what belongs to it."""
    width = max(map(len, facts)) + 2
    for heading, value in facts.items():
        lines = value if isinstance(value, list) else [value]
        for number, line in enumerate(map(cells.text, lines)):
            if line:
                alarm = heading == "STATE" and columns.is_amiss(line)
                text = _tinted(printable(line), colours.CAUTION if alarm else "")
                _echo(("" if number else heading).ljust(width) + text)
    if rows:
        click.echo()
        _show(rows, columns.chosen(known, "", rows), View())


def _lines(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _lines(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for number, item in enumerate(value):
            yield from _lines(item, f"{path}.{number}")
    else:
        yield path, cells.text(value)


def for_people() -> bool:
    """Whether stdout is for a person: a terminal, or ``--color always``."""
    when = _when()
    return when == "always" or sys.stdout.isatty()


def _when() -> str:
    ctx = click.get_current_context(silent=True)
    state = ctx.obj if ctx else None
    return state.controller.config.color if state else "auto"


def _tinted(text: str, colour: str) -> str:
    wanted = bool(colour) and colours.wanted(sys.stdout, _when())
    return colours.tinted(text, colour, wanted=wanted)


def _echo(line: str) -> None:
    """Print a line; click takes no colour away that was found to be wanted."""
    click.echo(line, color=True)


def _yaml(rows: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(rows, sort_keys=False, allow_unicode=True)
    return text
