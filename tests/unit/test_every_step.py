"""Whatever step of whatever operation is refused: kernel and store are as they were before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from netctl.config import Config, load
from netctl.controller import Controller
from netctl.errors import KernelError, Partial
from netctl.models import Cursor, Endpoint, HostState, Network, Sandbox
from netctl.plan import Step
from netctl.store import Reader
from tests.fake_kernel import FakeKernel
from tests.unit.scenarios import SCENARIOS, Scenario

KINDS = (Network, Endpoint, Sandbox, Cursor, HostState)


def config(directory: Path) -> Config:
    overrides = {"state_dir": f"{directory}/state", "run_dir": f"{directory}/run"}
    return load(None, overrides, {})


def documents(reader: Reader) -> list[object]:
    return [document for kind in KINDS for document in reader.all(kind)]


class Place:
    """A controller on a fake kernel, prepared for a scenario."""

    def __init__(self, directory: Path, scenario: Scenario) -> None:
        self.kernel = FakeKernel()
        self.steps: list[Step] = []
        self.controller = Controller(
            config(directory), kernel=self.kernel, observe=self.steps.append
        )
        scenario.prepare(self.controller)
        self.steps.clear()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_refused_step_leaves_everything_as_before(scenario: Scenario, tmp_path: Path) -> None:
    for number in counted(scenario, tmp_path / "count"):
        place = Place(tmp_path / str(number), scenario)
        kernel, store = place.kernel.state(), documents(place.controller.store)
        place.kernel.fail_at(number)
        if goes_on(scenario, place.controller):
            place.controller.repair()
            place.controller.collect()
            assert place.controller.check() == []
            assert place.controller.leftovers() == []
            continue
        assert place.kernel.state() == kernel, f"call {number}: {place.kernel.calls[-1]}"
        assert documents(place.controller.store) == store
        # Nothing is left to settle, and the same operation goes through now.
        assert place.controller.repair().done == ()
        assert place.controller.check() == []
        scenario.act(place.controller)
        assert place.controller.check() == []
        assert place.controller.leftovers() == []


def goes_on(scenario: Scenario, controller: Controller) -> bool:
    """Whether the operation goes on without the step that is refused, and says so: what is inside a
    sandbox does not keep it from being taken down."""
    try:
        scenario.act(controller)
    except Partial as error:
        assert error.notes
        return True
    except KernelError as error:
        assert not error.notes
        return False
    assert any(notice.startswith("not done: ") for notice in controller.notices)
    return True


def counted(scenario: Scenario, directory: Path) -> Iterator[int]:
    """Give 1, 2, ... for each change that the scenario makes in the kernel."""
    place = Place(directory, scenario)
    before = len(place.kernel.calls)
    scenario.act(place.controller)
    return iter(range(1, len(place.kernel.calls) - before + 1))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_dry_run_shows_the_steps_and_changes_nothing(scenario: Scenario, tmp_path: Path) -> None:
    place = Place(tmp_path, scenario)
    kernel, store = place.kernel.state(), documents(place.controller.store)
    shown: list[Step] = []
    dry = Controller(config(tmp_path), kernel=place.kernel, dry_run=True, observe=shown.append)
    scenario.act(dry)
    assert place.kernel.state() == kernel
    assert documents(place.controller.store) == store
    scenario.act(place.controller)
    # Ids are random, so the words are compared without what derives from them.
    assert [type(step) for step in shown] == [type(step) for step in place.steps]
    assert all(step.describe() and step.describe_revert() for step in shown)
