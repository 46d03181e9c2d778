"""Looking up the way of one packet: ``ip route get``, ``ip rule`` and ``ip neighbour``."""

from __future__ import annotations

import errno
import struct

from netctl import plainsocket as socket
from netctl.kernel import netlink
from netctl.kernel.links import index_of
from netctl.kernel.netlink import Message, Refusal, attribute
from netctl.kernel.refusal import refused
from netctl.kernel.sockets import Sockets
from netctl.record import Record

_RTMSG = struct.Struct("=8BI")
_NDMSG = struct.Struct("=BxxxiHBB")
_RTA_DST, _RTA_SRC, _RTA_IIF, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 2, 3, 4, 5, 7
_RTA_TABLE, _RTA_VIA = 15, 18
_RTM_GETNEIGH, _RTM_GETRULE = 30, 34
_RTM_F_LOOKUP_TABLE = 0x1000
"""The answer names the table that the route was found in, not just ``main``."""
_FRA_DST, _FRA_SRC, _FRA_IIFNAME, _FRA_PRIORITY, _FRA_TABLE = 1, 2, 3, 6, 15
_SPECIAL = (10, 12, 16, 17, 19, 20, 22, 23, 24, 25)
"""FWMARK, TUN_ID, FWMASK, OIFNAME, L3MDEV, UID_RANGE, IP_PROTO, SPORT_RANGE, DPORT_RANGE, DSCP: the
kernel shows them where they are given."""
_INVERT = 0x2
_REFUSING = (6, 7, 8)
"""Actions of rules: blackhole, unreachable, prohibit."""
_NDA_DST, _NDA_LLADDR = 1, 2
_KINDS = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast"}
_NO_WAY = {
    errno.ENETUNREACH: "none",
    errno.EHOSTUNREACH: "unreachable",
    errno.EINVAL: "blackhole",
    errno.EACCES: "prohibit",
    errno.EXDEV: "martian",
}
"""What the kernel answers for routes that are refusals (net/ipv4/fib_semantics.c, fib_props)."""
_STATES = {
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x40: "noarp",
    0x80: "permanent",
}


class Way(Record):
    """Where the kernel would send a packet."""

    kind: str
    """``unicast``, ``local``, ``broadcast``, ...; or why it goes nowhere: ``none`` (no route),
    ``unreachable``, ``blackhole``, ``prohibit``, ``martian`` (its source is not believed)."""
    link: str = ""
    gateway: str = ""
    source: str = ""
    """The address that the kernel would send it from."""
    table: int = 0
    """Where the route stands; 0 where there is none."""


class PolicyRule(Record):
    """A rule that says in which table a route is looked up: ``ip rule``."""

    preference: int
    """The order: the lowest first."""
    destination: str = ""
    """CIDR; empty for every destination."""
    table: int = 0
    """Where it leads; 0 for a rule that refuses packets."""
    source: str = ""
    """CIDR; empty for every source."""
    iif: str = ""
    """The interface that packets come in by, ``lo`` for those from here; empty for all."""
    refuses: bool = False
    special: bool = False
    """Whether it is for packets with more than these: a mark, a user, a port."""
    inverted: bool = False
    """Whether it is for all packets that it does not describe."""


class Neighbour(Record):
    """An entry of the table of neighbours."""

    link: str
    address: str
    mac: str
    state: str
    """``reachable``, ``stale``, ``failed``, ``incomplete``, ..."""


def way(
    sockets: Sockets, netns: str, destination: str, source: str, iif: str, oif: str = ""
) -> Way:
    """``ip route get DESTINATION from SOURCE iif IIF oif OIF``."""
    what = f"look up the route to {destination} in {netns or 'the host'}"
    family, bits = _family(destination)
    with sockets.at(netns) as sock:
        body = attribute(_RTA_DST, socket.inet_pton(family, destination))
        if source:
            body += attribute(_RTA_SRC, socket.inet_pton(family, source))
        for kind, name in ((_RTA_IIF, iif), (_RTA_OIF, oif)):
            if name:
                body += attribute(kind, _index(sock, name, what))
        # IPv6 always names it, and refuses the flag.
        flags = _RTM_F_LOOKUP_TABLE if family == socket.AF_INET else 0
        header = _RTMSG.pack(family, bits, bits if source else 0, 0, 0, 0, 0, 0, flags)
        answer = sock.get(Message(netlink.RTM_GETROUTE, header + body))
        if isinstance(answer, Refusal):
            if answer.errno in _NO_WAY:
                return Way(kind=_NO_WAY[answer.errno])
            raise refused(what, answer.errno, words=answer.words)
        return _way(answer, sock.name_of)


