"""Addresses and routes."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import TypeVar

from netctl import plainsocket as socket
from netctl.errors import KernelError
from netctl.kernel import netlink
from netctl.kernel.interface import Address, Route
from netctl.kernel.links import index_of
from netctl.kernel.netlink import Message, NetlinkSocket, Refusal, attribute, first_refusal
from netctl.kernel.refusal import refused
from netctl.kernel.sockets import Sockets, absent
from netctl.record import replace

_T = TypeVar("_T")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=8BI")
_CACHEINFO = struct.Struct("=IIi")
_U32 = struct.Struct("=I")
_ROUTE_BYTES = 12
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_RTA_MULTIPATH, _RTA_CACHEINFO, _RTA_TABLE, _RTA_VIA = 9, 12, 15, 18
_NODAD = 0x02
_TABLE_MAIN, _STATIC, _RA = 254, 4, 9
_KINDS = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
"""linux/rtnetlink.h, RTN_UNICAST and so on."""
_DEAD_ENDS = ("blackhole", "unreachable", "prohibit")
_KIND_NAMES = {number: name for name, number in _KINDS.items()}
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_IPV6_METRIC = 1024
"""What the kernel gives an IPv6 route that brings no metric (IP6_RT_PRIO_USER)."""
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_NO_FAMILY = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT)


class Routes:
    """Address and route operations by netlink."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    def address_add(self, netns: str, link: str, address: str) -> None:
        """``ip address add ADDRESS dev LINK nodad``."""
        what = f"add address {address} to {_at(link, netns)}"
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        self._address(netns, link, address, what, netlink.RTM_NEWADDR, flags)

    def address_delete(self, netns: str, link: str, address: str) -> bool:
        """``ip address delete ADDRESS dev LINK``. Returns whether it was there."""
        what = f"delete address {address} from {_at(link, netns)}"
        try:
            self._address(netns, link, address, what, netlink.RTM_DELADDR, 0)
            return True
        except KernelError as error:
            if not absent(error):
                raise
            return False

    def _address(
        self, netns: str, link: str, address: str, what: str, kind: int, flags: int
    ) -> None:
        with self._sockets.at(netns) as sock:
            index = _link_index(sock, link, what)
            _raise(what, sock, Message(kind, _address_body(index, address), flags))

    def addresses(self, netns: str) -> list[Address]:
        """``ip address``."""
        what = f"list the addresses of {netns or 'the host'}"
        with self._sockets.at(netns) as sock:
            names = cache(sock.name_of)
            header = _IFADDR.pack(0, 0, 0, 0, 0)
            found = _known(what, self._sockets.dump(netns, Message(netlink.RTM_GETADDR, header)))
            return [address for body in found if (address := _address_of(body, names))]

    def route_add(self, netns: str, route: Route) -> None:
        """``ip route add DESTINATION via GATEWAY dev LINK metric METRIC``."""
        what = f"add {_text(route, netns)}"
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        with self._sockets.at(netns) as sock:
            body = _route_body(_way(sock, route, what), route)
            _raise(what, sock, Message(netlink.RTM_NEWROUTE, body, flags))

    def route_delete(self, netns: str, route: Route) -> bool:
        """``ip route delete DESTINATION via GATEWAY dev LINK metric METRIC``. Returns whether it
        was there."""
        what = f"delete {_text(route, netns)}"
        try:
            # To the kernel an IPv4 metric of 0 means any, as does an IPv6 route without a link: it
            # would take somebody else's.
            ipv4 = _family(route.destination) == socket.AF_INET
            if not ipv4 and not route.link and not self._leads_nowhere(netns, route):
                return False
            with self._sockets.at(netns) as sock:
                body = _route_body(_way(sock, route, what), route)
                if ipv4 and not route.metric and not _stands(sock, body):
                    return False
                _raise(what, sock, Message(netlink.RTM_DELROUTE, body))
            return True
        except KernelError as error:
            if not absent(error):
                raise
            return False

    def routes(self, netns: str) -> list[Route]:
        """``ip route show type unicast``, both families."""
        return self._listed(netns, "unicast")

    def all_routes(self, netns: str) -> list[Route]:
        """``ip route show``, both families."""
        return self._listed(netns)

    def dead_ends(self, netns: str) -> list[Route]:
        """``ip route show type blackhole`` and so on."""
        return [route for kind in _DEAD_ENDS for route in self._listed(netns, kind)]

    def _leads_nowhere(self, netns: str, route: Route) -> bool:
        wanted = route if route.metric else replace(route, metric=_IPV6_METRIC)
        return wanted in self._listed(netns, route.kind, (socket.AF_INET6,))

    def _listed(
        self, netns: str, kind: str = "", families: tuple[int, ...] = _FAMILIES
    ) -> list[Route]:
        what = f"list the routes of {netns or 'the host'}"
        with self._sockets.at(netns) as sock:
            names = cache(sock.name_of)
            bodies = [b for family in families for b in self._dump(netns, what, family, kind)]
            routes = [route for body in bodies for route in _routes_of(body, names)]
        # An older kernel gives those of all types.
        return [route for route in routes if route.kind == (kind or route.kind)]

    def _dump(self, netns: str, what: str, family: int, kind: str) -> list[bytes]:
        header = _RTMSG.pack(family, 0, 0, 0, _TABLE_MAIN, 0, 0, _KINDS.get(kind, 0), 0)
        found = self._sockets.dump(netns, Message(netlink.RTM_GETROUTE, header))
        if isinstance(found, Refusal) and found.errno in (*_NO_FAMILY, errno.ENOENT):
            return []  # A kernel without this family, or (ENOENT, since 4.20) an empty table.
        return [body for body in _known(what, found) if body[0] == family]


