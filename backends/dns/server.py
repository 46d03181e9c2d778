"""The resolver's process, from its start to its end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import netctl
from netctl.backends.dns.control import Control
from netctl.backends.dns.log import Log
from netctl.backends.dns.loop import Loop
from netctl.backends.dns.resolver import Resolver
from netctl.errors import NetctlError
from netctl.kernel import resolver, tenure

Load = Callable[[], Iterable[Mapping[str, object]]]

_UNUSED = 30.0
"""Seconds that it waits for a sandbox, or a port to relay."""
_LOOK_EVERY = 5.0
"""Seconds between two looks for others in its namespaces; one takes some milliseconds where there
are thousands of processes."""
_LAST_ANSWER = 2.0
"""Seconds in which the last answer must be taken."""
_WIPING = 0.3
"""Seconds in which whoever clears the run directory comes to an end."""
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(
    run_dir: str, load: Load, log: Log, ready: Callable[[], None], *, stays: bool = False
) -> None:
    """Answer until it is told to stop, has been without a sandbox for a while, or a signal comes;
    with ``stays`` a sandbox need not be there.

    ``load`` gives the messages to begin with, ``ready`` is called when all sockets are open.
    Raises ``NetctlError`` where it cannot begin, ``Conflict`` where another is at work.
    """
    with tenure.owned(run_dir) as release:
        server = Server(run_dir, log, release, stays=stays)
        try:
            server.load(load)
            ready()
            server.run()
        finally:
            server.close()


class Server:
    """The resolver, its control socket and its signals on one loop."""

    def __init__(self, run_dir: str, log: Log, release: Callable[[], None], *, stays: bool) -> None:
        self._log, self._release, self._stays = log, release, stays
        self._loop = Loop(log.report)
        self._resolver = Resolver(self._loop, log.tell, log.report)
        self._signals = _watched_signals(self._loop)
        path = resolver.socket_path(run_dir)
        self._control = Control(self._loop, path, self._handle, log.report)
        self._run_dir = run_dir
        self._vigil = tenure.Vigil(run_dir)
        self._loop.watch(self._vigil.fileno(), self._look)

    def load(self, load: Load) -> None:
        """Take over what there is. A sandbox that has gone meanwhile is no reason to stop."""
        for told in load():
            try:
                self._resolver.tell(told)
            except NetctlError as error:
                self._log.tell(f"left out: {error.command_message}")

    def run(self) -> None:
        self._loop.after(_UNUSED, self._end_if_unused)
        if not self._stays:
            self._loop.after(_LOOK_EVERY, self._end_if_abandoned)
        self._loop.run()

    def close(self) -> None:
        self._end_vigil()
        # The socket that stays says that sandboxes miss this process.
        self._control.close(forsaken=self._resolver.in_use)
        self._resolver.close()
        signal.set_wakeup_fd(-1)
        self._loop.close()
        for end in self._signals:
            end.close()

    def _handle(self, told: Mapping[str, object]) -> Mapping[str, object]:
        if told.get("do") == "ping":
            return {"version": netctl.__version__}
        if told.get("do") == "state":
            return self._resolver.state()
        if told.get("do") == "stop":
            ends = not (told.get("unused") and (self._stays or self._resolver.in_use))
            if ends:
                self._end()
            return {"ended": ends}
        self._resolver.tell(told)
        if not self._resolver.in_use:
            self._loop.after(_UNUSED, self._end_if_unused)
        return {}

    def _end_if_unused(self) -> None:
        if not self._resolver.in_use and not self._stays:
            self._end()

    def _end_if_abandoned(self) -> None:
        """End where nobody is left in the namespaces, which this process would keep for ever."""
        if self._control.idle and tenure.is_abandoned(self._resolver.namespaces):
            self._end()
        else:
            self._loop.after(_LOOK_EVERY, self._end_if_abandoned)

    def _end(self) -> None:
        """End when the answer is taken. Whoever gets it can start another resolver at once."""
        self._end_vigil()
        self._resolver.close()
        self._control.close()
        self._release()
        self._loop.after(0, self._stop_when_answered)
        self._loop.after(_LAST_ANSWER, self._loop.stop)

    def _look(self, events: int) -> None:
        if self._vigil.is_over():
            self._end_vigil()
            self._resolver.end_relays()
            self._loop.after(_WIPING, self._give_up)

    def _give_up(self) -> None:
        """End where nobody can tell this process of changes any more: no answer is better than one
        that was true before. The tables in the namespaces stay, for they may be the next one's
        already."""
        tenure.leave_sign(self._run_dir)
        os._exit(1)

    def _end_vigil(self) -> None:
        if self._vigil.fileno() >= 0:
            self._loop.forget(self._vigil.fileno())
            self._vigil.close()

    def _stop_when_answered(self) -> None:
        if self._control.idle:
            self._loop.stop()
        else:
            self._loop.after(0.01, self._stop_when_answered)


def _watched_signals(loop: Loop) -> tuple[socket.socket, socket.socket]:
    """Have the loop end at a signal. Nothing is raised anywhere."""
    here, there = socket.socketpair()
    here.setblocking(False)
    there.setblocking(False)
    signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    for number in _ENDING:
        signal.signal(number, _nothing)
    loop.watch(here.fileno(), partial(_stop, loop))
    return here, there


def _nothing(number: int, frame: object) -> None:
    return


def _stop(loop: Loop, events: int) -> None:
    loop.stop()
