"""Which rule of routing (``ip rule``) a packet was led by."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from netctl.kernel import Kernel
from netctl.kernel.lookup import PolicyRule, Way

MAIN = 254
"""The main table, by its number (/etc/iproute2/rt_tables)."""
_OURS = (253, MAIN, 255)
"""The tables that every host has: default, main, local."""
_BY_ROUTE = ("blackhole", "unreachable", "prohibit")
"""Refusals that may come of a route too; a rule that says unreachable looks as if there is none."""
FROM_HERE = "lo"


def blamed(
    kernel: Kernel, netns: str, way: Way, goal: str, source: str = "", iif: str = FROM_HERE
) -> PolicyRule | None:
    """Return the rule by which a packet was led or refused, None for the main table's doing."""
    led = None
    for rule in kernel.rules(6 if ":" in goal else 4, netns):
        if not _covers(rule, goal, source, iif):
            continue
        ours = rule.table in _OURS
        if way.kind == "unicast":
            if rule.table == way.table and not ours:
                return rule
        elif rule.refuses:
            return rule
        elif rule.table == MAIN:
            return None if _dead_end(kernel, netns, goal) else led
        elif not ours and way.kind in _BY_ROUTE:
            led = led or rule
    return led


def _covers(rule: PolicyRule, goal: str, source: str, iif: str) -> bool:
    """Whether a rule is for a packet without a mark, of no certain user or port."""
    described = (
        not rule.special
        and (not rule.destination or within(goal, rule.destination))
        and (not rule.source or (bool(source) and within(source, rule.source)))
        and rule.iif in ("", iif)
    )
    return described != rule.inverted


def within(address: str, subnet: str) -> bool:
    """Whether a subnet (CIDR) has an address; none of the other family has it."""
    return ip_address(address) in ip_network(subnet, strict=False)


def _dead_end(kernel: Kernel, netns: str, goal: str) -> bool:
    return any(within(goal, route.destination) for route in kernel.dead_ends(netns))
