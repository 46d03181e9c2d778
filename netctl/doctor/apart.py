"""Looking at sandboxes one by one, so that none hides what is wrong with another."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator

from netctl.doctor.finding import Finding, note
from netctl.doctor.machine import Machine
from netctl.errors import KernelError
from netctl.rooms import Room


def of_rooms(
    machine: Machine, what: str, look: Callable[[Room], Iterable[Finding]]
) -> Iterator[Finding]:
    """Yield what a look at each sandbox finds that is there; ``what`` is looked at, in words."""
    for room in machine.rooms:
        if room.alive:
            yield from noted(what, room.sandbox.name, look(room))


def noted(what: str, sandbox: str, found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings about a sandbox, and a note where it cannot be looked at to the end: whoever
    is inside decides how much there is to read. One that went is another check's to name."""
    try:
        yield from found
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return
        remedy = (f"# {error.command_hint}",) if error.command_hint else ()
        yield note(
            "not-looked-at",
            f"could not look at {what} of sandbox {sandbox}",
            error.command_message,
            *remedy,
        )
