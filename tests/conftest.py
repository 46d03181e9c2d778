"""What holds for all tests."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing about netctl.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_MARK = "TESTS_OF_NETCTL"
"""In the environment of every process that the tests start, with the run's own number."""
_ENDING = 10.0
"""Seconds that a process has to end after the last test."""


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Fail the last test of a run, or of one of its workers, where a process outlives it."""
    worker = f"{os.getpid()}-{time.monotonic_ns()}"
    os.environ[_MARK] = worker
    yield
    end = time.monotonic() + _ENDING
    while (left := list(_started_by(worker))) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left, f"the tests left processes: {left}"


def _started_by(worker: str) -> Iterator[str]:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ:
                ours = f"{_MARK}={worker}".encode() in environ.read().split(b"\0")
            with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                command = cmdline.read(300).replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        # A zombie has neither, and is its parent's to bury.
        if ours and command:
            yield f"{pid} {command.strip()}"
