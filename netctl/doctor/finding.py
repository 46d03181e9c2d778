"""What the doctor finds."""

from __future__ import annotations

from enum import StrEnum

from netctl.record import Record


class Severity(StrEnum):
    PROBLEM = "problem"
    """Something does not work."""
    WARNING = "warning"
    """Something may not work, now or soon."""
    NOTE = "note"
    """Good to know when something does not work."""


class Finding(Record):
    """A problem of the host that ``examine`` found, or a possible one."""

    code: str
    """A stable word for scripts."""
    severity: Severity
    what: str
    """What follows from it, in one sentence."""
    evidence: str
    """What was found, as the machine says it."""
    remedy: tuple[str, ...] = ()
    """The commands that mend it."""
    on: str = ""
    """The interface of the host that it is about, if there is one."""


def count(number: int, noun: str) -> str:
    """Return so many of a thing, in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def problem(code: str, what: str, evidence: str, *remedy: str, on: str = "") -> Finding:
    return _finding(Severity.PROBLEM, code, what, evidence, remedy, on)


def warning(code: str, what: str, evidence: str, *remedy: str, on: str = "") -> Finding:
    return _finding(Severity.WARNING, code, what, evidence, remedy, on)


def note(code: str, what: str, evidence: str, *remedy: str, on: str = "") -> Finding:
    return _finding(Severity.NOTE, code, what, evidence, remedy, on)


def _finding(
    severity: Severity, code: str, what: str, evidence: str, remedy: tuple[str, ...], on: str
) -> Finding:
    return Finding(code=code, severity=severity, what=what, evidence=evidence, remedy=remedy, on=on)
