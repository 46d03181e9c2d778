"""The sockets from which other servers are asked, of one namespace.

A question over UDP needs a port that nobody can guess. To open a socket, have epoll watch it and
close it again takes the kernel 15 microseconds: here an idle one forgets its port and what it has
received, and is given another port at random, which takes 4.
"""

from __future__ import annotations

import socket

from netctl.backends.dns.loop import WRITE, Handler, Loop
from netctl.kernel import nameserver
from netctl.kernel.nameserver import Place


class Outlets:
    """For the namespace of a place, or the host's for None; ``most`` is how many sockets are kept
    while they are idle. Its functions raise ``OSError``."""

    def __init__(self, loop: Loop, place: Place | None, most: int) -> None:
        self._loop, self._place, self._most = loop, place, most
        self._idle: dict[int, list[socket.socket]] = {socket.AF_INET: [], socket.AF_INET6: []}

    def datagram(self, address: str, handler: Handler) -> socket.socket:
        """Return a socket that talks to port 53 of ``address`` alone, from a new port."""
        idle = self._idle[_family(address)]
        sock = idle.pop() if idle else self._opened(address)
        try:
            nameserver.connect(self._place, sock, address)
        except BaseException:
            self._close(sock)
            raise
        self._loop.handle(sock.fileno(), handler)
        return sock

    def release(self, sock: socket.socket, address: str) -> None:
        """Take back what ``datagram`` gave."""
        idle = self._idle[_family(address)]
        if len(idle) < self._most and nameserver.forget(sock):
            self._loop.handle(sock.fileno(), _nothing)
            idle.append(sock)
        else:
            self._close(sock)

    def stream(self, address: str, handler: Handler) -> socket.socket:
        """Return a socket that is being connected; ``handler`` is called when it is."""
        sock = nameserver.outgoing(self._place, _family(address), socket.SOCK_STREAM)
        try:
            nameserver.connect(self._place, sock, address)
        except BlockingIOError:
            self._loop.watch(sock.fileno(), handler, WRITE)
            return sock
        except BaseException:
            sock.close()
            raise
        self._loop.watch(sock.fileno(), handler, WRITE)
        return sock

    def close(self) -> None:
        for idle in self._idle.values():
            for sock in idle:
                self._close(sock)
            idle.clear()

    def _opened(self, address: str) -> socket.socket:
        sock = nameserver.outgoing(self._place, _family(address), socket.SOCK_DGRAM)
        self._loop.watch(sock.fileno(), _nothing)
        return sock

    def _close(self, sock: socket.socket) -> None:
        self._loop.forget(sock.fileno())
        sock.close()


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _nothing(events: int) -> None:
    # Without port and server nothing comes.
    return
