"""Asking other servers.

Each question goes out from a port of its own, which the kernel chooses at random, with a random id,
and what comes back must come from there and bear both, and the question. A second without an
answer, and the next server is asked as well; a failure, and it is asked at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from netctl.backends.dns import wire
from netctl.backends.dns.answering import Forward
from netctl.backends.dns.loop import READ, Loop
from netctl.backends.dns.model import Server
from netctl.backends.dns.outlets import Outlets

_TURN = 1.0
"""Seconds until the next server is asked."""
_PRECISION = 0.02
_TURNS = 4
"""How many of them until the client gets SERVFAIL: libnetwork's 4 seconds."""
MOST_ASKED = 1024
"""Questions of one sandbox on their way, as in libnetwork; and of all sandboxes:"""
_MOST_ASKED_OF_ALL = 4096
_SILENCE = 30.0
"""Seconds for which a server that gave no answer is asked after the others."""
_LARGEST = 65535
_IDLE = 256
"""Sockets of the host's namespace that are kept for the next questions."""

Reply = Callable[[bytes], None]


class Asker(Protocol):
    """A sandbox that asks."""

    outlets: Outlets
    exchanges: set[Exchange]
    """Its questions that are on their way."""
    silent: dict[Server, float]
    """When each server that gave no answer may be asked first again, on the monotonic clock."""

    def servers(self) -> Sequence[Server]: ...

    def unasked(self, question: Forward) -> bytes:
        """Return the answer to a question for which there is no server."""
        ...


class Forwarder:
    """All questions that are on their way."""

    def __init__(self, loop: Loop, tell: Callable[[str], None]) -> None:
        self.loop, self._tell = loop, tell
        self.outlets = Outlets(loop, None, _IDLE)
        """From the host."""
        self._due: dict[Exchange, float] = {}
        self._waiting = False

    @property
    def asked(self) -> int:
        """How many there are."""
        return len(self._due)

    def forward(self, question: Forward, asker: Asker, stream: bool, reply: Reply) -> None:
        """Ask the servers of a sandbox; ``reply`` is called in any case, once."""
        if len(asker.exchanges) >= MOST_ASKED or len(self._due) >= _MOST_ASKED_OF_ALL:
            self._tell(
                f"{self.asked} questions are on their way to other servers: more are refused"
            )
            reply(wire.failure(question.query, wire.REFUSED, question.asked))
            return
        exchange = Exchange(self, question, asker, stream, reply)
        self.turn_later(exchange)
        exchange.begin()

    def turn_later(self, exchange: Exchange) -> None:
        """Call ``next_turn`` of an exchange in a second, unless it has ended."""
        # All wait equally long: the first to come is the first to be due.
        self._due[exchange] = time.monotonic() + _TURN
        if not self._waiting:
            self._waiting = True
            self.loop.after(_TURN, self._next_turns)

    def ended(self, exchange: Exchange) -> None:
        del self._due[exchange]

    def _next_turns(self) -> None:
        now = time.monotonic()
        while self._due:
            exchange, when = next(iter(self._due.items()))
            if when > now:
                break
            del self._due[exchange]
            exchange.next_turn()
        self._waiting = bool(self._due)
        if self._waiting:
            self.loop.after(_PRECISION, self._next_turns)


