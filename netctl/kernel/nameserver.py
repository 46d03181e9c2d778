"""A name server's place in a namespace: sockets on 127.0.0.11, and the table that leads to them.

The sockets have ports of the kernel's choice, so that a server of the sandbox's own can have port
53 on every address. A table of nftables in that namespace changes the ports on the way, without
connection tracking: 53 to the socket's own, and back.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from netctl.errors import KernelError, NetctlError
from netctl.kernel import namespaces, syscalls
from netctl.kernel.interface import NAMES_TABLE
from netctl.kernel.refusal import refused
from netctl.kernel.rulesets import Rulesets
from netctl.record import Record

ADDRESS = "127.0.0.11"
TABLE = " ".join(NAMES_TABLE)
_RULES = """\
create table {table} {{ comment "{mark}"; }}
table {table} {{
    chain output {{
        type filter hook output priority -310; policy accept;
        oif != "lo" accept
        ip daddr {address} udp dport 53 notrack udp dport set {udp} accept
        ip daddr {address} tcp dport 53 notrack tcp dport set {tcp} accept
        ip saddr {address} udp sport {udp} notrack udp sport set 53 accept
        ip saddr {address} tcp sport {tcp} notrack tcp sport set 53 accept
    }}
}}
"""
"""Before the priority of raw (-300): nothing of this is tracked. The table is created apart, for
libnftables 1.0.6 forgets the chains of one that is to be new."""
_GONE = f"add table {TABLE}\ndelete table {TABLE}\n"

_QUEUE = 1 << 20
"""Bytes of queries that wait while the server does something else: about 1,300 of them."""
_PORT = 53
_MOST_RECEIVED = 16
"""Late answers that are dropped before a socket serves anew."""
_BUFFER = 1 << 17
"""Bytes that a client over TCP can leave waiting, in each direction."""
_BACKLOG = 128
_DESCRIPTORS = 1 << 18
_SO_RCVBUFFORCE = 33
"""asm-generic/socket.h; Python has no name for it."""
_IP_FREEBIND = 15
"""linux/in.h: the address may be bound before lo is up."""

Identity = tuple[int, int]


class Place(Record):
    """The server's place in one namespace. The namespace lives for as long as this is open."""

    netns: int
    """Descriptor of the namespace."""
    identity: Identity
    """Device and inode of the namespace."""
    udp: socket.socket
    tcp: socket.socket
    mark: str


def identity(netns: str) -> Identity:
    """Return what tells the namespace at a path from every other; ``KernelError`` for none."""
    with namespaces.opened(netns) as descriptor:
        return _identity(descriptor)


def own_identity() -> Identity:
    """Return the identity of the namespace that this process is in."""
    return identity(namespaces.OWN)


class Places:
    """Takes and gives up places. To be made before other descriptors are opened."""

    def __init__(self) -> None:
        self._rulesets = Rulesets()

    def take(self, netns: str, mark: str) -> Place:
        """Open the sockets in the namespace at ``netns`` and lead port 53 of 127.0.0.11 to them.

        ``mark`` says in the table whose it is. Raises ``KernelError`` where the namespace is gone
        or refuses; then nothing stays.
        """
        place = _opened(netns, mark)
        try:
            self._lead_first(place)
        except BaseException:
            _close(place)
            raise
        return place

    def _lead_first(self, place: Place) -> None:
        try:
            self._rulesets.run(place.netns, _rules(place), deleting=False)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
            self.lead(place)  # There is one of a server that was killed.

    def lead(self, place: Place) -> None:
        """Put the table there again: somebody may have flushed the namespace's rules.

        In place of what is there, which is quicker than to ask: a refused creation waits 13 ms.
        """
        self._rulesets.run(place.netns, _GONE + _rules(place), deleting=True)

    def leave(self, place: Place) -> None:
        """Close the sockets and take the table away: the namespace is as it was found."""
        try:
            with suppress(NetctlError):
                self._rulesets.run(place.netns, _GONE, deleting=True)
        finally:
            _close(place)

    def settle(self) -> bool:
        """Let go of namespaces that were changed some time ago; return whether some are left.

        To be called again and again after each change.
        """
        return self._rulesets.settle()

    def close(self) -> None:
        self._rulesets.close()


def outgoing(place: Place | None, family: int, kind: int) -> socket.socket:
    """Open a socket, not blocking, in the namespace of a place or in the host's."""
    if place is None:
        return socket.socket(family, kind | socket.SOCK_NONBLOCK)
    with _moved(place.netns):
        return socket.socket(family, kind | socket.SOCK_NONBLOCK)


def connect(place: Place | None, sock: socket.socket, address: str) -> None:
    """Connect such a socket to port 53 of an address, from a port that the kernel chooses."""
    host, _, zone = address.partition("%")
    if not zone:
        sock.connect((host, _PORT))
        return
    # The interface that fe80::1%eth0 names is one of that namespace; Python takes its number, and
    # no notice of the name.
    with _moved(place.netns) if place else nullcontext():
        index = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    sock.connect((host, _PORT, 0, index))


def forget(sock: socket.socket) -> bool:
    """Take from a datagram socket its port, its server and what it has received; return whether
    it is as good as new."""
    try:
        syscalls.disconnect(sock.fileno())
        for _ in range(_MOST_RECEIVED):
            sock.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def raise_limits() -> int:
    """Allow this process as many descriptors as can be; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (_DESCRIPTORS, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, hard), max(limit, hard)))
            break
        except (OSError, ValueError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _rules(place: Place) -> str:
    udp, tcp = place.udp.getsockname()[1], place.tcp.getsockname()[1]
    return _RULES.format(table=TABLE, mark=place.mark, address=ADDRESS, udp=udp, tcp=tcp)


def _bound(kind: socket.SocketKind) -> socket.socket:
    opened = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        opened.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        if kind == socket.SOCK_DGRAM:
            with suppress(PermissionError):
                opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _QUEUE)
            opened.bind((ADDRESS, 0))
        else:
            for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                opened.setsockopt(socket.SOL_SOCKET, buffer, _BUFFER)
            opened.bind((ADDRESS, 0))
            opened.listen(_BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened


def _opened(netns: str, mark: str) -> Place:
    with namespaces.opened(netns) as descriptor:
        kept = os.dup(descriptor)
    udp = None
    try:
        with namespaces.entered(f"/proc/self/fd/{kept}"):
            udp = _bound(socket.SOCK_DGRAM)
            tcp = _bound(socket.SOCK_STREAM)
    except BaseException as error:
        if udp:
            udp.close()
        os.close(kept)
        if isinstance(error, OSError):
            raise refused(f"open a name server in {netns}", error.errno or 0) from error
        raise
    return Place(netns=kept, identity=_identity(kept), udp=udp, tcp=tcp, mark=mark)


def _close(place: Place) -> None:
    place.udp.close()
    place.tcp.close()
    os.close(place.netns)


@contextmanager
def _moved(netns: int) -> Iterator[None]:
    """Step into a namespace, as ``namespaces.entered`` does, at the cost of a query: no signal can
    come in between, for the server has no handler that raises."""
    home = _home()
    syscalls.setns(netns, syscalls.CLONE_NEWNET)
    try:
        yield
    finally:
        try:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
        except OSError:
            os._exit(7)


_homes: list[int] = []


def _home() -> int:
    if not _homes:
        _homes.append(os.open(namespaces.OWN, os.O_RDONLY | os.O_CLOEXEC))
    return _homes[0]


def _identity(descriptor: int) -> Identity:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
