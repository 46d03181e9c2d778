"""Traffic control: how fast an interface of the host sends, and what comes in is.

linux/pkt_sched.h, linux/pkt_cls.h. What an interface sends goes through a token bucket (tbf). What
comes in cannot wait: it is sent on through an interface of its own (ifb) that has one, or dropped
where it comes too fast (police).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

from netctl import plainsocket as socket
from netctl.errors import KernelError, NetctlError, Unsupported
from netctl.kernel import netlink
from netctl.kernel.interface import TICK_NANOSECONDS, Ingress, Shape, Shaper
from netctl.kernel.links import index_if_ours, index_of
from netctl.kernel.netlink import (
    NLA_F_NESTED,
    Message,
    NetlinkSocket,
    Refusal,
    attribute,
    attributes,
    number,
    text,
)
from netctl.kernel.refusal import ABSENT, refused
from netctl.kernel.sockets import Sockets

NEWQDISC, _DELQDISC, _GETQDISC = 36, 37, 38
_NEWTFILTER, _DELTFILTER, _GETTFILTER = 44, 45, 46
_TCMSG = struct.Struct("=BxxxiIII")
ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
_HANDLES, _INGRESS_HANDLE = (0x00010000, 0x00020000), 0xFFFF0000
"""A token bucket that is changed keeps its queue, and what waits there and is larger than the new
burst never goes, nor what is behind it (net/sched/sch_tbf.c, tbf_change). So it becomes another
one, with the other handle, in the same moment."""
_KIND, _OPTIONS, _STATS2 = 1, 2, 7
_ALL_PROTOCOLS = 0x0003
"""linux/if_ether.h, ETH_P_ALL."""
_FILTER = 1 << 16 | socket.htons(_ALL_PROTOCOLS)
"""Priority and protocol of ours."""

_RATE = struct.Struct("=BBHhHI")
_NO_RATE = bytes(_RATE.size)
_CELL_LOG, _ETHERNET = 3, 1
"""Of struct tc_ratespec: with a link layer named, no table of rates is needed."""
_TBF = struct.Struct("=III")
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_U32_SEL, _U32_ACT = 5, 7
_SELECT_ALL = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + struct.pack("=IIii", 0, 0, 0, 0)
"""A terminal selector of one key, which fits everything."""
_ACT_KIND, _ACT_OPTIONS, _ACT_STATS = 1, 2, 4
_MIRRED_PARMS, _STOLEN, _REDIRECT = 2, 4, 1
_MIRRED = struct.Struct("=IIiiiiI")
_POLICE_PARMS, _POLICE_RATE, _POLICE_RATE64 = 1, 2, 8
_DROP, _RATE_TABLE, _ANY_SIZE = 2, bytes(1024), 1 << 30
_U32_MAX = 0xFFFFFFFF
_FEATURES = {
    "tbf": "the queueing discipline tbf (CONFIG_NET_SCH_TBF)",
    "ingress": "the queueing discipline ingress (CONFIG_NET_SCH_INGRESS)",
    "mirred": "the classifier u32 and the action mirred (CONFIG_NET_CLS_U32,"
    " CONFIG_NET_ACT_MIRRED)",
    "police": "devices of type ifb (CONFIG_IFB), or u32 and police (CONFIG_NET_CLS_U32,"
    " CONFIG_NET_ACT_POLICE)",
}


class Shaping:
    """Traffic control by netlink, on interfaces of the host that bear our alias."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    def shape(self, link: str, *, alias: str, shape: Shape) -> None:
        """``tc qdisc replace dev LINK root handle 1: tbf rate R burst B limit L``, or ``2:``."""
        what = f"limit what interface {link} sends"
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        with self._sockets.at("") as sock:
            index = _ours(sock, link, alias, what)
            first, second = _HANDLES
            before = _root(sock, index)
            handle = number(before[8:12])
            if handle and not _shaper(before):
                raise _occupied(what, link)
            body = header(index, second if handle == first else first, ROOT)
            body += kind_of("tbf") + attribute(_OPTIONS | NLA_F_NESTED, _tbf(shape))
            _raise(what, sock.ask([Message(NEWQDISC, body, flags)]), ("tbf",))

    def unshape(self, link: str, *, alias: str) -> bool:
        """``tc qdisc delete dev LINK root``, if it is ours. Returns whether it was there."""
        what = f"lift the limit of what interface {link} sends"
        with self._sockets.at("") as sock:
            index = _ours_if_there(sock, link, alias, what)
            bodies = [header(index, handle, ROOT) + kind_of("tbf") for handle in _HANDLES]
            return index > 0 and any(_delete(sock, what, _DELQDISC, body) for body in bodies)

    def divert(self, link: str, *, alias: str, to: str) -> None:
        """``tc qdisc add dev LINK ingress; tc filter add dev LINK parent ffff: protocol all prio 1
        u32 match u32 0 0 action mirred egress redirect dev TO``."""
        what = f"lead what comes in at interface {link} to {to}"
        with self._sockets.at("") as sock:
            target = index_of(sock, to)
            if isinstance(target, Refusal):
                raise refused(f"{what}: find it", target.errno, words=target.words)
            parms = _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, target)
            self._filter(sock, link, alias, what, "mirred", attribute(_MIRRED_PARMS, parms))

    def police(self, link: str, *, alias: str, shape: Shape) -> None:
        """``tc qdisc add dev LINK ingress; tc filter add dev LINK parent ffff: protocol all prio 1
        u32 match u32 0 0 action police rate R burst B drop``."""
        what = f"limit what comes in at interface {link}"
        with self._sockets.at("") as sock:
            self._filter(sock, link, alias, what, "police", _police(shape))

    def ingress_delete(self, link: str, *, alias: str) -> bool:
        """``tc filter delete dev LINK ingress prio 1 u32``, if it is ours, and ``tc qdisc delete
        dev LINK ingress``, unless somebody else has filters there. Returns whether it was there."""
        what = f"leave alone what comes in at interface {link}"
        with self._sockets.at("") as sock:
            index = _ours_if_there(sock, link, alias, what)
            if not index:
                return False
            ours = any(_ingress(body, sock) for body in _filters(sock, index))
            if ours:
                rule = header(index, 0, _INGRESS_HANDLE, _FILTER) + kind_of("u32")
                _delete(sock, what, _DELTFILTER, rule)
            if _filters(sock, index):
                return ours
            queue = header(index, _INGRESS_HANDLE, _INGRESS) + kind_of("ingress")
            return _delete(sock, what, _DELQDISC, queue) or ours

    def shaper(self, link: str) -> Shaper | None:
        """``tc -s qdisc show dev LINK root``: ours, or None."""
        with self._sockets.at("") as sock:
            index = index_of(sock, link)
            if isinstance(index, Refusal):
                return None
            found = _root(sock, index)
        return _shaper(found) if found else None

    def ingress(self, link: str) -> Ingress | None:
        """``tc -s filter show dev LINK ingress``: what ours does, or None."""
        with self._sockets.at("") as sock:
            index = index_of(sock, link)
            if isinstance(index, Refusal):
                return None
            actions = (_ingress(body, sock) for body in _filters(sock, index))
            return next((action for action in actions if action), None)

    def _filter(
        self, sock: NetlinkSocket, link: str, alias: str, what: str, action: str, options: bytes
    ) -> None:
        index = _ours(sock, link, alias, what)
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        queue = header(index, _INGRESS_HANDLE, _INGRESS) + kind_of("ingress")
        body = attribute(_ACT_KIND, action.encode() + b"\0")
        body += attribute(_ACT_OPTIONS | NLA_F_NESTED, options)
        acts = attribute(1 | NLA_F_NESTED, body)
        wanted = attribute(_U32_SEL, _SELECT_ALL) + attribute(_U32_ACT | NLA_F_NESTED, acts)
        rule = header(index, 0, _INGRESS_HANDLE, _FILTER) + kind_of("u32")
        rule += attribute(_OPTIONS | NLA_F_NESTED, wanted)
        # One after the other: the kernel would put the filter into somebody else's discipline.
        made = sock.ask([Message(NEWQDISC, queue, flags)])
        if made[0] and made[0].errno == errno.EEXIST:
            raise _occupied(what, link)
        _raise(what, made, ("ingress",))
        answers = sock.ask([Message(_NEWTFILTER, rule, flags)])
        if any(answers):
            sock.ask([Message(_DELQDISC, header(index, _INGRESS_HANDLE, _INGRESS))])
        _raise(what, answers, (action,))


