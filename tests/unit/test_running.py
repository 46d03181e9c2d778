"""``run`` on the fake kernel: what is made for a command goes with it, whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from netctl.controller import Controller
from netctl.errors import KernelError
from netctl.kernel import process
from netctl.plan import Step
from netctl.steps import Nft
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config


def test_a_sandbox_that_could_not_be_removed_is_reaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = FakeKernel()

    def supervise(*_: object) -> int:
        kernel.fail_at(1)
        return 0

    monkeypatch.setattr(process, "supervise", supervise)
    with pytest.raises(KernelError, match="refused by the test"):
        Controller(config(tmp_path), kernel=kernel).sandboxes.run(["true"])
    after = Controller(config(tmp_path), kernel=kernel)
    after.networks.create("web")
    assert "whose run was killed" in "".join(after.notices)
    assert not after.sandboxes.list()


def test_a_dry_run_publishes(tmp_path: Path) -> None:
    shown: list[Step] = []
    dry = Controller(config(tmp_path), kernel=FakeKernel(), dry_run=True, observe=shown.append)
    dry.sandboxes.run(["true"], ports=["8080:80"])
    assert any("8080" in step.do for step in shown if isinstance(step, Nft))
