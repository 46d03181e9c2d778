"""pyroute2's message class of links, without the rest of pyroute2.

``import pyroute2`` takes 130 ms because its ``__init__`` imports everything; the class alone takes
10. It is imported below a package module whose ``__init__`` is not run. What every network and
every join needs, bridges and veth pairs, is packed in ``netctl.kernel.links``; all other kinds of
links come through here.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from netctl.errors import Unsupported

Attributes = Sequence[tuple[str, object]]
_HEADER_BYTES = 32
"""Of struct nlmsghdr and struct ifinfomsg."""
AF_BRIDGE = 7
"""linux/socket.h"""


def link_attributes(attributes: Attributes) -> bytes:
    """Return the attributes of a message about a link."""
    message = _message_class()()
    message["attrs"] = list(attributes)
    message.encode()
    return bytes(message.data[_HEADER_BYTES:])


def nested(*attributes: tuple[str, object]) -> dict[str, object]:
    """Return attributes as the value of another one."""
    return {"attrs": list(attributes)}


@cache
def _message_class() -> Any:
    if "pyroute2" in sys.modules:
        return _import()
    spec = importlib.util.find_spec("pyroute2")
    if spec is None:
        raise Unsupported("rtnetlink needs the Python package pyroute2", hint="install pyroute2")
    try:
        return _alone(spec, light=True)
    except (ImportError, AttributeError):
        # Another pyroute2, whose class wants more of its configuration.
        return _alone(spec, light=False)


def _alone(spec: ModuleSpec, *, light: bool) -> Any:
    """Import the class below an empty package; ``light`` with a stand-in for its configuration,
    which asks for the platform and imports multiprocessing, and of which it needs three names."""
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


def _import() -> Any:
    return importlib.import_module("pyroute2.netlink.rtnl.ifinfmsg").ifinfmsg
