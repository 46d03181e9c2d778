"""Connection tracking: forgetting the flows of an address or a port (linux/nfnetlink_conntrack.h).

A flow keeps the translation that it began with: one of UDP would go to an endpoint that has left,
or past one that came, for as long as its sender does not pause.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from netctl import plainsocket as socket
from netctl.kernel.netlink import (
    NLA_F_NESTED,
    Message,
    NetlinkSocket,
    Refusal,
    attribute,
    attributes,
    first_refusal,
)
from netctl.kernel.refusal import refused
from netctl.record import Record

_NETFILTER = 12
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_ORIGINAL, _REPLY, _ID, _ZONE = 1, 2, 12, 18
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_SOURCES, _DESTINATIONS = (1, 3), (2, 4)
"""Of IPv4 and IPv6."""
_PROTO_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_STATUS, _SEEN_REPLY = 3, 2
_PROTOCOLS = {"tcp": ((6,), (2,)), "udp": ((17,), (2,)), "icmp": ((1, 58), (4, 7))}
"""Their numbers, and the attributes that tell flows apart: source port, ICMP and ICMPv6 id."""
_FILTER = 25
_FILTER_FLAGS = {_ORIGINAL: 1, _REPLY: 2}
_BY_SOURCE = 1
"""CTA_FILTER_F_CTA_IP_SRC; before Linux 5.8 everything is listed, and looked through here."""
_COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"
_MANY = 5000
"""Flows for each address above which the kernel is told what to leave out, at the price of more
looks."""
_HEADER_BYTES = 4
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_BARRED = {"tcp": "5d", "sctp": "5d", "udp": "10m"}
"""How long a flow that ended stays so. A stream may rest for as long as connection tracking keeps
it. A datagram of the same ends may mean another exchange, as NTP's always has port 123."""
_MOST_BARRED = 2000
"""Flows each of which gets an element of nftables, 0.13 ms of time. Whoever sends packets decides
how many there are."""

_VERSIONS = {4: 4, 16: 6}
"""By the length of an address."""
_Port = tuple[bytes, int, bytes]
"""An end of a flow as the kernel has it: an address, a protocol and a port."""


class Flow(Record):
    """A tracked flow as it is after translation."""

    source: str
    """Where it seems to come from, to its destination."""
    destination: str
    """Where it really goes."""
    port: int
    """There; 0 for a ping."""
    answered: bool
    """Whether an answer was seen."""


def flows(
    addresses: Iterable[str],
    ports: Iterable[tuple[str, int]],
    local: Iterable[str],
    spared: Iterable[str] = (),
) -> list[bytes]:
    """Return flows: see ``Kernel.conntrack_forget``. ``local`` are the host's own addresses, with
    prefix length.

    Raises ``KernelError``. A kernel without connection tracking has none.
    """
    # The kernel goes through its whole table for each look, 9 ms of one for 24 GiB of memory.
    if not (tracked := _tracked()):
        return []
    wanted = {(_NUMBERS[protocol], number) for protocol, number in ports}
    gone, here = {_packed(a) for a in addresses}, {_packed(a.partition("/")[0]) for a in local}
    kept = {_packed(a) for a in spared}
    with NetlinkSocket(_NETFILTER) as sock:
        filtered = gone if tracked > _MANY * len(gone) else set()
        found = dict.fromkeys(
            flow
            for flow in _candidates(sock, filtered, whole=not wanted)
            if not (kept and _untranslated(flow) & kept)
            and (
                (gone and _answered_by(flow, gone) and (not wanted or _target(flow) in wanted))
                or (gone and not wanted and _ends(flow, _ORIGINAL, _SOURCES) & gone)
                or (here and _target(flow) in wanted and _untranslated(flow) & here)
            )
        )
    return list(found)


def delete(found: Iterable[bytes]) -> None:
    """Delete flows; one that is gone meanwhile is no error."""
    if messages := [_deletion(flow) for flow in found]:
        with NetlinkSocket(_NETFILTER) as sock:
            _delete(sock, messages)


