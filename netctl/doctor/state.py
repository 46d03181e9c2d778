"""The store and the sandboxes: another boot, dead processes, disk and rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netctl import origin
from netctl.doctor.finding import Finding, count, problem, warning
from netctl.doctor.machine import Machine
from netctl.kernel import NAMES_TABLE, Kernel
from netctl.models import Sandbox, SandboxKind
from netctl.rooms import Room

if TYPE_CHECKING:
    from netctl.upkeep.check import Finding as Drift

COMPARED = ("differs", "in-the-way")
"""The codes of the comparison with the store."""
_SPACE, _FILES = 16 << 20, 64
"""Bytes and files below which the disk is as good as full: a document takes a few kilobytes."""


def directories(machine: Machine) -> Iterator[Finding]:
    """The state directory: private, writable, with room."""
    path = machine.config.state_dir
    found = machine.vitals.filesystem(path)
    if found is None:
        return
    if found.mode & 0o077 or found.owner != os.geteuid():
        yield warning(
            "state-permissions",
            "others can read or change netctl's documents",
            f"{path}: mode {found.mode:04o}, owner {found.owner}",
            f"chown {os.geteuid()} {path} && chmod 700 {path}",
        )
    for place in (path, machine.config.run_dir):
        yield from _room(place, machine)


def _room(path: str, machine: Machine) -> Iterator[Finding]:
    found = machine.vitals.filesystem(path)
    if found is None:
        return
    if found.read_only:
        yield problem(
            "state-read-only",
            "nothing can be made or removed: netctl's directory is mounted read-only",
            f"{path}: read-only file system",
            f"mount -o remount,rw {path}  # after a look at dmesg",
        )
    elif found.free < _SPACE or (found.free_files or _FILES) < _FILES:
        yield problem(
            "disk-full",
            "nothing can be made or removed: the disk that netctl writes to is full, or nearly",
            f"{path}: {found.free >> 10} KiB and"
            f" {'any number of' if found.free_files is None else found.free_files} files free",
            f"df -h {path}; df -i {path}",
        )


def unsettled(machine: Machine) -> Iterator[Finding]:
    """An operation that a dead process left half done."""
    pending = machine.controller.store.pending()
    if pending and machine.kernel.file_read(f"/proc/{pending.pid}/comm") is None:
        yield problem(
            "unsettled",
            "a netctl that was killed left something half done, which the next command settles",
            f"'{pending.operation}', left by process {pending.pid}",
            "netctl repair",
        )


def another_boot(machine: Machine) -> Iterator[Finding]:
    """Networks that were made before the last boot, and were not made anew."""
    old = [n.name for n in machine.all_networks if n.facts and n.boot_id != machine.boot_id]
    if old:
        yield problem(
            "another-boot",
            f"{len(old)} networks are of an earlier boot: their bridges and rules are gone",
            f"networks {', '.join(old)}; this boot is {machine.boot_id}",
            "netctl restore",
            "netctl system install  # does it at every boot",
        )


def sandboxes(machine: Machine) -> Iterator[Finding]:
    """Sandboxes whose namespace is gone, or not theirs."""
    for room in machine.rooms:
        yield from of_sandbox(room, machine)


def of_sandbox(room: Room, machine: Machine) -> Iterator[Finding]:
    """Yield what is wrong with the namespace of one sandbox."""
    if room.alive:
        yield from _left(room.sandbox, machine)
    elif room.intruded:
        yield _replaced(room.sandbox, machine)
    else:
        yield _gone(room, machine)


def _left(sandbox: Sandbox, machine: Machine) -> Iterator[Finding]:
    if origin.is_left(sandbox, machine.kernel):
        yield problem(
            "sandbox-left",
            f"sandbox {sandbox.name} holds a namespace that was left: no process is in it, and"
            f" {sandbox.source} is another, or none",
            f"{sandbox.netns}: {sandbox.identity}",
            *_given_another(sandbox, machine.kernel),
        )


def _replaced(sandbox: Sandbox, machine: Machine) -> Finding:
    netns, name = sandbox.netns, sandbox.name
    lines: tuple[str, ...]
    if sandbox.type is not SandboxKind.EXTERNAL:
        lines = (
            f"ip netns delete {netns.rpartition('/')[2]}  # or rename it",
            f"netctl sandbox refresh {name}",
        )
    elif sandbox.pinned:
        lines = (f"netctl sandbox rm {name} --force",)
    else:
        lines = (f"netctl sandbox set-key {name} {netns}",)
    return problem(
        "sandbox-replaced",
        f"another namespace stands in the place of that of sandbox {name}",
        f"{netns}: {machine.found.identity(netns)}, not {sandbox.identity}",
        *lines,
    )


def _gone(room: Room, machine: Machine) -> Finding:
    sandbox = room.sandbox
    own = sandbox.type is SandboxKind.OWN
    before = sandbox.boot_id != machine.boot_id
    earlier = " since the last boot" if before else ""
    # The networks of an earlier boot come first, which restore does too.
    made_again = "netctl restore" if before else f"netctl sandbox refresh {sandbox.name}"
    return problem(
        "sandbox-gone",
        f"the namespace of sandbox {sandbox.name} is gone{earlier}, with"
        f" {count(len(room.members), 'endpoint')} in it",
        f"{sandbox.netns}: no namespace",
        *((made_again,) if own else _given_another(sandbox, machine.kernel)),
    )


def _given_another(sandbox: Sandbox, kernel: Kernel) -> tuple[str, ...]:
    """Return the line that gives a sandbox another namespace, where one is known, else the one that
    removes it."""
    move, _, remove = origin.remedy(sandbox, kernel).partition(", or: ")
    return (remove, f"# or, with another namespace's PATH: {move}") if remove else (move,)


def names(machine: Machine) -> Iterator[Finding]:
    """The resolver, and in each sandbox the way to it."""
    served = [room.sandbox for room in machine.rooms if room.alive and room.sandbox.served]
    run_dir = machine.config.run_dir
    if served and (found := machine.found.resolver(run_dir)) != "at work":
        yield problem(
            "resolver-gone",
            "the resolver is not at work: no sandbox resolves names",
            f"{run_dir}/resolver.sock: {found}",
            "netctl repair",
        )
        return
    for sandbox in served:
        loopback = machine.found.link(sandbox.netns, "lo")
        if loopback and not loopback.up:
            found = f"lo in {sandbox.netns}: state DOWN"
        elif not machine.found.led(sandbox.netns):
            found = f"{sandbox.netns}: no table {' '.join(NAMES_TABLE)}"
        else:
            continue
        what = f"sandbox {sandbox.name} resolves no names: what it asks does not reach the resolver"
        yield problem("names-cut-off", what, found, "netctl repair")


def differences(machine: Machine) -> Iterator[Finding]:
    """Whatever else is not as the documents say; it is told where no other check has the same
    remedy: see ``examination``."""
    from netctl.upkeep.check import lost_sandboxes

    known = {each.line for each in lost_sandboxes(machine.rooms) if not each.lost}
    found = [each for each in machine.drift if not each.because and each.line not in known]
    for each in found:
        if not each.repairable:
            yield problem(
                "in-the-way",
                f"{each.title} is not as netctl left it, and netctl repair leaves it as it is",
                _said(each),
                *(each.lines or (f"# {each.remedy}",)),
            )
    if found := [each for each in found if each.repairable]:
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        yield warning(
            "differs",
            f"the kernel is not as netctl left it in {count(len(found), 'point')}",
            "; ".join(map(_said, found[:3])) + more,
            "netctl repair  # netctl check lists them",
        )


def _said(each: Drift) -> str:
    return f"{each.title}: {each.difference.what} is {each.difference.found}"
