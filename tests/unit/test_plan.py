"""Plans: applied, reverted, finished and taken back, whatever each step does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from netctl import operation
from netctl.errors import KernelError, NotPermitted
from netctl.kernel import Kernel
from netctl.kernel.snapshot import Snapshot
from netctl.plan import Assembly, Difference, Final, Undo, execute, inverse, settle
from netctl.steps.addresses import AddressAdd
from netctl.steps.files import DirectoryCreate, FileWrite, Symlink
from netctl.steps.links import LinkUp
from netctl.steps.namespaces import NetnsCreate
from netctl.store import Changes, Intent
from tests.fake_kernel import FakeKernel
from tests.namespaces import make_namespace

C1 = "/run/netns/c1"


@dataclass
class Note:
    """A step that writes down what becomes of it, and fails where it is told to."""

    name: str
    log: list[str]
    fails: tuple[type[Exception], ...] = field(default=())
    durable: bool = False
    repeatable: bool = True

    def apply(self, kernel: Kernel) -> None:
        self.log.append(f"+{self.name}")

    def revert(self, kernel: Kernel) -> bool:
        self.log.append(f"-{self.name}")
        for kind in self.fails:
            raise kind(f"{self.name} stays")
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return self.name

    describe_revert = describe


class Broken(Note):
    def apply(self, kernel: Kernel) -> None:
        raise KernelError("refused by the test")


def test_a_revert_that_fails_with_anything_stops_no_other() -> None:
    log: list[str] = []
    plan = (
        Note("a", log),
        Note("b", log, (ZeroDivisionError,)),
        Note("c", log, (KernelError,)),
        Broken("d", log),
    )
    with pytest.raises(KernelError, match="refused") as caught:
        execute(plan, FakeKernel())
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert caught.value.__notes__ == [
        "could not be undone: c stays",
        "could not be undone: b stays",
    ]


def test_what_is_not_undone_is_noted_in_the_words_of_the_command_line() -> None:
    plan = (Note("--ip 10.0.0.2, of netctl check,", [], (KernelError,)), Broken("b", []))
    for whole in (plan, (Assembly(steps=plan),)):
        with pytest.raises(KernelError) as caught:
            execute(whole, FakeKernel())
        note = "could not be undone: --ip 10.0.0.2, of netctl check, stays"
        assert caught.value.command_notes == [note]
        assert caught.value.notes == [
            "could not be undone: ip='10.0.0.2', of controller.check(), stays"
        ]


def test_an_operation_tells_its_problems_in_the_words_of_the_command_line() -> None:
    problem = KernelError("see netctl check")

    class Refusing:
        def abort(self) -> None:
            raise problem

    error = KernelError("first")
    operation._abort(cast(Any, Refusing()), error)
    assert error.command_notes == ["see netctl check"]

    intent = Intent(
        operation="network create", pid=1, boot_id="b", forward=False, plan=(), changes=Changes()
    )
    line = operation._given_up(intent, [problem], cast(Any, FakeWriter()))
    assert "wholly (see netctl check)" in line
    with pytest.raises(NotPermitted) as caught:
        operation._given_up(intent, [NotPermitted("see netctl check")], cast(Any, FakeWriter()))
    assert caught.value.command_notes == ["see netctl check"]


class FakeWriter:
    def abort(self) -> None:
        pass


def test_what_was_not_there_is_not_made_by_going_back() -> None:
    kernel = FakeKernel()
    identity = make_namespace(kernel, "/run/netns/c2", alias="netctl:sandbox:2")
    missing = (
        NetnsCreate(path=C1, alias="netctl:sandbox:1"),
        AddressAdd(netns="", link="uplink", address="10.0.0.1/24"),
        DirectoryCreate(path="/etc/netns/c1"),
        FileWrite(path="/run/hosts", content="x"),
        Symlink(path="/etc/netns/c1/hosts", target="/run/hosts"),
        Assembly(steps=(NetnsCreate(path=C1, alias="netctl:sandbox:1"),)),
    )
    before = kernel.state()
    with pytest.raises(KernelError, match="refused"):
        execute((*inverse(missing), Broken("d", [])), kernel)
    assert kernel.state() == before
    for known in (identity, ""):  # Without one it is known by its mark, as to an older netctl.
        step = NetnsCreate(path="/run/netns/c2", alias="netctl:sandbox:2", identity=known)
        with pytest.raises(KernelError, match="refused"):
            execute((Undo(step=step), Broken("d", [])), kernel)
        kernel.netns_let_go()
        assert kernel.state() == before
        assert (kernel.netns_identity("/run/netns/c2") == identity) == bool(known)


def test_settling_reports_every_problem_and_goes_on() -> None:
    log: list[str] = []
    plan = (Note("a", log), Note("b", log, (ZeroDivisionError,)), LinkUp(netns="", name="uplink"))
    problems = settle(plan, FakeKernel(), forward=False, rebooted=False)
    assert ([str(problem) for problem in problems], log) == (["b stays"], ["-b", "-a"])


class Last(Note, Final):
    """One from which there is no way back."""


@pytest.mark.parametrize(("refused", "log"), [(True, ["+a"]), (False, ["+a", "+last"])])
def test_no_bridge_is_burnt_where_a_step_was_refused(refused: bool, log: list[str]) -> None:
    seen: list[str] = []
    first = (Broken("b", seen),) if refused else ()
    plan = (*first, Note("a", seen), Last("last", seen))
    problems = settle(plan, FakeKernel(), forward=True, rebooted=False)
    assert (len(problems), seen) == (len(first), log)
