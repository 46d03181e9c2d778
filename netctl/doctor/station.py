"""A place on a packet's way."""

from __future__ import annotations

from netctl.record import Record


class Station(Record):
    """A place on a packet's way."""

    where: str
    what: str
    """What happens to it there."""
    passes: bool = True
    """Whether it goes on from there, or has arrived."""
    evidence: str = ""
    remedy: tuple[str, ...] = ()


def passes(where: str, what: str, evidence: str) -> Station:
    return Station(where=where, what=what, evidence=evidence)


def ends(where: str, what: str, evidence: str, *remedy: str) -> Station:
    return Station(where=where, what=what, passes=False, evidence=evidence, remedy=remedy)


SILENT = ("failed", "incomplete")
"""States of a neighbour that does not answer."""
