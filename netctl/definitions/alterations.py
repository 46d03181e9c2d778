"""What may be changed of an object that is there, checked before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netctl.definitions.checks import check_texts
from netctl.errors import InvalidInput, NotFound
from netctl.names import several
from netctl.record import Record


class LabelChange(Record):
    """Labels to be set, and names of labels to be taken away."""

    given: dict[str, str]
    gone: tuple[str, ...] = ()

    def applied(self, what: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels afterwards; raise ``NotFound`` for one to be taken away that ``what``
        does not have."""
        for name in self.gone:
            if name not in labels:
                shown = ", ".join(sorted(labels)[:10]) or "none"
                raise NotFound(f"{what} has no label {name[:60]!r}", hint=f"its labels: {shown}")
        return {**{k: v for k, v in labels.items() if k not in self.gone}, **self.given}


def label_change(given: Mapping[str, str] | None, gone: Iterable[str]) -> LabelChange:
    """Return a checked change of labels. Raises ``InvalidInput``."""
    change = LabelChange(given=dict(given or {}), gone=several(gone))
    check_texts(change.given)
    check_apart("label", change.given, change.gone)
    return change


def check_apart(what: str, given: Iterable[str], gone: Iterable[str]) -> None:
    """Raise ``InvalidInput`` where the same is to be set and taken away, in whatever order."""
    for name in gone:
        if name in given:
            raise InvalidInput(
                f"--{what} {name[:60]} and --{what}-rm {name[:60]} contradict each other",
                hint="give one of them",
            )


def aliases_after(
    what: str, aliases: tuple[str, ...], given: Iterable[str], gone: Iterable[str]
) -> tuple[str, ...]:
    """Return an endpoint's aliases after some were taken away and others given, in whatever case;
    raise ``NotFound`` for one to be taken away that it does not have."""
    kept = {alias.lower(): alias for alias in aliases}
    for alias in gone:
        if kept.pop(alias.lower(), None) is None:
            shown = ", ".join(aliases) or "none"
            raise NotFound(f"{what} has no alias {alias[:60]!r}", hint=f"its aliases: {shown}")
    for alias in given:
        kept.setdefault(alias.lower(), alias)
    return tuple(kept.values())
