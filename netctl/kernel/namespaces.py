"""Network namespaces: make, pin and remove them, and step into one for a moment.

Pins are compatible with ``ip netns``: a file in a shared mount with the namespace bound over it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock, ioctl

from netctl import plainsignal as signal
from netctl.errors import InvalidInput, KernelError
from netctl.kernel import syscalls
from netctl.kernel.files import make_directories
from netctl.kernel.refusal import refused

OWN = "/proc/thread-self/ns/net"
_NS_GET_NSTYPE = 0xB703
"""linux/nsfs.h"""
_PIN_MODE = 0o1444
"""Of the file below a pin. The sticky bit means nothing there: where the file is empty and nothing
is mounted on it, a netctl was killed between the two. ``ip netns`` does not set it."""
_MOUNTS_LIMIT = 64
"""How many mounts on top of each other are taken away."""
_SIGNALS = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGALRM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGCHLD,
    }
)


def new(alias: str) -> int:
    """Make a namespace whose loopback is up and bears ``alias``; return a descriptor of it, which
    is all that keeps it alive."""
    with _signals_held(), _returning():
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            _prepare_loopback(alias)
            return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _refused("create a namespace", error) from error


def place(descriptor: int, path: str) -> None:
    """Pin an open namespace at ``path``, as ``ip netns add`` does.

    Raises ``KernelError`` (EEXIST) where ``path`` exists and is not what a killed netctl left.
    """
    with _pin(path, f"create namespace {path}"):
        syscalls.mount(f"/proc/self/fd/{descriptor}", path, syscalls.MS_BIND)


def hold(path: str) -> int | None:
    """Return a descriptor that keeps the namespace at ``path`` alive, None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    if _is_netns(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def pin(source: str, path: str) -> None:
    """Bind the namespace at ``source`` to the new ``path``: ``mount --bind SOURCE PATH``."""
    what = f"pin namespace {source} at {path}"
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _refused(what, error) from error
    try:
        if not _is_netns(fd):
            raise InvalidInput(
                f"{source} is not a network namespace",
                hint="give a path such as /run/netns/NAME or /proc/PID/ns/net",
            )
        with _pin(path, what):
            # Through the descriptor: what was looked at is what gets pinned.
            syscalls.mount(f"/proc/self/fd/{fd}", path, syscalls.MS_BIND)
    finally:
        os.close(fd)


def delete(path: str) -> bool:
    """Unmount a pin and remove its file; nothing else may stand at ``path``. Returns whether there
    was one."""
    what = f"delete namespace {path}"
    try:
        for _ in range(_MOUNTS_LIMIT):
            _check_pin_or_leftover(path, what)
            if not _unmounted(path):
                os.unlink(path)
                return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _refused(what, error) from error
    raise KernelError(f"{what}: more than {_MOUNTS_LIMIT} mounts are on it", errno=errno.EBUSY)


def clear(path: str) -> None:
    """Remove the file that a killed netctl left of a pin at ``path``; anything else stays."""
    try:
        _clear(path)
    except OSError as error:
        raise _refused(f"remove the file of a pin at {path}", error) from error


def foreign(path: str, found: str) -> KernelError:
    """Return the error for a namespace that stands in the place of one of ours."""
    return KernelError(
        f"delete namespace {path}: another one stands there ({found}), not netctl's",
        hint="nothing foreign is removed; rename that namespace, or remove it by hand",
        errno=errno.EPERM,
    )


def lost(path: str) -> KernelError:
    """Return the error for a namespace that went with the process that made it."""
    return KernelError(
        f"create namespace {path}: it was never pinned, and is gone",
        hint="netctl repair makes another",
        errno=errno.ENOENT,
    )


def unidentified(path: str) -> KernelError:
    """Return the error for a new namespace that cannot be told from others."""
    return KernelError(
        f"create a namespace: {path} does not lead to it",
        hint="mount proc at /proc, then try again",
        errno=errno.ENOENT,
    )


def in_use(path: str) -> bool:
    """Whether a process is in the namespace at ``path``."""
    wanted = inode(path)
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            found = os.stat(f"/proc/{pid}/ns/net")
        except OSError:
            continue  # It has ended, or may not be looked at.
        if wanted == (found.st_dev, found.st_ino):
            return True
    return False


def inode(path: str) -> tuple[int, int] | None:
    """Return (device, inode) of what is at ``path``, a namespace or not; None for nothing.

    The number of a namespace's inode is given again when it is gone.
    """
    try:
        found = os.stat(path or OWN)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None
    except OSError as error:
        raise _refused(f"look at namespace {path}", error) from error
    return found.st_dev, found.st_ino


@contextmanager
def opened(path: str) -> Iterator[int]:
    """Open the namespace at ``path``; ``KernelError`` (ENOENT) where there is none."""
    what = f"enter namespace {path}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _refused(what, error) from error
    try:
        if not _is_netns(fd):
            raise KernelError(
                f"{what}: no namespace is mounted there",
                hint="it is gone, as after a reboot",
                errno=errno.ENOENT,
            )
        yield fd
    finally:
        os.close(fd)


@contextmanager
def entered(path: str) -> Iterator[None]:
    """Put the calling thread into a namespace for the length of the block (``""``: stay)."""
    if not path:
        yield
        return
    with opened(path) as fd, _signals_held(), _returning():
        try:
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
        except OSError as error:
            raise _refused(f"enter namespace {path}", error) from error
        yield


@contextmanager
def scratch() -> Iterator[None]:
    """Put the calling thread into a new, empty namespace, which is gone after the block."""
    with _signals_held(), _returning():
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
        except OSError as error:
            raise _refused("make a namespace", error) from error
        yield


@contextmanager
def _returning() -> Iterator[None]:
    home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _go(home)
        os.close(home)


def _go(home: int) -> None:
    try:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
    except OSError:
        # Without the capability the thread never left, and may not "return" either. Elsewhere the
        # next command would change a sandbox in the place of the host: nothing may run any more.
        if os.stat(OWN).st_ino != os.fstat(home).st_ino:
            os._exit(7)


@contextmanager
def _signals_held() -> Iterator[None]:
    # A handler that raises (Ctrl-C) must not run before the thread is home again.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _pin(path: str, what: str) -> Iterator[None]:
    """Make the file that the block mounts over, and take it away again if the block fails."""
    try:
        _prepare_directory(os.path.dirname(path))
        _clear(path)
        flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, _PIN_MODE))
    except FileExistsError as error:
        raise KernelError(
            f"{what}: {path} exists already",
            hint=f"where it is a namespace no more, as after a crash: rm {path}",
            errno=errno.EEXIST,
        ) from error
    except OSError as error:
        raise _refused(what, error) from error
    try:
        yield
    except BaseException as error:
        delete(path)
        if isinstance(error, OSError):
            raise _refused(what, error) from error
        raise


