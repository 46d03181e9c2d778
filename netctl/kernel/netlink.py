"""Netlink transport: sockets, sequence numbers, ACKs and dumps (RFC 3549, linux/netlink.h).

pyroute2's own socket layer is left out: it brings asyncio and costs 40 ms at start. Requests of a
fixed form and all answers are packed and read here, so that reading needs no pyroute2 at all.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from fcntl import ioctl
from typing import Self

from netctl import plainsocket as socket
from netctl.errors import KernelError

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_REQUEST, NLM_F_ACK, NLM_F_ECHO, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x8, 0x10, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
IFLA_IFNAME, IFLA_IFALIAS, IFLA_EXT_MASK = 3, 20, 29
_IFLA_LINKINFO, _INFO_KIND, _INFO_DATA = 18, 1, 2
NLA_F_NESTED = 0x8000
SKIP_STATS = 8
"""RTEXT_FILTER_SKIP_STATS: counters are half of an answer, and slow to gather."""

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_F_CAPPED, _F_ACK_TLVS = 0x100, 0x200
_SOL_NETLINK = 270
_SIOCGIFNAME = 0x8910
_SO_NETNS_COOKIE = 71
_CAP_ACK, _EXT_ACK, _STRICT_CHECK = 10, 11, 12
_TIMEOUT_SECONDS = 20
_DUMP_TRIES = 10
_READS = 1_000_000
"""Bound of every reading loop, in datagrams."""
_BUFFER = 128 * 1024
_AT_ONCE = 64
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_IFINFO = struct.Struct("=BxHiII")
IFINFO_BYTES = _IFINFO.size
"""Length of struct ifinfomsg, after which a link's attributes begin."""
_IFF_UP = 1


NameOf = Callable[[int], str]
"""Gives the name of a link's index, ``""`` where there is none."""


class Message:
    """One request: its RTM type, its flags beside REQUEST, and what follows the header."""

    # Not a NamedTuple: making that class takes ten times as long as this one.
    __slots__ = ("body", "flags", "type")

    def __init__(self, type: int, body: bytes, flags: int = 0) -> None:
        self.type, self.body, self.flags = type, body, flags


class Refusal:
    """The kernel's no, with its own words where it has some."""

    __slots__ = ("errno", "words")

    def __init__(self, errno: int, words: str) -> None:
        self.errno, self.words = errno, words


TOO_MANY = Refusal(errno.EFBIG, "")
"""Of a dump with more objects than are read."""


class _Part:
    """One message of an answer."""

    __slots__ = ("body", "flags", "sequence", "type")

    def __init__(self, type: int, flags: int, sequence: int, body: bytes) -> None:
        self.type, self.flags, self.sequence, self.body = type, flags, sequence, body


