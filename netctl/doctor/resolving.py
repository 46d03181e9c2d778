"""The resolv.conf of sandboxes beside the host's."""

from __future__ import annotations

from collections.abc import Iterator

from netctl.doctor.finding import Finding, note
from netctl.doctor.machine import Machine
from netctl.models import ResolvConf, Sandbox, SandboxKind
from netctl.resolv import choose

_PARTS = ("search", "options", "others")
"""What a sandbox's file has of the host's; with the resolver in it, its servers are followed."""


def outdated(machine: Machine) -> Iterator[Finding]:
    """Sandboxes whose resolv.conf was made of one that the host has no more."""
    for room in machine.rooms:
        sandbox = room.sandbox
        if not room.alive or sandbox.type is SandboxKind.HOST or sandbox.origin_resolv_conf_path:
            continue
        now = choose(sandbox, machine.config, machine.kernel)
        if differing := [part for part in _parts(sandbox) if _differs(part, sandbox.resolv, now)]:
            yield note(
                "resolv-conf-outdated",
                f"the host's resolv.conf has changed since that of sandbox {sandbox.name} was made",
                "; ".join(_shown(sandbox.resolv, now, part) for part in differing),
                f"netctl sandbox refresh {sandbox.name}  # recreates its interfaces too",
            )


def _parts(sandbox: Sandbox) -> tuple[str, ...]:
    return _PARTS if sandbox.served else (*_PARTS, "servers")


def _differs(part: str, before: ResolvConf, now: ResolvConf) -> bool:
    return bool(getattr(before, part) != getattr(now, part))


def _shown(before: ResolvConf, now: ResolvConf, part: str) -> str:
    was, there = (" ".join(getattr(conf, part)) or "none" for conf in (before, now))
    return f"{part}: {was}, now {there}"
