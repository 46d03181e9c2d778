"""Packets to a network that the host sends another way: by a route of somebody else's, or by a rule
of routing (``ip rule``) that comes before the main table, as VPNs add them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address

from netctl.backends.foreign import OUTSIDE
from netctl.backends.ipam.allocate import bounds
from netctl.backends.ipam.surroundings import leads_outside
from netctl.backends.routing_rules import FROM_HERE, MAIN, blamed, within
from netctl.kernel import Kernel, Route
from netctl.kernel.lookup import PolicyRule, Way
from netctl.models import Network, Pool
from netctl.record import Record


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
    for asked, way, source, iif in _ways(network, pool.version, address, kernel):
        if way.kind == "local" or way.link == network.facts["bridge"]:
            continue
        rule = blamed(kernel, "", way, address, source, iif)
        # Of an answer a refusal may also be the doing of a filter, or of forwarding that is off.
        if not (rule or way.kind == "unicast" or iif == FROM_HERE):
            continue
        where = f"dev {way.link}" if way.link else way.kind
        evidence = f"{asked}: {where}, not dev {network.facts['bridge']}"
        if rule:
            return _by_rule(network, pool, rule, evidence)
        there = [r for r in kernel.all_routes("") if within(address, r.destination)]
        return _by_route(network, pool, way, evidence, there)
    return None


def _ways(
    network: Network, version: int, address: str, kernel: Kernel
) -> Iterator[tuple[str, Way, str, str]]:
    """Yield the host's way there, and that of an answer from the outside, each with the packet's
    source and the interface that it comes by."""
    yield f"ip route get {address}", kernel.way("", address), "", FROM_HERE
    outside = OUTSIDE[version]
    uplink = "" if network.internal else kernel.way("", outside).link
    if uplink:
        asked = f"ip route get {address} from {outside} iif {uplink}"
        yield asked, kernel.way("", address, source=outside, iif=uplink), outside, uplink


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
    network: Network, pool: Pool, way: Way, evidence: str, there: Sequence[Route]
) -> Diversion:
    what = f"the host's packets to network {network.name} go another way"
    if not any(route.link == network.facts["bridge"] for route in there):
        return Diversion(
            what=f"{what}: the route of its bridge is missing",
            evidence=evidence,
            remedy=(_own_route(pool, network.facts["bridge"]),),
        )
    return Diversion(
        what=f"{what}: a route that was added later, as by a VPN, covers its subnet",
        evidence=evidence,
        remedy=tuple(map(deletion, _covering(way, there))),
    )


def _own_route(pool: Pool, bridge: str) -> str:
    """Return the line that adds the route which the kernel made with the gateway's address."""
    if pool.version == 6:
        return f"ip -6 route add {pool.subnet} dev {bridge} proto kernel metric 256"
    return f"ip route add {pool.subnet} dev {bridge} proto kernel scope link src {pool.gateway}"


def _covering(way: Way, routes: Iterable[Route]) -> list[Route]:
    """Return the route of the main table by which a packet was led, if it may be deleted: the host
    needs its default route."""
    if way.table not in (0, MAIN):
        return []
    able = (route for route in routes if route.link == way.link and not leads_outside(route))
    return sorted(able, key=_precedence)[-1:]


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