class NetlinkSocket:
    """A netlink socket of the namespace that the calling thread is in when it is made."""

    def __init__(self, protocol: int = 0) -> None:
        """``protocol`` is rtnetlink's if not given (NETLINK_ROUTE)."""
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        self._sequence = 0
        limit = struct.pack("@ll", _TIMEOUT_SECONDS, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        for option in (_CAP_ACK, _EXT_ACK, _STRICT_CHECK):
            try:
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            except OSError:
                continue  # An older kernel: fewer words, coarser filters.
        self._socket.bind((0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, messages: Sequence[Message]) -> list[Refusal | None]:
        """Send all messages in one system call; return the kernel's answer to each, in order.

        The kernel goes through all of them before the call returns: a process that is killed
        leaves all done or none begun. It does not stop at one that fails.
        """
        if not messages:
            return []
        first = self._send(messages, NLM_F_ACK)
        answers: dict[int, Refusal | None] = {}
        for part in self._parts(first, first + len(messages) - 1):
            if part.type == _NLMSG_ERROR:
                answers[part.sequence] = _verdict(part)
            if len(answers) == len(messages):
                break
        return [answers[first + i] for i in range(len(messages))]

    def ask_many(self, messages: Sequence[Message]) -> list[Refusal | None]:
        """Return the kernel's answer to each of any number of messages; the answers to more than
        some hundred at once do not fit into the socket's buffer, where each takes over a KiB."""
        starts = range(0, len(messages), _AT_ONCE)
        return [answer for at in starts for answer in self.ask(messages[at : at + _AT_ONCE])]

    def get(self, message: Message) -> bytes | Refusal:
        """Return the body of the one answer to a question about one object."""
        sequence = self._send([message], 0)
        for part in self._parts(sequence, sequence):
            if part.type != _NLMSG_ERROR:
                return part.body
            if refusal := _verdict(part):
                return refusal
        raise AssertionError("unreachable: the reading loop raises at its end")

    def dump(self, message: Message, most: int = 0) -> list[bytes] | Refusal:
        """Return the bodies of all objects; asked again when they changed while being read.

        More than ``most``, where it is given, are a refusal with EFBIG. The socket is of no use
        after that, for the rest is on its way to it.
        """
        for _ in range(_DUMP_TRIES):
            bodies, again = self._collected(message, NLM_F_DUMP, most)
            if not again or bodies is TOO_MANY:
                return bodies
        return Refusal(errno.EAGAIN, "")

    def some(self, message: Message, limit: int) -> list[bytes] | Refusal:
        """Return the bodies of the first ``limit`` objects. This socket is for nothing else: what
        is not read stays in it."""
        sequence = self._send([message], NLM_F_DUMP)
        bodies: list[bytes] = []
        for part in self._parts(sequence, sequence):
            if part.type in (_NLMSG_DONE, _NLMSG_ERROR):
                return _verdict(part) or bodies
            bodies.append(part.body)
            if len(bodies) == limit:
                return bodies
        raise AssertionError("unreachable: the reading loop raises at its end")

    def name_of(self, index: int) -> str:
        """Return the name of a link, ``""`` where there is none.

        By ioctl, 1 us; a dump of all links for their names takes 28 us for each.
        """
        request = struct.pack("=16xi20x", index)
        try:
            answer = ioctl(self._socket, _SIOCGIFNAME, request)
        except OSError:
            return ""
        return text(answer[:16].partition(b"\0")[0])

    def cookie(self) -> int:
        """Return the kernel's number of this socket's namespace, never given twice in a boot.

        0 where the kernel has none (before Linux 5.14, e8b27ab0ab63).
        """
        try:
            value = self._socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
        except OSError:
            return 0
        return number(value)

    def get_echoed(self, message: Message) -> list[bytes] | Refusal:
        """Return the bodies of the answer to a question that is answered to listeners alone, or not
        at all where what is asked for is the kernel's own: so of traffic control."""
        return self._collected(message, NLM_F_ECHO | NLM_F_ACK)[0]

    def _collected(
        self, message: Message, flags: int, most: int = 0
    ) -> tuple[list[bytes] | Refusal, bool]:
        sequence = self._send([message], flags)
        bodies: list[bytes] = []
        again = False
        for part in self._parts(sequence, sequence):
            again = again or bool(part.flags & NLM_F_DUMP_INTR)
            if part.type in (_NLMSG_DONE, _NLMSG_ERROR):
                return _verdict(part) or bodies, again
            bodies.append(part.body)
            if most and len(bodies) > most:
                return TOO_MANY, False
        raise AssertionError("unreachable: the reading loop raises at its end")

    def _send(self, messages: Sequence[Message], flags: int) -> int:
        first = self._sequence + 1
        self._sequence += len(messages)
        packed = (
            _HEADER.pack(
                _HEADER.size + len(m.body), m.type, m.flags | flags | NLM_F_REQUEST, first + i, 0
            )
            + m.body
            + bytes(-len(m.body) % 4)
            for i, m in enumerate(messages)
        )
        self._socket.sendto(b"".join(packed), (0, 0))
        return first

    def _parts(self, first: int, last: int) -> Iterator[_Part]:
        """Yield what the kernel sends on these sequence numbers; ETIMEDOUT when it stays silent."""
        for _ in range(_READS):
            try:
                data, _, flags, sender = self._socket.recvmsg(_BUFFER)
            except BlockingIOError as error:
                raise _silent() from error
            if flags & socket.MSG_TRUNC:
                raise KernelError("read from netlink: an answer is too long", errno=errno.EMSGSIZE)
            if sender[0] != 0:
                continue  # Not from the kernel: any process may write to a netlink socket.
            yield from (part for part in _split(data) if first <= part.sequence <= last)
        raise _silent()


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the body of each message in a datagram."""
    return ((part.type, part.body) for part in _split(data))


def _silent() -> KernelError:
    return KernelError(
        f"read from netlink: no answer within {_TIMEOUT_SECONDS} s",
        hint="the kernel is busy; try again",
        errno=errno.ETIMEDOUT,
    )


def _split(data: bytes) -> Iterator[_Part]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield _Part(kind, flags, sequence, data[offset + _HEADER.size : offset + length])
        offset += length + 3 & ~3


def _verdict(part: _Part) -> Refusal | None:
    number = int.from_bytes(part.body[:4], "little" if LITTLE else "big", signed=True)
    if number >= 0:
        return None
    words = ""
    if part.flags & _F_ACK_TLVS:
        echo = 4 + (_HEADER.size if part.type == _NLMSG_ERROR else 0)
        if part.type == _NLMSG_ERROR and not part.flags & _F_CAPPED:
            echo = 4 + (int.from_bytes(part.body[4:8], "little" if LITTLE else "big") + 3 & ~3)
        words = text(attributes(part.body, echo).get(1, b""))
    return Refusal(-number, words)


LITTLE = struct.pack("=H", 1) == b"\x01\x00"


def attributes(data: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes that follow a fixed part of ``offset`` bytes, by type."""
    found, end, unpack = {}, len(data), _ATTRIBUTE.unpack_from
    while offset + 4 <= end:
        length, kind = unpack(data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += length + 3 & ~3
    return found


def each_attribute(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes that follow a fixed part, as of a list where all are of one type."""
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += length + 3 & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def text(value: bytes) -> str:
    """Return a NUL-terminated string attribute; interface names need not be UTF-8."""
    return value.rstrip(b"\0").decode(errors="surrogateescape")


def number(value: bytes) -> int:
    """Return an unsigned integer attribute of this machine's byte order; 0 where it is absent."""
    return int.from_bytes(value, "little" if LITTLE else "big")


def big(found: dict[int, bytes], kind: int) -> int:
    """Return an integer attribute in network byte order, as netfilter has them; 0 for none."""
    return int.from_bytes(found.get(kind, b""), "big")


def signed(value: int) -> int:
    """Return what an unsigned number of 32 bits is as a signed one."""
    return value - (1 << 32) if value >= 1 << 31 else value


def word(found: dict[int, bytes], kind: int) -> str:
    """Return a string attribute, ``""`` where it is absent."""
    return text(found.get(kind, b""))


def alias_in(link: bytes) -> str:
    """Return the alias in the body of an answer about a link, ``""`` where it has none."""
    return text(attributes(link, IFINFO_BYTES).get(IFLA_IFALIAS, b""))


def named(name: str) -> bytes:
    """Return the attribute by which a link is found."""
    return attribute(IFLA_IFNAME, os.fsencode(name) + b"\0")


def link_header(*, index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    """Return struct ifinfomsg of family AF_UNSPEC."""
    return _IFINFO.pack(0, 0, index, flags, change)


def link_flags(*, index: int = 0, name: str = "", up: bool) -> Message:
    """Return the request that sets a link up or down: ``ip link set NAME up``."""
    header = link_header(index=index, flags=_IFF_UP if up else 0, change=_IFF_UP)
    return Message(RTM_NEWLINK, header + (named(name) if name else b""))


def link_birth(name: str, kind: str) -> Message:
    """Return the request for a link: ``ip link add NAME type KIND``."""
    body = link_header() + named(name) + link_kind(kind)
    return Message(RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)


def link_kind(kind: str, data: bytes = b"") -> bytes:
    """Return the attribute that says what a link is; ``data`` are the attributes of that kind."""
    info = attribute(_INFO_KIND, kind.encode() + b"\0")
    info += attribute(_INFO_DATA | NLA_F_NESTED, data) if data else b""
    return attribute(_IFLA_LINKINFO | NLA_F_NESTED, info)


def link_alias(alias: str, *, index: int = 0, name: str = "") -> Message:
    """Return the request that marks a link: ``ip link set NAME alias ALIAS``."""
    body = link_header(index=index) + (named(name) if name else b"")
    return Message(RTM_SETLINK, body + attribute(IFLA_IFALIAS, alias.encode()))


def delete_link(sock: NetlinkSocket, index: int) -> Refusal | None:
    """``ip link delete``; return the kernel's no."""
    return first_refusal(sock.ask([Message(RTM_DELLINK, link_header(index=index))]))


def link_query(*, index: int = 0, name: str = "", mask: int = SKIP_STATS) -> Message:
    """Return the question about one link, or with neither index nor name about all."""
    extended = attribute(IFLA_EXT_MASK, struct.pack("=I", mask))
    return Message(
        RTM_GETLINK, link_header(index=index) + (named(name) if name else b"") + extended
    )


def first_refusal(answers: Iterable[Refusal | None]) -> Refusal | None:
    """Return the first no among the answers; a later one is often only its consequence."""
    return next((answer for answer in answers if answer), None)
