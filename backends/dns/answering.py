"""What a query gets: an answer at once, silence, or the way to another server."""

from __future__ import annotations

from itertools import count, cycle

from netctl.backends.dns import wire
from netctl.backends.dns.wire import Question
from netctl.backends.dns.zones import AAAA, A, Key, View

_AXFR, _IXFR = 252, 251
_ANY_CLASS = 255
_turns = count()
"""Which of several answers comes first."""


class Forward:
    """A question for other servers, in its plain form."""

    __slots__ = ("asked", "query")

    def __init__(self, query: bytes, asked: Question) -> None:
        self.query, self.asked = query, asked


def answer(data: bytes, view: View, ndots: int | None, *, stream: bool) -> bytes | Forward | None:
    """Return what to do with a message; None is for silence (it is no query).

    ``stream`` is for TCP. An answer that will be the same next time is remembered in the view.
    """
    if not wire.is_query(data):
        return None
    if wire.opcode(data):
        return wire.failure(data, wire.NOTIMP)
    asked = wire.question(data)
    if asked is None:
        found = _plain(data)
        if found is None:
            return wire.failure(data, wire.FORMERR)
        data, asked = found
    if asked.version:
        return wire.failure(data, wire.BADVERS, asked)
    return _answered(data, asked, view, ndots, stream)


def _plain(data: bytes) -> tuple[bytes, Question] | None:
    from netctl.backends.dns.unusual import plain

    query = plain(data)
    asked = wire.question(query) if query else None
    return (query, asked) if query and asked else None


def _answered(
    query: bytes, asked: Question, view: View, ndots: int | None, stream: bool
) -> bytes | Forward:
    records = view.find(asked.name, asked.kind)
    if records is None:
        return _unknown(query, asked, view, ndots)
    if asked.klass not in (wire.IN, _ANY_CLASS):
        records = []
    limit = wire.STREAM if stream else asked.size
    if asked.options:
        # A cookie, which will not come again.
        return wire.answer(query, asked, records, limit, next(_turns))
    made = wire.answers(query, asked, records, limit)
    first = next(_turns) % len(made)
    turns = cycle(one[2:] for one in made[first:] + made[:first])
    view.remember(asked.name, kept_as(query, stream), turns, sum(map(len, made)))
    return query[:2] + next(turns)


def kept_as(query: bytes, stream: bool) -> Key:
    """Return under what a view keeps the answers to a query: its bytes behind the id. Answers over
    TCP, which may be longer, are kept apart."""
    return (query[2:],) if stream else query[2:]


def _unknown(query: bytes, asked: Question, view: View, ndots: int | None) -> bytes | Forward:
    """Treat a name that nobody here bears."""
    if asked.kind in (_AXFR, _IXFR):
        # A transfer is more than one message.
        return wire.failure(query, wire.REFUSED, asked)
    if _below_a_name(asked.name, view) or _left_to_the_search(asked, ndots):
        return wire.answer(query, asked, [], wire.LARGEST)
    return Forward(query, asked)


def _below_a_name(name: str, view: View) -> bool:
    """Whether it is a service of one who is here, ``_http._tcp.web1``: nobody else knows it."""
    rest = name
    while rest.startswith("_"):
        _, _, rest = rest.partition(".")
    return rest != name and view.find(rest, A) is not None


def _left_to_the_search(asked: Question, ndots: int | None) -> bool:
    """Whether the client is to go on with its search list, as libnetwork does for single labels
    where the user has set ndots."""
    return bool(ndots) and asked.kind in (A, AAAA) and "." not in asked.name
