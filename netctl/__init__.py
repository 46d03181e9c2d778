"""netctl: container networking for Linux without a daemon.

``Controller`` is the library's entry, ``NetctlError`` the root of what it raises.
"""

from typing import TYPE_CHECKING, Any

from netctl.errors import (
    BadConfig,
    Conflict,
    Exhausted,
    InvalidInput,
    KernelError,
    LockTimeout,
    NetctlError,
    NotFound,
    NotJoined,
    NotPermitted,
    Partial,
    StoreDamaged,
    Unsupported,
)

if TYPE_CHECKING:
    from netctl.controller import Controller

__version__ = "0.1.0"
__all__ = [
    "BadConfig",
    "Conflict",
    "Controller",
    "Exhausted",
    "InvalidInput",
    "KernelError",
    "LockTimeout",
    "NetctlError",
    "NotFound",
    "NotJoined",
    "NotPermitted",
    "Partial",
    "StoreDamaged",
    "Unsupported",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # Not imported before it is used: a read command needs neither the store nor the kernel twice.
    if name == "Controller":
        from netctl.controller import Controller

        return Controller
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
