"""What the neighbours on a link believe: telling them where an address is, and forgetting it.

A peer that knew an address with another MAC would send to nobody until its entry is old, half a
minute. The kernel tells it (RFC 5227 section 2.3, RFC 4861 section 7.2.6) of every address of an
interface whose ``arp_notify`` and ``ndisc_notify`` are on, whenever its MAC address is set, be it
to what it was. A packet socket could send the same; but closing one waits for RCU, 10 ms.
"""

from __future__ import annotations

import errno
import struct
import time
from collections.abc import Sequence

from netctl import plainsocket as socket
from netctl.kernel import netlink
from netctl.kernel.links import index_of
from netctl.kernel.netlink import Message, Refusal, attribute
from netctl.kernel.refusal import refused
from netctl.kernel.sockets import Sockets

_RTM_DELNEIGH = 29
_NDA_DST = 1
_IFLA_ADDRESS, _OPERSTATE, _LINKINFO, _SLAVE_DATA, _PORT_STATE = 1, 16, 18, 5, 1
_UP, _DISABLED = b"\6", b"\0"
_WAIT_SECONDS = 1.0
_LOOK_EVERY = 0.0005


def announce(
    sockets: Sockets, netns: str, link: str, *, port: str, mac: str, count: int, gap: float
) -> None:
    """``ip link set LINK address MAC``, ``count`` times, ``gap`` seconds apart."""
    what = f"announce {link} of {netns}"
    _wait_until_it_forwards(sockets, netns, link, port, what)
    address = attribute(_IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
    message = Message(netlink.RTM_SETLINK, netlink.link_header() + netlink.named(link) + address)
    with sockets.at(netns) as sock:
        for number in range(count):
            time.sleep(gap if number else 0)
            [refusal] = sock.ask([message])
            if refusal:
                raise refused(what, refusal.errno, words=refusal.words)


def forget(sockets: Sockets, link: str, addresses: Sequence[str]) -> None:
    """``ip neighbour delete ADDRESS dev LINK`` on the host, where it knows them."""
    what = f"forget neighbours {', '.join(addresses[:3])} of {link}"
    with sockets.at("") as sock:
        index = index_of(sock, link)
        if isinstance(index, Refusal):
            if index.errno == errno.ENODEV:
                return
            raise refused(what, index.errno, words=index.words)
        for answer in sock.ask_many([_deletion(index, address) for address in addresses]):
            if answer and answer.errno != errno.ENOENT:
                raise refused(what, answer.errno, words=answer.words)


def _deletion(index: int, address: str) -> Message:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    header = struct.pack("=BxxxiHBB", family, index, 0, 0, 0)
    return Message(_RTM_DELNEIGH, header + attribute(_NDA_DST, socket.inet_pton(family, address)))


def _wait_until_it_forwards(sockets: Sockets, netns: str, link: str, port: str, what: str) -> None:
    """Wait for what the kernel does behind a link that was set up (net/core/link_watch.c): until
    then it drops what is sent. A port that spanning tree holds back is not waited for."""
    end = time.monotonic() + _WAIT_SECONDS
    while not (_ready(sockets, netns, link, what) and _ready(sockets, "", port, what)):
        if time.monotonic() > end:
            return
        time.sleep(_LOOK_EVERY)


def _ready(sockets: Sockets, netns: str, link: str, what: str) -> bool:
    with sockets.at(netns) as sock:
        found = sock.get(netlink.link_query(name=link))
    if isinstance(found, Refusal):
        raise refused(what, found.errno, words=found.words)
    facts = netlink.attributes(found, netlink.IFINFO_BYTES)
    info = netlink.attributes(facts.get(_LINKINFO, b""), 0)
    as_port = netlink.attributes(info.get(_SLAVE_DATA, b""), 0)
    return facts[_OPERSTATE] == _UP and as_port.get(_PORT_STATE) != _DISABLED
