"""The only door to the kernel. Nothing else imports pyroute2, ctypes or subprocess."""

from netctl.kernel.interface import NAMES_TABLE, Address, Kernel, Link, Message, Route

__all__ = [
    "NAMES_TABLE",
    "Address",
    "Kernel",
    "Link",
    "Message",
    "Route",
    "has_capability",
    "library_version",
    "open_kernel",
]


def open_kernel() -> Kernel:
    """Return the door to the running kernel. Nothing is opened before the first use."""
    from netctl.kernel.linux import LinuxKernel

    return LinuxKernel()


def has_capability(name: str) -> bool:
    """Whether this process has a capability, ``CAP_NET_ADMIN``."""
    from netctl.kernel import refusal

    return refusal.has_capability(name)


def library_version() -> str | None:
    """Return the file of libnftables that is used, with its version; None where there is none."""
    from netctl.kernel import nftables

    return nftables.library_version()
