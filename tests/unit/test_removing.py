"""Removing many at once: as if each had been removed, whatever step is refused or the last one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netctl import operation
from netctl.controller import Controller
from netctl.definitions.endpoint import EndpointOptions
from netctl.errors import NetctlError, NotFound
from netctl.models import Endpoint, Sandbox
from netctl.plan import Assembly, Attempt, Step, Undo
from netctl.record import replace
from netctl.steps.links import LinkGone
from netctl.steps.namespaces import NetnsCreate
from netctl.steps.settings import FlowsForgotten, Nft
from netctl.steps.together import LinksGone, Together
from netctl.store import Writer
from netctl.upkeep.leftovers import Leftover
from tests.fake.base import Killed
from tests.fake_kernel import FakeKernel
from tests.unit.scenarios import DETAILS
from tests.unit.test_every_step import config, documents

Removal = Callable[[Controller], object]
NAMES = ["c1", "c2"]


def _ignored(name: str, error: NetctlError | None) -> None:
    pass


def _two(c: Controller) -> None:
    """Two sandboxes on a network, with all that an endpoint can have, one also on another."""
    c.networks.create("web", ipv6=True)
    c.networks.create("db")
    for number, name in enumerate(NAMES):
        c.sandboxes.create(name, ttl="1h")
        details: EndpointOptions = {**DETAILS, "ports": [f"808{number}:80"]}
        c.endpoints.connect("web", name, **details)
    c.endpoints.connect("db", "c1", rate_in="10mbit", rate_out="10mbit", priority=1)


def _expire_all(c: Controller) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=2)).isoformat(timespec="seconds")
    with c.operation("test") as op:
        for doc in op.reader.all(Sandbox):
            assert doc.lease
            op.commit((), put=(replace(doc, lease=replace(doc.lease, expires=past)),))


def _collect(c: Controller) -> None:
    _expire_all(c)
    c.collect()


REMOVALS: dict[str, Removal] = {
    "sandbox rm of two": lambda c: c.sandboxes.remove_each(NAMES, _ignored, force=True),
    "endpoint rm of two": lambda c: c.endpoints.remove_each(
        [f"web/{name}" for name in NAMES], _ignored, force=True
    ),
    "endpoint rm of all in one sandbox": lambda c: c.endpoints.remove_each(
        ["db/c1", "web/c1"], _ignored, force=True
    ),
    "network rm of one": lambda c: c.networks.remove("web", force=True),
    "network rm of both": lambda c: c.networks.remove_each(["web", "db"], _ignored, force=True),
    "gc": _collect,
}

_MOST_STEPS = 200
ALONE: dict[str, Removal] = {
    "endpoint rm of all in one sandbox": lambda c: c.endpoints.remove_each(
        ["db/c1"], _ignored, force=True
    ),
    "network rm of both": lambda c: c.networks.remove_each(["web"], _ignored, force=True),
}
"""Where the second waits for the first: refused once, it stays, as if only the first went."""


class Host:
    def __init__(self, directory: Path) -> None:
        self.kernel = FakeKernel()
        self.directory = directory
        self.steps: list[Step] = []
        self.controller = self.enter()
        _two(self.controller)
        self.steps.clear()

    def enter(self) -> Controller:
        """Return what the next process has."""
        return Controller(config(self.directory), kernel=self.kernel, observe=self.steps.append)


def _outcome(controller: Controller) -> list[str]:
    """Return what stands, without what is random or a time."""
    return sorted(
        f"{type(document).__name__} {getattr(document, 'name', '')}"
        f" {isinstance(document, Endpoint) and document.attachment is not None}"
        for document in documents(controller.store)
    )


def _in_order(controller: Controller) -> bool:
    strays = [item for item in controller.leftovers() if isinstance(item, Leftover)]
    return controller.check() == [] and strays == []


@pytest.mark.parametrize("name", REMOVALS)
def test_a_refused_step_stops_nothing(name: str, tmp_path: Path) -> None:
    whole = Host(tmp_path / "whole")
    before = len(whole.kernel.calls)
    REMOVALS[name](whole.controller)
    count, expected = len(whole.kernel.calls) - before, [_outcome(whole.controller)]
    if first := ALONE.get(name):
        part = Host(tmp_path / "part")
        first(part.controller)
        expected.append(_outcome(part.controller))
    outcomes = []
    for number in range(1, count + 1):
        host = Host(tmp_path / str(number))
        found = _outcome(host.controller)
        host.kernel.fail_at(number)
        try:
            REMOVALS[name](host.controller)
        except NetctlError as error:
            # One alone is refused, and all is as it was.
            assert (name, error.notes) == ("network rm of one", [])
            assert _outcome(host.controller) == found
        else:
            outcomes.append(_outcome(host.controller))
            assert outcomes[-1] in expected, f"call {number}"
        # What is attempted on the way down is passed over: a pin stays, or a route is missing.
        host.controller.collect()
        host.controller.repair()
        assert _in_order(host.controller), f"call {number}: {host.kernel.calls[-1]}"
    assert all(outcome in outcomes for outcome in expected)


def _dead(writer: Writer, error: BaseException) -> None:
    """Stand for the end of an operation in a process that is killed: it ends nothing any more."""
    assert isinstance(error, Killed)


@pytest.mark.parametrize("name", REMOVALS)
def test_a_kill_at_any_step_leaves_nothing_half_done(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, "_abort", _dead)
    for number in range(1, _MOST_STEPS):
        host = Host(tmp_path / str(number))
        host.kernel.kill_at(number)
        try:
            REMOVALS[name](host.controller)
        except Killed:
            host.kernel.revive()
        else:
            assert number > 10
            break
        after = host.enter()
        assert "left by process" in after.repair().done[0]
        assert _in_order(after), f"call {number}: {host.kernel.calls[-1]}"


@pytest.mark.parametrize("name", REMOVALS)
def test_a_dry_run_shows_what_would_go_at_once(name: str, tmp_path: Path) -> None:
    host = Host(tmp_path)
    if name == "gc":
        _expire_all(host.controller)
    kernel, store = host.kernel.state(), documents(host.controller.store)
    shown: list[Step] = []
    dry = Controller(config(tmp_path), kernel=host.kernel, dry_run=True, observe=shown.append)
    (Controller.collect if name == "gc" else REMOVALS[name])(dry)
    assert host.kernel.state() == kernel
    assert documents(host.controller.store) == store
    (Controller.collect if name == "gc" else REMOVALS[name])(host.controller)
    if name not in ALONE:
        assert [type(step) for step in shown] == [type(step) for step in host.steps]
    assert all(step.describe() and step.describe_revert() for step in shown)


def test_interfaces_rules_and_flows_go_at_once(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.controller.sandboxes.remove_each(NAMES, _ignored, force=True)
    taken = (step.step if isinstance(step, Attempt) else step for step in host.steps)
    undone = [step.step for step in taken if isinstance(step, Undo)]
    [links] = [step for step in undone if isinstance(step, Together)]
    # Three pairs, and the interface through which what is limited comes.
    assert len(links.steps) == 4
    assert not any(isinstance(step, Assembly) for step in undone)
    assert sum(isinstance(step, Nft) for step in undone) == 1
    assert sum(isinstance(step, FlowsForgotten) and not step.coming for step in undone) == 1
    assert sum(isinstance(step, NetnsCreate) for step in undone) == 2


def test_one_that_cannot_be_removed_stops_no_other(tmp_path: Path) -> None:
    host = Host(tmp_path)
    told: dict[str, NetctlError | None] = {}
    host.controller.sandboxes.create("idle")
    host.controller.sandboxes.remove_each(["idle", "gone", "c1", "idle"], told.__setitem__)
    # The second time it is gone.
    assert [type(told[name]).__name__ for name in ("idle", "gone", "c1")] == [
        "NotFound",
        "NotFound",
        "Conflict",
    ]
    assert [doc.name for doc in host.controller.store.all(Sandbox)] == NAMES


def _replace(kernel: FakeKernel, name: str) -> None:
    """Put somebody else's interface into the place of ours."""
    kernel.link_delete("", name, alias=kernel.host.links[name].alias)
    kernel.add_link(name, alias="theirs")


