"""The socket through which netctl talks to the resolver: a JSON object a line, both ways.

The answer is ``{"ok": true}``, with what was asked for, or ``{"error": ..., "code": ...,
"errno": ...}``.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Mapping

from netctl.backends.dns.connection import Connection
from netctl.backends.dns.loop import Loop
from netctl.errors import InvalidInput, NetctlError
from netctl.kernel.refusal import file_refused

_LONGEST = 64 << 20
"""Bytes of a line: 100,000 endpoints have 20 MiB."""
_PIECE = 1 << 16
_BACKLOG = 1024

Handle = Callable[[Mapping[str, object]], Mapping[str, object]]


class Control:
    """The listening socket at ``path``, for this user and root alone.

    ``handle`` gets what a line says and returns the answer, or raises ``NetctlError``. ``report``
    is called in the handler of any other exception.
    """

    def __init__(self, loop: Loop, path: str, handle: Handle, report: Callable[[], None]) -> None:
        self._loop, self._path = loop, path
        self._handle, self._report = handle, report
        self._clients: set[_Client] = set()
        self._listener = _listening(path)
        loop.watch(self._listener.fileno(), self._accept)

    @property
    def idle(self) -> bool:
        """Whether every answer has been taken."""
        return all(client.idle for client in self._clients)

    def close(self, *, forsaken: bool = False) -> None:
        """Take no more clients; those that are there still get their answers. The socket's file
        stays where somebody is ``forsaken``."""
        if self._listener.fileno() < 0:
            return
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        if not forsaken:
            _unlink(self._path)

    def gone(self, client: _Client) -> None:
        self._clients.discard(client)

    def _accept(self, events: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        if not _trusted(sock):
            sock.close()
            return
        sock.setblocking(False)
        self._clients.add(_Client(self, self._loop, sock))

    def answer(self, line: bytes | bytearray) -> Mapping[str, object]:
        """Return the answer to a line, whatever it is."""
        try:
            told = json.loads(line)
            if not isinstance(told, dict):
                raise InvalidInput("a message to the resolver is a JSON object")
            return {"ok": True, **self._handle(told)}
        except NetctlError as error:
            number = getattr(error, "errno", 0)
            return {
                "error": error.command_message,
                "code": error.code,
                "errno": number,
                "hint": error.command_hint,
            }
        except (ValueError, RecursionError) as error:
            return {"error": f"not JSON: {error}", "code": InvalidInput.code, "errno": 0}
        except Exception as error:
            self._report()
            return {"error": f"unexpected: {error!r}", "code": NetctlError.code, "errno": 0}


class _Client:
    def __init__(self, control: Control, loop: Loop, sock: socket.socket) -> None:
        self._control = control
        self._data = bytearray()
        self._connection = Connection(
            loop, sock, self._received, lambda: control.gone(self), piece=_PIECE
        )

    @property
    def idle(self) -> bool:
        return self._connection.idle

    def _received(self, data: bytes) -> None:
        if not data:
            self._connection.close()
            return
        self._data += data
        if b"\n" not in data and len(self._data) > _LONGEST:
            self._connection.close()
            return
        *lines, rest = self._data.split(b"\n") if b"\n" in data else (self._data,)
        self._data = rest
        for line in lines:
            answer = json.dumps(self._control.answer(line), separators=(",", ":"))
            self._connection.send(answer.encode() + b"\n")


def _listening(path: str) -> socket.socket:
    """Return a listening socket. What is at ``path`` was left by one that is dead."""
    try:
        _unlink(path)
        return _bound(path)
    except OSError as error:
        raise file_refused(f"listen on {path}", error) from error


def _bound(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # The mode of the umask: between bind and chmod somebody could come in.
    before = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _trusted(sock: socket.socket) -> bool:
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user in (0, os.geteuid())


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
