"""Children of the test process, and how they answer."""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import time
import traceback
import warnings
from contextlib import suppress

from tests.waiting import PATIENCE

TIMEOUT = PATIENCE
"""Seconds that a command or a function may take."""


def fork() -> int:
    """Fork. Python 3.12 warns where threads run (xdist's): the children here use none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def read_all(pipe: int, child: int, timeout: float = TIMEOUT, upto: int = 0) -> bytes:
    """Read until the end (or ``upto`` bytes); kill the child when it takes too long."""
    end = time.monotonic() + timeout
    data = b""
    while not upto or len(data) < upto:
        if not _readable(pipe, end - time.monotonic()):
            kill(child)
            raise TimeoutError(f"a child in the host took more than {timeout} s")
        piece = os.read(pipe, 65536)
        if not piece:
            break
        data += piece
    return data


def _readable(pipe: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    return seconds > 0 and bool(poll.poll(seconds * 1000))


def pack_error(error: BaseException) -> bytes:
    try:
        packed = pickle.dumps((True, error))
        pickle.loads(packed)
    except Exception:
        packed = pickle.dumps((True, RuntimeError("".join(traceback.format_exception(error)))))
    return packed


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def namespaces_of(pid: int) -> set[int]:
    found = set()
    for kind in ("net", "mnt", "uts"):
        try:
            found.add(os.stat(f"/proc/{pid}/ns/{kind}").st_ino)
        except OSError:
            continue
    return found


def sees(pid: int, path: str, device: int) -> bool:
    """Whether a process has a file system at a path."""
    try:
        return os.stat(f"/proc/{pid}/root{path}").st_dev == device
    except OSError:
        return False


def command_of(pid: int) -> str:
    """Return a process with what it was started as, for messages."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return (
                f"{pid} {file.read(300).replace(bytes(1), b' ').decode(errors='replace').strip()}"
            )
    except OSError:
        return str(pid)


def family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


_SCTP = 132
_KINDS = {
    "tcp": (socket.SOCK_STREAM, 0),
    "udp": (socket.SOCK_DGRAM, 0),
    "sctp": (socket.SOCK_STREAM, _SCTP),
}


def new_socket(address: str, protocol: str) -> socket.socket:
    return socket.socket(family(address), *_KINDS[protocol])


def bound(address: str, port: int, protocol: str) -> socket.socket:
    server = new_socket(address, protocol)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if server.family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))
    if protocol != "udp":
        server.listen(16)
    return server


_PATIENCE = 5
"""Seconds that a server waits for a client's question."""


def answer(server: socket.socket, protocol: str) -> None:
    """Answer until the end, which is a kill, or TIMEOUT seconds of silence."""
    server.settimeout(TIMEOUT)
    while True:
        if protocol == "udp":
            _, peer = server.recvfrom(100)
            server.sendto(peer[0].encode(), peer)
            continue
        client, peer = server.accept()
        with client, suppress(OSError):  # Who no longer waits for an answer gets none.
            client.settimeout(_PATIENCE)
            client.recv(100)
            client.send(peer[0].encode())