def test_what_somebody_put_in_the_place_of_one_stops_no_other(tmp_path: Path) -> None:
    host = Host(tmp_path)
    [place] = [e.doc.attachment for e in host.controller.endpoints.list("web") if e.name == "c2"]
    assert place
    host.kernel.link_delete(
        "", place.host_ifname, alias=host.kernel.host.links[place.host_ifname].alias
    )
    host.kernel.add_link(place.host_ifname, alias="theirs")
    told: dict[str, NetctlError | None] = {}
    host.controller.sandboxes.remove_each(NAMES, told.__setitem__, force=True)
    assert [name for name, error in told.items() if error] == ["c2"]
    assert host.kernel.host.links[place.host_ifname].alias == "theirs"
    assert [doc.name for doc in host.controller.store.all(Sandbox)] == ["c2"]


def test_what_a_lost_store_left_goes_at_once(tmp_path: Path) -> None:
    host = Host(tmp_path / "lost")
    other = Controller(config(tmp_path / "new"), kernel=host.kernel, observe=host.steps.append)
    assert len(other.leftovers()) > 5
    other.collect()
    assert other.leftovers() == []
    assert not any(isinstance(step, LinkGone) for step in host.steps)
    [gone] = [step for step in host.steps if isinstance(step, LinksGone)]
    assert len(gone.links) == 6


