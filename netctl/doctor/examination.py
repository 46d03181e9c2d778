"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netctl.doctor import (
    addressing,
    believed,
    bridges,
    firewalls,
    guarded,
    host,
    resolving,
    routing,
    ruled,
    services,
    state,
)
from netctl.doctor.finding import Finding, Severity, note, problem
from netctl.doctor.machine import Machine
from netctl.errors import NetctlError, StoreDamaged
from netctl.kernel.vitals import Vitals
from netctl.record import replace

if TYPE_CHECKING:
    from netctl.controller import Controller

Check = Callable[[Machine], Iterable[Finding]]

CHECKS: dict[str, Check] = {
    "privileges": host.privileges,
    "the state directory": state.directories,
    "the journal": state.unsettled,
    "boots": state.another_boot,
    "namespaces": state.sandboxes,
    "names in sandboxes": state.names,
    "resolv.conf of sandboxes": resolving.outdated,
    "the kernel's features": host.features,
    "libnftables": host.library,
    "our firewall rules": firewalls.our_table,
    "other firewalls": firewalls.foreign_drops,
    "legacy iptables": firewalls.legacy_rules,
    "others' NAT": firewalls.foreign_translations,
    "route_localnet": firewalls.loopback_source,
    "br_netfilter": firewalls.bridged,
    "isolated ports": firewalls.isolated_ports,
    "forwarding": routing.forwarding,
    "the guard": guarded.guarded,
    "the way out": routing.way_out,
    "router advertisements": routing.advertisements,
    "reverse path filters": routing.reverse_path,
    "answers of published ports": routing.answers,
    "gateways of sandboxes": routing.gateways,
    "IPv6": routing.ipv6_switched_off,
    "rules of routing": ruled.refused,
    "MAC addresses of neighbours": believed.forged,
    "bridges": bridges.bridges,
    "ports of bridges": bridges.ports,
    "numbers of ports": bridges.full,
    "sizes of packets": bridges.sizes,
    "routes to networks": addressing.led_elsewhere,
    "overlapping subnets": addressing.overlaps,
    "addresses": addressing.used_up,
    "address pools": addressing.no_subnet_left,
    "tracked connections": host.connections,
    "neighbours": host.neighbours,
    "other managers": host.managers,
    "listening processes": host.listeners,
    "servers of published ports": services.unheard,
    "addresses of published ports": host.lost_addresses,
    "name servers": host.name_servers,
    "the comparison with the store": state.differences,
}
"""What is looked at, and by which function."""

_ORDER = list(Severity)


def examine(
    controller: Controller, *, probe: bool = False, vitals: Vitals | None = None
) -> list[Finding]:
    """Return what is wrong with the machine, the worst first.

    Where something is, it is looked at again with the lock held, if that can be had: another netctl
    in the middle of its work looks like a fault. ``probe`` allows to ask the name servers.
    """
    found = _examined(Machine(controller, vitals, probe=probe))
    if any(finding.severity is Severity.PROBLEM for finding in found):
        with suppress(NetctlError), controller.store.locked("doctor") as writer:
            found = _examined(Machine(controller, vitals, reader=writer, probe=probe))
    return found


def _examined(machine: Machine) -> list[Finding]:
    """Carry out the checks; one that is not possible stops no other."""
    found: list[Finding] = []
    impossible: dict[str, tuple[NetctlError, list[str]]] = {}
    for name, check in CHECKS.items():
        try:
            found.extend(check(machine))
        except NetctlError as error:
            impossible.setdefault(error.command_message, (error, []))[1].append(name)
    found += [_impossible(error, names) for error, names in impossible.values()]
    return sorted(_once(found), key=lambda finding: _ORDER.index(finding.severity))


def _once(found: Sequence[Finding]) -> list[Finding]:
    """Return each finding once: what several checks say of one thing becomes one, and what the
    comparison with the store says is left out where another check has the same remedy."""
    merged: dict[tuple[str, str], Finding] = {}
    for each in found:
        other = merged.get((each.code, each.what))
        merged[each.code, each.what] = _both(other, each) if other else each
    others = {_commands(each) for each in merged.values() if each.code not in state.COMPARED}
    return [
        each
        for each in merged.values()
        if each.code not in state.COMPARED or _commands(each) not in others
    ]


def _both(one: Finding, other: Finding) -> Finding:
    evidence = dict.fromkeys((one.evidence, other.evidence))
    remedy = dict.fromkeys((*one.remedy, *other.remedy))
    return replace(one, evidence="; ".join(evidence), remedy=tuple(remedy))


def _commands(finding: Finding) -> tuple[str, ...]:
    return tuple(line.partition("  # ")[0] for line in finding.remedy)


def _impossible(error: NetctlError, names: list[str]) -> Finding:
    remedy = (f"# {error.command_hint}",) if error.command_hint else ()
    if isinstance(error, StoreDamaged):
        what = "netctl's documents cannot be read: no command that needs them works"
        return problem("store-damaged", what, error.command_message, *(error.lines or remedy))
    return note(
        "not-looked-at", f"could not look at {', '.join(names)}", error.command_message, *remedy
    )
