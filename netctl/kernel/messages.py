"""pyroute2's message classes, without the rest of pyroute2.

``import pyroute2`` takes 130 ms because its ``__init__`` imports everything; the message classes
alone take 19. They are imported below a package module whose ``__init__`` is not run.
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

Attributes = Sequence[tuple[str, object]]
_HEADER_BYTES = 16
AF_BRIDGE = 7
"""linux/socket.h"""


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
def _message_class(name: str) -> Any:
    return getattr(_modules()[name], name)


@cache
def _modules() -> dict[str, ModuleType]:
    """Import the modules of the three classes."""
    if "pyroute2" in sys.modules:
        return _import()
    spec = importlib.util.find_spec("pyroute2")
    if spec is None:
        raise Unsupported("rtnetlink needs the Python package pyroute2", hint="install pyroute2")
    try:
        return _alone(spec, light=True)
    except (ImportError, AttributeError):
        # Another pyroute2, whose classes want more of its configuration.
        return _alone(spec, light=False)


def _alone(spec: ModuleSpec, *, light: bool) -> dict[str, ModuleType]:
    """Import the classes below an empty package; ``light`` with a stand-in for its configuration,
    which asks for the platform and imports multiprocessing, and of which they need three names."""
    package = sys.modules["pyroute2"] = importlib.util.module_from_spec(spec)
    if light:
        config = ModuleType("pyroute2.config")
        vars(config).update(AF_BRIDGE=AF_BRIDGE, data_plugins_pkgs=[], data_plugins_path=[])
        vars(package)["config"] = sys.modules["pyroute2.config"] = config
    try:
        return _import()
    finally:
        # What was imported below an empty package stays ours alone: a later `import pyroute2`
        # begins anew and finds everything in order.
        for name in [each for each in sys.modules if each.partition(".")[0] == "pyroute2"]:
            del sys.modules[name]


def _import() -> dict[str, ModuleType]:
    names = ("ifinfmsg", "ifaddrmsg", "rtmsg")
    return {name: importlib.import_module(f"pyroute2.netlink.rtnl.{name}") for name in names}
