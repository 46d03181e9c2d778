"""netctl in this process, on a fake kernel and a state directory of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netctl import controller
from netctl.cli import main
from tests.fake_kernel import FakeKernel
from tests.kernel.conftest import host

__all__ = ["host"]


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Netctl = Callable[..., Done]


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    fake = FakeKernel()
    monkeypatch.setattr(controller, "open_kernel", lambda: fake)
    for name in ("state", "run"):
        monkeypatch.setenv(f"NETCTL_{name.upper()}_DIR", str(tmp_path / name))
    return fake


@pytest.fixture
def netctl(kernel: FakeKernel, capfd: pytest.CaptureFixture[str]) -> Netctl:
    """Run a command line; return its exit status and what it printed."""

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        out, err = capfd.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return run
