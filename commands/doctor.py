"""``netctl doctor``."""

from __future__ import annotations

import click

from netctl.cli import State
from netctl.commands.check import DRIFT
from netctl.commands.common import format_option, pass_state


@click.command(epilog="Examples: netctl doctor; netctl doctor --format json")
@click.option("--probe", is_flag=True, help="Ask the name servers too, whether they answer.")
@format_option("table")
@pass_state
def doctor(state: State, style: str, *, probe: bool) -> int:
    """Read the machine and explain why traffic would fail; exit with 9 if something is wrong.

    Each finding comes with what was found and the lines that mend it. Nothing is changed.
    """
    from netctl import render
    from netctl.doctor.finding import Severity

    found = state.controller.examine(probe=probe)
    rows = [
        {
            "severity": str(finding.severity),
            "code": finding.code,
            "name": finding.code,
            "what": finding.what,
            "evidence": finding.evidence,
            "remedy": list(finding.remedy),
        }
        for finding in found
    ]
    if style == "table":
        render.explained(rows)
    else:
        render.show(rows, [], style)
    return DRIFT if any(finding.severity is Severity.PROBLEM for finding in found) else 0
