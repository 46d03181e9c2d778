"""What the smaller benchmarks share: options, and a section of docs/benchmarks.md for each."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import report
from bench.figures import between_marks, markdown_table, plain_table

Rows = list[list[str]]


def options(subject: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse what every one of them takes; ends the process where it is not root."""
    parser = argparse.ArgumentParser(prog=f"bench {subject}")
    parser.add_argument("--rounds", type=int, default=5, help="times everything is measured (5)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the section there")
    found = parser.parse_args(arguments)
    if os.geteuid() != 0:
        print("bench: only root can make namespaces", file=sys.stderr)
        raise SystemExit(77)
    return found


def show(subject: str, rows: Rows, words: str, given: argparse.Namespace) -> None:
    """Print a table with a head row, and write it between the marks of its section."""
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    head = f"Measured on {when}, {given.rounds} rounds: {report.machine()}."
    print(f"{head}\n\n{plain_table(rows)}\n\n{words}")
    if given.markdown:
        marks = {way: f"<!-- bench {subject}: {way} -->" for way in ("begin", "end")}
        page = given.markdown.read_text()
        text = between_marks(page, f"{head}\n\n{markdown_table(rows)}\n\n{words}", marks)
        given.markdown.write_text(text)


def tell(text: str) -> None:
    """Say on stderr how far it is."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