def _clear(path: str) -> None:
    """Remove the file of one of netctl's pins that has no pin: only one netctl at a time pins."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    ours = stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_ISVTX
    if ours and found.st_size == 0 and found.st_uid == os.geteuid():
        os.unlink(path)


def _prepare_directory(directory: str) -> None:
    """Make the directory and, for one called ``netns``, a shared mount of it.

    As ``ip netns add`` does (iproute2, ip/ipnetns.c): else a pin that is removed here would live
    on in mount namespaces that were made meanwhile, and the namespace with it. ``ip`` takes the
    same lock, so that two of us do not mount twice.
    """
    make_directories(directory)
    if os.path.basename(directory) != "netns":
        return
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flock(fd, LOCK_EX)
        _share(directory)
    finally:
        os.close(fd)


def _share(directory: str) -> None:
    shared = syscalls.MS_SHARED | syscalls.MS_REC
    try:
        syscalls.mount("", directory, shared)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # EINVAL: not a mount yet.
        syscalls.mount(directory, directory, syscalls.MS_BIND | syscalls.MS_REC)
        syscalls.mount("", directory, shared)


def _check_pin_or_leftover(path: str, what: str) -> None:
    """Raise ``KernelError`` if what is to be removed is none of ours."""
    found = os.lstat(path)
    if found.st_dev == os.stat(OWN).st_dev:
        return
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        return
    raise KernelError(
        f"{what}: neither a namespace nor the empty file of one stands there",
        hint="look at it, and remove it by hand",
        errno=errno.EINVAL,
    )


def _unmounted(path: str) -> bool:
    try:
        syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.EINVAL or (
            error.errno == errno.EPERM and os.lstat(path).st_dev != os.stat(OWN).st_dev
        ):
            # Not a mount point: the plain file is what is left. Without the capability the
            # kernel says EPERM before it looks.
            return False
        raise
    return True


def _is_netns(fd: int) -> bool:
    try:
        return ioctl(fd, _NS_GET_NSTYPE) == syscalls.CLONE_NEWNET
    except OSError:
        return False


def _prepare_loopback(alias: str) -> None:
    from netctl.kernel.netlink import NetlinkSocket, first_refusal, link_alias, link_flags

    with NetlinkSocket() as sock:
        wanted = [link_flags(index=1, up=True), link_alias(alias, index=1)]
        if refusal := first_refusal(sock.ask(wanted)):
            raise OSError(refusal.errno, os.strerror(refusal.errno))


def _refused(what: str, error: OSError) -> Exception:
    return refused(what, error.errno or 0, capability="CAP_SYS_ADMIN")
