"""The ports of [::1]: sockets that listen there, for what the kernel cannot translate.

A change of one port leaves the others, and what goes on over them, as they are.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator

from netctl.backends.dns.datagrams import Datagrams
from netctl.backends.dns.loop import Loop
from netctl.backends.dns.model import Relay, message
from netctl.backends.dns.splicing import Splice
from netctl.kernel import relaying

_MOST = 2048
"""Streams, and clients over UDP, of all ports. These may have this part of the descriptors of this
process each, and the ports that one: names need some, and whoever tells of changes."""
_PART, _PART_OF_PORTS = 16, 4
_BREATH = 0.2
"""Seconds without new clients where the system has no descriptor for one."""

_Key = tuple[str, int]
"""Protocol and port."""
_Targets = tuple[tuple[str, int], ...]
"""Addresses and ports that are tried one after the other."""


class Relays:
    """All relays, by the endpoint that they lead to."""

    def __init__(self, loop: Loop, tell: Callable[[str], None], descriptors: int) -> None:
        self._loop, self._tell = loop, tell
        self._most = min(_MOST, descriptors // _PART)
        self._free = descriptors // _PART_OF_PORTS
        """How many ports more there may be."""
        self._told: dict[str, Relay] = {}
        self._ports: dict[str, dict[_Key, Streams | Datagrams | None]] = {}
        """None for one that this host has no address for."""
        self._targets: dict[str, dict[_Key, _Targets]] = {}
        self._streams: set[Splice] = set()
        self._asking: set[object] = set()

    def __bool__(self) -> bool:
        return bool(self._told)

    @property
    def streams(self) -> int:
        """How many streams there are."""
        return len(self._streams)

    def release(self, relay: Relay) -> None:
        """Give up the ports that a relay has no more, which another may be about to take."""
        wanted = dict(_targets(relay))
        before, ports = self._targets.get(relay.id, {}), self._ports.get(relay.id, {})
        for key in [key for key in ports if wanted.get(key) != before[key]]:
            self._close(ports.pop(key))

    def put(self, relay: Relay) -> None:
        """Listen at the ports of a relay. One that somebody else has is left to them, and said."""
        self.release(relay)
        wanted, ports = dict(_targets(relay)), self._ports.setdefault(relay.id, {})
        self._told[relay.id], self._targets[relay.id] = relay, wanted
        for key, targets in wanted.items():
            if key not in ports:
                self._open(ports, key, targets)

    def drop(self, id: str) -> None:
        for port in self._ports.pop(id, {}).values():
            self._close(port)
        self._told.pop(id, None)
        self._targets.pop(id, None)

    def close(self) -> None:
        for id in list(self._told):
            self.drop(id)

    def messages(self) -> Iterator[dict[str, object]]:
        """Yield the messages that tell of all relays; what is missed of one is said in its own."""
        for id, relay in self._told.items():
            missed = [f"{p} {n}" for p, n in self._targets[id] if (p, n) not in self._ports[id]]
            yield {**message(relay), **({"missed": missed} if missed else {})}

    def _open(
        self, ports: dict[_Key, Streams | Datagrams | None], key: _Key, targets: _Targets
    ) -> None:
        protocol, number = key
        try:
            if not self._free:
                raise OSError(errno.EMFILE, "")
            listener = relaying.listening(protocol, number)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            self._tell(f"{protocol} port {number} of [::1] is not relayed: {reason}")
            return
        self._free -= 1
        if listener is None:
            ports[key] = None
        elif protocol == "tcp":
            ports[key] = Streams(self._loop, listener, targets, self._streams, self._most)
        else:
            ports[key] = Datagrams(self._loop, listener, targets, self._asking, self._most)

    def _close(self, port: Streams | Datagrams | None) -> None:
        self._free += 1
        if port is not None:
            port.close()


class Streams:
    """A port of [::1] over TCP that leads to the first of ``targets`` that takes it.

    Its streams are among a ``crowd``, of all ports, that has at most ``most``.
    """

    __slots__ = ("_crowd", "_limit", "_listener", "_loop", "_splices", "_targets")

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        targets: _Targets,
        crowd: set[Splice],
        most: int,
    ) -> None:
        self._loop, self._listener, self._targets = loop, listener, targets
        self._crowd, self._limit = crowd, most
        self._splices: set[Splice] = set()
        loop.watch(listener.fileno(), self._accept)

    def close(self) -> None:
        """Listen no more; what goes on over the port is broken off, as by the kernel elsewhere."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        for splice in list(self._splices):
            splice.reset()

    def _accept(self, events: int) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._loop.pause(self._listener.fileno())
                self._loop.after(_BREATH, self._listen_again)
            return
        if len(self._crowd) >= self._limit:
            relaying.reset(client)
            return
        splice = Splice(self._loop, client, self._targets, self._gone)
        self._splices.add(splice)
        self._crowd.add(splice)
        splice.begin()

    def _gone(self, splice: Splice) -> None:
        self._splices.discard(splice)
        self._crowd.discard(splice)

    def _listen_again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.watch(self._listener.fileno(), self._accept)


def _targets(relay: Relay) -> Iterator[tuple[_Key, _Targets]]:
    for lent in relay.ports:
        for step in range(lent.count):
            number = lent.inner + step
            yield (lent.protocol, lent.outer + step), tuple((a, number) for a in relay.addresses)
