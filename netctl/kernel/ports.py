"""Ports of the host: whether one is free is found out by binding it."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

from netctl.errors import Conflict
from netctl.kernel.refusal import refused

_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, 132),
}
_ALL = {4: "0.0.0.0", 6: "::"}
_LISTEN = "0A"
_LOOPBACK6 = f"{0:024X}{socket.htonl(1):08X}"
_MAPPED = f"{0:016X}{socket.htonl(0xFFFF):08X}"
"""::1 there, and how ::ffff:0:0/96 begins."""


def holder(protocol: str, address: str, port: int) -> str | None:
    """Return who holds a port of the host, None where it is free.

    An empty address is all of both families. Raises ``Conflict`` for an address that is not the
    host's, and ``Unsupported`` for a protocol that the kernel lacks.
    """
    for version in (4, 6):
        if address and (":" in address) != (version == 6):
            continue
        if _busy(protocol, version, address or _ALL[version], port, everywhere=not address):
            there = partial(_in_the_way, version, address or _ALL[version])
            return _process(_inodes(protocol, port, there)) or "another process"
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
    inodes = set(_inodes(protocol, port, lambda address: address != _LOOPBACK6))
    return (_process(inodes) or "a process") if inodes else None


def _process(inodes: Iterable[str]) -> str | None:
    """Return the process that has one of the sockets, of those whose files can be read."""
    links = {f"socket:[{inode}]" for inode in inodes}
    for pid in (name for name in os.listdir("/proc") if name.isdigit()) if links else ():
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{name}") in links:
                    return f"process {pid} ({_command(pid)})"
    return None


def _command(pid: str) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def _in_the_way(version: int, wanted: str, there: str) -> bool:
    """Whether a socket of the address ``there``, as proc(5) writes it, keeps ``wanted``."""
    there = there.removeprefix(_MAPPED)
    if not there.strip("0"):
        return version == 4 or len(there) == len(_LOOPBACK6)
    return there == _written(wanted) or (
        wanted == _ALL[version] and len(there) == len(_written(wanted))
    )


def _written(address: str) -> str:
    """Return an address as proc(5) writes it: words in the byte order of the machine (net/ipv6/
    tcp_ipv6.c)."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words)


def _inodes(protocol: str, port: int, asked: Callable[[str], bool]) -> Iterator[str]:
    """Yield the inodes of the sockets at a port, of the addresses that are ``asked`` for, from
    proc(5)'s tables (net/ipv4/tcp_ipv4.c)."""
    wanted = f"{port:04X}"
    for table in (protocol, f"{protocol}6"):
        with suppress(OSError), open(f"/proc/thread-self/net/{table}", encoding="ascii") as file:
            for line in list(file)[1:]:
                words = line.split()
                address, _, number = words[1].rpartition(":")
                listens = protocol != "tcp" or words[3] == _LISTEN
                if number == wanted and listens and asked(address):
                    yield words[9]
