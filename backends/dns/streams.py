"""Clients over TCP: a length and a message, both ways (RFC 7766). Their number and their patience
are bounded, and when there are too many of a sandbox its oldest goes."""

from __future__ import annotations

import errno
import socket
import time
from collections import OrderedDict
from collections.abc import Callable

from netctl.backends.dns.connection import Connection
from netctl.backends.dns.loop import Loop

_MOST = 64
"""Clients of one sandbox."""
_MOST_ASKED = 32
"""Questions of one client that wait for other servers."""
_LONGEST = 4096
"""Bytes of a query; who sends more is no client."""
_PATIENCE = 5.0
"""Seconds without a whole query until a client is sent away."""
_SWEEP = 1.0
_BREATH = 0.2
"""Seconds without new clients where the system has no descriptor for one."""

Reply = Callable[[bytes | None], None]
Ask = Callable[[bytes, Reply], None]


class Streams:
    """The listening socket of a sandbox, and its clients."""

    def __init__(self, loop: Loop, listener: socket.socket, ask: Ask) -> None:
        self._loop, self._listener, self._ask = loop, listener, ask
        self._clients: OrderedDict[Client, float] = OrderedDict()
        self._sweeping = False
        loop.watch(listener.fileno(), self._accept)

    def close(self) -> None:
        self._loop.forget(self._listener.fileno())
        self._send_away(len(self._clients))

    def touch(self, client: Client) -> None:
        """Note that a client asks something."""
        if client in self._clients:
            self._clients[client] = time.monotonic()
            self._clients.move_to_end(client)

    def gone(self, client: Client) -> None:
        self._clients.pop(client, None)

    def _accept(self, events: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._take_breath()
            return
        sock.setblocking(False)
        if len(self._clients) >= _MOST:
            self._send_away(1)
        self._clients[Client(self, self._loop, sock, self._ask)] = time.monotonic()
        if not self._sweeping:
            self._sweeping = True
            self._loop.after(_SWEEP, self._sweep)

    def _send_away(self, count: int) -> None:
        """Close those that have asked nothing for the longest time."""
        for _ in range(count):
            client, _since = self._clients.popitem(last=False)
            client.close()

    def _take_breath(self) -> None:
        self._send_away(len(self._clients) // 2)
        self._loop.pause(self._listener.fileno())
        self._loop.after(_BREATH, self._listen_again)

    def _listen_again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.watch(self._listener.fileno(), self._accept)

    def _sweep(self) -> None:
        late = time.monotonic() - _PATIENCE
        while self._clients:
            if next(iter(self._clients.values())) > late:
                break
            self._send_away(1)
        self._sweeping = bool(self._clients)
        if self._sweeping:
            self._loop.after(_SWEEP, self._sweep)


class Client:
    """One client; it may ask again before it has its answer. What it asked while too much waits to
    be taken, or to be answered by others, is answered later."""

    def __init__(self, streams: Streams, loop: Loop, sock: socket.socket, ask: Ask) -> None:
        self._streams, self._ask = streams, ask
        self._data = bytearray()
        self._asked = 0
        self._ended = self._serving = False
        self._connection = Connection(
            loop, sock, self._received, lambda: streams.gone(self), self._serve
        )

    def close(self) -> None:
        self._connection.close()

    def _received(self, data: bytes) -> None:
        self._ended = not data
        self._data += data
        self._serve()

    def _serve(self) -> None:
        """Ask what has come whole; an answer that is there at once does not begin another round."""
        self._serving = True
        while not self._busy and (query := self._next()) is not None:
            self._streams.touch(self)
            self._asked += 1
            self._ask(query, self._reply)
        self._serving = False
        self._rest()

    @property
    def _busy(self) -> bool:
        return self._asked >= _MOST_ASKED or self._connection.full

    def _next(self) -> bytes | None:
        """Take the next whole query."""
        end = 2 + int.from_bytes(self._data[:2])
        if end > 2 + _LONGEST:
            self.close()
        if end > 2 + _LONGEST or len(self._data) < end:
            return None
        query = bytes(self._data[2:end])
        del self._data[:end]
        return query

    def _reply(self, answer: bytes | None) -> None:
        self._asked -= 1
        if answer:
            self._connection.send(len(answer).to_bytes(2) + answer)
        if not self._serving:
            self._serve()

    def _rest(self) -> None:
        self._connection.pause(self._busy)
        if self._ended and not self._asked and not self._connection.full:
            self._connection.close_when_sent()
