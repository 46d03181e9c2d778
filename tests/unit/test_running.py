"""``run`` on the fake kernel: what is made for a command goes with it, whatever happens."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from netctl.controller import Controller
from netctl.errors import KernelError
from netctl.kernel import process
from netctl.plan import Step
from netctl.steps.settings import Nft
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


def test_a_directory_of_runs_that_cannot_be_read_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = Controller(config(tmp_path), kernel=FakeKernel())
    (tmp_path / "run" / "run").mkdir(parents=True)
    real = os.listdir

    def listdir(path: str = ".") -> list[str]:
        if path == f"{tmp_path}/run/run":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", listdir)
        controller.networks.create("web")
    [notice] = controller.notices
    assert f"list {tmp_path}/run/run: Input/output error" in notice
    # An empty one is not looked into a second time.
    Controller(config(tmp_path), kernel=FakeKernel()).networks.create("db")
    assert not (tmp_path / "run" / "run").exists()


def test_a_sandbox_whose_run_was_killed_is_named(tmp_path: Path) -> None:
    kernel = FakeKernel()
    first = Controller(config(tmp_path), kernel=kernel)
    made = first.sandboxes.create("c1")
    (tmp_path / "run" / "run").mkdir(parents=True)
    (tmp_path / "run" / "run" / made.id).touch()
    after = Controller(config(tmp_path), kernel=kernel)
    after.networks.create("web")
    assert after.notices == ["removed sandbox c1, whose run was killed"]
