"""Interfaces that the guard of ``netctl.backends.guard`` may cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_interface

from netctl.backends.guard import covers
from netctl.doctor.configuring import added
from netctl.doctor.finding import Finding, note
from netctl.doctor.machine import Machine
from netctl.names import MARK

_KEY = "ip_forward_interfaces"
_USUAL = re.compile(r"[A-Za-z0-9_.-]+")
"""Names that need no care in YAML and in a shell."""


def guarded(machine: Machine) -> Iterator[Finding]:
    """Interfaces of another owner that came after netctl turned forwarding on. What made them, as
    docker or libvirt, finds forwarding on, and may rely on it."""
    names = sorted(_newcomers(machine)) if machine.host.forwarding else []
    if names:
        turned = ", ".join(f"{key.replace('/', '.')} = 1" for key in machine.host.forwarding)
        yield note(
            "guarded",
            f"nothing is forwarded between {', '.join(names)} and other interfaces that are not"
            " netctl's: netctl turned forwarding on for its own networks, before they came",
            f"{turned}; chain guard of table inet netctl",
            added(machine, _KEY, [f'"{name}"' for name in names]),
            "netctl reload",
        )


def _newcomers(machine: Machine) -> Iterator[str]:
    addressed = {
        item.link
        for item in machine.found.addresses("")
        if not ip_interface(item.address).is_link_local
    }
    ours = {network.facts["bridge"] for network in machine.networks}
    known = {"lo", *ours, *machine.host.uplinks, *(machine.uplink(v).link for v in (4, 6))}
    for link in machine.found.links("").values():
        mine = link.name in known or link.alias.startswith(MARK)
        spared = any(covers(each, link.name) for each in machine.config.ip_forward_interfaces)
        alone = link.up and not link.master and link.name in addressed
        if alone and not (mine or spared) and _USUAL.fullmatch(link.name):
            yield link.name
