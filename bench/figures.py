"""What was measured, and what it must come to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(slots=True)
class Samples:
    """Every sample of a run, by what was done and who did it."""

    ms: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    kib: dict[tuple[str, str], int] = field(default_factory=dict)
    """Peak memory, the largest seen."""

    def add(self, what: str, who: str, ms: float, kib: int) -> None:
        self.ms.setdefault((what, who), []).append(ms)
        self.kib[what, who] = max(kib, self.kib.get((what, who), 0))

    def time(self, what: str, who: str) -> float | None:
        """Return the median, milliseconds; None where nobody measured it."""
        found = self.ms.get((what, who))
        return median(found) if found else None

    def memory(self, what: str, who: str) -> float | None:
        """Return the peak, MiB."""
        found = self.kib.get((what, who))
        return found / 1024 if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``who`` may take at most ``limit`` times what ``than`` takes."""

    limit: float
    than: str
    """Who it is measured against."""
    base: str = ""
    """What it is measured against, where that is another thing than the same operation."""
    who: str = "netctl"

    def judge(self, what: str, samples: Samples) -> Verdict:
        mine = samples.time(what, self.who)
        theirs = samples.time(self.base or what, self.than)
        return Verdict(target=self, ratio=ratio(mine, theirs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    target: Target
    ratio: float | None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where one of the two was not measured."""
        return None if self.ratio is None else self.ratio <= self.target.limit

    def __str__(self) -> str:
        word = {True: "met", False: "MISSED", None: "not measured"}[self.met]
        return f"{_COLUMNS[self.target.than]} <= {self.target.limit:g} {word}"


_COLUMNS = {"click": "/ click", "docker": "/ docker", "ip": "/ ip", "netctl": "many / few"}
"""The column in which a target's ratio is shown."""


def ratio(mine: float | None, theirs: float | None) -> float | None:
    """Return how many times ``theirs`` ``mine`` is; None where one is missing."""
    return None if mine is None or not theirs else mine / theirs


def rotated(names: Iterable[str], by: int) -> list[str]:
    """Return the names beginning at another one each time, so that nobody always comes first."""
    listed = list(names)
    start = by % len(listed) if listed else 0
    return listed[start:] + listed[:start]


def number(value: float | None, digits: int = 1) -> str:
    """Return a figure as a table shows it; ``-`` where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def plain_table(rows: list[list[str]]) -> str:
    """Return columns separated by two spaces: the first and the last to the left, figures right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    last = len(widths) - 1
    lines = (
        "  ".join(
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def markdown_table(rows: list[list[str]]) -> str:
    """Return the same as a Markdown table, the first row its head."""
    head, *body = rows
    rule = ["---", *("---:" for _ in head[2:]), "---"]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body])


def between_marks(page: str, content: str, marks: Mapping[str, str]) -> str:
    """Return the page with ``content`` between its marks; the content alone where it has none."""
    before, begin, rest = page.partition(marks["begin"])
    _, end, after = rest.partition(marks["end"])
    if not begin or not end:
        return content
    return f"{before}{begin}\n{content}\n{end}{after}"
