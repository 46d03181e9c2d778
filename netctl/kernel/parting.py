"""Deleting many links of the host in one request.

Each RTM_DELLINK waits for RCU while it holds the kernel's lock of all links: 200 pairs one by one
take 4.5 s. The kernel also deletes all links of a group, and waits once: 70 ms (rtnl_group_dellink,
net/core/rtnetlink.c).

A group is a number that anybody with CAP_NET_ADMIN over the host may set. So it is chosen at
random, what is in it is listed before it goes, and what does not go has its old group again.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator, Sequence

from netctl.errors import KernelError
from netctl.kernel import netlink
from netctl.kernel.netlink import Message, NetlinkSocket, Refusal, attribute, first_refusal
from netctl.kernel.refusal import ABSENT, refused
from netctl.record import Record

_GROUP = 27
"""linux/if_link.h, IFLA_GROUP"""
_TRIES = 8
_WHAT = "delete interfaces together"

Marked = tuple[str, str]
"""The name of an interface, and the alias by which it is netctl's."""


class _Found(Record):
    index: int
    alias: str
    group: int


def delete(sock: NetlinkSocket, links: Sequence[Marked]) -> frozenset[str]:
    """``ip link delete group N``; return the names of those that were there. Raises
    ``KernelError`` where one is not netctl's, and deletes none."""
    found = {name: item for name, alias in links if (item := _look(sock, name, alias))}
    if found:
        _part(sock, list(found.values()))
    return frozenset(found)


def _look(sock: NetlinkSocket, name: str, alias: str) -> _Found | None:
    from netctl.kernel.links import index_if_ours

    what = f"delete interface {name}"
    body = sock.get(netlink.link_query(name=name))
    if isinstance(body, Refusal):
        if body.errno in ABSENT:
            return None
        raise refused(what, body.errno, words=body.words)
    index_if_ours(body, what, alias)
    return _found(body)


def _part(sock: NetlinkSocket, links: Sequence[_Found]) -> None:
    try:
        group = _set_apart(sock, links)
        [answer] = sock.ask([_message(netlink.RTM_DELLINK, 0, group)])
        # Somebody else may have deleted all of them meanwhile.
        if answer and answer.errno not in ABSENT:
            raise refused(_WHAT, answer.errno, words=answer.words)
    except BaseException:
        _restore(sock, links)
        raise


def _set_apart(sock: NetlinkSocket, links: Sequence[_Found]) -> int:
    """Put links into a group in which there is no other; return its number."""
    ours = {(item.index, item.alias) for item in links}
    for _ in range(_TRIES):
        # The kernel keeps it as a signed number, and 0 is everybody's.
        group = int.from_bytes(os.urandom(4), "little") >> 1 or 1
        _set_group(sock, links, group)
        there = {(item.index, item.alias) for item in _all(sock) if item.group == group}
        if there <= ours:
            return group
    raise KernelError(
        f"{_WHAT}: interfaces that are not netctl's are in every group that is tried",
        hint="nothing foreign is removed; remove them one by one",
        errno=errno.EBUSY,
    )


def _restore(sock: NetlinkSocket, links: Sequence[_Found]) -> None:
    """Give links the group back that they had; an index is not given to another link so soon."""
    sock.ask_many([_message(netlink.RTM_SETLINK, item.index, item.group) for item in links])


def _set_group(sock: NetlinkSocket, links: Sequence[_Found], group: int) -> None:
    answers = sock.ask_many([_message(netlink.RTM_SETLINK, item.index, group) for item in links])
    there = [answer for answer in answers if answer and answer.errno not in ABSENT]
    if refusal := first_refusal(there):
        raise refused(_WHAT, refusal.errno, words=refusal.words)


def _message(kind: int, index: int, group: int) -> Message:
    body = netlink.link_header(index=index) + attribute(_GROUP, struct.pack("=I", group))
    return Message(kind, body)


def _all(sock: NetlinkSocket) -> Iterator[_Found]:
    bodies = sock.dump(netlink.link_query())
    if isinstance(bodies, Refusal):
        raise refused("list the interfaces of the host", bodies.errno, words=bodies.words)
    return map(_found, bodies)


def _found(body: bytes) -> _Found:
    found = netlink.attributes(body, netlink.IFINFO_BYTES)
    return _Found(
        index=netlink.number(body[4:8]),
        alias=netlink.text(found.get(netlink.IFLA_IFALIAS, b"")),
        group=netlink.number(found.get(_GROUP, b"")),
    )
