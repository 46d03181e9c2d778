"""Connection tracking: forgetting the flows of an address or a port (linux/nfnetlink_conntrack.h).

A flow keeps the translation that it began with: one of UDP would go to an endpoint that has left,
or past one that came, for as long as its sender does not pause.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable

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

_NETFILTER = 12
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_ORIGINAL, _REPLY, _ID, _ZONE = 1, 2, 12, 18
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_SOURCES = (1, 3)
"""Of IPv4 and IPv6."""
_PROTO_NUMBER, _DESTINATION_PORT = 1, 3
_FILTER, _FILTER_REPLY = 25, 2
_BY_SOURCE = 1
"""CTA_FILTER_F_CTA_IP_SRC; before Linux 5.8 everything is listed, and looked through here."""
_HEADER_BYTES = 4
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_BATCH = 512
"""Deletions in one system call."""


def forget(addresses: Iterable[str], ports: Iterable[tuple[str, int]]) -> None:
    """Delete the flows to addresses, translated or not, and those to ports (protocol, number).

    Raises ``KernelError``. A kernel without connection tracking has none.
    """
    with NetlinkSocket(_NETFILTER) as sock:
        found: dict[bytes, Message] = {}
        for address in addresses:
            packed = socket.inet_pton(_family(address), address)
            for flow in _listed(sock, _family(address), _answered_by(packed)):
                if packed in _answering(flow):
                    found[flow] = _deletion(flow)
        wanted = {(_NUMBERS[protocol], number) for protocol, number in ports}
        if wanted:
            for flow in _listed(sock, socket.AF_UNSPEC, b""):
                if _target(flow) in wanted:
                    found[flow] = _deletion(flow)
        _delete(sock, list(found.values()))


def _listed(sock: NetlinkSocket, family: int, only: bytes) -> list[bytes]:
    answer = sock.dump(Message(_GET, struct.pack("=BBH", family, 0, 0) + only))
    if isinstance(answer, Refusal):
        if answer.errno in (errno.EINVAL, errno.EOPNOTSUPP) and not only:
            return []
        if answer.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return _listed(sock, family, b"")
        raise refused("list the tracked connections", answer.errno, words=answer.words)
    return answer


def _answered_by(packed: bytes) -> bytes:
    """Return the filter for flows whose answers come from an address."""
    source = _SOURCES[0] if len(packed) == 4 else _SOURCES[1]
    inner = attribute(_TUPLE_IP | NLA_F_NESTED, attribute(source, packed))
    flags = attribute(_FILTER_REPLY, struct.pack("=I", _BY_SOURCE))
    return attribute(_REPLY | NLA_F_NESTED, inner) + attribute(_FILTER | NLA_F_NESTED, flags)


def _answering(flow: bytes) -> set[bytes]:
    ip = _inner(flow, _REPLY, _TUPLE_IP)
    return {ip[kind] for kind in _SOURCES if kind in ip}


def _target(flow: bytes) -> tuple[int, int]:
    """Return the protocol's number and the port that a flow was first sent to."""
    proto = _inner(flow, _ORIGINAL, _TUPLE_PROTO)
    number, port = proto.get(_PROTO_NUMBER, b"\0"), proto.get(_DESTINATION_PORT, b"\0\0")
    return number[0], int.from_bytes(port, "big")


def _inner(flow: bytes, side: int, part: int) -> dict[int, bytes]:
    tuple_ = attributes(attributes(flow, _HEADER_BYTES).get(side, b""), 0)
    return attributes(tuple_.get(part, b""), 0)


def _deletion(flow: bytes) -> Message:
    """Return the request that deletes a flow, and no later one of the same ends: it has an id."""
    found = attributes(flow, _HEADER_BYTES)
    body = flow[:_HEADER_BYTES] + attribute(_ORIGINAL | NLA_F_NESTED, found[_ORIGINAL])
    body += b"".join(attribute(kind, found[kind]) for kind in (_ID, _ZONE) if kind in found)
    return Message(_DELETE, body)


def _delete(sock: NetlinkSocket, messages: list[Message]) -> None:
    for start in range(0, len(messages), _BATCH):
        answers = sock.ask(messages[start : start + _BATCH])
        gone = (answer for answer in answers if answer and answer.errno != errno.ENOENT)
        if refusal := first_refusal(gone):
            raise refused("forget a tracked connection", refusal.errno, words=refusal.words)


def _family(address: str) -> int:
    return int(socket.AF_INET6 if ":" in address else socket.AF_INET)
