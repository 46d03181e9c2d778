"""A place on a packet's way."""

from __future__ import annotations

from netctl.doctor.finding import Finding
from netctl.record import Record


class Station(Record):
    """A place on a packet's way: one hop of ``follow``."""

    where: str
    """The place: the sandbox, an interface, a chain of a firewall."""
    what: str
    """What happens to it there."""
    passes: bool = True
    """Whether it goes on from there, or has arrived."""
    evidence: str = ""
    """What was found there, as the kernel shows it."""
    remedy: tuple[str, ...] = ()
    """The commands that mend it, if the packet ends here."""
    code: str = ""
    """Why the packet ends here, as a stable word for scripts; empty if it does not."""


def passes(where: str, what: str, evidence: str) -> Station:
    return Station(where=where, what=what, evidence=evidence)


def ends(code: str, where: str, what: str, evidence: str, *remedy: str) -> Station:
    return Station(
        where=where, what=what, passes=False, evidence=evidence, remedy=remedy, code=code
    )


def found(where: str, finding: Finding) -> Station:
    """Return the end of a way that a check has found."""
    return ends(finding.code, where, finding.what, finding.evidence, *finding.remedy)


SILENT = ("failed", "incomplete")
"""States of a neighbour that does not answer."""
