"""Short ways to use the kernel's door inside a throw-away host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from netctl.errors import KernelError
from netctl.kernel.linux import LinuxKernel
from tests.kernel.host import Host

T = TypeVar("T")


def with_kernel(host: Host, function: Callable[[LinuxKernel], T]) -> T:
    """Call a function in the host with a kernel of its own."""

    def work() -> T:
        kernel = LinuxKernel()
        try:
            return function(kernel)
        finally:
            kernel.close()

    return host.call(work)


def refused(host: Host, function: Callable[[LinuxKernel], object]) -> KernelError:
    with pytest.raises(KernelError) as caught:
        with_kernel(host, function)
    return caught.value
