"""The counters of sandboxes' interfaces: once, or again and again."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from netctl.cli import State
from netctl.errors import Conflict, InvalidInput, NetctlError, NotFound

if TYPE_CHECKING:
    from netctl.columns import Column, Row

_PAUSE = "2"
_HOME = "\x1b[H\x1b[2J"
"""What takes a terminal back to an empty screen."""
_SHORTEST, _LONGEST = 0.1, 86400.0
_SECONDS = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)s?", re.ASCII)
_NAME = re.compile(r"[^\W\d]")
"""How the name of a sandbox begins that may stand behind ``--watch``: not as a number does."""

watch = click.option(
    "--watch",
    is_flag=False,
    flag_value=_PAUSE,
    metavar="[SECONDS]",
    help=f"Repeat every {_PAUSE} seconds, or every SECONDS.",
)


def pause(text: str, names: tuple[str, ...]) -> tuple[float, tuple[str, ...]]:
    """Return the seconds of ``--watch``, and the sandboxes: a name behind it is one of these.
    Raises ``InvalidInput``."""
    if _NAME.match(text):
        text, names = _PAUSE, (text, *names)
    found = _SECONDS.fullmatch(text)
    if not found or not _SHORTEST <= float(found[1]) <= _LONGEST:
        wrong = "is too short or too long" if found else "is not a number of seconds"
        raise InvalidInput(
            f"--watch {text[:40]} {wrong}",
            hint="0.1 to 86400 seconds; names of sandboxes stand before --watch",
        )
    return float(found[1]), names


def show(state: State, names: Sequence[str], style: str) -> int:
    """Print the counters of the sandboxes named, of all where none is; return the first error's
    code."""
    rows, status = _first(state, names)
    _print(rows, names, style, head=True)
    return status


def follow(state: State, names: Sequence[str], style: str, seconds: float) -> int:
    """Print them again and again: on a terminal in the same place, in a pipe one below the other,
    with the headings once, and with json an object a line. Return the first error's code where
    there is nothing to print of any that is named; raise the error where the last of them goes."""
    from netctl import render

    redrawn = style == "table" and render.for_people()
    head = True
    rows, status = _first(state, names)
    while rows or not names:
        if redrawn:
            click.echo(_HOME, nl=False, color=True)
        _print(rows, names, "jsonl" if style == "json" else style, head=head)
        sys.stdout.flush()
        head = redrawn
        time.sleep(seconds)
        rows = _present(state, names)
    return status


def _print(rows: Sequence[Row], names: Sequence[str], style: str, *, head: bool) -> None:
    from netctl import render

    view = render.View(style, trunc=False, headers=head)
    render.listed(rows, _columns(alone=len(names) == 1), view)


def _columns(*, alone: bool) -> list[Column]:
    from netctl.columns import Column
    from netctl.samples import COUNTERS

    columns = [Column("SANDBOX", "sandbox", shown=not alone), Column("INTERFACE", "name")]
    return columns + [Column(key.replace("_", " ").upper(), key) for key in COUNTERS]


def _first(state: State, names: Sequence[str]) -> tuple[list[Row], int]:
    """Return a row for each interface, and the first error's code: each error is reported."""
    if not names:
        return _present(state, names), 0
    from netctl.commands.several import looked_up

    found, status = looked_up(names, lambda name: _rows(state, name))
    return [row for rows in found for row in rows], status


def _present(state: State, names: Sequence[str]) -> list[Row]:
    """Return the rows without those of sandboxes that are gone. Raises their error where all that
    are named are."""
    found: list[Row] = []
    gone: NetctlError | None = None
    for name in names or [each.name for each in state.controller.sandboxes.list()]:
        try:
            found += _rows(state, name)
        except (Conflict, NotFound) as error:
            gone = error
    if gone and names and not found:
        raise gone
    return found


def _rows(state: State, name: str) -> list[Row]:
    return [
        {"name": link.name, "mtu": link.mtu, "up": link.up, **link.counters, "sandbox": name}
        for link in state.controller.sandboxes.stats(name)
    ]
