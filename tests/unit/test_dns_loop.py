"""The loop of the resolver's process."""

from __future__ import annotations

import os
from functools import partial

from netctl.backends.dns.loop import READ, Loop


def test_what_was_ready_is_not_told_to_the_next_that_has_its_number() -> None:
    loop = Loop(lambda: None)
    quiet, quiet_end = os.pipe()
    pipes = [os.pipe() for _ in range(2)]
    told: list[int] = []

    def take_over(other: int, events: int) -> None:
        told.append(other)
        loop.forget(other)
        os.dup2(quiet, other)
        loop.watch(other, lambda events: told.append(-1), READ)
        loop.stop()

    for (here, _), (other, _) in (pipes, pipes[::-1]):
        loop.watch(here, partial(take_over, other))
    for _, there in pipes:
        os.write(there, b"x")
    loop.run()
    loop.close()
    for descriptor in (quiet, quiet_end, *pipes[0], *pipes[1]):
        os.close(descriptor)
    assert told in ([pipes[0][0]], [pipes[1][0]])