def _index(sock: netlink.NetlinkSocket, name: str, what: str) -> bytes:
    index = index_of(sock, name)
    if isinstance(index, Refusal):
        raise refused(f"{what}: find interface {name}", index.errno, words=index.words)
    return struct.pack("=I", index)


def _way(body: bytes, name_of: netlink.NameOf) -> Way:
    family, kind = body[0], body[7]
    found = netlink.attributes(body, _RTMSG.size)
    gateway = found.get(_RTA_GATEWAY) or found.get(_RTA_VIA, b"")
    return Way(
        kind=_KINDS.get(kind, "other"),
        link=name_of(netlink.number(found.get(_RTA_OIF, b""))),
        gateway=_address(family, gateway),
        source=_address(family, found.get(_RTA_PREFSRC, b"")),
        table=netlink.number(found.get(_RTA_TABLE, b"")) or body[4],
    )


def rules(sockets: Sockets, version: int, netns: str) -> list[PolicyRule]:
    """``ip -VERSION rule``, in their order."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    header = _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    found = sockets.dump(netns, Message(_RTM_GETRULE, header))
    if isinstance(found, Refusal):
        what = f"list the rules of routing of {netns or 'the host'}"
        raise refused(what, found.errno, words=found.words)
    return sorted(map(_rule, found), key=lambda rule: rule.preference)


def _rule(body: bytes) -> PolicyRule:
    """Read struct fib_rule_hdr (linux/fib_rules.h), which is laid out as struct rtmsg."""
    found = netlink.attributes(body, _RTMSG.size)
    destination, source = (_address(body[0], found.get(key, b"")) for key in (_FRA_DST, _FRA_SRC))
    return PolicyRule(
        preference=netlink.number(found.get(_FRA_PRIORITY, b"")),
        destination=f"{destination}/{body[1]}" if destination else "",
        table=netlink.number(found.get(_FRA_TABLE, b"")) or body[4],
        source=f"{source}/{body[2]}" if source else "",
        iif=found.get(_FRA_IIFNAME, b"").rstrip(b"\0").decode(errors="replace"),
        refuses=body[7] in _REFUSING,
        special=bool(body[3]) or not found.keys().isdisjoint(_SPECIAL),
        inverted=bool(struct.unpack_from("=I", body, 8)[0] & _INVERT),
    )


def neighbours(sockets: Sockets, netns: str) -> list[Neighbour]:
    """``ip neighbour``."""
    with sockets.at(netns) as sock:
        header = _NDMSG.pack(0, 0, 0, 0, 0)
        found = sockets.dump(netns, Message(_RTM_GETNEIGH, header))
        if isinstance(found, Refusal):
            what = f"list the neighbours of {netns or 'the host'}"
            raise refused(what, found.errno, words=found.words)
        return [item for body in found if (item := _neighbour(body, sock.name_of))]


def _neighbour(body: bytes, name_of: netlink.NameOf) -> Neighbour | None:
    family, index, state, _, _ = _NDMSG.unpack_from(body)
    found = netlink.attributes(body, _NDMSG.size)
    if family not in (socket.AF_INET, socket.AF_INET6) or _NDA_DST not in found:
        return None
    return Neighbour(
        link=name_of(index),
        address=_address(family, found[_NDA_DST]),
        mac=found.get(_NDA_LLADDR, b"").hex(":"),
        state=_STATES.get(state, "none"),
    )


def _address(family: int, packed: bytes) -> str:
    """Return an address as text; that of RTA_VIA brings its own family."""
    sizes = {socket.AF_INET: 4, socket.AF_INET6: 16}
    if len(packed) > sizes[family]:
        family, packed = struct.unpack_from("=H", packed)[0], packed[2:]
    return socket.inet_ntop(family, packed) if packed else ""


def _family(address: str) -> tuple[int, int]:
    return (socket.AF_INET6, 128) if ":" in address else (socket.AF_INET, 32)
