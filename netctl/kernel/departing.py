"""Deleting links without waiting for what the kernel does once they are gone.

The answer to RTM_DELLINK comes 15 to 30 ms after the link has left every table: the kernel waits
for RCU first (net/core/dev.c, netdev_run_todo), and many can share such a wait. So a thread takes
the answer, and whoever deletes waits until the link is not there: from then on the kernel goes
through with it, whatever becomes of this process.

The thread opens and closes nothing: others find out what a library opened by what is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Thread

from netctl.errors import NetctlError
from netctl.kernel.netlink import NetlinkSocket, Refusal, delete_link

_MOST = 64
"""Answers waited for at a time."""
_LOOK_EVERY = 0.0005


class Departures:
    """The links of the host that are being deleted."""

    def __init__(self) -> None:
        self._leaving: list[_Departure] = []

    def begin(self, sock: NetlinkSocket, index: int) -> Refusal | None:
        """Delete a link of the host, whose socket ``sock`` is; return the kernel's no, or None as
        soon as the link is gone. Raises ``KernelError`` where it says neither."""
        self._end(departure for departure in self._leaving if not departure.is_alive())
        self._end(self._leaving[: 1 - _MOST])
        departure = _Departure(index)
        self._leaving.append(departure)
        while departure.is_alive() and sock.name_of(index):
            departure.join(_LOOK_EVERY)
        return departure.refusal()

    def close(self) -> None:
        """Wait for all answers."""
        self._end(self._leaving)

    def _end(self, departures: Iterable[_Departure]) -> None:
        for departure in tuple(departures):
            departure.end()
            self._leaving.remove(departure)


class _Departure(Thread):
    def __init__(self, index: int) -> None:
        super().__init__(name=f"delete link {index}")
        self._index = index
        self._sock = NetlinkSocket()  # It belongs to the namespace of the thread that makes it.
        self._refusal: Refusal | None = None
        self._failure: NetctlError | None = None
        try:
            self.start()
        except RuntimeError:  # No further thread is allowed.
            self.run()

    def run(self) -> None:
        try:
            self._refusal = delete_link(self._sock, self._index)
        except NetctlError as error:
            self._failure = error

    def end(self) -> None:
        if self.is_alive():
            self.join()
        self._sock.close()

    def refusal(self) -> Refusal | None:
        """Return what the kernel said so far."""
        if self._failure:
            raise self._failure
        return self._refusal
