"""Processes that stay when netctl ends: how one is started, and how it lets go of its starter."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from netctl.errors import KernelError
from netctl.kernel import syscalls

_READY = 3
"""The descriptor through which the new process says that it is ready, or why it is not."""
_WORD = b"ready"
_KEPT_ENVIRONMENT = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LANG",
    "LC_ALL",
    "PYTHONDONTWRITEBYTECODE",
)
_DEFAULT_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD)
_SYSTEMD = "/run/systemd/system"
"""There where systemd is the first process (sd_booted(3))."""


def start(what: str, module: str, arguments: Sequence[str], seconds: float) -> None:
    """Run a Python module in a process of its own, and wait until it is ready.

    ``what`` names it in errors. Raises ``KernelError`` with its own reason where it fails, or
    where it is not ready after ``seconds``.
    """
    # -P: nothing is imported from the directory in which netctl happens to be called.
    python = [sys.executable, "-P", "-m", module, *arguments, "--ready", str(_READY)]
    said = None
    for scope in _scopes(module):
        said = _said([*scope, *python], what, seconds)
        if said:
            break
    if said != _WORD:
        reason = (said or b"it ended without a word").decode(errors="replace")
        raise KernelError(f"start {what}: {reason}")


def _scopes(module: str) -> list[list[str]]:
    """Return what to put in front of the command, best first.

    What a service or a session of systemd starts dies with it, unless it is in a scope of its own.
    """
    if not os.path.isdir(_SYSTEMD):
        return [[]]
    from shutil import which  # 3 ms that only systemd's hosts need

    run = which("systemd-run")
    scope = [run, "--scope", "--quiet", "--collect", f"--description={module}"] if run else []
    return [scope, []] if scope else [[]]


def _said(argv: Sequence[str], what: str, seconds: float) -> bytes:
    """Start a process and return what it says at last, b"" where it ends without a word."""
    ready, tell = os.pipe()
    try:
        try:
            child = _spawned(argv, tell)
        finally:
            os.close(tell)
        try:
            return _read(ready, what, seconds)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            raise
        finally:
            # It lives on in a process of its own: this one is at its end.
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
    except OSError as error:
        raise KernelError(f"start {what}: {error.strerror}", errno=error.errno or 0) from error
    finally:
        os.close(ready)


def _spawned(argv: Sequence[str], tell: int) -> int:
    environment = {k: v for k, v in os.environ.items() if k in _KEPT_ENVIRONMENT}
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, 0, 2),
        (os.POSIX_SPAWN_DUP2, tell, _READY),
    ]
    # A command that changes something holds signals off: this is not inherited.
    return os.posix_spawn(
        argv[0],
        list(argv),
        environment,
        file_actions=actions,
        setsigmask=(),
        setsigdef=_DEFAULT_SIGNALS,
    )


def _read(pipe: int, what: str, seconds: float) -> bytes:
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    said = b""
    while poll.poll(seconds * 1000):
        piece = os.read(pipe, 4096)
        if not piece:
            return said
        said += piece
    raise KernelError(
        f"start {what}: it is not ready after {seconds:g} s",
        hint="the machine is busy, or something holds the process up: see its log",
    )


class Starter:
    """Who started this process and waits for a word, once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        self._say(_WORD)

    def failed(self, reason: str) -> None:
        self._say(reason.encode(errors="replace"))

    def _say(self, word: bytes) -> None:
        if self._descriptor < 0:
            return
        # The starter may have lost patience.
        with suppress(OSError):
            os.write(self._descriptor, word)
        os.close(self._descriptor)
        self._descriptor = -1


def detach(ready: int, title: str) -> Starter:
    """Let go of all that the starter gave this process, but the descriptor ``ready``.

    The process goes on as a child of the first one, in a session of its own, at /.
    """
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != ready:
            with suppress(OSError):
                os.close(descriptor)
    os.set_inheritable(ready, False)
    os.chdir("/")
    os.umask(0o077)
    if os.fork():
        os._exit(0)
    os.setsid()
    syscalls.set_title(title)
    return Starter(ready)
