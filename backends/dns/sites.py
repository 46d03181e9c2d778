"""The resolver in one sandbox: its sockets, and what is asked on them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial

from netctl.backends.dns import wire
from netctl.backends.dns.answering import Forward, answer, kept_as
from netctl.backends.dns.following import HostServers
from netctl.backends.dns.forwarding import Exchange, Forwarder
from netctl.backends.dns.loop import Loop
from netctl.backends.dns.model import Sandbox, Server
from netctl.backends.dns.outlets import Outlets
from netctl.backends.dns.streams import Reply, Streams
from netctl.backends.dns.zones import View
from netctl.kernel import nameserver
from netctl.kernel.nameserver import Place, Places

_BATCH = 64
"""Queries that are answered before other sandboxes have their turn."""
_IDLE = 16
"""Sockets to other servers that are kept for the next questions."""
_LARGEST = wire.OUR_SIZE


class Site:
    """One sandbox. ``update`` changes what it sees; its sockets stay."""

    def __init__(
        self,
        loop: Loop,
        forwarder: Forwarder,
        host: HostServers,
        report: Callable[[], None],
        place: Place,
    ) -> None:
        self._loop, self._forwarder, self._report = loop, forwarder, report
        self._host, self._follows = host, False
        self._asked: Sequence[Server] = ()
        self.place = place
        self.outlets = Outlets(loop, place, _IDLE)
        self.exchanges: set[Exchange] = set()
        self.silent: dict[Server, float] = {}
        self._view = View(())
        self._servers: dict[bool, list[Server]] = {}
        self._ndots: int | None = None
        loop.watch(place.udp.fileno(), self._readable)
        self._streams = Streams(loop, place.tcp, self._ask)

    def update(self, sandbox: Sandbox, view: View) -> None:
        self._view, self._ndots, self._follows = view, sandbox.ndots, sandbox.follows
        self._servers = {way: _reachable(sandbox.servers, way) for way in (True, False)}
        self.silent.clear()

    def servers(self) -> Sequence[Server]:
        """Return whom to ask."""
        forward = self._view.forward
        found = self._host.current() if self._follows and forward else ()
        chosen = found or self._servers[forward]
        if chosen is not self._asked:
            # Who was silent before a change of the host's network may not be so behind it.
            self._asked = chosen
            self.silent.clear()
        return chosen

    def unasked(self, question: Forward) -> bytes:
        """Return the answer to a question that no server can be asked: netctl alone can know the
        names of its networks, others only a server could."""
        if self._view.governs(question.asked.name, question.asked.kind):
            return wire.unknown(question.query, question.asked)
        return wire.failure(question.query, wire.SERVFAIL, question.asked)

    def close(self, places: Places) -> None:
        """Close the sockets; what is on its way to other servers ends unanswered."""
        self._loop.forget(self.place.udp.fileno())
        self._streams.close()
        for exchange in list(self.exchanges):
            exchange.abandon()
        self.outlets.close()
        places.leave(self.place)

    def _readable(self, events: int) -> None:
        sock = self.place.udp
        receive, send, prepared = sock.recvfrom, sock.sendto, self._view.answers
        try:
            for _ in range(_BATCH):
                query, client = receive(_LARGEST)
                turns = prepared.get(query[2:])
                if turns is None:
                    self._answer(query, client)
                else:
                    send(query[:2] + next(turns), client)
        except OSError:
            # Nothing more is there, or a client takes no more: it will ask again.
            return

    def _answer(self, query: bytes, client: object) -> None:
        self._take(query, False, partial(_send, self.place.udp, client))

    def _ask(self, query: bytes, reply: Reply) -> None:
        turns = self._view.answers.get(kept_as(query, True))
        if turns is None:
            self._take(query, True, reply)
        else:
            reply(query[:2] + next(turns))

    def _take(self, query: bytes, stream: bool, reply: Reply) -> None:
        try:
            found = answer(query, self._view, self._ndots, stream=stream)
        except Exception:
            self._report()
            found = wire.failure(query, wire.SERVFAIL)
        if isinstance(found, Forward):
            self._forwarder.forward(found, self, stream, reply)
        else:
            reply(found)


def _reachable(servers: Sequence[Server], outside: bool) -> list[Server]:
    """Return the servers of a sandbox with a way ``outside``, or without one.

    Without one none is asked from the host, but those in the reach of the sandbox itself are:
    libnetwork's rule. The resolver never asks itself.
    """
    return [
        server
        for server in servers
        if (outside if server.host else server.address != nameserver.ADDRESS)
    ]


def _send(sock: socket.socket, client: object, data: bytes | None) -> None:
    if data:
        try:
            sock.sendto(data, client)  # type: ignore[call-overload]  # as recvfrom gave it
        except OSError:
            return
