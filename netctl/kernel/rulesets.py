"""nftables in namespaces of others, for a process that has many of them and does not end soon."""

from __future__ import annotations

import os
import time
from collections import deque

from netctl.kernel import namespaces
from netctl.kernel.nftables import Nftables

_LOW = 16
"""Descriptors that are kept for libnftables, which waits with select(2): that knows none from 1024
on, and libnftables dies of one."""
_NEEDED = 8
"""How many of them a transaction needs, at most."""
_REST = 0.2
"""Seconds from a transaction to the close of its socket. The kernel still has to free what was
deleted, and a close that comes first waits 16 ms for that (nft_rcv_nl_event, Linux 6.18)."""


class Rulesets:
    """To be made before anything else takes the low descriptors."""

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._resting: deque[tuple[float, Nftables]] = deque()
        self._keep()

    def run(self, netns: int, commands: str, *, deleting: bool) -> None:
        """Run commands as one transaction in the namespace behind a descriptor.

        When they delete something the socket is closed by ``settle`` alone; until then it keeps
        the namespace alive.
        """
        if len(self._resting) > _LOW - _NEEDED:
            self._close_oldest()
        self._release(_NEEDED)
        nftables = Nftables(inherited=True)
        try:
            with namespaces.entered(f"/proc/self/fd/{netns}"):
                nftables.run(commands)
        finally:
            if deleting:
                self._resting.append((time.monotonic(), nftables))
            else:
                nftables.close()
            self._keep()

    def settle(self) -> bool:
        """Close the sockets that have rested; return whether there are others."""
        late = time.monotonic() - _REST
        while self._resting and self._resting[0][0] <= late:
            self._close_oldest()
        return bool(self._resting)

    def close(self) -> None:
        while self._resting:
            self._close_oldest()
        self._release(_LOW)

    def _close_oldest(self) -> None:
        self._resting.popleft()[1].close()

    def _keep(self) -> None:
        for _ in range(_LOW - len(self._resting) - len(self._kept)):
            self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def _release(self, count: int) -> None:
        for descriptor in self._kept[:count]:
            os.close(descriptor)
        del self._kept[:count]