def _root(sock: NetlinkSocket, index: int) -> bytes:
    found = sock.get_echoed(Message(_GETQDISC, header(index, 0, ROOT)))
    return b"" if isinstance(found, Refusal) or not found else found[0]


def _filters(sock: NetlinkSocket, index: int) -> Sequence[bytes]:
    found = sock.dump(Message(_GETTFILTER, header(index, 0, _INGRESS_HANDLE)))
    return () if isinstance(found, Refusal) else found


def header(index: int, handle: int, parent: int, info: int = 0) -> bytes:
    return _TCMSG.pack(0, index, handle, parent, info)


def kind_of(name: str) -> bytes:
    return attribute(_KIND, name.encode() + b"\0")


def _ours(sock: NetlinkSocket, link: str, alias: str, what: str) -> int:
    found = sock.get(netlink.link_query(name=link))
    if isinstance(found, Refusal):
        raise refused(f"{what}: find it", found.errno, words=found.words)
    return index_if_ours(found, what, alias)


def _ours_if_there(sock: NetlinkSocket, link: str, alias: str, what: str) -> int:
    """Return the index of an interface; 0 where there is none."""
    found = sock.get(netlink.link_query(name=link))
    if isinstance(found, Refusal):
        if found.errno in ABSENT:
            return 0
        raise refused(what, found.errno, words=found.words)
    return index_if_ours(found, what, alias)


