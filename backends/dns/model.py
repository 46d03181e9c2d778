"""What the resolver is told: the messages of its socket, and the state they add up to.

A message is a JSON object whose ``do`` says what it is; each puts one object in the place of what
was there under its id, or takes one away:

    {"do": "network", "id", "name", "forward": bool}                            network-gone: id
    {"do": "endpoint", "id", "network", "names": [...], "addresses": [...]}     endpoint-gone: id
    {"do": "sandbox", "id", "netns", "members": [{"endpoint", "network", "aliases": {...}}],
     "servers": [{"address", "host": bool}], "ndots": int or null,
     "follows": bool, false where it is missing}                                sandbox-gone: id
    {"do": "relay", "id", "addresses": [...],
     "ports": [{"protocol", "outer", "inner", "count"}]}                        relay-gone: id
    {"do": "all", "of": [...]}                                                  all or nothing
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import TypeVar

from netctl.errors import InvalidInput
from netctl.record import Record

T = TypeVar("T")
Message = Mapping[str, object]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_LONGEST_NAME = 255
_MOST_SERVERS = 16
_LAST_PORT = 65535


class Network(Record):
    id: str
    name: str
    forward: bool
    """Whether it leads outside: a sandbox without such a network reaches no server of the host."""


class Endpoint(Record):
    id: str
    network: str
    names: tuple[str, ...]
    """The first is what its addresses resolve to."""
    addresses: tuple[str, ...]


class Member(Record):
    """An endpoint in a sandbox."""

    endpoint: str
    network: str
    aliases: tuple[tuple[str, str], ...]
    """(alias, name): for this sandbox alone."""


class Server(Record):
    address: str
    host: bool
    """Asked from the host's namespace, not from the sandbox's."""


class Sandbox(Record):
    id: str
    netns: str
    members: tuple[Member, ...]
    """In the order in which their networks are searched."""
    servers: tuple[Server, ...]
    ndots: int | None
    """As the user set it in resolv.conf."""
    follows: bool = False
    """Whether the servers are the host's: then its resolv.conf names them, as it is by now."""


class Lent(Record):
    """Consecutive ports of [::1] for as many of an endpoint."""

    protocol: str
    """tcp or udp."""
    outer: int
    inner: int
    count: int


class Relay(Record):
    """The ports of [::1] that lead to an endpoint, whose id it bears."""

    id: str
    addresses: tuple[str, ...]
    """The endpoint's, in the order in which they are tried."""
    ports: tuple[Lent, ...]


class Gone(Record):
    """What ``kind`` (network, endpoint, sandbox or relay) has been removed."""

    kind: str
    id: str


Item = Network | Endpoint | Sandbox | Relay
Change = Item | Gone


def changes(message: object) -> list[Change]:
    """Return what a message changes; raise ``InvalidInput`` that names the wrong part."""
    return list(_changes(_object(message, "a message"), nested=False))


def _changes(message: Message, *, nested: bool) -> Iterator[Change]:
    word = _text(message, "do")
    kind, gone, _ = word.partition("-gone")
    if word == "all" and not nested:
        for item in _array(message, "of"):
            yield from _changes(_object(item, "a message"), nested=True)
    elif gone and word == f"{kind}-gone" and kind in _READERS:
        yield Gone(kind=kind, id=_id(message, "id"))
    elif word in _READERS:
        yield _READERS[word](message)
    else:
        raise InvalidInput(f"the resolver knows no message {word[:60]!r}")


def _network(message: Message) -> Network:
    return Network(
        id=_id(message, "id"), name=_name(message, "name"), forward=_flag(message, "forward")
    )


def _endpoint(message: Message) -> Endpoint:
    return Endpoint(
        id=_id(message, "id"),
        network=_id(message, "network"),
        names=tuple(_checked_name(item, "names") for item in _array(message, "names")),
        addresses=tuple(_checked_address(item) for item in _array(message, "addresses")),
    )


def _sandbox(message: Message) -> Sandbox:
    servers = tuple(_server(_object(item, "a server")) for item in _array(message, "servers"))
    if len(servers) > _MOST_SERVERS:
        raise InvalidInput(f"more than {_MOST_SERVERS} servers")
    return Sandbox(
        id=_id(message, "id"),
        netns=_text(message, "netns"),
        members=tuple(_member(_object(item, "a member")) for item in _array(message, "members")),
        servers=servers,
        ndots=_number_or_null(message, "ndots"),
        follows="follows" in message and _flag(message, "follows"),
    )


