"""Ports of the host: whether one is free is found out by binding it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

from netctl import plainsocket as socket
from netctl.errors import Conflict
from netctl.kernel.diag import LIMIT, Socket, sockets
from netctl.kernel.refusal import refused

_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, 132),
}
_ALL = {4: "0.0.0.0", 6: "::"}
_LOOPBACK6 = "::1"
_SERVING = ("listening", "unconnected")


def holder(protocol: str, address: str, port: int) -> str | None:
    """Return who holds a port of the host, None where it is free.

    It is free too where it is only the end of connections that publishing it does not disturb. An
    empty address is all of both families. Raises ``Conflict`` for an address that is not the
    host's, and ``Unsupported`` for a protocol that the kernel lacks.
    """
    for version in (4, 6):
        if address and (":" in address) != (version == 6):
            continue
        if _busy(protocol, version, address or _ALL[version], port, everywhere=not address):
            held = _holders(protocol, version, address or _ALL[version], port)
            if held is not None:
                return _named(held)
    return None


def _busy(protocol: str, version: int, address: str, port: int, *, everywhere: bool) -> bool:
    try:
        _bind(protocol, socket.AF_INET6 if version == 6 else socket.AF_INET, address, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return True
        if error.errno == errno.EADDRNOTAVAIL and not everywhere:
            raise _not_ours(address) from error
        if everywhere and version == 6:
            return False  # A host without IPv6.
        what = f"bind {protocol} port {port} of {address}"
        raise refused(what, error.errno or 0, capability="CAP_NET_BIND_SERVICE") from error
    if not everywhere and version == 4 and _is_broadcast(address):
        raise _not_ours(address)
    return False


def _is_broadcast(address: str) -> bool:
    """Whether an address that can be bound is only that of all hosts of a subnet (net/ipv4/
    datagram.c: without SO_BROADCAST it cannot be connected to). Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        return sock.connect_ex((address, 9)) == errno.EACCES


def _not_ours(address: str) -> Conflict:
    return Conflict(
        f"{address} is no address of this host",
        hint="'ip address' lists those that are; leave it out for all of them",
    )


def _bind(protocol: str, family: int, address: str, port: int) -> None:
    kind, number = _KINDS[protocol]
    with socket.socket(family, kind | socket.SOCK_CLOEXEC, number) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # Connections that linger after their server do not hold the port; a listener does.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(1)


def listener(protocol: str, port: int) -> str | None:
    """Return the process that serves a port of the host at this moment, None where none does.

    Nothing is bound to find out; of processes whose files cannot be read there is only that they
    are. Who listens on ::1 alone is none of them: what is sent there nobody translates.
    """
    found = [
        each
        for each in sockets(protocol, port, listening=True)
        if each.address != _LOOPBACK6 and each.state in _SERVING
    ]
    return (_process(found) or "a process") if found else None


def _process(held: Iterable[Socket]) -> str | None:
    """Return the process that has one of the sockets, of those whose files can be read."""
    links = {f"socket:[{each.inode}]" for each in held if each.inode}
    for pid in (name for name in os.listdir("/proc") if name.isdigit()) if links else ():
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{name}") in links:
                    return f"process {pid} ({_command(pid)})"
    return None


def _command(pid: str) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def _in_the_way(version: int, wanted: str, there: Socket) -> bool:
    """Whether a socket keeps ``wanted``, an address of the family."""
    if version not in there.takes:
        return False
    return _ALL[version] == wanted or there.address in (*_ALL.values(), wanted)


def _harmless(protocol: str, held: Socket) -> bool:
    """Whether a socket is an end of a connection that goes on whatever becomes of its port, for
    what is tracked is not translated again.

    What is sent to ::1 is relayed by a socket of the host, which needs the port itself.
    """
    if protocol != "tcp" or not held.peer or held.address == _LOOPBACK6:
        return False
    if held.state == "time-wait":
        return True
    from netctl.kernel import conntrack

    ends = (held.address, held.port), (held.peer_address, held.peer_port)
    return conntrack.knows(protocol, *ends)


def _holders(protocol: str, version: int, wanted: str, port: int) -> list[Socket] | None:
    """Return what keeps a port, None where all that does is harmless."""
    there = sockets(protocol, port)
    # A socket of IPv6 without V6ONLY keeps the port of IPv4 too, whatever address it has by now.
    found = [each for each in there if _in_the_way(version, wanted, each)] or there
    held = [each for each in found if len(found) == LIMIT or not _harmless(protocol, each)]
    return held if held or not found else None


def _named(held: Sequence[Socket]) -> str:
    """Return who holds a port: listeners before connections."""
    first = sorted(held, key=lambda each: bool(each.peer))[:1]
    process = _process(first) or "another process"
    return process + "".join(f", for its connection to {each.peer}" for each in first if each.peer)
