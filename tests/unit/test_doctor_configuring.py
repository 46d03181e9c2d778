"""Lines of the doctor that add to the configuration leave it whole."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from netctl.config import load
from netctl.controller import Controller
from netctl.doctor.configuring import added
from netctl.doctor.machine import Machine
from tests.fake_kernel import FakeKernel

KEY = "ip_forward_interfaces"


def line_for(path: Path, directory: Path) -> str:
    kernel = FakeKernel()
    kernel.files[str(path)] = path.read_text()
    overrides = {"state_dir": f"{directory}/state", "run_dir": f"{directory}/run"}
    controller = Controller(load(str(path), overrides, {}), kernel=kernel)
    return added(Machine(controller), KEY, ['"docker0"', '"lan"'])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{KEY}: [a]\n", ("a", "docker0", "lan")),
        (f'{KEY}: ["a", "b*"]  # [mine]\nlock_timeout: 20', ("a", "b*", "docker0", "lan")),
        ("lock_timeout: 20\n", ("docker0", "lan")),
        ("default_driver: bridge", ("docker0", "lan")),
    ],
)
def test_the_line_adds_to_the_list(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    path = tmp_path / "netctl.yaml"
    path.write_text(text)
    before = load(str(path), {}, {})
    subprocess.run(["sh", "-ec", line_for(path, tmp_path)], check=True)
    after = load(str(path), {}, {})
    assert after.ip_forward_interfaces == names
    assert (after.lock_timeout, after.default_driver) == (
        before.lock_timeout,
        before.default_driver,
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY}: []\n",
        f"{KEY}:\n- a\n",
        f"{KEY}: [a,\n  b]\n",
        f"{KEY}: [a,]\n",
        f'{KEY}: ["a]"]\n',
        f'"{KEY}": [a]\n',
        "{lock_timeout: 20}\n",
        "lock_timeout: 20\n...\n",
    ],
)
def test_where_no_line_can_add_to_it_a_comment_says_what_to_add(tmp_path: Path, text: str) -> None:
    path = tmp_path / "netctl.yaml"
    path.write_text(text)
    line = line_for(path, tmp_path)
    assert line.startswith(f'# add "docker0", "lan" to {KEY} ({path}')
    subprocess.run(["sh", "-ec", line], check=True)
    assert path.read_text() == text
