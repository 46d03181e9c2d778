"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.leftovers import Watch
from tests.waiting import equal

# How long an example takes says how busy the machine is, and nothing about netctl.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_ENDING = 20.0
"""Seconds that a process has to end after the last test."""


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail the last test of a run, or of one of its workers, where a process outlives it, or a
    mount, a namespace or a host's directory stays on the machine."""
    watch = Watch()
    yield
    equal(watch.left, [], seconds=_ENDING)
