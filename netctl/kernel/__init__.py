"""The only door to the kernel. Nothing else imports pyroute2, ctypes or subprocess."""

from netctl.kernel.interface import Address, Kernel, Link, Route

__all__ = ["Address", "Kernel", "Link", "Route", "open_kernel"]


def open_kernel() -> Kernel:
    """Return the door to the running kernel. Nothing is opened before the first use."""
    from netctl.kernel.linux import LinuxKernel

    return LinuxKernel()
