"""A plan is a value: the steps of one operation, in order, before any of them is taken.

Every step says how to do it, how to take it back and how an operator would type it. Taking
something down is the same plan read backwards: see :func:`inverse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from netctl.errors import NetctlError, said
from netctl.record import Record, replace

if TYPE_CHECKING:
    from netctl.kernel import Kernel
    from netctl.kernel.snapshot import Snapshot


Interface = tuple[str, str]
"""The namespace, ``""`` for the host's, and the name."""


class Difference(Record):
    """A setting or an object that is not as netctl left it."""

    what: str
    """The object and the setting that differs: ``link br-0123456789ab mtu``."""
    expected: str
    found: str
    repair: Plan = ()
    """The steps that bring it back; none where that is not netctl's to do."""
    gone: tuple[Interface, ...] = ()
    """The interfaces that are missing with it, or are somebody else's."""
    on: tuple[Interface, ...] = ()
    """The interfaces that it is about: where one is gone, it follows from that."""
    remedy: tuple[str, ...] = ()
    """The commands that mend it where ``repair`` does not."""


def in_words(lines: Iterable[str]) -> str:
    """Return the lines of a remedy as a hint, with what is a comment there in parentheses."""
    parts = (line.partition("  # ") for line in lines)
    return "; then: ".join(f"{line} ({words})" if words else line for line, _, words in parts)


class Step(Protocol):
    """One change that happened or did not."""

    def apply(self, kernel: Kernel) -> bool | Step | None:
        """Do it. False says that there was nothing to be done, and so nothing to take back; a step
        says what was done of it."""
        ...

    def revert(self, kernel: Kernel) -> bool | Step:
        """Take it back where the object is there; return whether it was, or what of it was."""
        ...

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        """Return what of the change does not hold any more."""
        ...

    def describe(self) -> str:
        """The command an operator would type for ``apply``."""
        ...

    def describe_revert(self) -> str:
        """The command an operator would type for ``revert``."""
        ...

    @property
    def durable(self) -> bool:
        """Whether the change outlives a reboot (a file does, an interface does not)."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether ``apply`` does no harm where the change is there already."""
        ...


class Final:
    """Marks a step that cannot be taken back: it is not settled where one before it was refused,
    for then the plan has to go back."""

    __slots__ = ()


class Undo(Record):
    """The taking back of ``step``, as a step."""

    step: Step

    def apply(self, kernel: Kernel) -> bool | Step:
        was = self.step.revert(kernel)
        return was if isinstance(was, bool) else Undo(step=was)

    def revert(self, kernel: Kernel) -> bool:
        self.step.apply(kernel)
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return self.step.describe_revert()

    def describe_revert(self) -> str:
        return self.step.describe()

    @property
    def durable(self) -> bool:
        return self.step.durable

    @property
    def repeatable(self) -> bool:
        """Taking back tolerates absence."""
        return True


class Attempt(Record):
    """A step that a plan goes on without where it is refused: that is told, and left to ``check``.

    So is what is done inside a sandbox on the way down. Whatever an inhabitant does there, what is
    netctl's outside comes down.
    """

    step: Step

    def apply(self, kernel: Kernel) -> bool | Step | None:
        return _as_attempt(self.step.apply(kernel))

    def revert(self, kernel: Kernel) -> bool | Step:
        return self.step.revert(kernel)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return self.step.differences(found)

    def describe(self) -> str:
        return self.step.describe()

    def describe_revert(self) -> str:
        return self.step.describe_revert()

    @property
    def durable(self) -> bool:
        return self.step.durable

    @property
    def repeatable(self) -> bool:
        return self.step.repeatable


