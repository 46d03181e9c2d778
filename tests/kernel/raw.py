"""Packets by hand: sent from one stack, seen in another."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from netctl.kernel import syscalls
from tests.kernel.host import Host, Outside
from tests.waiting import PATIENCE, QUIET

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_MARK = b"that was all"
"""In a datagram of the host's, sent after what is looked for."""
_DISCARD = 9
_BIND_TO_DEVICE = 25
_ETHERNET = 14


class Segment(NamedTuple):
    """A TCP segment without options."""

    source: str
    sport: int
    destination: str
    dport: int
    flags: int
    sequence: int = 1000
    acknowledged: int = 2000
    payload: bytes = b""

    def packed(self) -> bytes:
        """Return it with its checksum, without the header of IP."""
        ends = (self.sport, self.dport, self.sequence % 2**32, self.acknowledged % 2**32)
        header = struct.pack("!HHIIBBHHH", *ends, 80, self.flags, 512, 0, 0)
        found = _family(self.source)
        pseudo = b"".join(socket.inet_pton(found, a) for a in (self.source, self.destination))
        size = len(header) + len(self.payload)
        layout, fields = ("!BBH", (0, 6, size)) if found == socket.AF_INET else ("!II", (size, 6))
        checked = checksum(pseudo + struct.pack(layout, *fields) + header + self.payload)
        return header[:16] + struct.pack("!H", checked) + header[18:] + self.payload


class Seen(NamedTuple):
    """What a stack received, or sent: the source, the ports and the flags."""

    source: str
    sport: int
    dport: int
    flags: int


def got_out(host: Host, netns: str, segments: Sequence[Segment]) -> list[Seen]:
    """Send segments from a stack (a path or ``""``); return those of the same destination port that
    the outside sees."""
    return host.call(_got_out, host, netns, segments)


def _got_out(host: Host, netns: str, segments: Sequence[Segment]) -> list[Seen]:
    with sniffer(host, "outside", "world") as heard:
        send(host, netns, segments)
        # What went before it has passed, or has been dropped, when this one comes.
        datagram(host, "", "uplink", Outside.IPV4, _DISCARD, _MARK)
        ports = {segment.dport for segment in segments}
        found = [each for each in map(tcp_of, _to_the_mark(heard)) if each]
    return [seen for seen, _ in found if seen.dport in ports]


def _to_the_mark(heard: socket.socket) -> Iterator[bytes]:
    for frame in frames(heard, PATIENCE):
        yield frame
        if _MARK in frame:
            break
    yield from frames(heard, QUIET / 2)


@contextmanager
def sniffer(host: Host, netns: str, link: str) -> Iterator[socket.socket]:
    """Lend a socket that sees all that passes an interface. To be called in the host."""
    with _within(host, netns):
        heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    with heard:
        with _within(host, netns):
            heard.bind((link, 0))
        yield heard


def send(host: Host, netns: str, segments: Iterable[Segment]) -> None:
    """Send segments from a stack. To be called in the host."""
    for each in segments:
        with (
            _within(host, netns),
            socket.socket(_family(each.source), socket.SOCK_RAW, 6) as sender,
        ):
            sender.sendto(each.packed(), (each.destination, 0))


def tcp_of(frame: bytes) -> tuple[Seen, Segment] | None:
    """Return the TCP segment in an Ethernet frame; None where it holds none."""
    kind, packet = frame[12:_ETHERNET], frame[_ETHERNET:]
    if kind == b"\x08\0" and packet[9] == 6:
        source, target = (socket.inet_ntop(socket.AF_INET, packet[n : n + 4]) for n in (12, 16))
        body = packet[4 * (packet[0] & 15) :]
    elif kind == b"\x86\xdd" and packet[6] == 6:
        source, target = (socket.inet_ntop(socket.AF_INET6, packet[n : n + 16]) for n in (8, 24))
        body = packet[40:]
    else:
        return None
    sport, dport, sequence, acknowledged = struct.unpack("!HHII", body[:12])
    flags = body[13] & 31
    whole = Segment(source, sport, target, dport, flags, sequence, acknowledged)
    return Seen(source, sport, dport, flags), whole


def frames(heard: socket.socket, seconds: float) -> Iterator[bytes]:
    """Yield what a sniffer hears until the time is over."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        heard.settimeout(left)
        try:
            yield heard.recv(65536)
        except TimeoutError:
            return


@contextmanager
def _within(host: Host, netns: str) -> Iterator[None]:
    """Be in another stack of the host for a while; sockets stay where they were made."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = host.stack(netns)
    try:
        syscalls.setns(there, syscalls.CLONE_NEWNET)
        yield
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)
        os.close(there)


def drained(heard: socket.socket) -> Iterator[bytes]:
    """Yield what a sniffer has heard."""
    heard.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield heard.recv(65536)


def datagram(
    host: Host, netns: str, link: str, address: str, port: int, data: bytes = b"?"
) -> None:
    """Send a UDP datagram out of an interface, to many as well. To be called in the host."""
    found = _family(address)
    with _within(host, netns), socket.socket(found, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.SOL_SOCKET, _BIND_TO_DEVICE, link.encode())
        target: tuple[Any, ...] = (address, port)
        if found == socket.AF_INET6:
            target = (address, port, 0, socket.if_nametoindex(link))
        with suppress(OSError):
            sender.sendto(data, target)


def listener(host: Host, netns: str, port: int, groups: Iterable[str], link: str) -> socket.socket:
    """Return a socket that receives what comes to a port, and to these multicast groups on an
    interface. To be called in the host."""
    with _within(host, netns):
        heard = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        index = socket.if_nametoindex(link)
        for group in groups:
            if ":" in group:
                packed = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", index)
                heard.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed)
            else:
                packed = socket.inet_aton(group) + bytes(4) + struct.pack("=I", index)
                heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed)
        heard.bind(("::", port))
    return heard


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
