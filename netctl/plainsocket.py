"""Sockets, by the names of the module ``socket``.

That module makes enums of some hundred constants when it is imported, which takes longer than what
most commands do with the kernel. These are what it is made of.
"""

from __future__ import annotations

import _socket
from _socket import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNIX,
    AF_UNSPEC,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_V6ONLY,
    MSG_TRUNC,
    SO_PEERCRED,
    SO_RCVTIMEO,
    SO_REUSEADDR,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    SOL_SOCKET,
    htons,
    if_nametoindex,
    inet_ntop,
    inet_pton,
)
from typing import Self


class socket(_socket.socket):
    """A socket, closed at the end of a ``with``."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


__all__ = [
    "AF_INET",
    "AF_INET6",
    "AF_NETLINK",
    "AF_UNIX",
    "AF_UNSPEC",
    "IPPROTO_IPV6",
    "IPPROTO_TCP",
    "IPPROTO_UDP",
    "IPV6_V6ONLY",
    "MSG_TRUNC",
    "SOCK_CLOEXEC",
    "SOCK_DGRAM",
    "SOCK_RAW",
    "SOCK_STREAM",
    "SOL_SOCKET",
    "SO_PEERCRED",
    "SO_RCVTIMEO",
    "SO_REUSEADDR",
    "htons",
    "if_nametoindex",
    "inet_ntop",
    "inet_pton",
    "socket",
]
