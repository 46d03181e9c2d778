"""Where a namespace that somebody else made was found, and whether it is still there.

netctl's pin keeps a namespace alive that whoever made it has left: a container that restarts gets
another one, and what is published leads into one without a process.
"""

from __future__ import annotations

from netctl.errors import NetctlError
from netctl.kernel import Kernel
from netctl.models import Sandbox, SandboxKind

_OF_PROCESSES = "/proc/"


def is_left(sandbox: Sandbox, kernel: Kernel) -> bool:
    """Whether a sandbox, whose namespace is there, holds one that was left: its source leads
    elsewhere or nowhere, and no process is in it."""
    if sandbox.type is not SandboxKind.EXTERNAL or not sandbox.pinned or not sandbox.source:
        return False
    try:
        found = kernel.netns_identity(sandbox.source, sandbox.identity)
        return found != sandbox.identity and not kernel.netns_in_use(sandbox.netns)
    except NetctlError:
        return False  # It cannot be known.


def remedy(sandbox: Sandbox, kernel: Kernel) -> str:
    """Return the commands that give such a sandbox another namespace, or take it away."""
    path = "PATH"
    source = sandbox.source
    if source and not source.startswith(_OF_PROCESSES) and kernel.netns_identity(source):
        path = source
    remove = f"netctl sandbox rm {sandbox.name} --force"
    move = f"netctl sandbox set-key {sandbox.name} {path}"
    return move if path != "PATH" else f"{move}, or: {remove}"
