"""Two streams as one: what comes from either side goes to the other, and so does its end."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from functools import partial

from netctl.backends.dns.loop import READ, WRITE, Loop
from netctl.kernel import relaying

_PIECE = 1 << 15
_PATIENCE = 10.0
"""Seconds in which an endpoint must take a connection."""
_BROKEN = select.EPOLLERR | select.EPOLLHUP


class _Side:
    """One of the streams."""

    __slots__ = ("ended", "events", "shut", "sock", "waiting")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.waiting = b""
        """What it has not taken yet; until then nothing more is read from the other side."""
        self.ended = False
        """Whether it sends nothing more."""
        self.shut = False
        """Whether it has been told that the other sends nothing more."""
        self.events = 0


class Splice:
    """A client's stream, and one to the first of the ``targets`` that takes it.

    ``closed`` is called once.
    """

    __slots__ = ("_closed", "_loop", "_sides", "_targets", "_timer")

    def __init__(
        self,
        loop: Loop,
        client: socket.socket,
        targets: Sequence[tuple[str, int]],
        closed: Callable[[Splice], None],
    ) -> None:
        self._loop, self._closed, self._targets = loop, closed, [*targets]
        self._sides: tuple[_Side, ...] = (_Side(client),)
        self._timer = loop.after(_PATIENCE, self.reset)

    def begin(self) -> None:
        relaying.prepare(self._sides[0].sock)
        self._connect()

    def reset(self) -> None:
        """Break both off."""
        if self._end():
            for side in self._sides:
                relaying.reset(side.sock)

    def _end(self) -> bool:
        """Watch nothing more; return whether that is new."""
        if self._sides[0].sock.fileno() < 0:
            return False
        self._timer.cancel()
        for side in self._sides:
            self._loop.forget(side.sock.fileno())
        self._closed(self)
        return True

    def _connect(self) -> None:
        """Try the next target; break off where there is none."""
        while self._targets:
            try:
                server = relaying.towards("tcp", *self._targets.pop(0))
            except OSError:
                continue
            self._sides = self._sides[0], _Side(server)
            relaying.prepare(server)
            self._loop.watch(server.fileno(), self._connected, WRITE)
            return
        self.reset()

    def _connected(self, events: int) -> None:
        server = self._sides[1].sock
        if relaying.failure(server):
            self._loop.forget(server.fileno())
            server.close()
            self._sides = self._sides[:1]
            self._connect()
            return
        self._timer.cancel()
        self._loop.pause(server.fileno())
        for side, other in (self._sides, self._sides[::-1]):
            self._listen(side, other)

    def _listen(self, side: _Side, other: _Side) -> None:
        """Watch a side for what can be done with it, and one that sends nothing more but still gets
        something for its vanishing. Another is not watched, for its end would be told again and
        again, and what it has sent is to be kept."""
        reading = not (side.ended or other.waiting)
        events = (READ if reading else 0) | (WRITE if side.waiting else 0)
        if side.ended and not (side.shut or other.waiting):
            events |= _BROKEN
        before, side.events = side.events, events
        if events == before:
            return
        descriptor = side.sock.fileno()
        if not before:
            self._loop.watch(descriptor, partial(self._ready, side, other), events)
        elif events:
            self._loop.change(descriptor, events)
        else:
            self._loop.pause(descriptor)

    def _ready(self, side: _Side, other: _Side, events: int) -> None:
        try:
            if events & WRITE and side.waiting:
                self._flush(side)
            if events & (READ | _BROKEN) and not (side.ended or other.waiting):
                self._read(side, other)
            elif events & _BROKEN and not other.waiting:
                raise ConnectionResetError
            for one, two in ((side, other), (other, side)):
                self._pass_end(one, two)
        except OSError:
            self.reset()
            return
        if all(one.ended and not one.waiting for one in self._sides):
            self._close()
            return
        self._listen(side, other)
        self._listen(other, side)

    def _read(self, side: _Side, other: _Side) -> None:
        try:
            data = side.sock.recv(_PIECE)
        except BlockingIOError:
            return
        side.ended = not data
        other.waiting = data
        self._flush(other)

    def _flush(self, side: _Side) -> None:
        if side.waiting:
            try:
                side.waiting = side.waiting[side.sock.send(side.waiting) :]
            except BlockingIOError:
                return

    def _pass_end(self, side: _Side, other: _Side) -> None:
        """Tell a side that the other sends nothing more, when it has all of it."""
        if other.ended and not side.waiting and not side.shut:
            side.shut = True
            side.sock.shutdown(socket.SHUT_WR)

    def _close(self) -> None:
        if self._end():
            for side in self._sides:
                side.sock.close()
