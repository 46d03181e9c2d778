"""One netlink socket per namespace, kept until the namespace goes."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from netctl.errors import KernelError
from netctl.kernel import namespaces, netlink
from netctl.kernel.netlink import Message, NetlinkSocket, Refusal
from netctl.kernel.refusal import ABSENT, refused
from netctl.names import MARK

_KEPT = 16
"""An open socket keeps its namespace alive and counts against ``ulimit -n``."""

MOST = 2048
"""Objects of a kind that are read of a sandbox: some 20 ms."""

_LOOPBACK = 1
"""Its index in every namespace (linux/net_namespace.h, LOOPBACK_IFINDEX)."""

_Inode = tuple[int, int]


class Sockets:
    """Netlink sockets by namespace path. Threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: OrderedDict[str, tuple[_Inode, NetlinkSocket]] = OrderedDict()
        self._pid = os.getpid()

    @contextmanager
    def at(self, netns: str) -> Iterator[NetlinkSocket]:
        """Lend the socket of a namespace; ``KernelError`` (ENOENT) where that is gone."""
        with self._lock:
            if self._pid != os.getpid():
                # After a fork both processes would read each other's answers.
                self.close()
                self._pid = os.getpid()
            yield self._take(netns)

    def dump(self, netns: str, message: Message) -> list[bytes] | Refusal:
        """Return the bodies of all objects of a kind. Of a sandbox, whose inhabitant decides how
        many there are, at most ``MOST`` are read: more are a refusal with EFBIG."""
        with self.at(netns) as sock:
            found = sock.dump(message, MOST if netns else 0)
            if found is netlink.TOO_MANY:
                self.forget(netns)
        return found

    def identity(self, netns: str, known: str = "") -> str | None:
        """Return what tells a namespace from every other of this boot; None where there is none.

        It is the kernel's number, or before Linux 5.14 the inode: nothing inside can change them.
        ``known`` is what a document has. A mark among them was written by an older netctl, which
        knew its namespaces by that.
        """
        found = namespaces.inode(netns)
        if found is None:
            return None
        try:
            with self.at(netns) as sock:
                if known.startswith(MARK) and _mark(sock) == known:
                    return known
                cookie = sock.cookie()
                return f"cookie:{cookie}" if cookie else "inode:{}:{}".format(*found)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
            return None  # Something else is there.

    def mark(self, netns: str) -> str:
        """Return netctl's mark on the loopback of a namespace, ``""`` for none."""
        with self.at(netns) as sock:
            return _mark(sock)

    def forget(self, netns: str) -> None:
        with self._lock:
            if entry := self._open.pop(netns, None):
                entry[1].close()

    def close(self) -> None:
        with self._lock:
            for netns in list(self._open):
                self.forget(netns)

    def _take(self, netns: str) -> NetlinkSocket:
        inode = namespaces.inode(netns)
        entry = self._open.get(netns)
        if entry is None or entry[0] != inode:
            # Another namespace may have come to stand at the path.
            self.forget(netns)
            entry = (inode or (0, 0), _connect(netns))
            self._open[netns] = entry
        self._open.move_to_end(netns)
        if len(self._open) > _KEPT:
            self.forget(next(iter(self._open)))
        return entry[1]


def _connect(netns: str) -> NetlinkSocket:
    with namespaces.entered(netns):
        try:
            return NetlinkSocket()
        except OSError as error:
            what = f"open netlink in {netns or 'the host'}"
            raise refused(what, error.errno or 0) from error


def _mark(sock: NetlinkSocket) -> str:
    loopback = sock.get(netlink.link_query(index=_LOOPBACK))
    alias = netlink.alias_in(loopback) if isinstance(loopback, bytes) else ""
    return alias if alias.startswith(MARK) else ""


def absent(error: KernelError) -> bool:
    """Whether what was to be removed, or its namespace, is not there."""
    return error.errno in ABSENT
