"""The counters of sandboxes' interfaces: once, or again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from netctl.cli import State
from netctl.errors import InvalidInput, NetctlError

if TYPE_CHECKING:
    from netctl.columns import Column, Row

_PAUSE = "2"
_HOME = "\x1b[H\x1b[2J"
"""What takes a terminal back to an empty screen."""
_SHORTEST, _LONGEST = 0.1, 86400.0
_KEYS = [
    f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")
]

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
    if not text.replace(".", "", 1).isdecimal():
        text, names = _PAUSE, (text, *names)
    if not _SHORTEST <= float(text) <= _LONGEST:
        raise InvalidInput(
            f"--watch {text[:40]} is too short or too long", hint="0.1 to 86400 seconds"
        )
    return float(text), names


def show(state: State, names: Sequence[str], style: str) -> None:
    """Print the counters of the sandboxes named, of all where none is."""
    _print(_rows(state, names), names, style, head=True)


def follow(state: State, names: Sequence[str], style: str, seconds: float) -> None:
    """Print them again and again: on a terminal in the same place, in a pipe one below the other,
    with the headings once, and with json an object a line."""
    from netctl import render

    redrawn = style == "table" and render.for_people()
    head = True
    while True:
        rows = _rows(state, names)
        if redrawn:
            click.echo(_HOME, nl=False, color=True)
        _print(rows, names, "jsonl" if style == "json" else style, head=head)
        sys.stdout.flush()
        head = redrawn
        time.sleep(seconds)


def _print(rows: Sequence[Row], names: Sequence[str], style: str, *, head: bool) -> None:
    from netctl import render

    view = render.View(style, trunc=False, headers=head)
    render.listed(rows, _columns(alone=len(names) == 1), view)


def _columns(*, alone: bool) -> list[Column]:
    from netctl.columns import Column

    columns = [Column("SANDBOX", "sandbox", shown=not alone), Column("INTERFACE", "name")]
    return columns + [Column(key.replace("_", " ").upper(), key) for key in _KEYS]


def _rows(state: State, names: Sequence[str]) -> list[Row]:
    """Return a row for each interface. Of all sandboxes, those that are gone have none."""
    sandboxes = state.controller.sandboxes
    found: list[Row] = []
    for name in names or [each.name for each in sandboxes.list()]:
        try:
            links = sandboxes.stats(name)
        except NetctlError:
            if names:
                raise
            continue
        found += [
            {"name": link.name, "mtu": link.mtu, "up": link.up, **link.counters, "sandbox": name}
            for link in links
        ]
    return found
