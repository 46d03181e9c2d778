"""How a test waits: for a condition, for as long as any machine may take.

What should not come is waited for as well, for ``QUIET`` seconds: on a busy machine the test sees
less then, but fails for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds after which something hangs, however busy the machine is."""
QUIET = 0.4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


def until(condition: Callable[[], T], what: str = "", seconds: float = PATIENCE) -> T:
    """Call until something true is returned, and return that.

    ``what`` names it in the ``AssertionError`` that is raised after ``seconds``.
    """
    end, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what or condition} did not come true in {seconds:g} s: {found}")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    return found


def equal(look: Callable[[], object], wanted: object, seconds: float = PATIENCE) -> None:
    """Look until what is seen is what is wanted; else fail with what was seen last."""
    seen: list[object] = []

    def found() -> bool:
        seen[:] = [look()]
        return seen[0] == wanted

    try:
        until(found, seconds=seconds)
    except AssertionError:
        assert seen[0] == wanted
        raise
