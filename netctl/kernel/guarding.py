"""Files that stay mounted over the host's own while a command runs.

The kernel takes a mount away, in all other mount namespaces, when the file under it is removed or
another takes its name (vfs_rename, detach_mounts; Linux 3.18), as NetworkManager, dhclient and
systemd-resolved do with /etc/resolv.conf. No kind of mount prevents it: an overlay of /etc would
hide every later change of the host in there, and what the command writes. So a small process in the
command's mount namespace waits for changes of the directories, and mounts again.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import NoReturn

from netctl.kernel import syscalls

TITLE = "netctl-files"
_MOST_LINKS = 40
"""Symbolic links that the kernel follows."""
_EVENTS = 1 << 16
"""Bytes of events that are read at once; what they say does not matter."""
_MOST_IN_VAIN = 100
"""Mounts, one after the other, that were not seen at their place: they would pile up."""

Bind = tuple[str, str]
"""Source and target."""


def keep(binds: Sequence[Bind], home: int) -> None:
    """Start a process that mounts ``binds`` again when they go, as long as the calling process, or
    what it leaves behind in its mount namespace, is there.

    ``home`` is a descriptor of the network namespace that it lives in, so that it holds no other.
    Where it cannot be started the mounts are as they were: that is no reason to run no command.
    """
    with suppress(OSError):
        held = [(os.open(source, os.O_PATH | os.O_CLOEXEC), target) for source, target in binds]
        command = os.pidfd_open(os.getpid())
        child = os.fork()
        if child == 0:
            _begin(held, home, command)
        # Its parent is to be init: a command does not expect children that it has not made.
        os.waitpid(child, 0)
        for descriptor in (command, *(source for source, _ in held)):
            os.close(descriptor)


def _begin(held: Sequence[tuple[int, str]], home: int, command: int) -> NoReturn:
    try:
        if os.fork() == 0:
            # Where the command's own are closed these may be among the first three.
            held = [(_moved(source), target) for source, target in held]
            home, command = _moved(home), _moved(command)
            _let_go({home, command, *(source for source, _ in held)})
            syscalls.setns(home, syscalls.CLONE_NEWNET)
            os.close(home)
            _Guard(held).stay(command)
    finally:
        os._exit(0)


def _moved(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _let_go(kept: set[int]) -> None:
    """Let go of all that the command shares: its terminal, pipes, directory and signals."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor not in kept:
            with suppress(OSError):
                os.close(descriptor)
    os.chdir("/")
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    syscalls.set_title(TITLE)


class _Guard:
    """The sources are descriptors: a file that has got another path meanwhile is still the one."""

    def __init__(self, held: Sequence[tuple[int, str]]) -> None:
        self._held = held
        self._changes = syscalls.watcher()
        self._vain = 0

    def stay(self, command: int) -> None:
        """Mount again what goes until the last process has gone."""
        poll = select.poll()
        poll.register(self._changes, select.POLLIN)
        while command >= 0:
            poll.register(command, select.POLLIN)
            self._mount_until_end(poll, command)
            poll.unregister(command)
            os.close(command)
            command = _another()

    def _mount_until_end(self, poll: select.poll, command: int) -> None:
        while True:
            self._mount_again()
            if any(descriptor == command for descriptor, _ in poll.poll()):
                return
            with suppress(BlockingIOError):
                os.read(self._changes, _EVENTS)

    def _mount_again(self) -> None:
        for source, target in self._held:
            # First the watch: what comes behind the look is seen.
            for directory in _directories(target):
                self._watch(directory)
            with suppress(OSError):
                if self._vain < _MOST_IN_VAIN and not _is_at(source, target):
                    syscalls.mount(f"/proc/self/fd/{source}", target, syscalls.MS_BIND)
                    self._vain = 0 if _is_at(source, target) else self._vain + 1

    def _watch(self, directory: str) -> None:
        """Watch a directory, once more if that is so already: what has its name may be another."""
        with suppress(OSError):
            syscalls.watch_names(self._changes, directory)


def _is_at(source: int, target: str) -> bool:
    return os.path.samestat(os.stat(target), os.fstat(source))


def _directories(path: str) -> Iterator[str]:
    """Yield the directories of a file and of the links that lead to it, and those that they are in:
    a directory may be made anew."""
    for _ in range(_MOST_LINKS):
        directory = os.path.realpath(os.path.dirname(path))
        yield from (directory, *map(str, PurePath(directory).parents))
        try:
            path = os.path.join(directory, os.readlink(path))
        except OSError:
            return


def _another() -> int:
    """Return a descriptor of another process in this mount namespace, -1 for none."""
    ours = os.stat("/proc/self/ns/mnt")
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            with suppress(OSError):
                found = os.pidfd_open(int(name))
                # Opened first: the number could be another's by then.
                if os.path.samestat(os.stat(f"/proc/{name}/ns/mnt"), ours):
                    return found
                os.close(found)
    return -1
