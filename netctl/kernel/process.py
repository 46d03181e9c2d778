"""Processes inside a namespace: this one, or a child that is watched until it ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from netctl.errors import KernelError
from netctl.kernel import guarding, namespaces, syscalls
from netctl.kernel.refusal import refused

if TYPE_CHECKING:
    from subprocess import CompletedProcess as CompletedProcess

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
_WAITED = frozenset({*_FORWARDED, signal.SIGCHLD})
_ENTERING = "CAP_SYS_ADMIN"
_SI_KERNEL = 0x80
"""Where a signal comes from (asm-generic/siginfo.h): here, from the terminal."""


def enter(netns: str, binds: Sequence[tuple[str, str]]) -> None:
    """Move this process into a namespace, for good, with files mounted over others.

    ``binds`` are pairs of source and target; a target that does not exist is skipped, as
    ``ip netns exec`` does. They stay when the host replaces a target: see ``guarding``. An empty
    ``netns`` stays in the host's stack.
    """
    try:
        home = os.open(namespaces.OWN, os.O_RDONLY | os.O_CLOEXEC)
        if netns:
            with namespaces.opened(netns) as descriptor:
                syscalls.setns(descriptor, syscalls.CLONE_NEWNET)
        if netns or binds:
            _leave_mounts()
        if netns:
            _mount_own_sys()
        for source, target in binds:
            if os.path.exists(target):
                syscalls.mount(source, target, syscalls.MS_BIND)
        if binds:
            guarding.keep(binds, home)
        os.close(home)
    except OSError as error:
        raise refused(f"enter namespace {netns}", error.errno or 0, capability=_ENTERING) from error


def _leave_mounts() -> None:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    # Slave: what is mounted here stays here, what the host mounts still arrives.
    syscalls.mount("none", "/", syscalls.MS_SLAVE | syscalls.MS_REC)


def _mount_own_sys() -> None:
    try:
        syscalls.umount("/sys", syscalls.MNT_DETACH)
        syscalls.mount_kind("sysfs", "/sys", "sysfs")
    except OSError:
        # /sys/class/net then shows the host's devices: nothing depends on it.
        return


def execute(argv: Sequence[str]) -> NoReturn:
    """Become a command. Exits 127 where it is not found, 126 where it cannot be run."""
    # Python ignores SIGPIPE, and a command inherits what is ignored.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(argv[0], list(argv))
    except FileNotFoundError:
        print(f"netctl: command {argv[0]!r} not found", file=sys.stderr, flush=True)
        status = 127
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        print(f"netctl: command {argv[0]!r} cannot be run ({why})", file=sys.stderr, flush=True)
        status = 126
    raise SystemExit(status)


def completed(
    netns: str,
    binds: Sequence[tuple[str, str]],
    argv: Sequence[str],
    options: Mapping[str, Any],
) -> CompletedProcess[Any]:
    """Run a command in a namespace by ``subprocess.run`` with those options, and return its result.

    Raises ``TypeError`` for an option that cannot work here, ``KernelError`` where the namespace
    cannot be entered, else what ``subprocess.run`` does.
    """
    given = _possible(options)
    import subprocess

    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def entered() -> None:
        try:
            enter(netns, binds)
        except KernelError as error:
            # Of an exception here subprocess tells no more than that there was one.
            os.write(writing, str(error.errno).encode())
            raise

    try:
        return subprocess.run(list(argv), preexec_fn=entered, **given)
    except subprocess.SubprocessError:
        with suppress(BlockingIOError):
            number = int(os.read(reading, 16))
            raise refused(f"enter namespace {netns}", number, capability=_ENTERING) from None
        raise
    finally:
        os.close(reading)
        os.close(writing)


_BEFORE_ENTERING = (
    "it takes effect before the sandbox is entered, which needs privileges: put setpriv or su"
    " before the command"
)
_IMPOSSIBLE = {
    "args": "the command is given already",
    "preexec_fn": "that is how the sandbox is entered: let the command itself do it",
    **dict.fromkeys(("user", "group", "extra_groups"), _BEFORE_ENTERING),
}
"""Options of ``subprocess.run`` that cannot work, and why."""


def _possible(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are given; raise ``TypeError`` for one that cannot work."""
    for name, why in _IMPOSSIBLE.items():
        if options.get(name) is not None:
            raise TypeError(f"exec() does not take {name!r}: {why}")
    return {name: value for name, value in options.items() if name not in _IMPOSSIBLE}


def supervise(netns: str, binds: Sequence[tuple[str, str]], argv: Sequence[str]) -> int:
    """Run a command in a namespace and wait; pass signals on. Returns its status, or 128 + signal.

    The command is killed when this process dies, however that happens.
    """
    parent = os.getpid()
    with _signals_waited_for() as before:
        child = os.fork()
        if child == 0:
            _child(netns, binds, argv, parent, before)
        code = _watched(child)
    return code if code >= 0 else 128 - code


@contextmanager
def _signals_waited_for() -> Iterator[set[int | signal.Signals]]:
    """Block the signals that ``_watched`` takes one by one; what comes too late is dropped."""
    # Ignored, it would not come, and the child's status would be lost.
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED)
    try:
        yield before
    finally:
        while signal.sigtimedwait(_WAITED, 0):
            continue
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGCHLD, handler)


def _watched(child: int) -> int:
    """Pass signals on until the child has ended; return its status, negative for a signal."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        caught = signal.sigwaitinfo(_WAITED)
        # The terminal has sent its signals to the child as well.
        if caught.si_signo != signal.SIGCHLD and caught.si_code != _SI_KERNEL:
            os.kill(child, caught.si_signo)


def _child(
    netns: str,
    binds: Sequence[tuple[str, str]],
    argv: Sequence[str],
    parent: int,
    blocked: set[int | signal.Signals],
) -> NoReturn:
    status = 126
    try:
        syscalls.die_with_parent()
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