def barring(found: Iterable[bytes], sets: str, addresses: Iterable[str]) -> str:
    """Return the commands of nft that put the ends of flows which one of the addresses answers
    into the set of their family, as its answers have them: ``sets`` is ``inet TABLE NAME``. Of the
    ports with the most flows, from where there are too many, the port alone comes into the set
    NAME-ports."""
    gone, ports = {_packed(a) for a in addresses}, dict[_Port, list[bytes]]()
    for flow in found:
        port = _end(flow, 0)
        if port[0] in gone and port[1] in _NAMES:
            ports.setdefault(port, []).append(flow)
    lines: list[str] = []
    room = _MOST_BARRED
    for port, ended in sorted(ports.items(), key=lambda item: len(item[1])):
        room -= len(ended)
        lines += _bars(port, sets, ended if room >= 0 else [])
    return "".join(lines)


def _bars(port: _Port, sets: str, flows: Sequence[bytes]) -> Iterator[str]:
    """Yield the commands that put these flows of a port, or else all, into the sets."""
    address, number, _ = port
    own, version = f"{_text(address)} . {_NAMES[number]} . {_number(port)}", _VERSIONS[len(address)]
    end = f"timeout {_BARRED[_NAMES[number]]} }}\n"
    for peer in (_end(flow, 1) for flow in flows):
        there = f"{_text(peer[0])} . {_number(peer)}"
        yield f"add element {sets}{version} {{ {own} . {there} {end}"
    if not flows:
        yield f"add element {sets}-ports{version} {{ {own} {end}"


def _end(flow: bytes, side: int) -> _Port:
    """Return what answers a flow (0), or whom it answers (1)."""
    ip, proto = (_inner(flow, _REPLY, part) for part in (_TUPLE_IP, _TUPLE_PROTO))
    kind = _DESTINATION_PORT if side else _SOURCE_PORT
    return _ip(ip, side), proto.get(_PROTO_NUMBER, b"\0")[0], proto.get(kind, b"")


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def _number(end: _Port) -> int:
    return int.from_bytes(end[2], "big")


def _tracked() -> int:
    try:
        with open(_COUNT, encoding="utf-8") as file:
            return int(file.read())
    except FileNotFoundError:
        return 0


def _candidates(sock: NetlinkSocket, addresses: set[bytes], *, whole: bool) -> Iterator[bytes]:
    """Yield the flows to look at: all, or with ``addresses`` those that they answer or, if
    ``whole``, began."""
    if not addresses:
        yield from _listed(sock, socket.AF_UNSPEC, b"")
    for address in addresses:
        family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
        for side in (_REPLY, _ORIGINAL) if whole else (_REPLY,):
            yield from _listed(sock, family, _only_from(side, address))


def flow(source: str, destination: str, protocol: str, number: int) -> Flow | None:
    """Return the flow that began with such a packet; ``number`` is the port of its source, or the
    identifier of a ping."""
    family, (kinds, place) = _family(source), _PROTOCOLS[protocol]
    ends = (socket.inet_pton(family, source), socket.inet_pton(family, destination))
    with NetlinkSocket(_NETFILTER) as sock:
        for body in _listed(sock, family, b""):
            ip, proto = (_inner(body, _ORIGINAL, part) for part in (_TUPLE_IP, _TUPLE_PROTO))
            mine = next((int.from_bytes(proto[at], "big") for at in place if at in proto), 0)
            same = (_ip(ip, 0), _ip(ip, 1), mine) == (*ends, number)
            if same and proto[_PROTO_NUMBER][0] in kinds:
                return _flow(body, family)
    return None


def knows(protocol: str, own: tuple[str, int], peer: tuple[str, int]) -> bool:
    """Whether a flow between two ends, each an address and a port, is tracked."""
    family = _family(own[0])
    source, destination = (
        _SOURCES[family != socket.AF_INET],
        _DESTINATIONS[family != socket.AF_INET],
    )
    ip = attribute(source, _packed(own[0])) + attribute(destination, _packed(peer[0]))
    proto = attribute(_PROTO_NUMBER, bytes([_NUMBERS[protocol]]))
    proto += attribute(_SOURCE_PORT, struct.pack("!H", own[1]))
    proto += attribute(_DESTINATION_PORT, struct.pack("!H", peer[1]))
    both = attribute(_TUPLE_IP | NLA_F_NESTED, ip) + attribute(_TUPLE_PROTO | NLA_F_NESTED, proto)
    header = struct.pack("=BBH", family, 0, 0)
    with NetlinkSocket(_NETFILTER) as sock:
        answer = sock.get(Message(_GET, header + attribute(_ORIGINAL | NLA_F_NESTED, both)))
    return not isinstance(answer, Refusal)


