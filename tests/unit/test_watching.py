"""Trace events, as they come from the kernel and from others."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from netctl.kernel import watching
from netctl.kernel.netlink import NetlinkSocket

_USERSOCK = 2
"""NETLINK_USERSOCK, to which whoever likes may write."""
_EMPTY_EVENT = struct.pack("=IHHII", 16, 10 << 8 | 17, 0, 0, 0)
_LIMIT = 20
"""Seconds."""


@pytest.fixture(name="sock")
def made() -> Iterator[socket.socket]:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_NETLINK, kind, _USERSOCK) as sock:
        sock.bind((0, 0))
        yield sock


@pytest.fixture(name="stranger")
def other() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _USERSOCK) as sock:
        sock.bind((0, 0))
        yield sock


def _watch(sock: socket.socket, names: NetlinkSocket) -> watching.Watch:
    return watching.Watch(sock, names, "")


def _forged(chain: bytes) -> bytes:
    body = bytes([2, 0, 0, 0]) + struct.pack("=HH", 4 + len(chain), 1) + chain
    return struct.pack("=IHHII", 16 + len(body), 10 << 8 | 17, 0, 0, 0) + body


@pytest.mark.parametrize("data", [_EMPTY_EVENT, _forged(b"netctl-trace")], ids=["short", "whole"])
def test_events_of_others_than_the_kernel_are_none(
    sock: socket.socket, stranger: socket.socket, data: bytes
) -> None:
    stranger.sendto(data, sock.getsockname())
    with NetlinkSocket() as names:
        watch = _watch(sock, names)
        watch.collect()
    assert not watch.came and not watch.events


def test_an_event_without_a_header_is_none() -> None:
    with NetlinkSocket() as names:
        assert not list(watching._events(_EMPTY_EVENT, names))


def test_events_that_do_not_end_are_not_awaited(
    sock: socket.socket, stranger: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking ends while they still come."""
    monkeypatch.setattr(watching, "_LONGEST", 0.3, raising=False)
    over = threading.Event()

    def send() -> None:
        end = time.monotonic() + _LIMIT
        while time.monotonic() < end and not over.wait(0.02):
            stranger.sendto(_forged(b"other"), sock.getsockname())

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with NetlinkSocket() as names:
            _watch(sock, names).collect()
        assert sender.is_alive()
    finally:
        over.set()
        sender.join()
