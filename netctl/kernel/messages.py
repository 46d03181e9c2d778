"""pyroute2's message classes, without the rest of pyroute2.

``import pyroute2`` takes 130 ms because its ``__init__`` imports everything; the message classes
alone take 19. They are imported below a package module whose ``__init__`` runs only when somebody
asks it for a name that it does not have yet, so a later ``import pyroute2`` finds it whole.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from netctl.errors import Unsupported

Value = str | int | Mapping[str, object]
Attributes = Sequence[tuple[str, object]]
_HEADER_BYTES = 16


def encode(module: str, fields: Mapping[str, int], attributes: Attributes) -> bytes:
    """Return what follows the netlink header: the fixed fields and the attributes.

    ``module`` is ``ifinfmsg``, ``ifaddrmsg`` or ``rtmsg``, which is also the class's name.
    """
    message = _message_class(module)()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = list(attributes)
    message.encode()
    return bytes(message.data[_HEADER_BYTES:])


def nested(*attributes: tuple[str, object]) -> dict[str, object]:
    """Return attributes as the value of another one."""
    return {"attrs": list(attributes)}


@cache
def _message_class(module: str) -> Any:
    _import_package()
    return getattr(importlib.import_module(f"pyroute2.netlink.rtnl.{module}"), module)


@cache
def _import_package() -> None:
    if "pyroute2" in sys.modules:
        return
    spec = importlib.util.find_spec("pyroute2")
    if spec is None:
        raise Unsupported("rtnetlink needs the Python package pyroute2", hint="install pyroute2")
    package = importlib.util.module_from_spec(spec)
    sys.modules["pyroute2"] = package
    try:
        # The submodules import names from the package: they must find these before the hook is in.
        for name in ("config", "common", "netlink", "netlink.rtnl.ifinfmsg"):
            importlib.import_module(f"pyroute2.{name}")
    except BaseException:
        del sys.modules["pyroute2"]
        raise
    _complete_on_demand(package, spec)


def _complete_on_demand(package: ModuleType, spec: ModuleSpec) -> None:
    def load(name: str) -> object:
        if (name.startswith("__") and name != "__all__") or spec.loader is None:
            raise AttributeError(f"module 'pyroute2' has no attribute {name!r}")
        if vars(package).pop("__getattr__", None) is not None:
            spec.loader.exec_module(package)
        return getattr(package, name)

    vars(package)["__getattr__"] = load
