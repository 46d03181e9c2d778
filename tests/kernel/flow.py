"""How much a stack receives of what another one sends as fast as it can."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress

from netctl.kernel import syscalls
from tests.kernel.host import ANSWER, Host
from tests.kernel.host_children import family
from tests.waiting import PATIENCE

DATAGRAM = 1400
_FRAME, _ETHERNET = 1514, 14
_IP: dict[int, int] = {socket.AF_INET: 20, socket.AF_INET6: 40}
_TRANSPORT = {"tcp": 32, "udp": 8}
"""Headers, bytes; TCP's with time stamps."""
_NEAR = 0.05
_PATIENCE = ANSWER
"""Seconds in which a rate has to be seen once: where others keep the processors, a sender that is
late leaves a part of its time unused."""
_UDP_SEGMENT, _UDP_GRO = 103, 104
"""linux/udp.h: many datagrams in one system call."""
_SO_RCVBUFFORCE = 33
_PORT = 5201
_SENDER = """
import os, socket, sys, time
os.nice(-15)
family, protocol, address, port, seconds, size = sys.argv[1:]
end = time.monotonic() + float(seconds)
kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
while time.monotonic() < end:
    try:
        s = socket.socket(int(family), kind)
        s.connect((address, int(port)))
        break
    except OSError:
        time.sleep(0.01)
if protocol == "udp":
    s.setsockopt(17, 103, int(size))
chunk = bytes(int(size) * 40 if protocol == "udp" else 1 << 17)
while time.monotonic() < end:
    try:
        s.send(chunk)
    except OSError:
        time.sleep(0.001)
"""


def wire_rate(
    host: Host,
    source: str,
    target: str,
    address: str,
    protocol: str,
    *,
    seconds: float = 1,
    wanted: float = 0,
    settling: float = 0.25,
) -> float:
    """Send from the stack ``source`` to ``address`` in ``target`` (paths, ``""`` for the host);
    return in bits/s of Ethernet frames what arrived, from ``settling`` seconds on.

    With ``wanted`` it is counted again until it is within 5 % of that, or ``_PATIENCE`` is over:
    TCP that lost the last of what it sent waits for 200 ms and more, and makes up for it
    afterwards.
    """
    share = payload_share(address, protocol)
    duration = str(settling + (_PATIENCE if wanted else seconds) + 10)
    arguments = (str(int(family(address))), protocol, address, str(_PORT), duration)
    inside = ["nsenter", f"--net={source}", "--"] if source else []
    sender = host.start(*inside, sys.executable, "-c", _SENDER, *arguments, str(DATAGRAM))
    try:
        windows = (settling, seconds, wanted * share)
        return host.call(_received, target, address, protocol, windows) / share
    finally:
        sender.kill()
        sender.wait()


def payload_share(address: str, protocol: str) -> float:
    """Return how much of a frame is payload: of full ones (TCP), of those of ``DATAGRAM`` (UDP)."""
    headers = _ETHERNET + _IP[family(address)] + _TRANSPORT[protocol]
    size = _FRAME - headers if protocol == "tcp" else DATAGRAM
    return size / (size + headers)


def _received(
    netns: str, address: str, protocol: str, windows: tuple[float, float, float]
) -> float:
    if netns:
        fd = os.open(netns, os.O_RDONLY)
        syscalls.setns(fd, syscalls.CLONE_NEWNET)
        os.close(fd)
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family(address), kind) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.settimeout(PATIENCE)
        server.bind((address, _PORT))
        if protocol == "udp":
            with suppress(OSError):
                server.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 23)
            server.setsockopt(17, _UDP_GRO, 1)
            return _counted(server, *windows)
        server.listen()
        connection, _ = server.accept()
        with connection:
            connection.settimeout(PATIENCE)
            return _counted(connection, *windows)


def _counted(sock: socket.socket, settling: float, seconds: float, wanted: float) -> float:
    buffer = bytearray(1 << 20)
    _count(sock, buffer, settling)
    end = time.monotonic() + _PATIENCE
    while True:
        found = _count(sock, buffer, seconds)
        if not wanted or abs(found / wanted - 1) < _NEAR or time.monotonic() > end:
            return found


def _count(sock: socket.socket, buffer: bytearray, seconds: float) -> float:
    total, begin = 0, time.monotonic()
    while (now := time.monotonic()) < begin + seconds:
        total += sock.recv_into(buffer)
    return total * 8 / (now - begin)
