"""Sending one packet from a sandbox, and watching it through the nftables of all that it passes:
see ``watching``."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from contextlib import ExitStack

from netctl.kernel import namespaces
from netctl.kernel.refusal import refused
from netctl.kernel.watching import Event, Sent, watched
from netctl.record import Record

_ECHO = {4: 8, 6: 128}
_ECHO_REPLY = {4: 0, 6: 129}
_AGAIN = 1.0
"""Seconds after which a packet that was not answered is sent again."""


class Probe(Record):
    """One packet that is asked for an answer."""

    netns: str
    destination: str
    protocol: str
    """``icmp`` (a ping, of either family), ``tcp`` or ``udp``."""
    port: int = 0
    zone: str = ""
    """The interface that it leaves by, where its destination is an address of a link."""
    beyond: str = ""
    """The namespace that it goes to, where that is one of ours."""

    @property
    def version(self) -> int:
        return 6 if ":" in self.destination else 4


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
    """What the host did with it."""
    came: bool = False
    """Whether it came to the host at all."""
    unseen: str = ""
    """Why the packet could not be watched, or nothing."""
    inside: tuple[Event, ...] = ()
    """What the sender's namespace did with it, and with what answers it."""
    beyond: tuple[Event, ...] = ()
    """Likewise that which it goes to."""


def send(probe: Probe, source: str, seconds: float) -> Journey:
    """Send a probe from ``source`` and watch it. Raises ``NetctlError``."""
    try:
        with namespaces.entered(probe.netns):
            client, scope = _client(probe), _scope(probe)
        with client, ExitStack() as stack:
            client.bind((source, 0, *scope))
            port = 0 if probe.protocol == "icmp" else client.getsockname()[1]
            to, protocol = probe.destination, probe.protocol
            sent = Sent(source=source, port=port, destination=to, protocol=protocol)
            places = ["", probe.netns, *filter(None, [probe.beyond])]
            watches = [stack.enter_context(watched(netns, sent)) for netns in places]
            answer = _asked(client, probe, scope, seconds)
            for watch in watches:
                watch.collect()
    except OSError as error:
        what = f"send a probe from {source} in {probe.netns}"
        raise refused(what, error.errno or 0, capability="CAP_NET_RAW") from error
    host, inside, *beyond = watches
    return Journey(
        answer=answer,
        source=source,
        port=port,
        number=port or _identifier(),
        events=host.events,
        came=host.came,
        unseen=host.unseen,
        inside=inside.events,
        beyond=tuple(event for watch in beyond for event in watch.events),
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
