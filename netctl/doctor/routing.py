"""The host as a router: forwarding, the way out, what is believed of a source."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from netctl.astray import astray
from netctl.backends.foreign import OUTSIDE
from netctl.backends.forwarding import SYSCTLS
from netctl.doctor import apart, ruled
from netctl.doctor.finding import Finding, note, problem, warning
from netctl.doctor.machine import Machine
from netctl.gateway import Member, ways_out
from netctl.rooms import Room
from netctl.steps.base import ip

_CONF = {4: "net/ipv4/conf", 6: "net/ipv6/conf"}
_STRICT = 1
_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def forwarding(machine: Machine) -> Iterator[Finding]:
    """Forwarding, of the host and of each interface that our packets come in by."""
    for version, key in SYSCTLS.items():
        needing = [n for n in machine.leading_out if n.routed_pool(version)]
        if not needing:
            continue
        if machine.sysctl(key) == "0":
            names = ", ".join(network.name for network in needing)
            dotted = key.replace("/", ".")
            yield problem(
                "forwarding-off",
                f"the host forwards no IPv{version} packets: networks ({names}) reach nothing"
                " outside, and no published port is reached from there",
                f"{dotted} = 0",
                f"sysctl -w {dotted}=1",
            )
            continue
        links = {network.facts["bridge"] for network in needing} | {machine.uplink(version).link}
        for link in sorted(filter(None, links)) if version == 4 else ():
            if machine.sysctl(f"{_CONF[4]}/{link}/forwarding") == "0":
                dotted = f"net.ipv4.conf.{link}.forwarding"
                yield problem(
                    "forwarding-off",
                    f"the host forwards no IPv4 packets that come in by {link}",
                    f"{dotted} = 0",
                    f"sysctl -w {dotted}=1",
                )


def way_out(machine: Machine) -> Iterator[Finding]:
    """The host's own way to the outside."""
    for version in (4, 6):
        needing = [n for n in machine.leading_out if n.routed_pool(version)]
        if not needing:
            continue
        way = machine.uplink(version)
        if ruled.refuses_all(machine, version):
            continue  # Another check names the rule.
        if way.kind != "unicast":
            # Networks have IPv6 of their own on hosts that have none.
            say = problem if version == 4 else note
            yield say(
                "no-way-out",
                f"the host itself has no IPv{version} route to the outside, so its networks have"
                " none either",
                f"ip -{version} route show default: nothing; a look-up says {way.kind}",
                f"ip -{version} route add default via GATEWAY dev {_uplink(machine)}",
            )
            continue
        link = machine.found.link("", way.link)
        if link and not (link.up and link.carrier):
            state = "no carrier" if link.up else "down"
            yield problem(
                "uplink-down",
                f"the host's way to the outside leads through {link.name}, which is {state}",
                f"ip link show {link.name}: {state}",
                f"ip link set {link.name} up" if not link.up else f"ethtool {link.name}",
            )


def _uplink(machine: Machine) -> str:
    """Return the interface that had the host's addresses when its first network came."""
    addressed = {item.link for item in machine.found.addresses("")}
    others = addressed - {"lo", *(network.facts["bridge"] for network in machine.networks)}
    known = [name for name in machine.host.uplinks if name in others]
    return known[0] if len(known) == 1 else "INTERFACE"


def advertisements(machine: Machine) -> Iterator[Finding]:
    """Routers' advertisements, which a host that forwards does not heed by default."""
    if not any(n.routed_pool(6) for n in machine.leading_out):
        return
    defaults = [r for r in (machine.found.routes("") or ()) if r.destination == _DEFAULT[6]]
    for route in defaults:
        key = f"{_CONF[6]}/{route.link}/accept_ra"
        # A gateway by its link-local address is what an advertisement brings.
        learned = route.gateway.startswith("fe80:")
        if learned and machine.sysctl(key) == "1" and machine.sysctl(SYSCTLS[6]) == "1":
            dotted = f"net.ipv6.conf.{route.link}.accept_ra"
            yield warning(
                "accept-ra",
                f"the host forwards IPv6 and so heeds no router's advertisement on {route.link}:"
                " its default route goes when it expires",
                f"{dotted} = 1; default via {route.gateway} dev {route.link}",
                f"sysctl -w {dotted}=2",
            )
    yield from _unheard(machine) if not defaults else ()


def _unheard(machine: Machine) -> Iterator[Finding]:
    """Yield that the uplink takes no route from a router, as when netctl came first at boot."""
    link = machine.uplink(4).link
    ignored = link and machine.sysctl(f"{_CONF[6]}/{link}/accept_ra") == "1"
    if ignored and machine.sysctl(SYSCTLS[6]) == "1":
        dotted = f"net.ipv6.conf.{link}.accept_ra"
        yield note(
            "accept-ra",
            f"the host forwards IPv6 and so heeds no router's advertisement on {link}: it has no"
            " IPv6 default route, even if a router advertises one there",
            f"{dotted} = 1; ip -6 route show default: nothing",
            f"sysctl -w {dotted}=2",
        )


