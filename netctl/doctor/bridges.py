"""Bridges and their ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from netctl.doctor.finding import Finding, problem, warning
from netctl.doctor.machine import Machine
from netctl.kernel import Link
from netctl.models import Network
from netctl.names import alias_of

_PORTS = 1023
"""BR_MAX_PORTS - 1: port 0 is none (net/bridge/br_private.h)."""
_MANY = 950


def bridges(machine: Machine) -> Iterator[Finding]:
    """Each network's bridge: there, ours, up, a port of nobody, and with its addresses."""
    for network in machine.networks:
        name = network.facts["bridge"]
        link = machine.found.link("", name)
        if link is None:
            yield problem(
                "bridge-missing",
                f"the bridge of network {network.name} is gone: its endpoints reach nothing",
                f"ip link show {name}: no such interface",
                *(() if network.facts["made"] == "true" else (_made_again(name),)),
                "netctl repair",
            )
        elif _foreign(network, link):
            yield problem(
                "bridge-foreign",
                f"another interface stands in the place of the bridge of network {network.name}",
                f"ip link show {name}: {link.type or 'no bridge'}, alias {link.alias!r}",
                f"ip link delete {name}  # or rename it",
                "netctl repair",
            )
        else:
            yield from _state(network, link, machine)


def _made_again(bridge: str) -> str:
    return f"ip link add {bridge} type bridge && ip link set {bridge} up  # and its addresses"


def _foreign(network: Network, link: Link) -> bool:
    made = network.facts["made"] == "true"
    return link.type != "bridge" or (made and link.alias != alias_of("network", network.id))


def _state(network: Network, link: Link, machine: Machine) -> Iterator[Finding]:
    if not link.up:
        yield problem(
            "bridge-down",
            f"the bridge of network {network.name} is down: nothing passes it",
            f"ip link show {link.name}: state DOWN",
            f"ip link set {link.name} up",
            "netctl repair",
        )
    if master := machine.found.master_of(link):
        yield problem(
            "bridge-enslaved",
            f"somebody made the bridge of network {network.name} a part of {master}: its packets"
            " take other ways",
            f"ip link show {link.name}: master {master}",
            f"ip link set {link.name} nomaster",
        )
    there = {
        a.address.partition("/")[0] for a in machine.found.addresses("") if a.link == link.name
    }
    for wanted in network.facts["addresses"].split():
        if wanted.partition("/")[0] not in there:
            yield problem(
                "gateway-missing",
                f"the bridge of network {network.name} lost its address {wanted}: endpoints have no"
                " way out and no host",
                f"ip address show {link.name}: {', '.join(sorted(there)) or 'no address'}",
                "netctl repair",
            )


def ports(machine: Machine) -> Iterator[Finding]:
    """The endpoints' interfaces on the host: there, in their bridge, up, and isolated or not."""
    for network, endpoint, place in machine.joined:
        if not place.host_ifname:
            continue
        name, title = place.host_ifname, f"endpoint {network.name}/{endpoint.name}"
        link = machine.found.link("", name)
        if link is None:
            yield problem(
                "port-missing",
                f"the interface of {title} is gone: it is cut off",
                f"ip link show {name}: no such interface",
                "netctl repair",
            )
            continue
        master, bridge = machine.found.master_of(link), network.facts["bridge"]
        if master != bridge:
            yield problem(
                "port-detached",
                f"the interface of {title} is not in the bridge of its network: it is cut off",
                f"ip link show {name}: {f'master {master}' if master else 'no master'},"
                f" not {bridge}",
                f"ip link set {name} master {bridge}",
            )
        elif not link.up:
            yield problem(
                "port-down",
                f"the interface of {title} is down: it is cut off",
                f"ip link show {name}: state DOWN",
                f"ip link set {name} up",
            )
        elif link.carrier and link.state not in ("", "forwarding"):
            yield problem(
                "port-blocked",
                f"the bridge passes nothing from or to {title}: its port does not forward, as while"
                " a spanning tree is found",
                f"bridge link show dev {name}: state {link.state}",
                f"ip link set {bridge} type bridge stp_state 0",
                f"bridge link set dev {name} state 3",
            )
        elif link.isolated != (network.facts["icc"] != "true"):
            yield _isolation(title, link)


def _isolation(title: str, link: Link) -> Finding:
    if link.isolated:
        return problem(
            "port-isolated",
            f"{title} does not reach other isolated ports of its network: somebody isolated it",
            f"bridge -d link show dev {link.name}: isolated on",
            f"bridge link set dev {link.name} isolated off",
        )
    return warning(
        "port-not-isolated",
        f"{title} reaches others of its network, which forbids that: it is not isolated any more",
        f"bridge -d link show dev {link.name}: isolated off",
        f"bridge link set dev {link.name} isolated on",
    )


def full(machine: Machine) -> Iterator[Finding]:
    """Bridges that take no more ports."""
    links = machine.found.links("").values()
    counts = Counter(link.master for link in links if link.master)
    for network in machine.networks:
        link = machine.found.link("", network.facts["bridge"])
        count = counts[link.index] if link else 0
        if count >= _MANY:
            say = problem if count >= _PORTS else warning
            yield say(
                "bridge-full",
                f"the bridge of network {network.name} has {count} ports, of at most {_PORTS}",
                f"{count} interfaces with master {network.facts['bridge']}",
                "netctl network create NAME  # for further endpoints",
            )


def sizes(machine: Machine) -> Iterator[Finding]:
    """The largest packets along the path: what is larger than the smallest link is lost, silently
    within a bridge."""
    for network in machine.networks:
        wanted = int(network.facts["mtu"])
        bridge = machine.found.link("", network.facts["bridge"])
        if bridge and bridge.mtu < wanted:
            yield _smaller(f"the bridge of network {network.name}", bridge, wanted, "")
        yield from _uplink(network, wanted, machine)
    for network, endpoint, place in machine.joined:
        title = f"endpoint {network.name}/{endpoint.name}"
        for netns, name in (("", place.host_ifname), (place.netns, place.ifname)):
            link = machine.found.link(netns, name) if name else None
            if link and link.mtu != place.mtu:
                yield _smaller(f"an interface of {title}", link, place.mtu, netns)


def _smaller(title: str, link: Link, wanted: int, netns: str) -> Finding:
    where = f" in {netns}" if netns else ""
    return problem(
        "mtu-mismatch",
        f"{title} takes other packets than its network: large ones are lost without a word",
        f"mtu {link.mtu} of {link.name}{where}, network {wanted}",
        "netctl repair",
    )


def _uplink(network: Network, wanted: int, machine: Machine) -> Iterator[Finding]:
    if network.internal:
        return
    for version in (4, 6):
        way = machine.uplink(version) if network.routed_pool(version) else None
        link = machine.found.link("", way.link) if way and way.link else None
        if link and link.mtu < wanted:
            yield warning(
                "mtu-too-large",
                f"network {network.name} has larger packets than the way to the outside: where a"
                " firewall keeps back ICMP, large transfers hang",
                f"mtu {link.mtu} of {link.name}, network {wanted}",
                f"netctl network create NAME -o driver.mtu={link.mtu}  # in its place",
            )
            return
