"""Routes and rules of routing that are not netctl's, and the lines that take them away."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_network

from netctl.backends import diversion
from netctl.backends.foreign import OUTSIDE
from netctl.backends.routing_rules import blamed, within
from netctl.doctor import apart
from netctl.doctor.finding import Finding, problem
from netctl.doctor.machine import Machine
from netctl.errors import KernelError
from netctl.gateway import ways_out
from netctl.kernel import Kernel
from netctl.kernel.lookup import PolicyRule, Way
from netctl.rooms import Room
from netctl.steps.base import ip


def deletion(rule: PolicyRule, netns: str, goal: str) -> str:
    """Return the line that takes a rule away."""
    return f"{ip(netns)}{' -6' if ':' in goal else ''} rule delete pref {rule.preference}"


def mended(kernel: Kernel, netns: str, way: Way, goal: str, source: str = "") -> Iterator[str]:
    """Yield the lines that take away what leads a sandbox's packet, if it is not netctl's, and
    bring back netctl's; where it holds too many routes to be read, the line that shows which."""
    try:
        yield from tuple(_mended(kernel, netns, way, goal, source))
    except KernelError as error:
        if error.errno != errno.EFBIG:
            raise
        yield f"{ip(netns)} route get fibmatch {goal}  # shows what leads there"
        yield "netctl repair"


def _mended(kernel: Kernel, netns: str, way: Way, goal: str, source: str) -> Iterator[str]:
    if rule := blamed(kernel, netns, way, goal, source):
        yield deletion(rule, netns, goal)
        return
    taken = [
        route
        for route in kernel.all_routes(netns)
        if within(goal, route.destination)
        and (
            (route.link, route.gateway) == (way.link, way.gateway)
            if way.kind == "unicast"
            else route.kind != "unicast"
        )
    ]
    if taken:
        best = max(taken, key=lambda route: ip_network(route.destination).prefixlen)
        yield diversion.deletion(best).replace("ip", ip(netns), 1).partition("  #")[0]
    yield "netctl repair"


def refused(machine: Machine) -> Iterator[Finding]:
    """Rules of routing that refuse packets to the outside: of the host, networks or sandboxes."""
    for version, outside in OUTSIDE.items():
        needing = [n for n in machine.leading_out if n.routed_pool(version)]
        if not needing:
            continue
        if own := refuses_all(machine, version):
            yield _finding(
                f"the host's IPv{version} packets, so those of its networks", own, "", outside
            )
            continue
        for network in needing:
            pool, bridge = network.routed_pool(version), machine.bridge(network)
            if pool and bridge:
                source = diversion.first_address(pool)
                way = machine.kernel.way("", outside, source=source, iif=bridge.name)
                rule = blamed(machine.kernel, "", way, outside, source, bridge.name)
                if rule and way.kind != "unicast":
                    whose = f"the IPv{version} packets of network {network.name}"
                    yield _finding(whose, rule, "", outside)
    yield from _inside(machine)


def refuses_all(machine: Machine, version: int) -> PolicyRule | None:
    """Return the rule that refuses whatever the host sends to the outside, None for none."""
    rule = blamed(machine.kernel, "", machine.uplink(version), OUTSIDE[version])
    return rule if rule and rule.refuses else None


def _inside(machine: Machine) -> Iterator[Finding]:
    yield from apart.of_rooms(machine, "the rules of routing", partial(_inside_of, machine))


def _inside_of(machine: Machine, room: Room) -> Iterator[Finding]:
    ways, netns = ways_out(room.members), room.sandbox.netns
    for version in sorted({v for found in ways.values() for v in found}) if netns else ():
        outside = OUTSIDE[version]
        way = machine.kernel.way(netns, outside)
        rule = None if way.kind == "unicast" else blamed(machine.kernel, netns, way, outside)
        if rule:
            whose = f"the IPv{version} packets of sandbox {room.sandbox.name}"
            yield _finding(whose, rule, netns, outside)


def _finding(whose: str, rule: PolicyRule, netns: str, goal: str) -> Finding:
    line = deletion(rule, netns, goal)
    target = "a refusal" if rule.refuses else f"lookup {rule.table}"
    return problem(
        "rule-refuses",
        f"a rule of routing that is not netctl's refuses {whose}, to the outside",
        f"{line.partition(' delete')[0]}: {rule.preference}: {target}",
        f"{line}  # if nothing needs it",
    )
