"""What a notice says has happened did happen: dry runs and refused operations say nothing of it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netctl.controller import Controller
from netctl.errors import Conflict, KernelError, NetctlError
from netctl.record import replace
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config

LATER = "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def real(kernel: FakeKernel, tmp_path: Path) -> Controller:
    made = Controller(config(tmp_path), kernel=kernel)
    made.networks.create("web", subnets=["10.1.0.0/24"])
    made.sandboxes.create("c1")
    return made


@pytest.fixture
def dry(real: Controller, kernel: FakeKernel, tmp_path: Path) -> Controller:
    return Controller(config(tmp_path), kernel=kernel, dry_run=True)


OPERATIONS: dict[str, Callable[[Controller], object]] = {
    "connect": lambda c: c.endpoints.connect("web", "c1"),
    "create": lambda c: c.networks.create("db"),
    "repair": lambda c: c.repair(),
    "restore": lambda c: c.restore(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_dry_run_says_what_it_would_put_back(
    real: Controller, dry: Controller, kernel: FakeKernel, name: str
) -> None:
    kernel.firewall.tables.clear()
    before = len(kernel.calls)
    OPERATIONS[name](dry)
    assert not any("back" in notice and "would" not in notice for notice in dry.notices)
    if name in ("connect", "create"):
        assert any("would be put back" in notice for notice in dry.notices)
    assert len(kernel.calls) == before
    OPERATIONS[name](real)
    if name in ("connect", "create"):
        assert any("they are back" in notice for notice in real.notices)


def test_a_dry_run_says_what_it_would_remove(
    real: Controller, dry: Controller, kernel: FakeKernel
) -> None:
    real.sandboxes.create("old", ttl="1h")
    doc = real.sandboxes.get("old").doc
    past = (datetime.now(UTC) - timedelta(seconds=2)).isoformat(timespec="seconds")
    assert doc.lease
    with real.operation("test") as op:
        op.commit((), put=(replace(doc, lease=replace(doc.lease, expires=past)),))
    dry.sandboxes.create("old")
    assert [n.partition(":")[0] for n in dry.notices] == ["would remove sandbox old"]
    real.sandboxes.create("old")
    assert [n.partition(":")[0] for n in real.notices] == ["removed sandbox old"]


def test_a_refused_operation_keeps_what_was_done_on_its_way_alone(
    real: Controller, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KernelError("add the bridge: refused", errno=errno.EPERM)

    kernel.firewall.tables.clear()
    kernel.add_link("lan")
    kernel.address_add("", "lan", "10.7.0.9/16")
    # The rules are put back, then the bridge is refused.
    with monkeypatch.context() as patch, pytest.raises(KernelError, match="refused"):
        patch.setattr(kernel, "bridge_add", refuse)
        real.networks.create("db", subnets=["10.7.0.0/24"])
    assert [notice.partition(",")[0] for notice in real.notices] == [
        "netctl's firewall rules were gone"
    ]
    real.notices.clear()
    real.networks.create("db", subnets=["10.7.0.0/24"])
    assert any("overlaps what the host uses" in notice for notice in real.notices)


def test_in_a_batch_each_operation_speaks_for_itself(real: Controller, kernel: FakeKernel) -> None:
    kernel.add_link("lan")
    kernel.address_add("", "lan", "10.7.0.9/16")
    with real.batch():
        real.networks.create("db", subnets=["10.7.0.0/24"])
        with pytest.raises(Conflict):
            real.networks.create("db", subnets=["10.7.1.0/24"])
        with pytest.raises(NetctlError):
            kernel.fail_at(1)
            real.networks.create("front", subnets=["10.7.2.0/24"])
    about = [n for n in real.notices if "overlaps" in n]
    assert len(about) == 1 and "network db" in about[0]
