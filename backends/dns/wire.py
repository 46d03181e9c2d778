"""The two messages that must be quick: a plain query is read, an answer to it is written.

A plain query is what clients send: one question in class IN or another, uncompressed, and at most
an OPT record (RFC 6891). Everything else goes through a library: see ``unusual``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import pack

from netctl.backends.dns.zones import Record

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
IN = 1
TTL = 0
"""Seconds. libnetwork's 600 would leave clients with addresses of endpoints that have gone, which
its own callers then see; to ask again costs some microseconds here. aardvark-dns does the same."""

HEADER = 12
SMALLEST, LARGEST = 512, 65507
"""What a client without EDNS takes (RFC 1035 4.2.1), and what UDP can carry."""
STREAM = 65535
OUR_SIZE = 4096
"""What is received over UDP."""
_RESPONSE, _AUTHORITATIVE, _TRUNCATED, _RECURSION = 0x80, 0x04, 0x02, 0x01
_AVAILABLE, _CHECKING_DISABLED = 0x80, 0x10
_MOST_TURNS = 16
"""How many orders of the same records are prepared."""


class Question:
    """What a query asks. ``name`` is in lower case without the last dot; a dot inside of a label
    is escaped there, so that it is none between labels."""

    __slots__ = ("do", "edns", "end", "kind", "klass", "name", "options", "size", "version")

    def __init__(self, name: str, kind: int, klass: int, end: int) -> None:
        self.name, self.kind, self.klass = name, kind, klass
        self.end = end
        """Where the question ends in the query."""
        self.edns, self.do, self.options = False, False, False
        self.version, self.size = 0, SMALLEST


def is_query(data: bytes) -> bool:
    """Whether a message can be answered at all: what is none, or an answer itself, is dropped."""
    return len(data) >= HEADER and not data[2] & _RESPONSE


def opcode(data: bytes) -> int:
    return data[2] >> 3 & 15


def question(data: bytes) -> Question | None:
    """Read a plain query, None where it is none."""
    if data[4:10] != b"\0\1\0\0\0\0" or data[10] or data[11] > 1:
        return None
    try:
        asked = _asked(data)
    except IndexError:
        return None
    if asked is None or (data[11] and not _options(data, asked)):
        return None
    return asked if data[11] or len(data) == asked.end else None


def _asked(data: bytes) -> Question | None:
    labels, at = [], HEADER
    while length := data[at]:
        if length > 63:
            return None
        labels.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    end = at + 5
    if end > len(data) or end - HEADER - 4 > 255:
        return None
    name = b".".join(labels)
    if name.count(b".") >= len(labels):
        name = b".".join(label.replace(b".", b"\\.") for label in labels)
    kind, klass = data[at + 1] << 8 | data[at + 2], data[at + 3] << 8 | data[at + 4]
    return Question(name.lower().decode("latin-1"), kind, klass, end)


def _options(data: bytes, asked: Question) -> bool:
    """Read the OPT record behind the question; whether it is one, and nothing follows."""
    at = asked.end
    if data[at : at + 3] != b"\0\0\x29" or len(data) < at + 11:
        return False
    asked.edns = True
    asked.size = min(max(data[at + 3] << 8 | data[at + 4], SMALLEST), LARGEST)
    asked.version, asked.do = data[at + 6], bool(data[at + 7] & 0x80)
    return _options_fit(data, at + 9, asked)


def _options_fit(data: bytes, at: int, asked: Question) -> bool:
    left = data[at] << 8 | data[at + 1]
    at += 2
    asked.options = left > 0
    while at + 4 <= len(data):
        at += 4 + (data[at + 2] << 8 | data[at + 3])
    return at == len(data) and at - asked.end - 11 == left


def answers(query: bytes, asked: Question, records: Sequence[Record], limit: int) -> list[bytes]:
    """Return the answers that take turns, each beginning with another record."""
    encoded = [_record(kind, data) for kind, data in records]
    count = len(encoded)
    turns = min(count, _MOST_TURNS) or 1
    starts = [turn * count // turns for turn in range(turns)]
    return [_answer(query, asked, encoded[at:] + encoded[:at], limit) for at in starts]


def answer(
    query: bytes, asked: Question, records: Sequence[Record], limit: int, turn: int = 0
) -> bytes:
    """Return an answer, beginning with another record each ``turn``."""
    first = turn % len(records) if records else 0
    ordered = (*records[first:], *records[:first])
    return _answer(query, asked, (_record(kind, data) for kind, data in ordered), limit)


def failure(query: bytes, rcode: int, asked: Question | None = None) -> bytes:
    """Return an answer that has no more than an error; without ``asked``, not even the question."""
    if asked is None:
        return query[:2] + bytes((_RESPONSE | query[2] & 0x79, _AVAILABLE | rcode)) + bytes(8)
    return _message(query, asked, 0, rcode, 0, b"")


def unknown(query: bytes, asked: Question) -> bytes:
    """Return the answer that there is no such name, from who must know."""
    return _message(query, asked, _AUTHORITATIVE, NXDOMAIN, 0, b"")


def truncated(answer: bytes, asked: Question, limit: int) -> bytes:
    """Return another server's answer, cut behind its question where a client cannot take it."""
    if len(answer) <= limit or answer[4:6] == b"\0\0":
        return answer
    return (
        answer[:2]
        + bytes((answer[2] | _TRUNCATED, answer[3]))
        + pack(">HHHH", 1, 0, 0, asked.edns)
        + answer[HEADER : asked.end]
        + _opt(asked, 0)
    )


def is_truncated(answer: bytes) -> bool:
    return bool(answer[2] & _TRUNCATED)


def rcode(answer: bytes) -> int:
    return answer[3] & 15


def answers_to(answer: bytes, query: bytes, asked: Question) -> bool:
    """Whether a message is an answer to the query: with its id, and its question or an error."""
    if len(answer) < HEADER or answer[:2] != query[:2] or not answer[2] & _RESPONSE:
        return False
    if answer[4:6] == b"\0\0":
        return rcode(answer) != NOERROR
    there, here = answer[HEADER : asked.end], query[HEADER : asked.end]
    return answer[4:6] == b"\0\1" and there.lower() == here.lower()


def _answer(query: bytes, asked: Question, encoded: Iterable[bytes], limit: int) -> bytes:
    room = limit - asked.end - len(_opt(asked, 0))
    kept: list[bytes] = []
    cut = 0
    for one in encoded:
        room -= len(one)
        if room < 0:
            cut = _TRUNCATED
            break
        kept.append(one)
    return _message(query, asked, _AUTHORITATIVE | cut, NOERROR, len(kept), b"".join(kept))


def _message(
    query: bytes, asked: Question, flags: int, rcode: int, count: int, records: bytes
) -> bytes:
    return (
        query[:2]
        + bytes(
            (
                _RESPONSE | flags | query[2] & _RECURSION,
                _AVAILABLE | query[3] & _CHECKING_DISABLED | rcode & 15,
            )
        )
        + pack(">HHHH", 1, count, 0, asked.edns)
        + query[HEADER : asked.end]
        + records
        + _opt(asked, rcode)
    )


def _record(kind: int, data: bytes) -> bytes:
    # The name is that of the question, which begins behind the header.
    return pack(">HHHIH", 0xC000 | HEADER, kind, IN, TTL, len(data)) + data


def _opt(asked: Question, rcode: int) -> bytes:
    if not asked.edns:
        return b""
    return pack(">BHHBBHH", 0, 41, OUR_SIZE, rcode >> 4, 0, asked.do << 15, 0)
