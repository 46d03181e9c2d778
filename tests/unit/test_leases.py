"""Leases: what has expired, or whose owner is gone, is removed by gc or when it is in the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netctl.config import AddressPool
from netctl.controller import Controller
from netctl.definitions.lease import duration
from netctl.errors import Conflict, Exhausted, InvalidInput, NotFound
from netctl.record import replace
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config

OWNER = 4711


@pytest.fixture
def kernel() -> FakeKernel:
    found = FakeKernel()
    found.processes[OWNER] = 1000
    return found


@pytest.fixture
def c(kernel: FakeKernel, tmp_path: Path) -> Controller:
    return Controller(config(tmp_path), kernel=kernel)


def _expire(c: Controller, name: str) -> None:
    """Put the end of a sandbox's lease into the past."""
    doc = c.sandboxes.get(name).doc
    past = (datetime.now(UTC) - timedelta(seconds=2)).isoformat(timespec="seconds")
    assert doc.lease
    with c.operation("test") as op:
        op.commit((), put=(replace(doc, lease=replace(doc.lease, expires=past)),))


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1w", 604800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "1.5h", "5 m", "٣m", "9999999d"])
def test_what_is_no_duration_is_refused(c: Controller, text: str) -> None:
    with pytest.raises(InvalidInput, match="not a duration"):
        c.sandboxes.create("c1", ttl=text)
    assert c.sandboxes.list() == []


def test_a_dry_run_of_gc_removes_nothing_twice(
    c: Controller, kernel: FakeKernel, tmp_path: Path
) -> None:
    c.networks.create("web")
    c.sandboxes.create("c1", ttl="1h")
    c.endpoints.connect("web", "c1")
    _expire(c, "c1")
    shown: list[str] = []
    dry = Controller(
        config(tmp_path),
        kernel=kernel,
        dry_run=True,
        observe=lambda step: shown.append(step.describe()),
    )
    dry.collect()
    gone = [line for line in shown if line.startswith(("ip link del", "ip netns del", "rm "))]
    assert gone and len(gone) == len(set(gone)), gone


def test_nothing_is_removed_for_what_cannot_be(c: Controller) -> None:
    c.networks.create("web", subnets=["10.0.0.0/30"])
    c.sandboxes.create("c1", ttl="1h")
    c.endpoints.connect("web", "c1")
    _expire(c, "c1")
    with pytest.raises(InvalidInput, match="no IPv6 subnet"):
        c.endpoints.create("web", "e", ip6="fd00::1")
    assert [each.name for each in c.sandboxes.list()] == ["c1"]
    c.endpoints.create("web", "e")
    assert c.sandboxes.list() == []


@pytest.mark.parametrize("pid", [0, -1, 99999])
def test_an_owner_that_is_not_there_is_refused(c: Controller, pid: int) -> None:
    with pytest.raises(NotFound, match="no such process"):
        c.networks.create("web", owner_pid=pid)
    assert c.networks.list() == []


def test_gc_removes_what_has_expired_and_nothing_else(c: Controller, kernel: FakeKernel) -> None:
    clean = kernel.state()
    c.networks.create("web", owner_pid=OWNER)
    c.networks.create("stays", ttl="1h")
    for name in ("c1", "c2"):
        c.sandboxes.create(name, ttl="1h")
        c.endpoints.connect("web", name)
    assert c.leftovers() == []
    _expire(c, "c1")
    assert [item.what for item in c.leftovers()] == ["sandbox c1"]
    assert c.collect().left == ()
    assert [s.name for s in c.sandboxes.list()] == ["c2"]
    assert [e.name for e in c.endpoints.list()] == ["c2"]
    # Its number was given again to another process.
    kernel.processes[OWNER] = 2000
    (item,) = c.leftovers()
    assert (item.what, item.why) == ("network web", "its owner, process 4711, is gone")
    c.collect()
    assert [n.name for n in c.networks.list()] == ["stays"]
    assert c.endpoints.list() == [] and c.sandboxes.list() != []
    c.sandboxes.remove("c2")
    c.networks.remove("stays")
    assert kernel.state() == clean


def test_an_owner_of_another_boot_is_gone(
    c: Controller, kernel: FakeKernel, tmp_path: Path
) -> None:
    c.sandboxes.create("c1", owner_pid=OWNER)
    kernel.reboot()
    later = Controller(config(tmp_path), kernel=kernel)
    assert [item.what for item in later.leftovers()] == ["sandbox c1"]


