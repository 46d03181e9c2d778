"""The bounds of what is relayed, with small numbers, in the process of the test."""

from __future__ import annotations

import socket
import threading

from netctl.backends.dns import datagrams
from netctl.backends.dns.loop import Loop
from netctl.backends.dns.model import Relay, changes
from netctl.backends.dns.relays import Relays
from tests.kernel.host import Host
from tests.kernel.test_relay import C1, SIX, UDP, connected, echo, port, relay, serving, wired
from tests.waiting import equal

__all__ = ["wired"]


class Clock:
    """Stands in for the module ``time``: an hour passes at once."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def answered(sock: socket.socket) -> bytes:
    sock.send(b"?")
    return sock.recv(100)


def bounded() -> dict[str, object]:
    """Relay in this process, with small bounds; return what was seen."""
    datagrams._SWEEP = 0.02
    clock = Clock()
    vars(datagrams)["time"] = clock
    loop = Loop(lambda: None)
    # Of 48 descriptors streams and clients may have 3 each, and ports 12.
    relays = Relays(loop, print, 48)
    [told] = changes(relay(port(8080, 80), port(9000, 90, "udp"), port(9001, 90, "udp")))
    assert isinstance(told, Relay)
    relays.put(told)
    [many] = changes(relay(port(7000, 70, count=20), id="more"))
    assert isinstance(many, Relay)
    relays.put(many)
    missed = next(reversed(list(relays.messages())))["missed"]
    assert isinstance(missed, list) and len(missed) == 11 and relays.streams == 0
    relays.drop("more")
    running = threading.Thread(target=loop.run, daemon=True)
    running.start()
    streams = [connected(8080) for _ in range(3)]
    for stream in streams:
        stream.sendall(b"x")
    seen: dict[str, object] = {"answered": b"".join(stream.recv(1) for stream in streams)}
    try:
        with connected(8080) as more:
            seen["one more"] = more.recv(1)
    except ConnectionResetError:
        seen["one more"] = "reset"
    streams[0].close()
    equal(lambda: relays.streams, 2)
    with connected(8080) as more:
        more.sendall(b"y")
        seen["in its place"] = more.recv(1)
    # The fourth takes the place of the first; for another port there is none.
    asking = [connected(9000, UDP) for _ in range(4)]
    for sock in asking:
        assert answered(sock)
    with connected(9001, UDP) as other:
        other.send(b"?")
        assert answered(asking[-1])
        seen["clients"] = len(relays._asking)
    # Who says something stays, who says nothing goes.
    clock.now += datagrams._SILENCE - 1
    assert answered(asking[-1])
    clock.now += 2
    equal(lambda: len(relays._asking), 1)
    assert answered(asking[-1])
    seen["after a while"] = len(relays._asking)
    clock.now += datagrams._SILENCE + 1
    equal(lambda: len(relays._asking), 0)
    return seen


def test_bounds(host: Host) -> None:
    with serving(host, echo), host.server(C1, SIX, 90, "udp"):
        assert host.call(bounded) == {
            "answered": b"xxx",
            "one more": "reset",
            "in its place": b"y",
            "clients": 3,
            "after a while": 1,
        }
