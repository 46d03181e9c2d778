"""Watching one packet through the nftables of a namespace.

The rules that watch are in a table of their own that belongs to this process's socket
(NFT_TABLE_F_OWNER, Linux 5.12): however this ends, the kernel takes it away. Trace events:
linux/netfilter/nf_tables.h, enum nft_trace_attributes.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from netctl.errors import KernelError, NetctlError
from netctl.kernel import namespaces, netlink
from netctl.kernel.decoding import verdict_of
from netctl.kernel.netlink import big, word
from netctl.kernel.nftables import Nftables
from netctl.kernel.nftlink import FAMILIES, NETFILTER
from netctl.kernel.ruleset import Chain
from netctl.record import Record

TABLE = "netctl-trace"
_GROUP_TRACE = 9
_ADD_MEMBERSHIP, _SOL_NETLINK = 1, 270
_TRACE = 10 << 8 | 17
_KINDS = {1: "policy", 2: "return", 3: "rule"}
_NETWORK, _TRANSPORT = 8, 9
_WITH_PORTS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
_IPV4, _IPV6 = 20, 40
"""Bytes of an IP header."""
_REST = 0.1
"""Seconds that events are awaited after the answer."""
_EVENTS = 2000
_LONGEST = 1.0
"""Seconds that events are taken at most: what is inside may go on to send what is watched."""
_BODY_BYTES = 4
"""Of struct nfgenmsg, which a message begins with."""


End = tuple[str, int]
"""An address and a port; 0 for a ping."""


class Event(Record):
    """Something that the ruleset did with a packet."""

    packet: int
    """Which of the packets it was."""
    chain: Chain
    """Without what makes it a chain with a hook."""
    kind: str
    """``rule``, ``policy``, or ``return`` at the end of a chain."""
    verdict: str
    handle: int
    iif: str
    oif: str
    """Both with the first event of a chain with a hook alone, like what follows."""
    source: End
    destination: End
    """As they are by then, which may be translated."""


class Sent(Record):
    """A packet that is to be watched, and what answers it."""

    source: str
    port: int
    """Of the source; 0 for a ping."""
    destination: str
    protocol: str

    @property
    def ip(self) -> str:
        return "ip6" if ":" in self.destination else "ip"


class Watch:
    """What one namespace does with a packet."""

    def __init__(self, sock: socket.socket, names: netlink.NetlinkSocket, unseen: str) -> None:
        self._sock, self._names = sock, names
        self.unseen = unseen
        """Why it cannot be watched, or nothing."""
        self._events: list[Event] = []

    def collect(self) -> None:
        """Take the events that have come, and those that still come in a moment."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        end = time.monotonic() + _LONGEST
        for _ in range(_EVENTS):
            if time.monotonic() > end or not poll.poll(_REST * 1000):
                return
            self._events += _events(self._received(), self._names)

    def _received(self) -> bytes:
        """Return the messages of one datagram of the kernel's, nothing of any other."""
        try:
            data, _, _, sender = self._sock.recvmsg(1 << 16)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                return b""  # More events than fit: what is left is still in order.
            raise KernelError(f"read trace events: {error}", errno=error.errno or 0) from error
        # Root in the sandbox may write to a netlink socket too.
        return data if sender[0] == 0 else b""

    @property
    def came(self) -> bool:
        """Whether the packet was seen at all."""
        return any(event.chain.table == TABLE for event in self._events)

    @property
    def events(self) -> tuple[Event, ...]:
        """What others' rules did with it."""
        return tuple(event for event in self._events if event.chain.table != TABLE)


@contextmanager
def watched(netns: str, sent: Sent) -> Iterator[Watch]:
    """Have a packet watched in a namespace for the length of the block."""
    context = Nftables()
    with ExitStack() as stack:
        stack.callback(context.close)
        with namespaces.entered(netns):
            sock = stack.enter_context(_socket())
            names = stack.enter_context(netlink.NetlinkSocket())
            unseen = ""
            try:
                context.run(_within(sent) if netns else _passing(sent))
            except NetctlError as error:
                unseen = error.command_message
        yield Watch(sock, names, unseen)