def test_a_lack_of_addresses_reclaims_what_has_expired(c: Controller) -> None:
    c.networks.create("small", subnets=["10.9.0.0/29"])
    for number in range(5):
        c.sandboxes.create(f"c{number}", ttl="1h")
        c.endpoints.connect("small", f"c{number}")
    c.sandboxes.create("new", ttl="1h")
    with pytest.raises(Exhausted):
        c.endpoints.connect("small", "new")
    _expire(c, "c3")
    # It is in use, whatever its lease says.
    _expire(c, "new")
    c.endpoints.connect("small", "new")
    assert sorted(s.name for s in c.sandboxes.list()) == ["c0", "c1", "c2", "c4", "new"]
    assert any("removed sandbox c3: expired" in notice for notice in c.notices)
    assert c.check() == []


def test_a_port_that_is_held_by_what_has_expired_is_reclaimed(c: Controller) -> None:
    c.networks.create("web")
    for name in ("old", "new"):
        c.sandboxes.create(name, ttl="1h")
    c.endpoints.connect("web", "old", ports=["8080:80"])
    c.endpoints.connect("web", "new")
    with pytest.raises(Exhausted, match="held by endpoint web/old"):
        c.endpoints.publish("web/new", ["8080:80"])
    for name in ("old", "new"):
        _expire(c, name)
    c.endpoints.publish("web/new", ["8080:80"])
    assert [s.name for s in c.sandboxes.list()] == ["new"]
    assert any("removed sandbox old: expired" in notice for notice in c.notices)
    assert c.check() == []


def test_a_name_and_a_subnet_of_what_is_at_its_end_are_free(
    c: Controller, kernel: FakeKernel
) -> None:
    first = c.sandboxes.create("job", owner_pid=OWNER)
    c.networks.create("ci", subnets=["10.9.0.0/24"], owner_pid=OWNER)
    c.endpoints.connect("ci", "job")
    for _ in range(2):
        with pytest.raises(Conflict, match="sandbox job exists already"):
            c.sandboxes.create("job")
        with pytest.raises(Conflict, match="network ci exists already"):
            c.networks.create("ci")
        with pytest.raises(Conflict, match="overlaps network ci"):
            c.networks.create("other", subnets=["10.9.0.0/24"])
    assert c.sandboxes.create("job", if_not_exists=True).id == first.id
    del kernel.processes[OWNER]
    assert c.sandboxes.create("job", if_not_exists=True).id != first.id
    assert c.notices == [f"removed sandbox job: its owner, process {OWNER}, is gone"]
    c.networks.create("other", subnets=["10.9.0.0/24"])
    assert [n.name for n in c.networks.list()] == ["other"]
    kernel.processes[OWNER] = 1000
    old = c.networks.create("ci", owner_pid=OWNER)
    del kernel.processes[OWNER]
    assert c.networks.create("ci").id != old.id
    assert c.check() == []


def test_a_lack_of_subnets_reclaims_networks(kernel: FakeKernel, tmp_path: Path) -> None:
    pools = (AddressPool(base="10.9.0.0/23", size=24),)
    c = Controller(replace(config(tmp_path), address_pools=pools), kernel=kernel)
    c.networks.create("one", owner_pid=OWNER)
    c.networks.create("two")
    with pytest.raises(Exhausted):
        c.networks.create("three")
    del kernel.processes[OWNER]
    c.networks.create("three")
    assert [n.name for n in c.networks.list()] == ["three", "two"]


def test_a_lease_is_shown_and_not_compared(c: Controller) -> None:
    first = c.sandboxes.create("c1", ttl="2h")
    assert c.sandboxes.create("c1", if_not_exists=True).id == first.id
    assert first.doc.lease and first.doc.lease.expires.endswith("Z")


def test_the_sandbox_of_a_namespace_that_is_gone_for_good_is_collected(
    c: Controller, kernel: FakeKernel
) -> None:
    clean = kernel.state()
    kernel.add_external("/proc/42/ns/net")
    c.sandboxes.create("vm", netns_path="/proc/42/ns/net")
    kernel._end_stack(kernel.pins.pop("/proc/42/ns/net"))
    kernel.pins.pop("/run/netns/vm")
    (item,) = c.leftovers()
    assert item.what == "sandbox vm" and "gone" in item.why
    assert c.collect().left == ()
    assert c.sandboxes.list() == []
    assert kernel.state() == clean
