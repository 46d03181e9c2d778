"""Namespaces, as the tests of kernels make them."""

from __future__ import annotations

from netctl.kernel.interface import Kernel


def make_namespace(kernel: Kernel, path: str, *, alias: str) -> str:
    """Make a namespace and pin it; return its identity."""
    identity = kernel.netns_new(alias=alias)
    kernel.netns_create(path, identity=identity)
    kernel.netns_let_go()
    return identity
