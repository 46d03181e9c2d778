"""Notices of foreign firewalls: once, never an error, and never a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from netctl.controller import Controller
from netctl.errors import KernelError
from netctl.kernel.instructions import Rule, Verdict
from netctl.kernel.ruleset import Chain
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config

FORWARD = Chain(
    family="ip", table="filter", name="FORWARD", type="filter", hook="forward", policy="drop"
)
LATER = Chain(
    family="inet", table="theirs", name="a b;c", type="filter", hook="forward", policy="accept"
)


@pytest.fixture
def c(tmp_path: Path) -> Controller:
    kernel = FakeKernel()
    kernel.foreign = {FORWARD: []}
    return Controller(config(tmp_path), kernel=kernel)


def fake(c: Controller) -> FakeKernel:
    assert isinstance(c.kernel, FakeKernel)
    return c.kernel


def test_ports_of_what_is_not_the_way_out_are_told_of(tmp_path: Path) -> None:
    c = Controller(config(tmp_path), kernel=FakeKernel())
    for name in ("b", "a", "z"):
        c.networks.create(name, ipv6=name != "z")
    c.networks.create("in", internal=True)
    c.sandboxes.create("c1")
    c.endpoints.connect("b", "c1", ports=["8080:80"])
    c.endpoints.connect("z", "c1")
    assert told(c) == []
    # One that comes takes the way out from another, or does not get it.
    c.endpoints.connect("a", "c1")
    [taken] = told(c)
    assert taken.startswith(
        "endpoint b/c1 is not the way out of sandbox c1 (IPv4, IPv6), so the ports"
    )
    c.endpoints.connect("z", "c1", name="late", ports=["8081:80"])
    [late] = told(c)
    assert late.startswith("endpoint z/late is not the way out of sandbox c1 (IPv4), so")
    c.endpoints.publish("b/c1", ["82"])
    assert told(c) == [taken]
    # An internal network is no way out; and where one goes, another is.
    c.endpoints.connect("in", "c1", priority=9)
    c.endpoints.publish("a/c1", ["83"])
    c.endpoints.disconnect("a", "c1")
    c.endpoints.publish("b/c1", ["84"])
    assert told(c) == []


def told(c: Controller) -> list[str]:
    found = [notice.splitlines()[0] for notice in c.notices]
    c.notices.clear()
    return found


def test_each_situation_is_told_once(c: Controller) -> None:
    c.networks.create("web")
    assert len(told(c)) == 1
    c.sandboxes.create("c1")
    c.endpoints.connect("web", "c1")
    assert told(c) == []
    # Another place is another situation; a name that no shell should see bare is quoted.
    fake(c).foreign[LATER] = [Rule(7, [Verdict("drop")])]
    c.endpoints.publish("web/c1", ["80"])
    assert "'a b;c'" in c.notices[1]
    assert [line.partition("dropped by ")[2] for line in told(c)] == [
        "the policy of chain ip filter FORWARD, which is not netctl's",
        "rule 7 of chain inet theirs a b;c (the rule's text), which is not netctl's",
    ]
    c.endpoints.publish("web/c1", ["81"])
    assert told(c) == []
    c.networks.create("db")
    assert len(told(c)) == 2


def test_what_was_told_is_forgotten_with_its_end(c: Controller, tmp_path: Path) -> None:
    c.networks.create("web")
    memory = tmp_path / "run/told"
    assert memory.exists() and told(c)
    fake(c).foreign.clear()
    c.sandboxes.create("c1")
    c.endpoints.connect("web", "c1")
    assert not memory.exists()
    fake(c).foreign[FORWARD] = []
    c.endpoints.publish("web/c1", ["80"])
    assert told(c) and memory.exists()
    memory.write_text("{")
    c.endpoints.publish("web/c1", ["81"])
    assert told(c)
    c.networks.remove("web", force=True)
    assert not memory.exists()


def test_a_dry_run_tells_and_remembers_nothing(c: Controller, tmp_path: Path) -> None:
    dry = Controller(config(tmp_path), kernel=c.kernel, dry_run=True, observe=lambda step: None)
    dry.networks.create("web")
    assert told(dry) and not (tmp_path / "run/told").exists()


def test_a_ruleset_that_cannot_be_read_is_no_error(
    c: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise KernelError("refused by the test")

    fake(c).foreign[LATER] = [Rule(7, [Verdict("drop")])]
    for method, lines in (("nft_text", 2), ("nft_rules", 0), ("nft_chains", 0)):
        monkeypatch.setattr(c.kernel, method, refuse)
        c.networks.create(method.replace("_", "-"))
        assert len(told(c)) == lines
