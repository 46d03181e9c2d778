"""A stream socket on the loop: what comes is handed on, what goes is kept until it fits."""

from __future__ import annotations

import socket
from collections.abc import Callable

from netctl.backends.dns.loop import READ, WRITE, Loop

_PIECE = 4096
_MOST_WAITING = 1 << 17
"""Bytes that the other side has not taken yet, at which nothing more is read from it."""


class Connection:
    """``received`` gets each piece, b"" at the end; ``taken`` is called when the other side has
    taken everything, ``closed`` once. Whoever makes it closes it: an end of the other side alone
    does not."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        received: Callable[[bytes], None],
        closed: Callable[[], None],
        taken: Callable[[], None] = lambda: None,
        piece: int = _PIECE,
    ) -> None:
        self._loop, self._socket = loop, sock
        self._received, self._closed, self._taken = received, closed, taken
        self._piece = piece
        self._waiting = bytearray()
        self._ended = self._paused = self._last = False
        self._events = READ
        loop.watch(sock.fileno(), self._ready)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._waiting

    @property
    def full(self) -> bool:
        """Whether as much waits to be sent as may."""
        return len(self._waiting) > _MOST_WAITING

    def send(self, data: bytes) -> None:
        self._waiting += data
        self._flush()

    def pause(self, paused: bool) -> None:
        """Read nothing for a while."""
        if self._paused != paused:
            self._paused = paused
            self._listen()

    def close_when_sent(self) -> None:
        """Close as soon as the other side has taken everything."""
        self._last = True
        self._flush()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._closed()

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
            if self.idle and self._socket.fileno() >= 0:
                self._taken()
        if events & ~WRITE and self._socket.fileno() >= 0:
            self._read()

    def _read(self) -> None:
        try:
            data = self._socket.recv(self._piece)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._ended = not data
        self._received(data)
        self._listen()

    def _flush(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: self._socket.send(self._waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
        if self._last and not self._waiting:
            self.close()
        self._listen()

    def _listen(self) -> None:
        if self._socket.fileno() < 0:
            return
        reading = not (self._paused or self._ended or self.full)
        events = (READ if reading else 0) | (WRITE if self._waiting else 0)
        if events != self._events:
            self._events = events
            self._loop.change(self._socket.fileno(), events)
