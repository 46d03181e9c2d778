"""Removing many objects at once; where that fails, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from netctl.errors import Conflict, NetctlError, NotFound, Partial
from netctl.gathering import Entangled, Gathering
from netctl.operation import Operation

if TYPE_CHECKING:
    from netctl.controller import Controller

Removal = Callable[[Operation, str], object]
"""Removes what a reference names, by one commit at the end."""
References = Sequence[str] | Mapping[str, str]
"""What is to be removed; where it was looked for, by id, with the names under which it is told."""
Report = Callable[[str, NetctlError | None], object]
"""Is given each reference, with the error where it could not be removed; with ``Partial`` it is
removed, and something is left."""
_AT_ONCE = 100
"""Objects that go in one operation: others wait no longer than for these, and an interrupt comes
through after them."""
_NAMED = 3
"""References that the name of an operation tells."""


def each(
    controller: Controller, what: str, references: References, remove: Removal, report: Report
) -> None:
    """Remove what the references name, as many at once as can be. What cannot be removed stops
    nothing else."""
    names = references if isinstance(references, Mapping) else {each: each for each in references}
    todo = list(names)

    def alone(reference: str) -> None:
        with controller.operation(f"{what} {names[reference]}") as op:
            remove(op, reference)

    def begin(reference: str, number: int) -> None:
        controller.tell_progress(f"{what} {names[reference]}", number, len(todo))

    def told(reference: str, error: NetctlError | None) -> None:
        report(names[reference], error)

    done = 0
    while done < len(todo):
        group = todo[done : done + _AT_ONCE]
        begin(group[0], done)
        with controller.operation(_name(what, [names[each] for each in group])) as op:
            seen, left = _at_once(controller, op, group, remove, told)
        done += seen
        _one_by_one(left, done, begin, alone, told)
        if controller.is_stopping() and done < len(todo):
            controller.left = [names[each] for each in todo[done:]]
            return
    for again in _repeated(references):
        # Looked for once more, it could be taken for the beginning of another one's id.
        kind = what.partition(" ")[0]
        report(again, NotFound(f"{kind} {again} is named twice", hint="name it once"))


def _repeated(references: References) -> Iterator[str]:
    seen: set[str] = set()
    for each in references:
        if each in seen:
            yield each
        seen.add(each)


def pruned(
    controller: Controller,
    what: str,
    names: Mapping[str, str],
    remove: Removal,
    report: Report | None,
) -> Sequence[str]:
    """Remove what is unused, given by id with its name; return the names of what was removed. What
    cannot be removed does not stop the others: ``report`` is given its error. Without that the
    first one is raised at the end, and its notes say the others and what was removed."""
    removed: list[str] = []
    errors: list[NetctlError] = []

    def told(name: str, error: NetctlError | None) -> None:
        if isinstance(error, (NotFound, Conflict)):
            return  # It has gone, or come into use, since it was looked at.
        if error is None or isinstance(error, Partial):
            removed.append(name)
        if report:
            report(name, error)
        elif error:
            errors.append(error)

    each(controller, what, names, remove, told)
    if errors:
        raise _first(errors, removed)
    return removed


def _first(errors: Sequence[NetctlError], removed: Sequence[str]) -> NetctlError:
    for other in errors[1:]:
        errors[0].add_note(other.command_message)
    if removed:
        errors[0].add_note(f"removed: {', '.join(removed)}")
    return errors[0]


def within(
    controller: Controller,
    op: Operation,
    references: Sequence[str],
    remove: Removal,
    report: Report,
) -> None:
    """Remove as ``each`` does, within an operation."""

    def begin(reference: str, number: int) -> None:
        controller.tell_progress(reference, number, len(references))

    done = 0
    while done < len(references):
        group = references[done : done + _AT_ONCE]
        begin(group[0], done)
        seen, left = _at_once(controller, op, group, remove, report)
        done += seen
        _one_by_one(left, done, begin, lambda reference: remove(op, reference), report)
        if controller.is_stopping() and done < len(references):
            controller.left += references[done:]
            return


def _at_once(
    controller: Controller,
    op: Operation,
    references: Sequence[str],
    remove: Removal,
    report: Report,
) -> tuple[int, Sequence[str]]:
    """Remove the first ones by one commit; return how many were seen to, and of these the ones that
    are left to be removed each on its own."""
    if len(references) == 1:
        return 1, references
    notices = len(controller.notices)
    gathering = Gathering(op.reader)
    planned = _planned(controller, gathering, references, remove)
    ready = [name for name, error in planned if error is None or isinstance(error, Partial)]
    try:
        passed = op.commit(gathering.plan, put=gathering.put, delete=gathering.delete, forward=True)
    except NetctlError:
        # All of it was taken back, and what is to be told comes again.
        del controller.notices[notices:]
        for reference, error in planned:
            if reference not in ready:
                report(reference, error)
        return len(planned), ready
    left = _left(passed) if passed else None
    for reference, error in planned:
        report(reference, error or (left if reference == ready[-1] else None))
    return len(planned), ()


def _left(passed: Iterable[NetctlError]) -> Partial:
    """Return the error of a removal that went on without some of its steps, of whatever name."""
    error = Partial("removed, but not all that stands for it", hint="netctl check shows the rest")
    for each in passed:
        error.add_note(each.command_message)
    return error


def _planned(
    controller: Controller, gathering: Gathering, references: Sequence[str], remove: Removal
) -> list[tuple[str, NetctlError | None]]:
    """Return the references whose removal is gathered, or cannot be; one that depends on another
    waits until that is gone, and all after it."""
    planned: list[tuple[str, NetctlError | None]] = []
    for reference in references:
        notices = len(controller.notices)
        try:
            remove(gathering, reference)
        except Entangled:
            # It saw documents that are ahead of the files in the sandbox.
            del controller.notices[notices:]
            break
        except NetctlError as error:
            planned.append((reference, error))
        else:
            planned.append((reference, None))
    return planned


def _one_by_one(
    references: Sequence[str],
    end: int,
    begin: Callable[[str, int], None],
    remove: Callable[[str], object],
    report: Report,
) -> None:
    """Remove what the references name, the last ones of the first ``end`` of all."""
    for number, reference in enumerate(references, end - len(references)):
        begin(reference, number)
        try:
            remove(reference)
        except NetctlError as error:
            report(reference, error)
        else:
            report(reference, None)


def _name(what: str, references: Sequence[str]) -> str:
    more = ["..."] if len(references) > _NAMED else []
    return " ".join([what, *references[:_NAMED], *more])
