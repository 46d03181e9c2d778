"""Colour on a terminal: each stream is judged on its own."""

from __future__ import annotations

import os
from typing import TextIO

import click

ALARM, CAUTION, ADVICE = "red", "yellow", "cyan"


def wanted(stream: TextIO, when: str) -> bool:
    """Whether a stream gets colour. ``when`` is auto, always or never; with auto a terminal does,
    unless ``NO_COLOR`` is set or the terminal is dumb."""
    if when != "auto":
        return when == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()


def tinted(text: str, colour: str, *, wanted: bool = True) -> str:
    """Return a text in bold and a colour, or as it is."""
    return click.style(text, fg=colour, bold=True) if wanted and text else text