def reverse_path(machine: Machine) -> Iterator[Finding]:
    """Strict reverse path filters on interfaces that the default route does not lead out by:
    whoever comes in there from elsewhere is not believed."""
    way = machine.uplink(4)
    ours = {network.facts["bridge"] for network in machine.networks}
    outward = {r.link for r in (machine.found.routes("") or ()) if r.destination == _DEFAULT[4]}
    if way.kind != "unicast" or not machine.published:
        return
    addressed = {a.link for a in machine.found.addresses("") if ":" not in a.address}
    for name in sorted(addressed - ours - outward - {"lo"}):
        link = machine.found.link("", name)
        if link and link.up and not link.master and _filter(machine, name) == _STRICT:
            yield warning(
                "rp-filter",
                f"connections from beyond {name} to published ports are dropped: answers would"
                f" leave by {way.link}, and the filter there is strict",
                f"net.ipv4.conf.{name}.rp_filter = 1 (or of all); default route dev {way.link}",
                f"sysctl -w net.ipv4.conf.{name}.rp_filter=2",
            )


def answers(machine: Machine) -> Iterator[Finding]:
    """Default routes in sandboxes that are somebody else's, and take the answers of ports."""
    yield from apart.of_rooms(machine, "the routes", partial(_answers_of, machine))


def _answers_of(machine: Machine, room: Room) -> Iterator[Finding]:
    ways = ways_out(room.members)
    for item in room.members:
        for found in astray(room, item, ways.get(item.endpoint.id, ())):
            netns, place = room.sandbox.netns, item.attachment
            outside = OUTSIDE[found.version]
            way = machine.kernel.way(netns, outside, source=found.address)
            # Without any the comparison misses one of ours.
            if place.boot_id == machine.boot_id and way.link != place.ifname and way.kind != "none":
                via = f"via {way.gateway} dev {way.link}" if way.link else way.kind
                yield warning(
                    "answers-astray",
                    found.what,
                    f"ip route get {outside} from {found.address} in {netns}: {via}",
                    *found.remedy,
                )


def gateways(machine: Machine) -> Iterator[Finding]:
    """Gateways of sandboxes that are not the network's: what a neighbour advertised, or told by a
    redirect, or a route of somebody in the sandbox."""
    yield from apart.of_rooms(machine, "the gateways", partial(_gateways_of, machine))


def _gateways_of(machine: Machine, room: Room) -> Iterator[Finding]:
    ways = ways_out(room.members)
    for item in room.members:
        for version in ways.get(item.endpoint.id, ()):
            yield from _another_gateway(machine, room.sandbox.netns, item, version)


def _another_gateway(machine: Machine, netns: str, item: Member, version: int) -> Iterator[Finding]:
    link, own = item.attachment.ifname, item.gateways[version]
    way = machine.kernel.way(netns, OUTSIDE[version])
    if way.link != link or way.gateway in ("", own):
        return
    tool = f"{ip(netns)} -{version} route"
    # Of too many to be read one is the way that was looked up.
    routes = machine.found.routes(netns)
    there = routes is None or any(
        (r.destination, r.gateway) == (_DEFAULT[version], way.gateway) for r in routes
    )
    yield warning(
        "gateway-foreign",
        f"endpoint {item.network.name}/{item.endpoint.name} sends its packets to the outside"
        f" through {way.gateway}, which is not the gateway of its network",
        f"ip -{version} route get {OUTSIDE[version]} in {netns}: via {way.gateway} dev {link};"
        f" the network's is {own}",
        f"{tool} del default via {way.gateway} dev {link}" if there else f"{tool} flush cache",
    )


def _filter(machine: Machine, link: str) -> int:
    """Return the reverse path filter in effect, which is the larger of two."""
    values = (machine.sysctl(f"{_CONF[4]}/{name}/rp_filter") for name in ("all", link))
    return max(int(value or 0) for value in values)


def ipv6_switched_off(machine: Machine) -> Iterator[Finding]:
    """IPv6 that a sysctl took from a bridge or a sandbox's interface."""
    for network in machine.networks:
        bridge = network.facts["bridge"]
        if network.pool(6) and machine.sysctl(f"{_CONF[6]}/{bridge}/disable_ipv6") == "1":
            yield problem(
                "ipv6-disabled",
                f"IPv6 is switched off on the bridge of network {network.name}: it has no gateway",
                f"net.ipv6.conf.{bridge}.disable_ipv6 = 1",
                f"sysctl -w net.ipv6.conf.{bridge}.disable_ipv6=0",
                "netctl repair",
            )
    for network, endpoint, place in machine.intact:
        key = f"{_CONF[6]}/{place.ifname}/disable_ipv6"
        if endpoint.ipv6 and machine.sysctl(key, place.netns) == "1":
            yield problem(
                "ipv6-disabled",
                f"IPv6 is switched off on the interface of endpoint {network.name}/{endpoint.name}",
                f"net.ipv6.conf.{place.ifname}.disable_ipv6 = 1 in {place.netns}",
                "netctl repair",
            )
