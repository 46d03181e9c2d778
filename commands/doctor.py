"""``netctl doctor``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from netctl.cli import State
from netctl.commands import complete
from netctl.commands.check import DRIFT
from netctl.commands.common import pass_state
from netctl.commands.forms import format_option
from netctl.errors import InvalidInput

if TYPE_CHECKING:
    from netctl.render import Row


@click.command(
    epilog="Examples: netctl doctor; netctl doctor c1; netctl doctor c1 192.0.2.7:443; "
    "netctl doctor c1 db/server:5432 --format json"
)
@click.argument("sandbox", required=False, shell_complete=complete.sandboxes)
@click.argument("destination", required=False, shell_complete=complete.destinations)
@click.option("--probe", is_flag=True, help="Also check that the name servers answer.")
@format_option("table", "explanation")
@pass_state
def doctor(
    state: State, sandbox: str | None, destination: str | None, style: str, *, probe: bool
) -> int:
    """Explain why traffic would fail; exit with 9 if something is wrong.

    Without arguments, check the host: print each problem with its evidence and the commands that
    mend it, and change nothing. With a SANDBOX, send one packet from there, to the host's gateway
    or to DESTINATION, and follow it to where it ends. DESTINATION is ADDRESS[:PORT[/tcp|udp]], with
    an endpoint or a sandbox in place of the address if you like; without a port it is a ping. Put
    an IPv6 address with a port in brackets. A link-local address needs the sandbox's interface:
    fe80::1%eth0.
    """
    if sandbox is None:
        return _examined(state, style, probe)
    if probe:
        raise InvalidInput("--probe does not go with a sandbox", hint="netctl doctor --probe")
    return _followed(state, sandbox, destination, style)


def _examined(state: State, style: str, probe: bool) -> int:
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
    _show(rows, style, render.explained)
    return DRIFT if any(finding.severity is Severity.PROBLEM for finding in found) else 0


def _followed(state: State, sandbox: str, destination: str | None, style: str) -> int:
    from netctl import render

    stations = state.controller.follow(sandbox, destination)
    rows = [
        {
            "name": station.where,
            "where": station.where,
            "what": station.what,
            "passes": station.passes,
            "code": station.code or None,
            "evidence": station.evidence,
            "remedy": list(station.remedy),
        }
        for station in stations
    ]
    _show(rows, style, render.followed)
    return 0 if all(station.passes for station in stations) else DRIFT


def _show(rows: Sequence[Row], style: str, for_people: Callable[[Sequence[Row]], None]) -> None:
    from netctl import render

    if style == "table":
        for_people(rows)
    else:
        render.show(rows, [], style)
