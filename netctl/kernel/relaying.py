"""Sockets of the host's [::1], and of the host towards endpoints.

The kernel lets nothing that was sent to ::1 leave the host, whatever it is translated to (RFC 4291
section 2.5.3), so that published ports are brought from there by a process.
"""

from __future__ import annotations

import errno
import socket
import struct

LOOPBACK = "::1"
_BACKLOG = 512
_NOW = struct.pack("ii", 1, 0)
_SILENCE = 60
"""Seconds after which a stream's other side is asked whether it is still there."""
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def listening(protocol: str, port: int) -> socket.socket | None:
    """Open a port of [::1]; None where this host has no such address. Raises ``OSError``."""
    sock = socket.socket(socket.AF_INET6, _KINDS[protocol] | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            # Connections that linger do not keep the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
        if protocol == "tcp":
            sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return sock


def towards(protocol: str, address: str, port: int) -> socket.socket:
    """Open a socket that is connected, or over TCP is being connected, to a port of an endpoint.
    Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, _KINDS[protocol] | socket.SOCK_NONBLOCK)
    try:
        sock.connect((address, port))
    except BlockingIOError:
        return sock
    except BaseException:
        sock.close()
        raise
    return sock


def prepare(sock: socket.socket) -> None:
    """Have a stream send small pieces at once, and notice that the other side is gone."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENCE)


def failure(sock: socket.socket) -> int:
    """Return the errno with which connecting has failed, 0 where it has not."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def reset(sock: socket.socket) -> None:
    """Close a stream so that the other side notices that it was broken off."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
    sock.close()
