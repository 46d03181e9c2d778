"""What is told nftables of the flows that end with a port."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from netctl.kernel import conntrack
from netctl.kernel.netlink import NLA_F_NESTED, attribute

SETS, SERVER = "inet netctl ended", "172.17.0.2"
UDP, TCP, ICMP = 17, 6, 1


def flows(count: int, port: int, protocol: int = UDP, server: str = SERVER) -> Iterator[bytes]:
    """Yield flows of that many clients, as the kernel lists them."""
    six = ":" in server
    family = socket.AF_INET6 if six else socket.AF_INET
    for number in range(count):
        client = f"2001:db8::{number:x}" if six else socket.inet_ntoa(struct.pack("!I", number + 1))
        ends = (socket.inet_pton(family, each) for each in (server, client))
        ip = b"".join(attribute(2 * six + side, end) for side, end in enumerate(ends, 1))
        proto = attribute(1, bytes([protocol]))
        proto += attribute(2, struct.pack("!H", port)) + attribute(3, struct.pack("!H", 999))
        reply = attribute(1 | NLA_F_NESTED, ip) + attribute(2 | NLA_F_NESTED, proto)
        yield struct.pack("=BBH", family, 0, 0) + attribute(2 | NLA_F_NESTED, reply)


def barred(*found: bytes) -> list[str]:
    return conntrack.barring(found, SETS, [SERVER, "fd00::2"]).splitlines()


def test_each_of_some_flows_is_barred() -> None:
    assert barred(*flows(1, 53), *flows(1, 80, TCP), *flows(1, 80, ICMP)) == [
        f"add element inet netctl ended4 {{ {SERVER} . udp . 53 . 0.0.0.1 . 999 timeout 10m }}",
        f"add element inet netctl ended4 {{ {SERVER} . tcp . 80 . 0.0.0.1 . 999 timeout 5d }}",
    ]
    assert barred(*flows(1, 53, server="fd00::2")) == [
        "add element inet netctl ended6 { fd00::2 . udp . 53 . 2001:db8:: . 999 timeout 10m }"
    ]
    assert not barred(*flows(1, 53, server="172.17.0.3"))


def test_the_ports_of_too_many_flows_are_barred_as_a_whole() -> None:
    """Strangers decide how many there are, and each takes time under the lock."""
    few = list(flows(3, 80, TCP))
    many = flows(conntrack._MOST_BARRED, 53)
    six = flows(conntrack._MOST_BARRED + 1, 53, server="fd00::2")
    assert barred(*many, *few, *six) == [
        *barred(*few),
        f"add element inet netctl ended-ports4 {{ {SERVER} . udp . 53 timeout 10m }}",
        "add element inet netctl ended-ports6 { fd00::2 . udp . 53 timeout 10m }",
    ]
