"""``netctl info`` and ``netctl version``."""

from __future__ import annotations

import click

from netctl.cli import State
from netctl.commands.common import pass_state
from netctl.commands.forms import format_option


@click.command(epilog="Example: netctl info --format json")
@format_option("table", "survey")
@pass_state
def info(state: State, style: str) -> None:
    """Show the effective configuration and its sources, the kernel's features, and the versions."""
    from netctl import render, survey

    controller = state.controller
    controller.check_config()
    settings = survey.effective(controller.config)
    features = survey.features(controller.kernel)
    versions = survey.versions()
    if style != "table":
        row = {"configuration": settings, "features": features, "versions": versions}
        render.described({"name": "netctl", **row}, style)
        return
    columns = [render.Column("KEY", "key"), render.Column("VALUE", "value")]
    render.show(settings, [*columns, render.Column("SOURCE", "source")], style)
    for heading, facts in (("FEATURE", features), ("VERSION OF", versions)):
        click.echo()
        rows = [{"key": key, "value": value} for key, value in facts.items()]
        render.show(rows, [render.Column(heading, "key"), render.Column("", "value")], style)


@click.command(epilog="Example: netctl version --format '{netctl}'")
@format_option("table", "versions")
def version(style: str) -> None:
    """Show the version of netctl and of what it stands on."""
    from netctl import render, survey

    versions = survey.versions()
    render.described(versions if style == "table" else {"name": "netctl", **versions}, style)