def _member(message: Message) -> Member:
    aliases = _object(message.get("aliases", {}), "aliases")
    return Member(
        endpoint=_id(message, "endpoint"),
        network=_id(message, "network"),
        aliases=tuple(
            (_checked_name(alias, "aliases"), _checked_name(name, "aliases"))
            for alias, name in aliases.items()
        ),
    )


def host_server(address: str) -> Server:
    """Return a server that is asked from the host's namespace."""
    return Server(address=_checked_address(address), host=True)


def _server(message: Message) -> Server:
    return Server(address=_checked_address(message.get("address")), host=_flag(message, "host"))


def _relay(message: Message) -> Relay:
    return Relay(
        id=_id(message, "id"),
        addresses=tuple(_checked_address(item) for item in _array(message, "addresses")),
        ports=tuple(_lent(_object(item, "a port")) for item in _array(message, "ports")),
    )


def _lent(message: Message) -> Lent:
    protocol = _text(message, "protocol")
    outer, inner, count = (_number(message, key) for key in ("outer", "inner", "count"))
    if protocol not in ("tcp", "udp"):
        raise _wrong("protocol", "tcp or udp")
    if not (outer and inner and count and max(outer, inner) + count - 1 <= _LAST_PORT):
        raise _wrong("ports", "ports from 1 to 65535")
    return Lent(protocol=protocol, outer=outer, inner=inner, count=count)


_READERS: Mapping[str, Callable[[Message], Item]] = {
    "network": _network,
    "endpoint": _endpoint,
    "sandbox": _sandbox,
    "relay": _relay,
}


def message(item: Item) -> dict[str, object]:
    """Return the message that puts an object."""
    if isinstance(item, Network):
        return {"do": "network", "id": item.id, "name": item.name, "forward": item.forward}
    if isinstance(item, Endpoint):
        return {
            "do": "endpoint",
            "id": item.id,
            "network": item.network,
            "names": list(item.names),
            "addresses": list(item.addresses),
        }
    if isinstance(item, Relay):
        ports = [
            {"protocol": p.protocol, "outer": p.outer, "inner": p.inner, "count": p.count}
            for p in item.ports
        ]
        addresses = list(item.addresses)
        return {"do": "relay", "id": item.id, "addresses": addresses, "ports": ports}
    return {
        "do": "sandbox",
        "id": item.id,
        "netns": item.netns,
        "members": [
            {"endpoint": m.endpoint, "network": m.network, "aliases": dict(m.aliases)}
            for m in item.members
        ],
        "servers": [{"address": s.address, "host": s.host} for s in item.servers],
        "ndots": item.ndots,
        **({"follows": True} if item.follows else {}),
    }


def _wrong(key: str, wanted: str) -> InvalidInput:
    return InvalidInput(f"{key!r} of a message to the resolver is not {wanted}")


def _object(value: object, what: str) -> Message:
    if not isinstance(value, dict):
        raise _wrong(what, "an object")
    return value


def _array(message: Message, key: str) -> Sequence[object]:
    value = message.get(key)
    if not isinstance(value, list):
        raise _wrong(key, "an array")
    return value


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise _wrong(key, "a string")
    return value


def _flag(message: Message, key: str) -> bool:
    value = message.get(key)
    if not isinstance(value, bool):
        raise _wrong(key, "true or false")
    return value


def _number_or_null(message: Message, key: str) -> int | None:
    return None if message.get(key) is None else _number(message, key)


def _number(message: Message, key: str) -> int:
    value = message.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong(key, "a number from 0")
    return value


def _id(message: Message, key: str) -> str:
    value = _text(message, key)
    if not _ID.fullmatch(value):
        raise _wrong(key, "an id")
    return value


def _name(message: Message, key: str) -> str:
    return _checked_name(message.get(key), key)


def _checked_name(value: object, key: str) -> str:
    if not isinstance(value, str) or not value.isascii() or not 0 < len(value) <= _LONGEST_NAME:
        raise _wrong(key, "a name")
    return value


def _checked_address(value: object) -> str:
    try:
        address = ip_address(value if isinstance(value, str) else "")
        # An IPv4 address in the dress of IPv6 is asked over IPv4.
        return str((address.version == 6 and address.ipv4_mapped) or address)
    except ValueError:
        raise _wrong("address", "an IPv4 or IPv6 address") from None
