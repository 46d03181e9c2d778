"""Sockets at ports, as the kernel tells of them by sock_diag(7): what ``ss`` reads.

The kernel chooses by port and state, and no more than so many answers are read, so that nobody
inside a sandbox decides how long a look takes.
"""

from __future__ import annotations

import errno
import struct

from netctl import plainsocket as socket
from netctl.kernel import namespaces, netlink
from netctl.kernel.netlink import Message, NetlinkSocket, Refusal
from netctl.kernel.refusal import refused
from netctl.record import Record

_SOCK_DIAG, _BY_FAMILY = 4, 20
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_REQUEST, _ADDRESSES = struct.Struct("=BBxxI"), struct.Struct("!HH16s16s")
_NO_COOKIE = b"\xff" * 8
_ANSWER_BYTES, _V6ONLY = 72, 11
_STATES = {
    1: "established",
    2: "syn-sent",
    3: "syn-recv",
    4: "fin-wait-1",
    5: "fin-wait-2",
    6: "time-wait",
    7: "unconnected",
    8: "close-wait",
    9: "last-ack",
    10: "listening",
    11: "closing",
    12: "syn-recv",
    13: "bound",
}
"""Of TCP (net/tcp_states.h); UDP knows ``established`` and ``unconnected``."""
_LISTENING = {"tcp": 1 << 10, "udp": 1 << 7}
_EVERY = 0xFFFFFFFF
_UNKNOWN = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL)
"""What a kernel answers that tells nothing of a protocol's sockets, or has none that is meant."""
LIMIT = 64
"""Sockets that are read of one namespace, protocol and family."""


class Socket(Record):
    """A socket of a namespace."""

    version: int
    """Of its family: 4 or 6."""
    state: str
    address: str
    """Its own, ``0.0.0.0`` or ``::`` for all; IPv4 as such where a socket of IPv6 has it."""
    port: int
    peer: str = ""
    """Address and port of the other end where it has one, ``192.0.2.1:443``."""
    peer_address: str = ""
    peer_port: int = 0
    inode: int = 0
    alone: bool = False
    """Whether a socket of IPv6 takes no IPv4."""

    @property
    def takes(self) -> tuple[int, ...]:
        """The families (4, 6) of what it takes."""
        if self.version == 4 or "." in self.address:
            return (4,)
        return (4, 6) if self.address == "::" and not self.alone else (6,)

    @property
    def text(self) -> str:
        return joined(self.address, self.port)


def joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def sockets(
    protocol: str, port: int = 0, netns: str = "", *, listening: bool = False
) -> list[Socket]:
    """Return the sockets at a port, or at any, of a namespace; the first ``LIMIT`` of each family.

    ``listening`` are those that take what comes to them from anybody. None where the kernel tells
    of none of this protocol.
    """
    states = _LISTENING.get(protocol, _EVERY) if listening else _EVERY
    found: list[Socket] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = _request(protocol, family, states, ("", port), ("", 0), 0)
        with _opened(netns) as sock:
            answer = sock.some(Message(_BY_FAMILY, body), LIMIT)
        if isinstance(answer, Refusal):
            if answer.errno not in _UNKNOWN:
                raise refused(f"list the {protocol} sockets", answer.errno, words=answer.words)
            continue
        found += [_socket(item) for item in answer]
    return [each for each in found if not port or each.port == port]


class Ears:
    """Who would take what is sent to a namespace: the kernel looks, as it does for a packet."""

    def __init__(self, netns: str) -> None:
        self._socket = _opened(netns)

    def __enter__(self) -> Ears:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hears(self, protocol: str, address: str, port: int, index: int) -> bool | None:
        """Whether a socket takes what a stranger sends to an address and port, by the interface of
        that index; None where the kernel cannot say."""
        if protocol not in _LISTENING:
            return None
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        ends = (address, port), ("", 0)
        # Of UDP both ends are swapped (net/ipv4/udp_diag.c, "for historical reasons").
        one, other = reversed(ends) if protocol == "udp" else ends
        body = _request(protocol, family, _EVERY, one, other, index)
        answer = self._socket.get(Message(_BY_FAMILY, body))
        if isinstance(answer, Refusal):
            return False if answer.errno == errno.ENOENT else None
        return True


def _opened(netns: str) -> NetlinkSocket:
    with namespaces.entered(netns):
        return NetlinkSocket(_SOCK_DIAG)


def _request(
    protocol: str,
    family: int,
    states: int,
    one: tuple[str, int],
    other: tuple[str, int],
    index: int,
) -> bytes:
    """Return struct inet_diag_req_v2 (linux/inet_diag.h)."""
    packed = [socket.inet_pton(family, address) if address else b"" for address, _ in (one, other)]
    ends = _ADDRESSES.pack(one[1], other[1], *packed)
    head = _REQUEST.pack(family, _NUMBERS[protocol], states)
    return head + ends + struct.pack("=I", index) + _NO_COOKIE


def _socket(body: bytes) -> Socket:
    """Read struct inet_diag_msg."""
    family, state = body[0], body[1]
    port, peer_port, own, peer = _ADDRESSES.unpack_from(body, 4)
    found = netlink.attributes(body, _ANSWER_BYTES)
    address, other = _address(family, own), _address(family, peer) if peer_port else ""
    return Socket(
        version=6 if family == socket.AF_INET6 else 4,
        state=_STATES.get(state, str(state)),
        address=address,
        port=port,
        peer=joined(other, peer_port) if peer_port else "",
        peer_address=other,
        peer_port=peer_port,
        inode=struct.unpack_from("=I", body, _ANSWER_BYTES - 4)[0],
        alone=bool(netlink.number(found.get(_V6ONLY, b""))),
    )


def _address(family: int, packed: bytes) -> str:
    if family == socket.AF_INET6:
        return socket.inet_ntop(family, packed).removeprefix("::ffff:")
    return socket.inet_ntop(socket.AF_INET, packed[:4])