def test_prune_removes_the_others_where_one_cannot_go(tmp_path: Path) -> None:
    kernel = FakeKernel()
    c = Controller(config(tmp_path), kernel=kernel)
    for name in ("one", "two", "three"):
        c.networks.create(name)
    bridge = c.networks.get("two").doc.facts["bridge"]
    _replace(kernel, bridge)
    with pytest.raises(NetctlError, match=bridge) as caught:
        c.networks.prune()
    assert sorted(caught.value.notes[-1].removeprefix("removed: ").split(", ")) == ["one", "three"]
    assert [network.name for network in c.networks.list()] == ["two"]
    c.networks.create("four")
    told: dict[str, NetctlError | None] = {}
    assert c.networks.prune(report=told.__setitem__) == ["four"]
    assert told.pop("four") is None and bridge in str(told.pop("two")) and not told


def test_the_same_name_twice_is_gone_the_second_time(tmp_path: Path) -> None:
    host = Host(tmp_path)
    errors: list[NetctlError | None] = []
    host.controller.sandboxes.remove_each(
        ["c1", "c1"], lambda name, error: errors.append(error), force=True
    )
    assert errors[0] is None and isinstance(errors[1], NotFound)


def test_a_name_that_is_given_twice_is_not_looked_for_among_ids(tmp_path: Path) -> None:
    errors: list[NetctlError | None] = []
    with Controller(config(tmp_path), kernel=FakeKernel()) as controller:
        controller.sandboxes.create("c1")
        controller.sandboxes.create("other", id="c1" + "0" * 62)
        controller.sandboxes.remove_each(["c1", "c1"], lambda name, error: errors.append(error))
        assert [each.name for each in controller.sandboxes.list()] == ["other"]
    assert errors[0] is None and isinstance(errors[1], NotFound)


def test_a_removal_that_waits_for_another_gives_no_notice_of_an_edited_file(tmp_path: Path) -> None:
    """Its sandbox's files are those of before the other one, and nobody edited them."""
    with Controller(config(tmp_path), kernel=FakeKernel()) as controller:
        for name in ("web", "db"):
            controller.networks.create(name)
        controller.sandboxes.create("c1")
        for name in ("web", "db"):
            controller.endpoints.connect(name, "c1")
        controller.networks.remove_each(["web", "db"], lambda name, error: None, force=True)
        assert controller.networks.list() == []
        assert controller.notices == []