class Exchange:
    """One question on its way."""

    __slots__ = (
        "_asker",
        "_failed",
        "_forwarder",
        "_open",
        "_question",
        "_reply",
        "_servers",
        "_stream",
        "_turn",
        "_untried",
    )

    def __init__(
        self, forwarder: Forwarder, question: Forward, asker: Asker, stream: bool, reply: Reply
    ) -> None:
        self._forwarder, self._question, self._asker = forwarder, question, asker
        self._stream, self._reply = stream, reply
        self._servers = _in_order(asker)
        self._untried = [*self._servers]
        self._failed: list[Server] = []
        self._open: list[Datagram | Stream] = []
        self._turn = 0

    def begin(self) -> None:
        self._asker.exchanges.add(self)
        self._ask_next()

    def answered(self, attempt: Datagram | Stream, answer: bytes) -> None:
        """Take a server's answer."""
        if self._asker.silent:
            self._asker.silent.pop(attempt.server, None)
        if wire.rcode(answer) in (wire.SERVFAIL, wire.REFUSED):
            self.failed(attempt)
        elif self._stream and wire.is_truncated(answer) and isinstance(attempt, Datagram):
            self._drop(attempt)
            if not self._ask(attempt.server, Stream):
                self._ask_next()
        else:
            self._finish(answer)

    def failed(self, attempt: Datagram | Stream) -> None:
        """Go on to the next server at once."""
        self._drop(attempt)
        self._failed.append(attempt.server)
        self._ask_next()

    def next_turn(self) -> None:
        """Begin the next second: ask somebody else as well, or the same again, for packets get
        lost."""
        self._forwarder.turn_later(self)
        self._turn += 1
        if self._turn == _TURNS:
            self._finish(None)
            return
        until = time.monotonic() + _SILENCE
        for attempt in self._open:
            self._asker.silent[attempt.server] = until
        if not self._untried:
            self._untried = [server for server in self._servers if server not in self._failed]
        self._ask_next()

    def _ask_next(self) -> None:
        while self._untried:
            server = self._untried.pop(0)
            if self._ask(server, Datagram):
                return
        self._check()

    def _ask(self, server: Server, kind: type[Datagram] | type[Stream]) -> bool:
        outlets = self._forwarder.outlets if server.host else self._asker.outlets
        try:
            self._open.append(kind(self, self._forwarder.loop, outlets, server, self._question))
        except OSError:
            self._failed.append(server)
            return False
        return True

    def _check(self) -> None:
        """Give up where nobody is left to wait for."""
        if not self._open and not self._untried:
            self._finish(None)

    def _drop(self, attempt: Datagram | Stream) -> None:
        self._open.remove(attempt)
        attempt.close()

    def abandon(self) -> None:
        """End without an answer."""
        for attempt in self._open:
            attempt.close()
        self._open.clear()
        self._forwarder.ended(self)
        self._asker.exchanges.discard(self)

    def _finish(self, answer: bytes | None) -> None:
        self.abandon()
        query, asked = self._question.query, self._question.asked
        if not self._servers:
            self._reply(self._asker.unasked(self._question))
        elif answer is None:
            self._reply(wire.failure(query, wire.SERVFAIL, asked))
        else:
            limit = wire.STREAM if self._stream else asked.size
            self._reply(wire.truncated(query[:2] + answer[2:], asked, limit))


def _in_order(asker: Asker) -> Sequence[Server]:
    """Return the servers, the silent ones last."""
    servers, silent = asker.servers(), asker.silent
    if not silent:
        return servers
    now = time.monotonic()
    return sorted(servers, key=lambda server: silent.get(server, 0) > now)


class Datagram:
    """One try over UDP. Raises ``OSError`` where it cannot even be sent."""

    __slots__ = ("_exchange", "_outlets", "_query", "_question", "_socket", "server")

    def __init__(
        self, exchange: Exchange, loop: Loop, outlets: Outlets, server: Server, question: Forward
    ) -> None:
        self._exchange, self._outlets = exchange, outlets
        self.server, self._question = server, question
        self._query = os.urandom(2) + question.query[2:]
        self._socket = outlets.datagram(server.address, self._ready)
        try:
            self._socket.send(self._query)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._outlets.release(self._socket, self.server.address)

    def _ready(self, events: int) -> None:
        try:
            answer = self._socket.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            self._exchange.failed(self)
            return
        # What is no answer to this query may be an attempt to give a false one: wait on.
        if wire.answers_to(answer, self._query, self._question.asked):
            self._exchange.answered(self, answer)


class Stream:
    """One try over TCP. Raises ``OSError`` where it cannot even begin."""

    __slots__ = ("_data", "_exchange", "_loop", "_query", "_question", "_socket", "server")

    def __init__(
        self, exchange: Exchange, loop: Loop, outlets: Outlets, server: Server, question: Forward
    ) -> None:
        self._exchange, self._loop = exchange, loop
        self.server, self._question = server, question
        self._query = os.urandom(2) + question.query[2:]
        self._data = b""
        self._socket = outlets.stream(server.address, self._connected)

    def close(self) -> None:
        self._loop.forget(self._socket.fileno())
        self._socket.close()

    def _connected(self, events: int) -> None:
        message = len(self._query).to_bytes(2) + self._query
        try:
            # A connection that has just been made takes a query whole.
            whole = self._socket.send(message) == len(message)
        except OSError:
            whole = False
        if not whole:
            self._exchange.failed(self)
            return
        self._loop.change(self._socket.fileno(), READ, self._ready)

    def _ready(self, events: int) -> None:
        try:
            piece = self._socket.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._data += piece
        length = int.from_bytes(self._data[:2])
        answer = self._data[2 : 2 + length]
        if not piece:
            self._exchange.failed(self)
        elif len(self._data) >= 2 and len(answer) == length:
            if wire.answers_to(answer, self._query, self._question.asked):
                self._exchange.answered(self, answer)
            else:
                self._exchange.failed(self)
