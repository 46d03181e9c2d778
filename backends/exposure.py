"""Who reaches an endpoint's ports from beyond its network, as things stand.

The host and the endpoints beside it are not counted: they reach all that an endpoint serves on its
own address, unless the network keeps it apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from ipaddress import ip_address

from netctl.backends import access
from netctl.models import LOOPBACK6, Endpoint, Network, Port
from netctl.record import Record

ANYWHERE, HOST, ON_LINK = "anywhere", "host", "link"


class Presence(Enum):
    """Whether an endpoint is in a sandbox."""

    JOINED = "joined"
    NOWHERE = "in no sandbox"
    BEFORE = "in a sandbox of an earlier boot"
    GONE = "in a sandbox whose namespace is gone"
    CUT_OFF = "without its interface"


class Reach(Record):
    """Who comes through, and why."""

    sources: tuple[str, ...] = ()
    """``anywhere``, ``host``, ``link`` (of a link-local address of the host), or ``interface NAME``
    each; none for nobody."""
    word: str
    """That in one: ``anywhere``, ``host``, ``via:ADDRESS``, ``link:ADDRESS``,
    ``trusted:NAME[:NAME]``, or ``nobody:REASON``."""
    why: str


class Exposure(Record):
    """Who reaches a port in one family, where it is asked."""

    port: Port | None
    """None stands for everything that is not published."""
    version: int
    """4 or 6."""
    host_address: str = ""
    """What is asked of the host's, ``0.0.0.0`` or ``::`` for all; empty where the endpoint is."""
    address: str = ""
    """The endpoint's own, where that is asked."""
    reach: Reach


_ABSENT = {
    Presence.NOWHERE: Reach(word="nobody:not-joined", why="it is in no sandbox"),
    Presence.BEFORE: Reach(
        word="nobody:earlier-boot", why="its sandbox is of an earlier boot: netctl restore"
    ),
    Presence.GONE: Reach(
        word="nobody:sandbox-gone", why="the namespace of its sandbox is gone: netctl restore"
    ),
    Presence.CUT_OFF: Reach(
        word="nobody:interface-gone", why="its interface on the host is gone: netctl repair"
    ),
}
_LOST = Reach(
    word="nobody:rules-gone", why="netctl's firewall rules are gone, with every port: netctl reload"
)
_BARE = Reach(
    sources=(ANYWHERE,),
    word=ANYWHERE,
    why="netctl's firewall rules are gone, and keep nothing away: netctl reload",
)
_ON_LINK = Reach(word="nobody:link-local", why="no router forwards packets to link-local addresses")
_INTERNAL = Reach(word="nobody:internal", why="the network is internal")
_NO_WAY_OUT = Reach(word="nobody:not-gateway", why="it is not its sandbox's way out")
_UNPROTECTED = Reach(
    sources=(ANYWHERE,), word=ANYWHERE, why="gateway mode nat-unprotected lets in everything"
)


def of(
    network: Network,
    endpoint: Endpoint,
    presence: Presence,
    versions: Sequence[int],
    *,
    guarded: bool = True,
) -> tuple[Exposure, ...]:
    """Return who reaches what; ``versions`` are the families (4, 6) in which the endpoint is its
    sandbox's way out, ``guarded`` says whether netctl's table is there."""
    if "bridge" not in network.facts:
        return ()
    nobody = _INTERNAL if network.internal else _ABSENT.get(presence)
    bare = not guarded and presence is Presence.JOINED
    found: list[Exposure] = []
    for version, own in _addresses(endpoint).items():
        through_host = nobody or (None if version in versions else _NO_WAY_OUT)
        for port in (port for port in endpoint.ports if port.on(version)):
            lent = bool(port.host_first) and bool(access.translated(network, endpoint, [version]))
            if lent:
                host = port.host_ip or access.ALL[version]
                reach = through_host or _through_host(host, guarded=guarded)
                found.append(Exposure(port=port, version=version, host_address=host, reach=reach))
            if not lent or port in access.opened(network, endpoint).get(version, ()):
                reach = _at(own) or (_BARE if bare else nobody) or _direct(network, version)
                found.append(Exposure(port=port, version=version, address=own, reach=reach))
        open_ = bare or (not nobody and is_unprotected(network, version))
        if open_ and not _at(own):
            reach = _BARE if bare else _UNPROTECTED
            found.append(Exposure(port=None, version=version, address=own, reach=reach))
    return tuple(found)


def _addresses(endpoint: Endpoint) -> dict[int, str]:
    """Return an endpoint's addresses by family: also those that nothing is forwarded to."""
    return {6 if ":" in each else 4: each.partition("/")[0] for each in endpoint.addresses}


def _at(own: str) -> Reach | None:
    """Return who reaches an address that only its own link knows, None for any other."""
    return _ON_LINK if ip_address(own).is_link_local else None


def is_unprotected(network: Network, version: int) -> bool:
    """Whether endpoints are reached from outside on ports that are not published."""
    return not network.internal and access.mode(network, version) == access.UNPROTECTED


def _through_host(host: str, *, guarded: bool) -> Reach:
    # What is sent to ::1 the resolver relays, without rules.
    if not guarded and host != LOOPBACK6:
        return _LOST
    if access.is_loopback(host):
        return Reach(sources=(HOST,), word=HOST, why=f"published on the host's loopback, {host}")
    if host in access.ALL.values():
        why = "published on all of the host's addresses"
        return Reach(sources=(ANYWHERE,), word=ANYWHERE, why=why)
    if ip_address(host).is_link_local:
        why = f"published on {host}, which no router leads to: only its own link reaches it"
        return Reach(sources=(ON_LINK,), word=f"link:{host}", why=why)
    return Reach(sources=(ANYWHERE,), word=f"via:{host}", why=f"published on {host}")


def _direct(network: Network, version: int) -> Reach:
    names = access.trusted(network)
    if access.mode(network, version) == access.ROUTED:
        why = "gateway mode routed opens it on its own address"
    elif access.is_direct(network):
        why = "direct routing opens it on its own address too"
    else:
        return Reach(
            sources=tuple(f"interface {name}" for name in names),
            word="trusted:" + ":".join(names),
            why="open on its own address to trusted interfaces",
        )
    return Reach(sources=(ANYWHERE,), word=ANYWHERE, why=why)


def words(endpoint: Endpoint, found: Sequence[Exposure]) -> list[str]:
    """Return who reaches each of an endpoint's ports, in their order, and then what is not
    published where somebody reaches that: ``unpublished=WORDS``.

    Several words of a family are joined by ``+``; families that differ, or one that is alone in
    it, are ``ipv4=WORDS/ipv6=WORDS``.
    """
    families = set(_addresses(endpoint))
    ports = [
        _words(port, [e for e in found if e.port == port], families) for port in endpoint.ports
    ]
    rest = _words(None, [e for e in found if e.port is None], families)
    return [*ports, f"unpublished={rest}"] if rest else ports


def _words(port: Port | None, found: Sequence[Exposure], families: set[int]) -> str:
    by_family = {
        v: _together(e.reach.word for e in found if e.version == v)
        for v in sorted({e.version for e in found})
    }
    one = port is not None and port.host_ip not in ("", *access.ALL.values())
    if len(set(by_family.values())) == 1 and (one or set(by_family) == families):
        return next(iter(by_family.values()))
    return "/".join(f"ipv{version}={text}" for version, text in by_family.items())


def _together(words: Iterable[str]) -> str:
    every = list(dict.fromkeys(words))
    if ANYWHERE in every:
        return ANYWHERE
    return "+".join([word for word in every if not word.startswith("nobody:")] or every[:1])
