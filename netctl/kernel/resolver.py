"""The resolver's process as the commands see it: start it, tell it what changes, end it.

It is one per run directory. What it is told: ``netctl.backends.dns.model``.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import netctl
from netctl import plainsignal as signal
from netctl import plainsocket as socket
from netctl.errors import KernelError
from netctl.kernel.refusal import file_refused

Message = Mapping[str, object]

_MODULE = "netctl.backends.dns"
_WHAT = "the resolver"
_START = 20.0
"""Seconds in which it must be ready."""
_ANSWER = 20.0
"""Seconds in which it must answer; a sandbox takes it about 2 ms."""
_AGAIN = 1.0
"""Seconds in which one must answer that has not answered before."""
_DYING = 5.0
_PAUSE = 0.01
_PIECE = 1 << 16
_HINT = "netctl repair starts it again"


def socket_path(run_dir: str) -> str:
    return f"{run_dir}/resolver.sock"


def pid_path(run_dir: str) -> str:
    return f"{run_dir}/resolver.pid"


def running(run_dir: str) -> bool:
    """Whether a resolver is at work."""
    try:
        connected_to(run_dir).close()
    except OSError:
        return False
    return True


def lost(run_dir: str) -> bool:
    """Whether a resolver has ended out of order: one that ends takes its socket away. So has one
    of another network stack, whose place ours takes."""
    return os.path.exists(socket_path(run_dir)) and not running(run_dir)


def start(run_dir: str, state_dir: str | None = None) -> bool:
    """Start a resolver, and wait until it is ready. One that is at work already stays, and False is
    returned; one of another version of netctl makes room, for it may not know all messages.

    It begins with what the store in ``state_dir`` says, without one with nothing. Unless it is
    told of a sandbox within half a minute it ends. Raises ``KernelError``.
    """
    if _at_work(run_dir):
        return False
    from netctl.kernel import detaching

    places = ["--run-dir", run_dir]
    if state_dir is not None:
        places += ["--state-dir", state_dir]
    try:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
    except OSError as error:
        raise file_refused(f"make directory {run_dir}", error) from error
    _evict(run_dir)
    end = time.monotonic() + _START
    while not running(run_dir):
        try:
            detaching.start(_WHAT, _MODULE, places, _START)
        except KernelError:
            # Another netctl may have been quicker.
            if not _held(run_dir) or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
    return True


def _at_work(run_dir: str) -> bool:
    """Whether a resolver of this version of netctl is at work; another is ended."""
    try:
        version = _ask(run_dir, {"do": "ping"}, impatient=True).get("version")
    except KernelError as error:
        if error.errno != errno.ECONNREFUSED:
            raise
        return False
    if version == netctl.__version__:
        return True
    stop(run_dir, impatient=True)
    return False


def _held(run_dir: str) -> bool:
    """Whether a process is the resolver, or is about to be it."""
    try:
        descriptor = os.open(pid_path(run_dir), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def tell(run_dir: str, changes: Sequence[Message]) -> None:
    """Tell the resolver what changes: all of it has happened on return, or nothing of it.

    Raises ``KernelError``, its errno ECONNREFUSED where none is at work.
    """
    if changes:
        _ask(run_dir, {"do": "all", "of": list(changes)})


def state(run_dir: str, *, again: bool = False) -> dict[str, Any]:
    """Return the resolver's pid, version, counts and, as ``model``, the messages that tell all
    that it knows. Raises ``KernelError`` as ``tell`` does; ``again`` is for one that has given no
    answer before, and is not waited for as long."""
    return _ask(run_dir, {"do": "state"}, again=again)


def model(run_dir: str, *, again: bool = False) -> list[Message] | None:
    """Return the messages that tell all that the resolver knows; None where none is at work."""
    try:
        found: list[Message] = state(run_dir, again=again)["model"]
    except KernelError as error:
        if error.errno != errno.ECONNREFUSED:
            raise
        return None
    return found


def stop(
    run_dir: str, *, unused: bool = False, impatient: bool = False, again: bool = False
) -> bool:
    """End the resolver if there is one, with ``unused`` only one that serves nobody: all namespaces
    are left as they were found. Returns whether it has ended.

    With ``impatient`` one that gives no answer is killed.
    """
    try:
        message = {"do": "stop", "unused": unused}
        return bool(_ask(run_dir, message, impatient=impatient, again=again)["ended"])
    except KernelError as error:
        if error.errno == errno.ETIMEDOUT and impatient:
            return True
        if error.errno != errno.ECONNREFUSED:
            raise
        return False


def _ask(
    run_dir: str, message: Message, *, impatient: bool = False, again: bool = False
) -> dict[str, Any]:
    line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    try:
        with connected_to(run_dir, _AGAIN if again else 0) as sock:
            sock.sendall(line)
            return checked(read_answer(sock, impatient=impatient))
    except OSError as error:
        raise KernelError(
            f"{_WHAT} is not at work ({error.strerror})", hint=_HINT, errno=errno.ECONNREFUSED
        ) from error
    except ValueError as error:
        raise KernelError(
            f"{_WHAT} ended before it answered", hint=_HINT, errno=errno.ECONNREFUSED
        ) from error


def checked(answer: bytes) -> dict[str, Any]:
    """Return what an answer says; ``ValueError`` for none, ``KernelError`` for a refusal."""
    said: dict[str, Any] = json.loads(answer)
    if "error" in said:
        raise KernelError(
            f"{_WHAT}: {said['error']}", hint=said.get("hint"), errno=said.get("errno", 0)
        )
    return said


def read_answer(sock: socket.socket, *, impatient: bool) -> bytes:
    try:
        return _read_line(sock)
    except TimeoutError as error:
        if impatient:
            kill(sock)
        done = " and was killed: the next command starts it again" if impatient else ""
        raise KernelError(
            f"{_WHAT} gives no answer in {sock.gettimeout():g} s{done}",
            hint=_HINT,
            errno=errno.ETIMEDOUT,
        ) from error


def kill(sock: socket.socket) -> None:
    """Kill who listens at the other end of a connection, and wait until it has gone."""
    with suppress(OSError):  # It is gone; 0 is one of another namespace of processes.
        process = os.pidfd_open(_peer(sock))
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            select.select([process], [], [], _DYING)
        finally:
            os.close(process)


def connected_to(run_dir: str, seconds: float = 0) -> socket.socket:
    """Connect to the resolver, which has ``seconds`` for each answer, or else the usual time.

    One of another network stack is none: it was started where the directory was the same, in a
    namespace that has been left since.
    """
    sock = _connected(run_dir, seconds)
    if _is_foreign(sock):
        sock.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, "it is in another network namespace")
    return sock


def _connected(run_dir: str, seconds: float = 0) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds or _ANSWER)
        sock.connect(socket_path(run_dir))
    except BaseException:
        sock.close()
        raise
    return sock


def _is_foreign(sock: socket.socket) -> bool:
    try:
        there = os.stat(f"/proc/{_peer(sock)}/ns/net")
    except OSError:
        return False  # It cannot be known, as from another namespace of processes.
    return there.st_ino != os.stat("/proc/thread-self/ns/net").st_ino


def _evict(run_dir: str) -> None:
    """End a resolver of another network stack, which holds the place of ours."""
    try:
        sock = _connected(run_dir)
    except OSError:
        return
    with sock:
        if _is_foreign(sock):
            kill(sock)


def _peer(sock: socket.socket) -> int:
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def _read_line(sock: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = sock.recv(_PIECE)
        if not piece:
            break
        data += piece
    return bytes(data)