def _flow(body: bytes, family: int) -> Flow:
    ip, proto = (_inner(body, _REPLY, part) for part in (_TUPLE_IP, _TUPLE_PROTO))
    status = int.from_bytes(attributes(body, _HEADER_BYTES).get(_STATUS, b""), "big")
    return Flow(
        source=socket.inet_ntop(family, _ip(ip, 1)),
        destination=socket.inet_ntop(family, _ip(ip, 0)),
        port=int.from_bytes(proto.get(_SOURCE_PORT, b""), "big"),
        answered=bool(status & _SEEN_REPLY),
    )


def _ip(ip: dict[int, bytes], side: int) -> bytes:
    """Return the source (0) or the destination (1)."""
    return ip.get(1 + side) or ip.get(3 + side, b"")


def _listed(sock: NetlinkSocket, family: int, only: bytes) -> list[bytes]:
    answer = sock.dump(Message(_GET, struct.pack("=BBH", family, 0, 0) + only))
    if isinstance(answer, Refusal):
        if answer.errno in (errno.EINVAL, errno.EOPNOTSUPP) and not only:
            return []
        if answer.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return _listed(sock, family, b"")
        raise refused("list the tracked connections", answer.errno, words=answer.words)
    return answer


def _only_from(side: int, packed: bytes) -> bytes:
    """Return the filter for flows one side of which comes from an address."""
    source = _SOURCES[0] if len(packed) == 4 else _SOURCES[1]
    inner = attribute(_TUPLE_IP | NLA_F_NESTED, attribute(source, packed))
    flags = attribute(_FILTER_FLAGS[side], struct.pack("=I", _BY_SOURCE))
    return attribute(side | NLA_F_NESTED, inner) + attribute(_FILTER | NLA_F_NESTED, flags)


def _answered_by(flow: bytes, addresses: set[bytes]) -> set[bytes]:
    return _ends(flow, _REPLY, _SOURCES) & addresses


def _untranslated(flow: bytes) -> set[bytes]:
    """Return the address that a flow is sent to where that answers itself."""
    return _ends(flow, _ORIGINAL, _DESTINATIONS) & _ends(flow, _REPLY, _SOURCES)


def _ends(flow: bytes, side: int, kinds: tuple[int, int]) -> set[bytes]:
    ip = _inner(flow, side, _TUPLE_IP)
    return {ip[kind] for kind in kinds if kind in ip}


def _packed(address: str) -> bytes:
    return socket.inet_pton(_family(address), address)


def _target(flow: bytes) -> tuple[int, int]:
    """Return the protocol's number and the port that a flow was first sent to."""
    proto = _inner(flow, _ORIGINAL, _TUPLE_PROTO)
    number, port = proto.get(_PROTO_NUMBER, b"\0"), proto.get(_DESTINATION_PORT, b"\0\0")
    return number[0], int.from_bytes(port, "big")


@lru_cache(maxsize=4)
def _inner(flow: bytes, side: int, part: int) -> dict[int, bytes]:
    return attributes(_tuple(flow, side).get(part, b""), 0)


# One flow after the other is looked at, each for several things.
@lru_cache(maxsize=2)
def _tuple(flow: bytes, side: int) -> dict[int, bytes]:
    return attributes(attributes(flow, _HEADER_BYTES).get(side, b""), 0)


def _deletion(flow: bytes) -> Message:
    """Return the request that deletes a flow, and no later one of the same ends: it has an id."""
    found = attributes(flow, _HEADER_BYTES)
    body = flow[:_HEADER_BYTES] + attribute(_ORIGINAL | NLA_F_NESTED, found[_ORIGINAL])
    body += b"".join(attribute(kind, found[kind]) for kind in (_ID, _ZONE) if kind in found)
    return Message(_DELETE, body)


def _delete(sock: NetlinkSocket, messages: list[Message]) -> None:
    answers = sock.ask_many(messages)
    gone = (answer for answer in answers if answer and answer.errno != errno.ENOENT)
    if refusal := first_refusal(gone):
        raise refused("forget a tracked connection", refusal.errno, words=refusal.words)


def _family(address: str) -> int:
    return int(socket.AF_INET6 if ":" in address else socket.AF_INET)
