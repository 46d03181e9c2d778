"""Packets to a network that the host sends another way: by a route of somebody else's, or by a rule
of routing (``ip rule``) that comes before the main table, as VPNs add them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from netctl.backends.foreign import OUTSIDE
from netctl.backends.ipam.allocate import bounds
from netctl.kernel import Kernel, Route
from netctl.kernel.lookup import PolicyRule, Way
from netctl.models import Network, Pool
from netctl.record import Record

_DEFAULT_TABLE, _MAIN, _LOCAL = 253, 254, 255
_LED = ("unicast", "blackhole", "unreachable", "prohibit")
"""Kinds of a way that a rule can be the reason of."""


class Diversion(Record):
    """What sends a network's packets another way."""

    what: str
    evidence: str
    remedy: tuple[str, ...]


def first_address(pool: Pool) -> str:
    """Return the first address that an endpoint could get."""
    low, high = bounds(pool)
    return str(ip_address(low if str(ip_address(low)) != pool.gateway else min(low + 1, high)))


def find(network: Network, pool: Pool, address: str, kernel: Kernel) -> Diversion | None:
    """Return what diverts packets to ``address``, which is one of the pool, None for nothing.

    Packets of the host are looked at, and answers that come from the outside.
    """
    if ip_address(address).is_link_local:
        return None
    for asked, way in _ways(network, pool.version, address, kernel):
        rule = _rule(pool, way, kernel)
        # Of an answer a refusal may also be the doing of a filter, or of forwarding that is off.
        mine = way.kind == "local" or way.link == network.facts["bridge"]
        if mine or not (rule or way.kind == "unicast" or "iif" not in asked):
            continue
        where = f"dev {way.link}" if way.link else way.kind
        evidence = f"{asked}: {where}, not dev {network.facts['bridge']}"
        if rule:
            return _by_rule(network, pool, rule, evidence)
        return _by_route(network, pool, address, evidence, kernel)
    return None


def _ways(
    network: Network, version: int, address: str, kernel: Kernel
) -> Iterator[tuple[str, Way]]:
    """Yield the host's way there, and that of an answer from the outside."""
    yield f"ip route get {address}", kernel.way("", address)
    outside = OUTSIDE[version]
    uplink = "" if network.internal else kernel.way("", outside).link
    if uplink:
        asked = f"ip route get {address} from {outside} iif {uplink}"
        yield asked, kernel.way("", address, source=outside, iif=uplink)


def _rule(pool: Pool, way: Way, kernel: Kernel) -> PolicyRule | None:
    """Return the first rule that leads where a packet was led, None for the main table's doing."""
    if way.table in (_DEFAULT_TABLE, _MAIN, _LOCAL) or way.kind not in _LED:
        return None
    subnet = ip_network(pool.subnet)
    for rule in kernel.rules(pool.version):
        if rule.table == _MAIN and not rule.destination:
            return None
        covers = not rule.destination or ip_network(rule.destination, strict=False).overlaps(subnet)
        if covers and rule.table == way.table:
            return rule
    return None


def _by_rule(network: Network, pool: Pool, rule: PolicyRule, evidence: str) -> Diversion:
    family = "-6 " if pool.version == 6 else ""
    target = f"lookup {rule.table}" if rule.table else "a refusal"
    return Diversion(
        what=f"the host's packets to network {network.name} go another way: a rule of routing that"
        " comes before the main table, as of a VPN, takes them",
        evidence=f"{evidence}; ip {family}rule: {rule.preference}: {target}",
        remedy=(
            f"ip {family}rule add pref {max(rule.preference - 1, 0)} to {pool.subnet} lookup main",
        ),
    )


def _by_route(
    network: Network, pool: Pool, address: str, evidence: str, kernel: Kernel
) -> Diversion:
    covering = [
        route
        for route in kernel.all_routes("")
        if route.link != network.facts["bridge"]
        and ip_address(address) in ip_network(route.destination)
    ]
    best = max(covering, key=_precedence, default=None)
    return Diversion(
        what=f"the host's packets to network {network.name} go another way: a route that came"
        " later, as of a VPN, covers its subnet",
        evidence=evidence,
        remedy=(deletion(best),) if best else (),
    )


def _precedence(route: Route) -> tuple[int, int]:
    return int(route.destination.partition("/")[2]), -route.metric


def deletion(route: Route) -> str:
    """Return the line that takes a route of somebody else's away."""
    kind = "" if route.kind == "unicast" else f"{route.kind} "
    via = f" via {route.gateway}" if route.gateway else ""
    dev = f" dev {route.link}" if route.link else ""
    version = "-6 " if ":" in route.destination else ""
    return (
        f"ip {version}route delete {kind}{route.destination}{via}{dev} metric {route.metric}"
        "  # if nothing needs it; else give the network another subnet"
    )