def _stands(sock: NetlinkSocket, body: bytes) -> bool:
    """``ip route test``: whether there is that very IPv4 route, however many others there are.

    It is asked to be made, but without the flag by which that is allowed (net/ipv4/fib_trie.c,
    fib_table_insert).
    """
    [refusal] = sock.ask([Message(netlink.RTM_NEWROUTE, body)])
    return refusal is not None and refusal.errno == errno.EEXIST


def _address_body(index: int, address: str) -> bytes:
    ip, _, prefix = address.partition("/")
    family = _family(ip)
    flags = _NODAD if family == socket.AF_INET6 else 0
    packed = socket.inet_pton(family, ip)
    header = _IFADDR.pack(family, int(prefix), flags, 0, index)
    return header + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)


def _route_body(index: int, route: Route) -> bytes:
    destination, _, length = route.destination.partition("/")
    family = _family(destination)
    metric = route.metric or (_IPV6_METRIC if family == socket.AF_INET6 else 0)
    scope = _SCOPE_UNIVERSE if route.gateway or not index else _SCOPE_LINK
    kind = _KINDS[route.kind]
    body = _RTMSG.pack(family, int(length), 0, 0, _TABLE_MAIN, _STATIC, scope, kind, 0)
    body += attribute(_RTA_OIF, _U32.pack(index)) if index else b""
    if int(length):
        body += attribute(_RTA_DST, socket.inet_pton(family, destination))
    if route.gateway:
        body += attribute(_RTA_GATEWAY, socket.inet_pton(family, route.gateway))
    return body + (attribute(_RTA_PRIORITY, _U32.pack(metric)) if metric else b"")


def _address_of(body: bytes, names: Callable[[int], str]) -> Address | None:
    family, prefix, _, _, index = _IFADDR.unpack_from(body)
    name = names(index)
    if family not in _FAMILIES or not name:
        return None
    found = netlink.attributes(body, _IFADDR.size)
    # Of a point-to-point link IFA_ADDRESS is the other side's.
    raw = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    return Address(link=name, address=f"{socket.inet_ntop(family, raw)}/{prefix}")


def _routes_of(body: bytes, names: Callable[[int], str]) -> Iterator[Route]:
    family, length, _, _, table, protocol, _, kind, _ = _RTMSG.unpack_from(body)
    found = netlink.attributes(body, _ROUTE_BYTES)
    name = _KIND_NAMES.get(kind)
    if not name or (netlink.number(found.get(_RTA_TABLE, b"")) or table) != _TABLE_MAIN:
        return
    raw = found.get(_RTA_DST, bytes(4 if family == socket.AF_INET else 16))
    for index, hop in _hops(found):
        yield Route(
            destination=f"{socket.inet_ntop(family, raw)}/{length}",
            gateway=_gateway(family, hop),
            # To an IPv6 route that leads nowhere the kernel gives the loopback.
            link=names(index) if name == "unicast" else "",
            metric=netlink.number(found.get(_RTA_PRIORITY, b"")),
            kind=name,
            advertised=protocol == _RA or _ends(found),
        )


def _ends(found: dict[int, bytes]) -> bool:
    """Whether a route goes by itself, as that of a prefix that a router advertises."""
    cached = found.get(_RTA_CACHEINFO, b"")
    # struct rta_cacheinfo: the third number is the time that is left.
    return len(cached) >= _CACHEINFO.size and _CACHEINFO.unpack_from(cached)[2] != 0


def _hops(found: dict[int, bytes]) -> Iterator[tuple[int, dict[int, bytes]]]:
    """Yield interface index and attributes of each next hop (struct rtnexthop)."""
    several = found.get(_RTA_MULTIPATH)
    if several is None:
        yield netlink.number(found.get(_RTA_OIF, b"")), found
        return
    offset = 0
    while offset + 8 <= len(several):
        length, _, _, index = struct.unpack_from("=HBBi", several, offset)
        if length < 8:
            return
        yield index, netlink.attributes(several[offset : offset + length], 8)
        offset += length + 3 & ~3


def _gateway(family: int, hop: dict[int, bytes]) -> str:
    if via := hop.get(_RTA_VIA):
        return socket.inet_ntop(struct.unpack_from("=H", via)[0], via[2:])
    gateway = hop.get(_RTA_GATEWAY)
    return socket.inet_ntop(family, gateway) if gateway else ""


def _family(address: str) -> int:
    return int(socket.AF_INET6 if ":" in address else socket.AF_INET)


def _way(sock: NetlinkSocket, route: Route, what: str) -> int:
    """Return the index of a route's interface, 0 for a route that leads nowhere."""
    return _link_index(sock, route.link, what) if route.link else 0


def _link_index(sock: NetlinkSocket, link: str, what: str) -> int:
    return _known(f"{what}: find interface {link}", index_of(sock, link))


def _known(what: str, answer: _T | Refusal) -> _T:
    if isinstance(answer, Refusal):
        raise refused(what, answer.errno, words=answer.words)
    return answer


def _raise(what: str, sock: NetlinkSocket, message: Message) -> None:
    if refusal := first_refusal(sock.ask([message])):
        raise refused(what, refusal.errno, words=refusal.words)


def _at(link: str, netns: str) -> str:
    return f"{link} in {netns}" if netns else link


def _text(route: Route, netns: str) -> str:
    if not route.link:
        return f"{route.kind} route {_at(route.destination, netns)}"
    via = f" via {route.gateway}" if route.gateway else ""
    return f"route {route.destination}{via} dev {_at(route.link, netns)}"
