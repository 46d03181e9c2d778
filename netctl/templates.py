"""Templates of ``--format``: ``{name}`` fields, and docker's ``{{.Name}}`` (see ``gotemplate``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from netctl import cells, tables
from netctl.columns import Column, Row, View
from netctl.errors import InvalidInput
from netctl.samples import Fixed, Some
from netctl.streams import printable

_FIELD = re.compile(r"\{([^{}]*)\}")


def is_template(style: str) -> bool:
    """Whether a text is a template; raise ``InvalidInput`` for one of docker's that is not
    understood."""
    if "{{" not in style:
        return bool(_FIELD.search(style))
    from netctl import gotemplate

    gotemplate.parsed(style)
    return True


def unescaped(text: str) -> str:
    """Return a template in which ``\\t`` is a tab and ``\\n`` a new line, as docker has it."""
    return text.replace("\\t", "\t").replace("\\n", "\n")


def show(rows: Sequence[Row], columns: Sequence[Column], view: View) -> None:
    """Print each row by the template that is the view's style."""
    if "{{" not in view.style:
        for row in rows:
            click.echo(fill(view.style, row))
        return
    from netctl import gotemplate

    template = gotemplate.parsed(view.style)
    # As docker's own ls does.
    lines = [template.filled({**row, "id": row["id"][:12]} if view.trunc else row) for row in rows]
    if template.table:
        heading = [template.headings(columns)] if view.headers else []
        split = [line.split("\t") for line in (*heading, *lines)]
        widest = max(map(len, split), default=0)
        tables.aligned([[*line, *[""] * (widest - len(line))] for line in split])
        return
    for line in lines:
        click.echo(line)


def fill(template: str, row: Row) -> str:
    """Return a template with ``{field}`` and ``{field.part}`` filled in.

    Only keys of the row are looked up: a template reaches no attribute of any object.
    """
    return _FIELD.sub(
        lambda match: printable(cells.text(_look_up(match[1].strip(), row))), unescaped(template)
    )


def _look_up(path: str, row: Row) -> Any:
    """Return the value at a path; what a mapping lacks is empty, but for a sample's, which has all
    there is. Raises ``InvalidInput``."""
    value: Any = row
    for part in path.split("."):
        if value is None:
            return None
        if isinstance(value, Mapping) and (part in value or not isinstance(value, Fixed)):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and _has(value, int(part)):
            value = value[int(part)]
        else:
            raise InvalidInput(
                f"--format: no field {path[:60]!r}", hint=f"fields: {', '.join(sorted(row))}"
            )
    return value


def _has(value: Sequence[Any], place: int) -> bool:
    return place < len(value) or isinstance(value, Some)
