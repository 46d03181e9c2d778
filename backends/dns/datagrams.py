"""Datagrams to a port of [::1]: each client has a socket towards the endpoint, for its answers.

How many there are is bounded, and who is silent goes.
"""

from __future__ import annotations

import socket
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from netctl.backends.dns.loop import Loop
from netctl.kernel import relaying

_MOST = 512
"""Clients of one port, of which the one that has been silent for longest makes room."""
_SILENCE = 60.0
"""Seconds without a datagram in either direction until a client is forgotten."""
_SWEEP = 5.0
_BATCH = 32
"""Datagrams that are passed on before others have their turn."""
_LARGEST = 65535


class _Client:
    __slots__ = ("last", "seen", "sock", "targets")

    def __init__(self, targets: Sequence[tuple[str, int]]) -> None:
        """Raises ``OSError``."""
        self.targets = [*targets]
        self.sock = relaying.towards("udp", *self.targets.pop(0))
        self.seen = 0.0
        self.last = b""
        """What was sent last, until an answer says that somebody is there."""


class Datagrams:
    """A port of [::1] that leads to the first of ``targets`` that takes it. Its clients are among a
    ``crowd``, of all ports, that has at most ``most``."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        targets: Sequence[tuple[str, int]],
        crowd: set[object],
        most: int,
    ) -> None:
        self._loop, self._listener, self._targets = loop, listener, targets
        self._crowd, self._limit = crowd, most
        self._clients: OrderedDict[object, _Client] = OrderedDict()
        self._sweeping = False
        loop.watch(listener.fileno(), self._asked)

    def close(self) -> None:
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        while self._clients:
            self._send_away()

    def _asked(self, events: int) -> None:
        # An error of a client's, or nothing more: who has lost a datagram asks again.
        with suppress(OSError):
            for _ in range(_BATCH):
                data, address = self._listener.recvfrom(_LARGEST)
                self._pass_on(data, address)

    def _pass_on(self, data: bytes, address: object) -> None:
        try:
            client = self._clients.get(address) or self._new(address)
            if client:
                self._touch(address, client)
                client.last = data if client.targets else b""
                client.sock.send(data)
        except BlockingIOError:
            return
        except OSError:
            self._go_on(address)

    def _new(self, address: object) -> _Client | None:
        while self._clients and (len(self._clients) >= _MOST or self._crowded()):
            self._send_away()
        if self._crowded():
            return None
        client = _Client(self._targets)
        self._clients[address] = client
        self._crowd.add(client)
        self._watch(address, client)
        if not self._sweeping:
            self._sweeping = True
            self._loop.after(_SWEEP, self._sweep)
        return client

    def _watch(self, address: object, client: _Client) -> None:
        self._loop.watch(client.sock.fileno(), partial(self._answered, address, client))

    def _answered(self, address: object, client: _Client, events: int) -> None:
        try:
            for _ in range(_BATCH):
                data = client.sock.recv(_LARGEST)
                self._touch(address, client)
                client.targets, client.last = [], b""
                with suppress(OSError):
                    self._listener.sendto(data, address)  # type: ignore[call-overload]  # recvfrom's
        except BlockingIOError:
            return
        except OSError:
            self._go_on(address)

    def _go_on(self, address: object) -> None:
        """Try the next target for a client whose port nobody serves, or forget it."""
        client = self._clients.get(address)
        if not client or not client.targets:
            self._drop(address)
            return
        self._loop.forget(client.sock.fileno())
        client.sock.close()
        try:
            client.sock = relaying.towards("udp", *client.targets.pop(0))
            self._watch(address, client)
            client.sock.send(client.last)
        except OSError:
            self._drop(address)

    def _touch(self, address: object, client: _Client) -> None:
        client.seen = time.monotonic()
        self._clients.move_to_end(address)

    def _drop(self, address: object) -> None:
        if client := self._clients.pop(address, None):
            self._crowd.discard(client)
            self._loop.forget(client.sock.fileno())
            client.sock.close()

    def _crowded(self) -> bool:
        return len(self._crowd) >= self._limit

    def _send_away(self) -> None:
        self._drop(next(iter(self._clients)))

    def _sweep(self) -> None:
        late = time.monotonic() - _SILENCE
        while self._clients and next(iter(self._clients.values())).seen < late:
            self._send_away()
        self._sweeping = bool(self._clients)
        if self._sweeping:
            self._loop.after(_SWEEP, self._sweep)