class Assembly(Record):
    """An object and what is built upon it: taking the object away takes all of it."""

    steps: tuple[Step, ...]
    """The first makes the object."""

    def apply(self, kernel: Kernel) -> None:
        first, *others = self.steps
        first.apply(kernel)
        try:
            for step in others:
                step.apply(kernel)
        except BaseException as error:
            for problem in _each([first], lambda step: step.revert(kernel)):
                error.add_note(f"could not be undone: {said(problem)}")
            raise

    def revert(self, kernel: Kernel) -> bool | Step:
        return self.steps[0].revert(kernel)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        """Return those of all its steps; where the object is to be made, that brings all back, and
        where it is somebody else's nothing does."""
        first, *others = self.steps
        missing: Difference | None = None
        for each in first.differences(found):
            anew = tuple(self if item == first else item for item in each.repair)
            whole = replace(each, repair=anew)
            missing = whole if each.gone else missing
            yield whole
        for step in others:
            for each in step.differences(found):
                follows = missing and replace(each, repair=missing.repair, on=missing.gone)
                yield follows or each

    def describe(self) -> str:
        return "\n".join(step.describe() for step in self.steps)

    def describe_revert(self) -> str:
        return self.steps[0].describe_revert()

    @property
    def durable(self) -> bool:
        return False

    @property
    def repeatable(self) -> bool:
        return False


Plan = tuple[Step, ...]
Observer = Callable[[Step], object]


def inverse(plan: Plan) -> Plan:
    """Return the plan that takes ``plan`` down: every step undone, the newest first."""
    return tuple(_flip(step) for step in reversed(plan))


def attempted(plan: Plan) -> Plan:
    """Return the plan with every step as an ``Attempt``."""
    return tuple(step if isinstance(step, Attempt) else Attempt(step=step) for step in plan)


def execute(plan: Plan, kernel: Kernel, observe: Observer | None = None) -> tuple[NetctlError, ...]:
    """Apply every step; at the first failure revert the applied ones, newest first, and raise.

    A step that cannot be reverted becomes a note on the original error, and the rest is still
    reverted. Returns what was refused of the ``Attempt`` steps.
    """
    done: list[Step] = []
    refused: list[NetctlError] = []
    try:
        for step in plan:
            if observe:
                observe(step)
            took = _taken(step, kernel, refused)
            if took is not False:
                done.append(step if took is None or took is True else took)
    except BaseException as error:
        for problem in _each(reversed(done), lambda step: step.revert(kernel)):
            error.add_note(f"could not be undone: {said(problem)}")
        raise
    return tuple(refused)


def _as_attempt(took: bool | Step | None) -> bool | Step | None:
    return took if took is None or isinstance(took, bool) else Attempt(step=took)


def _taken(step: Step, kernel: Kernel, refused: list[NetctlError]) -> bool | Step | None:
    """Return what applying a step gives, False where it is passed over."""
    if not isinstance(step, Attempt):
        return step.apply(kernel)
    try:
        return step.apply(kernel)
    except NetctlError as error:
        refused.append(error)
        return False


def settle(plan: Plan, kernel: Kernel, *, forward: bool, rebooted: bool) -> list[Exception]:
    """Finish (``forward``) or take back a plan of which nobody knows how far it came.

    Returns the problems; an empty list means settled. After a reboot only the
    durable steps matter: the kernel has forgotten the others. A step that has to hold
    afterwards and is not repeatable is reverted first, which tolerates absence, and applied
    then: so it makes no difference whether it had happened.
    """
    ordered = settlement(plan, forward=forward, rebooted=rebooted)
    problems: list[Exception] = []
    for step in ordered:
        if not (problems and isinstance(step, Final)):
            problems += _each([step], lambda each: _settle_step(each, kernel))
    return problems


def settlement(plan: Plan, *, forward: bool, rebooted: bool) -> Plan:
    """Return the steps by which a plan is finished or taken back."""
    steps = tuple(step for step in plan if step.durable or not rebooted)
    return steps if forward else inverse(steps)


def _flip(step: Step) -> Step:
    if isinstance(step, Attempt):
        return Attempt(step=_flip(step.step))
    return step.step if isinstance(step, Undo) else Undo(step=step)


def _settle_step(step: Step, kernel: Kernel) -> None:
    if not step.repeatable:
        step.revert(kernel)
    step.apply(kernel)


def _each(steps: Iterable[Step], action: Callable[[Step], object]) -> Iterable[Exception]:
    for step in steps:
        try:
            action(step)
        except Exception as problem:  # whatever it is, the others are taken back
            if not isinstance(step, Attempt):
                yield problem
