"""One operation: take the lock, settle what a dead process left, intend, act, record.

The order is what makes a crash harmless. The intent with its whole plan is on disk before the
first step, and the result after the last; whoever comes next finds either nothing, or an
intent that it settles first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Protocol

from netctl import plainsignal as signal
from netctl.codec import CodecError, decode_plan, encode_plan
from netctl.errors import KernelError, NetctlError, NotPermitted, StoreDamaged, said
from netctl.models import Document
from netctl.plan import Observer, Plan, Step, execute, settle, settlement
from netctl.store import NO_ROOM, Changes, Intent, Reader, Store, Writer

if TYPE_CHECKING:
    from netctl.kernel import Kernel


_STOPPING = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_HELD = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, *_STOPPING}


_LONG = 50
"""Steps from which on a plan says how far it is."""

Progress = Callable[[str, int, int | None], object]
"""What is told how far something is: what is next, how many are done, and of how many."""


class Operation(Protocol):
    """What a use case works with: the documents as they are, and one way to change anything."""

    @property
    def reader(self) -> Reader:
        """The store as this operation sees it, with what it has committed so far."""
        ...

    def commit(
        self,
        plan: Plan,
        *,
        put: tuple[Document, ...] = (),
        delete: tuple[Document, ...] = (),
        claims: Mapping[str, str | None] | None = None,
        forward: bool = False,
    ) -> tuple[NetctlError, ...]:
        """Carry out the plan and record the documents, or change nothing and raise. Returns what
        was refused of the steps that the plan goes on without: see ``plan.Attempt``.

        ``claims`` puts claims right that no document is changed for. ``forward`` says what becomes
        of a crash in the middle: the plan is finished (for taking something down), else it is taken
        back.
        """
        ...


class LockedOperation:
    """An operation for real, under the store's lock."""

    def __init__(
        self,
        name: str,
        writer: Writer,
        kernel: Kernel,
        observe: Observer | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.reader: Reader = writer
        self._name = name
        self._writer = writer
        self._kernel = kernel
        self._observe = observe
        self._progress = progress

    def _observer(self, plan: Plan) -> Observer | None:
        """Return what is given each step; of a long plan it says how far that is."""
        progress, observe = self._progress, self._observe
        if not progress or len(plan) < _LONG:
            return observe
        number = count()

        def counted(step: Step) -> None:
            progress(self._name, next(number), len(plan))
            if observe:
                observe(step)

        return counted

    def commit(
        self,
        plan: Plan,
        *,
        put: tuple[Document, ...] = (),
        delete: tuple[Document, ...] = (),
        claims: Mapping[str, str | None] | None = None,
        forward: bool = False,
    ) -> tuple[NetctlError, ...]:
        changes = Changes(put=put, delete=delete, claims=dict(claims or {}))
        if forward:
            from netctl.gathering import gathered

            plan = gathered(plan)
        if not plan:
            self._finish(self._writer, plan, changes)
            return ()
        try:
            self._intend(plan, changes, forward)
        except KernelError as error:
            # What brings the kernel to the documents, which stay as they are, is found again where
            # it was not finished: a full disk is no reason to leave a host without its rules.
            if not forward or changes != Changes() or error.errno not in NO_ROOM:
                raise
            return execute(plan, self._kernel, self._observer(plan))
        try:
            refused = execute(plan, self._kernel, self._observer(plan))
        except BaseException as error:
            _abort(self._writer, error)
            raise
        self._finish(self._writer, plan, changes)
        return refused

    def _intend(self, plan: Plan, changes: Changes, forward: bool) -> None:
        self._writer.begin(
            Intent(
                operation=self._name,
                pid=os.getpid(),
                boot_id=self._kernel.boot_id(),
                forward=forward,
                plan=tuple(encode_plan(plan)),
                changes=changes,
            ),
            # What the kernel forgets with its power needs no intent that does not.
            sync=any(step.durable for step in plan),
        )

    def _finish(self, writer: Writer, plan: Plan, changes: Changes) -> None:
        try:
            writer.commit(changes)
        except NetctlError as error:
            if plan:
                for problem in settle(plan, self._kernel, forward=False, rebooted=False):
                    error.add_note(f"could not be undone: {said(problem)}")
                _abort(writer, error)
            raise


def passed_over(refused: Iterable[NetctlError]) -> list[str]:
    """Return the notices of steps that were refused and that the plan went on without."""
    return [
        f"not done: {said(error)}; netctl check shows what differs, netctl repair mends it"
        for error in refused
    ]


def _abort(writer: Writer, error: BaseException) -> None:
    """End the intent, unless something is left over: then the next operation settles it."""
    if getattr(error, "__notes__", None):
        error.add_note("what is left is undone by the next command, or by: netctl repair")
        return
    try:
        writer.abort()
    except NetctlError as problem:
        error.add_note(said(problem))


def settle_pending(writer: Writer, kernel: Kernel) -> str | None:
    """Settle the intent of a dead process; return a line that says what was done, or None.

    Raises ``NotPermitted`` where this process may not: nothing else may happen before.
    """
    intent = writer.pending()
    if intent is None:
        return None
    plan = _plan_of(intent)
    rebooted = intent.boot_id != kernel.boot_id()
    forward = intent.forward
    problems = settle(plan, kernel, forward=forward, rebooted=rebooted)
    if problems:
        # What cannot be finished may still be undone, and the other way round.
        forward = not forward
        if settle(plan, kernel, forward=forward, rebooted=rebooted):
            return _given_up(intent, problems, writer)
    if forward:
        writer.commit(intent.changes)
    else:
        writer.abort()
    verb = "finished" if forward else "undid"
    return f"{verb} '{intent.operation}', left by process {intent.pid}"


def _given_up(intent: Intent, problems: list[Exception], writer: Writer) -> str:
    """End an intent that can be neither finished nor undone, for something that it needs was taken
    away: one object must not block all others, and what differs now is seen and mended as any
    difference is."""
    left = f"'{intent.operation}', left by process {intent.pid}"
    if any(isinstance(problem, NotPermitted) for problem in problems):
        error = NotPermitted(f"{left}, cannot be settled", hint="run it as root: netctl repair")
        for problem in problems:
            error.add_note(said(problem))
        raise error
    writer.abort()
    return (
        f"{left}, could not be settled wholly ({said(problems[0])}): netctl check shows what"
        " differs, netctl repair and netctl gc mend it"
    )


def show_pending(intent: Intent, kernel: Kernel, observe: Observer | None) -> str:
    """Show how an intent would be settled; return the line that says so."""
    rebooted = intent.boot_id != kernel.boot_id()
    steps = settlement(_plan_of(intent), forward=intent.forward, rebooted=rebooted)
    for step in steps:
        if observe:
            observe(step)
    verb = "finish" if intent.forward else "undo"
    return f"would {verb} '{intent.operation}', left by process {intent.pid}"


def _plan_of(intent: Intent) -> Plan:
    try:
        return decode_plan(intent.plan)
    except (CodecError, KeyError, TypeError) as error:
        raise StoreDamaged(
            f"'{intent.operation}', left by process {intent.pid}, has a step that this netctl does"
            f" not know ({said(error)})",
            hint="use the netctl that began it, or a newer one: netctl repair",
        ) from error


def is_stopping() -> bool:
    """Whether a signal that ends this process waits for the end of the operation."""
    return bool(_ENDING & signal.sigpending())


@contextmanager
def unstopped() -> Iterator[None]:
    """Hold off what would stop this process while it holds the lock; what ends it comes through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def operation(
    name: str,
    store: Store,
    kernel: Kernel,
    *,
    observe: Observer | None = None,
    notices: list[str],
    progress: Progress | None = None,
    entered: Callable[[], object] = lambda: None,
) -> Iterator[Operation]:
    """Enter an operation: lock, hold off the signals that would end or stop us in the middle, and
    settle. They arrive when the lock is free again: a process that is stopped blocks nobody.
    ``entered`` is called as soon as they are held off."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        with store.locked(name) as writer:
            signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
            entered()
            if notice := settle_pending(writer, kernel):
                notices.append(notice)
            yield LockedOperation(name, writer, kernel, observe, progress)
    finally:
        kernel.netns_let_go()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
