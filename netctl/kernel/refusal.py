"""What the kernel's numbers mean: the one place that turns an errno into netctl's errors."""

from __future__ import annotations

import errno
import os

from netctl.errors import KernelError, NetctlError, NotPermitted, Unsupported

_CAPABILITIES = {"CAP_DAC_OVERRIDE": 1, "CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
"""Bit of each capability in the mask (linux/capability.h)."""

_LACKING = frozenset(
    {errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ESOCKTNOSUPPORT}
)
ABSENT = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL})
"""What the kernel answers when the thing to be removed is not there."""

_HINTS = {
    errno.EEXIST: "it is there already, and netctl changes nothing that it did not make",
    errno.ENODEV: "the interface is gone; if it was netctl's, this brings it back: netctl repair",
    errno.ENOENT: "it is gone, or somebody removed it meanwhile",
    errno.EISDIR: "it is a directory; give the path of a file",
    errno.ENOTDIR: "a part of the path is a file; give the path of a directory",
    errno.EBUSY: "something else uses it; end that first",
    errno.ENOSPC: "no space is left; free some and try again",
    errno.EXFULL: "a Linux bridge takes at most 1023 ports: use a second network",
    errno.ENETUNREACH: "the gateway must be in a subnet of an address of this interface",
    errno.EROFS: "it is on a file system that is mounted read-only: remount it writable",
    errno.EMFILE: "too many open files: raise 'ulimit -n'",
    errno.ENOMEM: "the kernel has no memory left for it",
    errno.ETIMEDOUT: "the kernel is busy; try again",
    errno.EFBIG: "it holds more than netctl reads of a sandbox: see what in there makes so many",
    errno.EAGAIN: "the kernel's tables change faster than they can be read; try again",
}


def refused(
    what: str, number: int, *, words: str = "", capability: str = "CAP_NET_ADMIN"
) -> NetctlError:
    """Return the error for an operation that the kernel answered with an errno.

    ``what`` names operation and object ("add bridge br0"), ``words`` is the kernel's own text
    (extended ACK) and ``capability`` is what the operation needs.
    """
    says = f" (the kernel says: {words})" if words else ""
    if number in (errno.EPERM, errno.EACCES):
        return not_permitted(what, number, capability)
    if number in _LACKING:
        return Unsupported(
            f"{what}: not supported by this kernel{says}",
            hint="load or build in the kernel module for it",
        )
    message = f"{what}: {os.strerror(number)}{says}"
    return KernelError(message, hint=_HINTS.get(number), errno=number)


def file_refused(what: str, error: OSError) -> NetctlError:
    """Return the error for a refused operation on a file."""
    number = error.errno or 0
    if number in (errno.EPERM, errno.EACCES):
        return not_permitted(what, number, "CAP_DAC_OVERRIDE")
    return KernelError(f"{what}: {error.strerror}", hint=_HINTS.get(number), errno=number)


def not_permitted(what: str, number: int, capability: str) -> NotPermitted:
    """Return the error that names the missing capability, if that is the reason."""
    if has_capability(capability):
        return NotPermitted(
            f"{what}: {os.strerror(number)}, although the process has {capability}",
            hint="a security module, a seccomp filter or a user namespace forbids it",
            errno=number,
        )
    return NotPermitted(
        f"{what}: not permitted, {capability} is missing", hint="run it as root", errno=number
    )


def has_capability(name: str) -> bool:
    """Whether the calling thread has a capability in effect."""
    with open("/proc/thread-self/status", encoding="ascii", errors="replace") as status:
        masks = [line.split()[1] for line in status if line.startswith("CapEff:")]
    return bool(masks) and bool(int(masks[0], 16) >> _CAPABILITIES[name] & 1)
