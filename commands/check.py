"""``netctl check``."""

from __future__ import annotations

import click

from netctl.cli import State
from netctl.commands.common import pass_state
from netctl.commands.forms import format_option

DRIFT = 9
"""Exit status where something differs."""


@click.command(epilog="Examples: netctl check; netctl check --format json")
@format_option("table", "difference")
@pass_state
def check(state: State, style: str) -> int:
    """Compare the kernel with the store: print every difference, and exit with 9 if there is one.

    Nothing is changed: netctl repair does that. A difference that only follows from another one,
    such as the addresses of a missing interface, is counted but not printed; json shows it, with
    the cause in "because".
    """
    from netctl import render

    rows = [
        {
            "object": finding.title,
            "what": finding.difference.what,
            "expected": finding.difference.expected,
            "found": finding.difference.found,
            "repairable": finding.repairable,
            "because": finding.because or None,
        }
        for finding in state.controller.check()
    ]
    columns = [
        render.Column("OBJECT", "object"),
        render.Column("WHAT", "what"),
        render.Column("EXPECTED", "expected"),
        render.Column("FOUND", "found"),
    ]
    own = [row for row in rows if not row["because"]]
    if rows or style != "table":
        render.show(own if style == "table" else rows, columns, style)
    if len(own) < len(rows) and style == "table":
        more = f"{len(rows) - len(own)} more follow from these: --format json shows them"
        click.echo(f"netctl: {more}", err=True)
    return DRIFT if rows else 0
