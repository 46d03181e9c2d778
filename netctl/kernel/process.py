"""Processes inside a namespace: this one, or a child that is watched until it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from netctl.kernel.failures import failure
from netctl.kernel.namespaces import CLONE_NEWNET, CLONE_NEWNS, libc_call, mount

_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x80000
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCONT,
)


def enter(netns: str, binds: Sequence[tuple[str, str]]) -> None:
    """Move this process into a namespace, for good, with files mounted over others.

    ``binds`` are pairs of source and target; a target that does not exist is skipped, as
    ``ip netns exec`` does. An empty ``netns`` stays in the host's stack.
    """
    if netns:
        descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
        libc_call(f"enter namespace {netns}", "setns", descriptor, CLONE_NEWNET)
        os.close(descriptor)
        libc_call("make a mount namespace", "unshare", CLONE_NEWNS)
        mount("none", "/", "", _MS_SLAVE | _MS_REC)
        _mount_sysfs(netns)
    for source, target in binds:
        if os.path.exists(target):
            mount(source, target, "none", _MS_BIND)


def _mount_sysfs(netns: str) -> None:
    """Show the namespace's own devices under /sys/class/net; what cannot be done is left."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(b"/sys", _MNT_DETACH) == 0:
        libc.mount(netns.rpartition("/")[2].encode(), b"/sys", b"sysfs", 0, None)


def execute(argv: Sequence[str]) -> NoReturn:
    """Replace this process by a command. Exits 127 where it is not found, 126 where it cannot run."""
    # Python ignores SIGPIPE, and a command inherits what is ignored.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(argv[0], list(argv))
    except FileNotFoundError:
        print(f"netctl: command {argv[0]!r} not found", file=sys.stderr, flush=True)
        status = 127
    except (OSError, ValueError) as error:
        print(f"netctl: command {argv[0]!r} cannot be run ({error})", file=sys.stderr, flush=True)
        status = 126
    raise SystemExit(status)


def supervise(netns: str, binds: Sequence[tuple[str, str]], argv: Sequence[str]) -> int:
    """Run a command in a namespace and wait; pass signals on. Returns its status, or 128 + signal.

    The command is killed when this process dies, however that happens.
    """
    parent = os.getpid()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    child = os.fork()
    if child == 0:
        _child(netns, binds, argv, parent, blocked)
    previous = {number: signal.signal(number, _forwarder(child)) for number in _FORWARDED}
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _forwarder(child: int) -> signal.Handlers:
    def forward(number: int, frame: object) -> None:
        os.kill(child, number)

    return forward  # type: ignore[return-value]  # signal.signal's stub wants its own alias


def _child(
    netns: str,
    binds: Sequence[tuple[str, str]],
    argv: Sequence[str],
    parent: int,
    blocked: set[signal.Signals],
) -> NoReturn:
    status = 126
    try:
        libc_call("ask for death with the parent", "prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(137)
        enter(netns, binds)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        execute(argv)
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException as error:
        print(f"netctl: {error}", file=sys.stderr, flush=True)
    os._exit(status)


__all__ = ["enter", "execute", "failure", "supervise"]