def _socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    sock = socket.socket(socket.AF_NETLINK, kind, NETFILTER)
    sock.bind((0, 0))
    sock.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_TRACE)
    return sock


def _passing(sent: Sent) -> str:
    """Return the rules that watch a packet through a host, and what answers it: this is known by
    the connection, which is there after priority -200."""
    ip, source, there, protocol = sent.ip, sent.source, sent.destination, sent.protocol
    ports = f" {protocol} sport {sent.port}" if sent.port else ""
    known = f" meta l4proto {protocol} ct original proto-src {sent.port}" if sent.port else ""
    return f"""\
add table inet {TABLE} {{ flags owner; }}
add chain inet {TABLE} out {{ type filter hook prerouting priority -450; }}
add rule inet {TABLE} out {ip} saddr {source} {ip} daddr {there}{ports} meta nftrace set 1
add chain inet {TABLE} back {{ type filter hook prerouting priority -190; }}
add rule inet {TABLE} back ct direction reply ct original {ip} saddr {source} \
ct original {ip} daddr {there}{known} meta nftrace set 1
"""


def _within(sent: Sent) -> str:
    """Return the rules that watch a packet, and what answers it, where it begins or ends. There
    nothing is translated; neighbours have to be heard too, which in IPv6 the firewall decides."""
    ip, source, there, protocol = sent.ip, sent.source, sent.destination, sent.protocol
    ports = [f" {protocol} {end} {sent.port}" if sent.port else "" for end in ("sport", "dport")]
    watched = [
        f"{ip} saddr {source} {ip} daddr {there}{ports[0]}",
        f"{ip} saddr {there} {ip} daddr {source}{ports[1]}",
    ]
    if ip == "ip6":
        watched += ["icmpv6 type nd-neighbor-solicit", "icmpv6 type nd-neighbor-advert"]
    lines = [f"add table inet {TABLE} {{ flags owner; }}"]
    for chain, hook in (("sent", "output"), ("came", "prerouting")):
        lines.append(f"add chain inet {TABLE} {chain} {{ type filter hook {hook} priority -450; }}")
        lines += [f"add rule inet {TABLE} {chain} {each} meta nftrace set 1" for each in watched]
    return "\n".join(lines) + "\n"


def _events(data: bytes, names: netlink.NetlinkSocket) -> Iterator[Event]:
    for kind, body in netlink.messages(data):
        if kind == _TRACE and len(body) >= _BODY_BYTES:
            yield _event(body, names.name_of)


def _event(body: bytes, name_of: netlink.NameOf) -> Event:
    found: dict[int, Any] = netlink.attributes(body, _BODY_BYTES)
    family = FAMILIES.get(body[0], str(body[0]))
    kind = _KINDS.get(big(found, 4), "")
    said = 16 if kind == "policy" else 5
    if kind == "policy":
        verdict = "drop" if said in found and not big(found, said) else "accept"
    else:
        verdict = verdict_of(found.get(said, b"")).word
    source, destination = _ends(found.get(_NETWORK, b""), found.get(_TRANSPORT, b""))
    return Event(
        packet=big(found, 6),
        chain=Chain(family=family, table=word(found, 1), name=word(found, 2)),
        kind=kind,
        verdict=verdict,
        handle=big(found, 3),
        iif=name_of(big(found, 10)),
        oif=name_of(big(found, 12)),
        source=source,
        destination=destination,
    )


def _ends(network: bytes, transport: bytes) -> tuple[End, End]:
    """Return source and destination of a packet, empty where it brings no header."""
    six = network[:1] >= b"\x60"
    if len(network) < (_IPV6 if six else _IPV4):
        return ("", 0), ("", 0)
    family, size, start = (socket.AF_INET6, 16, 8) if six else (socket.AF_INET, 4, 12)
    has_ports = network[6 if six else 9] in _WITH_PORTS and len(transport) >= 4
    ports = struct.unpack("!HH", transport[:4]) if has_ports else (0, 0)
    texts = (socket.inet_ntop(family, network[at : at + size]) for at in (start, start + size))
    source, destination = zip(texts, ports, strict=True)
    return source, destination
