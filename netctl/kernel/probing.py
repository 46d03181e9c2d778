"""Sending one packet from a sandbox, and watching it through the host's nftables.

The watching rules are in a table of their own that belongs to this process's socket
(NFT_TABLE_F_OWNER, Linux 5.12): however this ends, the kernel takes it away. Trace events:
linux/netfilter/nf_tables.h, enum nft_trace_attributes.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netctl.errors import KernelError, NetctlError
from netctl.kernel import namespaces, netlink
from netctl.kernel.decoding import verdict_of
from netctl.kernel.netlink import big, word
from netctl.kernel.nftables import Nftables
from netctl.kernel.nftlink import FAMILIES, NETFILTER
from netctl.kernel.refusal import refused
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
_ECHO = {4: 8, 6: 128}
_ECHO_REPLY = {4: 0, 6: 129}
_AGAIN = 1.0
"""Seconds after which a packet that was not answered is sent again."""
_REST = 0.1
"""Seconds that events are awaited after the answer."""
_EVENTS = 2000


class Probe(Record):
    """One packet that is asked for an answer."""

    netns: str
    destination: str
    protocol: str
    """``icmp`` (a ping, of either family), ``tcp`` or ``udp``."""
    port: int = 0
    zone: str = ""
    """The interface that it leaves by, where its destination is an address of a link."""

    @property
    def version(self) -> int:
        return 6 if ":" in self.destination else 4


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


class Journey(Record):
    """What became of a probe."""

    answer: str
    """``answered``, ``refused`` (by the destination), ``unreachable`` (says somebody on the way),
    ``forbidden`` (by the sender's own host), ``silent``."""
    source: str
    """The address it was sent from."""
    port: int
    """Likewise; 0 for a ping."""
    number: int
    """What tells its flow from others: the port, or a ping's identifier."""
    events: tuple[Event, ...]
    came: bool = False
    """Whether it came to the host at all."""
    unseen: str = ""
    """Why the packet could not be watched, or nothing."""


def send(probe: Probe, source: str, seconds: float) -> Journey:
    """Send a probe from ``source`` and watch it. Raises ``NetctlError``."""
    try:
        with namespaces.entered(probe.netns):
            client, scope = _client(probe), _scope(probe)
        with client, _watcher() as events:
            client.bind((source, 0, *scope))
            port = 0 if probe.protocol == "icmp" else client.getsockname()[1]
            with _traced(_rules(probe, source, port)) as unseen:
                answer = _asked(client, probe, scope, seconds)
                found = list(_collected(events))
    except OSError as error:
        what = f"send a probe from {source} in {probe.netns}"
        raise refused(what, error.errno or 0, capability="CAP_NET_RAW") from error
    return Journey(
        answer=answer,
        source=source,
        port=port,
        number=port or _identifier(),
        events=tuple(event for event in found if event.chain.table != TABLE),
        came=any(event.chain.table == TABLE for event in found),
        unseen=unseen,
    )


def _client(probe: Probe) -> socket.socket:
    family = socket.AF_INET6 if probe.version == 6 else socket.AF_INET
    if probe.protocol == "icmp":
        number = socket.IPPROTO_ICMPV6 if probe.version == 6 else socket.IPPROTO_ICMP
        return socket.socket(family, socket.SOCK_RAW, number)
    kind = socket.SOCK_STREAM if probe.protocol == "tcp" else socket.SOCK_DGRAM
    return socket.socket(family, kind)


def _scope(probe: Probe) -> tuple[int, ...]:
    """Return what an address of a link needs beside the port: flow information and interface."""
    return (0, socket.if_nametoindex(probe.zone)) if probe.zone else ()


def _rules(probe: Probe, source: str, port: int) -> str:
    """Return the rules that watch the packet, and what answers it: these are known by the
    connection, which is there after priority -200."""
    ip, there = ("ip6" if probe.version == 6 else "ip"), probe.destination
    ports = f" {probe.protocol} sport {port}" if port else ""
    known = f" meta l4proto {probe.protocol} ct original proto-src {port}" if port else ""
    return f"""\
add table inet {TABLE} {{ flags owner; }}
add chain inet {TABLE} out {{ type filter hook prerouting priority -450; }}
add rule inet {TABLE} out {ip} saddr {source} {ip} daddr {there}{ports} meta nftrace set 1
add chain inet {TABLE} back {{ type filter hook prerouting priority -190; }}
add rule inet {TABLE} back ct direction reply ct original {ip} saddr {source} \
ct original {ip} daddr {there}{known} meta nftrace set 1
"""


@contextmanager
def _traced(rules: str) -> Iterator[str]:
    """Have packets watched for the length of the block; give the reason where that cannot be."""
    context, reason = Nftables(), ""
    try:
        try:
            context.run(rules)
        except NetctlError as error:
            reason = error.command_message
        yield reason
    finally:
        context.close()


@contextmanager
def _watcher() -> Iterator[socket.socket]:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_NETLINK, kind, NETFILTER) as sock:
        sock.bind((0, 0))
        sock.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_TRACE)
        yield sock


