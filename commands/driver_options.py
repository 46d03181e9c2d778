"""The drivers' options in the help of a command, and in its man page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from netctl.groups import Command

if TYPE_CHECKING:
    from netctl.backends.options import Option


class WithDriverOptions(Command):
    """A command whose help ends with what the drivers know."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        for heading, records in self.sections():
            with formatter.section(heading):
                formatter.write_dl(records, col_max=36)

    def sections(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """Yield headings, each with the options below it and what they are for."""
        from netctl.backends import registry
        from netctl.definitions.network import OPTIONS

        for name in registry.names():
            if options := registry.load(name).options:
                yield f"Options of driver {name} (-o)", list(_records(options))
        words = "true, yes, on, t and 1 are the same, and so are false, no, off, f and 0."
        yield "Options of every driver (-o)", [*_records(OPTIONS), ("true|false", words)]


def _records(options: Mapping[str, Option]) -> Iterator[tuple[str, str]]:
    from netctl.backends.options import PREFIX

    for label, option in options.items():
        default = f"  [{option.default}]" if option.default else ""
        yield f"{label.removeprefix(PREFIX)}={option.form}", option.help + default
