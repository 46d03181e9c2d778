"""What of traffic control this kernel has, found out without making anything.

Asking the kernel for something loads the module of it, and with ifb's come two interfaces: so
where the kernel's modules are listed, the lists answer.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from netctl.kernel import netlink
from netctl.kernel.links import Links
from netctl.kernel.netlink import NLA_F_NESTED, Message, attribute
from netctl.kernel.refusal import refused
from netctl.kernel.shaping import NEWQDISC, ROOT, header, kind_of
from netctl.kernel.sockets import Sockets

_NEWACTION = 48
_LOOPBACK = 1
"""Its index in every namespace."""
_HANDLE = 0x7FFE0000
_MODULES = {"tbf": "sch_tbf", "ifb": "ifb", "police": "act_police"}
_LISTS = ("modules.dep", "modules.builtin")


def find(sockets: Sockets) -> dict[str, bool]:
    """Return whether there are the queueing discipline tbf, links of kind ifb, and the action
    police."""
    directory = Path("/lib/modules", os.uname().release)
    if (directory / _LISTS[0]).exists():
        there = "".join(_content(directory / name) for name in _LISTS)
        return {name: f"/{module}.ko" in there for name, module in _MODULES.items()}
    return {
        "tbf": _known(sockets, NEWQDISC, header(_LOOPBACK, _HANDLE, ROOT) + kind_of("tbf")),
        "ifb": Links(sockets).has_kind("ifb"),
        "police": _known(sockets, _NEWACTION, bytes(4) + _action(b"police\0")),
    }


def _known(sockets: Sockets, type: int, body: bytes) -> bool:
    """Ask for something without saying how it is to be, which is refused after it was looked for:
    with ENOENT where the kernel does not know it."""
    with sockets.at("") as sock:
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        [answer] = sock.ask([Message(type, body, flags)])
    if answer and answer.errno == errno.EPERM:
        raise refused("look for traffic control", answer.errno, words=answer.words)
    return answer is not None and answer.errno != errno.ENOENT


def _action(name: bytes) -> bytes:
    first = attribute(1 | NLA_F_NESTED, attribute(1, name))
    return attribute(1 | NLA_F_NESTED, first)


def _content(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
