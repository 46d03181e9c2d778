"""What the first command of the README shows, once it has installed what is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.kernel.host import reason_to_skip
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())
def test_the_demo_shows_the_main_job_and_leaves_nothing() -> None:
    done = subprocess.run(
        ["unshare", "--net", "--mount", "scripts/demo", "inside"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 received") == 3
    assert done.stdout.rstrip().endswith("no difference")