def _asked(client: socket.socket, probe: Probe, scope: tuple[int, ...], seconds: float) -> str:
    """Send the packet; return what comes of it."""
    client.setblocking(False)
    try:
        if probe.protocol == "tcp":
            status = client.connect_ex((probe.destination, probe.port, *scope))
            if status != errno.EINPROGRESS:
                return _meaning(status)
            return _connected(client, seconds)
        client.connect((probe.destination, probe.port, *scope))
        return _answered(client, probe, seconds)
    except OSError as error:
        return _meaning(error.errno or 0)


def _connected(client: socket.socket, seconds: float) -> str:
    poll = select.poll()
    poll.register(client, select.POLLOUT)
    if not poll.poll(seconds * 1000):
        return "silent"
    return _meaning(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def _answered(client: socket.socket, probe: Probe, seconds: float) -> str:
    """Send the packet, again every second, and await an answer."""
    end, again = time.monotonic() + seconds, time.monotonic()
    poll = select.poll()
    poll.register(client, select.POLLIN)
    while (now := time.monotonic()) < end:
        if now >= again:
            client.send(_echo(probe.version) if probe.protocol == "icmp" else b"\n")
            again = now + _AGAIN
        if poll.poll(max(min(end, again) - now, 0) * 1000):
            data = client.recv(2048)
            if probe.protocol == "udp" or _is_reply(data, probe.version):
                return "answered"
    return "silent"


def _meaning(status: int) -> str:
    if status in (0, errno.ECONNREFUSED):
        return "refused" if status else "answered"
    if status in (errno.EPERM, errno.EACCES):
        return "forbidden"
    unreachable = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ECONNRESET)
    return "unreachable" if status in unreachable else os.strerror(status)


def _echo(version: int) -> bytes:
    """Return an echo request (RFC 792, RFC 4443); of ICMPv6 the kernel makes the checksum."""
    mine = _identifier()
    if version == 6:
        return struct.pack("!BBHHH", _ECHO[6], 0, 0, mine, 1)
    total = (_ECHO[4] << 8) + mine + 1
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return struct.pack("!BBHHH", _ECHO[4], 0, checksum, mine, 1)


def _identifier() -> int:
    return os.getpid() & 0xFFFF


def _is_reply(data: bytes, version: int) -> bool:
    # A raw socket of IPv4 gets the IP header too.
    start = 0 if version == 6 else (data[0] & 0x0F) * 4 if data else 0
    mine = _identifier().to_bytes(2, "big")
    message = data[start : start + 8]
    return len(message) == 8 and message[0] == _ECHO_REPLY[version] and message[4:6] == mine


def _collected(sock: socket.socket) -> Iterator[Event]:
    """Yield the events that have come, and those that still come in a moment."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    with netlink.NetlinkSocket() as names:
        for _ in range(_EVENTS):
            if not poll.poll(_REST * 1000):
                return
            try:
                data = sock.recv(1 << 16)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    continue  # More events than fit: what is left is still in order.
                raise KernelError(f"read trace events: {error}", errno=error.errno or 0) from error
            yield from _events(data, names)


def _events(data: bytes, names: netlink.NetlinkSocket) -> Iterator[Event]:
    for kind, body in netlink.messages(data):
        if kind == _TRACE:
            yield _event(body, names.name_of)


def _event(body: bytes, name_of: netlink.NameOf) -> Event:
    found: dict[int, Any] = netlink.attributes(body, 4)
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