def _delete(sock: NetlinkSocket, what: str, type: int, body: bytes) -> bool:
    [answer] = sock.ask([Message(type, body)])
    # EINVAL: another discipline than ours, or none.
    if answer and answer.errno not in (*ABSENT, errno.EINVAL):
        raise refused(what, answer.errno, words=answer.words)
    return answer is None


def _rate(bytes_per_second: int) -> bytes:
    return _RATE.pack(_CELL_LOG, _ETHERNET, 0, 0, 0, min(bytes_per_second, _U32_MAX))


def _tbf(shape: Shape) -> bytes:
    rate = shape.rate // 8
    ticks = _ticks(shape.burst, rate)
    parms = _rate(rate) + _NO_RATE + _TBF.pack(shape.limit, ticks, 0)
    body = attribute(_TBF_PARMS, parms) + attribute(_TBF_BURST, struct.pack("=I", shape.burst))
    return body + attribute(_TBF_RATE64, struct.pack("=Q", rate))


def _police(shape: Shape) -> bytes:
    rate = shape.rate // 8
    parms = struct.pack("=IiIII", 0, _DROP, 0, _ticks(shape.burst, rate), _ANY_SIZE)
    parms += _rate(rate) + _NO_RATE + struct.pack("=iiI", 0, 0, 0)
    body = attribute(_POLICE_PARMS, parms) + attribute(_POLICE_RATE, _RATE_TABLE)
    return body + attribute(_POLICE_RATE64, struct.pack("=Q", rate))


def _ticks(size: int, rate: int) -> int:
    """Return how long ``size`` bytes take, in the kernel's units."""
    return min(size * 1_000_000_000 // rate // TICK_NANOSECONDS, _U32_MAX)


def _shaper(body: bytes) -> Shaper | None:
    found = attributes(body, _TCMSG.size)
    if text(found.get(_KIND, b"")) != "tbf" or number(body[8:12]) not in _HANDLES:
        return None
    options = attributes(found[_OPTIONS], 0)
    parms = options[_TBF_PARMS]
    limit, ticks, _ = _TBF.unpack_from(parms, 2 * _RATE.size)
    rate = number(options.get(_TBF_RATE64, b"")) or _RATE.unpack_from(parms)[5]
    sent, dropped = _statistics(found.get(_STATS2, b""))
    burst = _size(ticks, rate)
    shape = Shape(rate=rate * 8, burst=burst, limit=limit)
    return Shaper(shape=shape, sent_bytes=sent, dropped=dropped)


def _size(ticks: int, rate: int) -> int:
    """Return how many bytes a time is worth, rounded to what was asked for: a tick loses some."""
    return -(-ticks * TICK_NANOSECONDS * rate // 1_000_000_000)


def _ingress(body: bytes, sock: NetlinkSocket) -> Ingress | None:
    """Return what a filter does, if it is like ours."""
    if number(body[16:20]) != _FILTER:
        return None
    options = attributes(attributes(body, _TCMSG.size).get(_OPTIONS, b""), 0)
    acts = attributes(options.get(_U32_ACT, b""), 0)
    action = attributes(acts.get(1, b""), 0)
    details = attributes(action.get(_ACT_OPTIONS, b""), 0)
    sent, dropped = _statistics(action.get(_ACT_STATS, b""))
    name = text(action.get(_ACT_KIND, b""))
    if name == "mirred":
        target = _MIRRED.unpack_from(details[_MIRRED_PARMS])[6]
        return Ingress(to=sock.name_of(target), sent_bytes=sent, dropped=dropped)
    if name == "police":
        parms = details[_POLICE_PARMS]
        ticks = struct.unpack_from("=I", parms, 12)[0]
        rate = number(details.get(_POLICE_RATE64, b"")) or _RATE.unpack_from(parms, 20)[5]
        shape = Shape(rate=rate * 8, burst=_size(ticks, rate), limit=0)
        return Ingress(shape=shape, sent_bytes=sent, dropped=dropped)
    return None


def _statistics(stats: bytes) -> tuple[int, int]:
    """Return the bytes and the drops of TCA_STATS2: struct gnet_stats_basic and _queue."""
    found = attributes(stats, 0)
    sent, queue = found.get(1, bytes(16)), found.get(3, bytes(20))
    return number(sent[:8]), number(queue[8:12])


def _raise(what: str, answers: list[Refusal | None], features: tuple[str, ...]) -> None:
    for answer, feature in zip(answers, features, strict=True):
        if answer:
            raise _error(what, answer, feature)


def _occupied(what: str, link: str) -> KernelError:
    return KernelError(
        f"{what}: a queueing discipline of somebody else's is there",
        hint=f"tc qdisc show dev {link} shows it: remove it, or leave out the limit",
        errno=errno.EEXIST,
    )


def _error(what: str, refusal: Refusal, feature: str) -> NetctlError:
    # The kernel says ENOENT where it does not know a kind of discipline, classifier or action.
    if refusal.errno == errno.ENOENT:
        return Unsupported(
            f"{what}: this kernel lacks {_FEATURES[feature]}",
            hint="load or build in the kernel module for it, or leave out the limit",
        )
    return refused(what, refusal.errno, words=refusal.words)
