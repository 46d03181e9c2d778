"""Bridges and their ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from netctl.backends import access
from netctl.doctor.finding import Finding, problem, warning
from netctl.doctor.machine import Machine
from netctl.kernel import Link
from netctl.models import Endpoint, Network
from netctl.names import alias_of
from netctl.record import replace

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
                *_lines(machine, name),
                on=name,
            )
        elif _foreign(network, link):
            yield problem(
                "bridge-foreign",
                f"another interface stands in the place of the bridge of network {network.name}",
                f"ip link show {name}: {link.type or 'no bridge'}, alias {link.alias!r}",
                *_lines(machine, name),
                on=name,
            )
        else:
            yield from _state(network, link, machine)


def _lines(machine: Machine, name: str) -> tuple[str, ...]:
    """Return the lines by which an interface of the host that is missing comes back."""
    gone = machine.gone.get(("", name))
    return (gone.lines if gone else ()) or ("netctl repair",)


def _foreign(network: Network, link: Link) -> bool:
    made = network.facts["made"] == "true"
    return link.type != "bridge" or (made and link.alias != alias_of("network", network.id))


def _state(network: Network, link: Link, machine: Machine) -> Iterator[Finding]:
    if not link.up:
        yield problem(
            "bridge-down",
            f"the bridge of network {network.name} is down: nothing passes it",
            f"ip link show {link.name}: state DOWN",
            # One of the operator's is not netctl's to set up.
            *(() if network.facts["made"] == "true" else (f"ip link set {link.name} up",)),
            "netctl repair",
            on=link.name,
        )
    if master := machine.found.master_of(link):
        yield problem(
            "bridge-enslaved",
            f"the bridge of network {network.name} is a port of {master}: its packets take other"
            " ways",
            f"ip link show {link.name}: master {master}",
            f"ip link set {link.name} nomaster",
            on=link.name,
        )
    if not link.up:
        return  # Its IPv6 addresses went with that.
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
                on=link.name,
            )


def ports(machine: Machine) -> Iterator[Finding]:
    """The endpoints' interfaces: there, in their bridge, up, and isolated or not."""
    for network, endpoint, place in machine.joined:
        if not place.host_ifname or machine.bridge(network) is None:
            continue
        title = f"endpoint {network.name}/{endpoint.name}"
        link = machine.found.link("", place.host_ifname)
        if link is None or ("", place.host_ifname) in machine.gone:
            yield _missing(title, place.host_ifname, link, machine)
        elif found := _port(title, link, network, endpoint, machine):
            yield replace(found, on=link.name)


def _missing(title: str, name: str, link: Link | None, machine: Machine) -> Finding:
    gone, lines = machine.gone.get(("", name)), _lines(machine, name)
    evidence = [] if link else [f"ip link show {name}: no such interface"]
    if gone and (link or not gone.repairable):
        evidence.append(f"{gone.difference.what}: {gone.difference.found}")
    what = f"the interface of {title} is gone: it is cut off"
    return problem("port-missing", what, "; ".join(evidence), *lines, on=name)


def _port(
    title: str, link: Link, network: Network, endpoint: Endpoint, machine: Machine
) -> Finding | None:
    """Return what is wrong with a port of a bridge that is up."""
    name, bridge, master = link.name, network.facts["bridge"], machine.found.master_of(link)
    if master != bridge:
        return problem(
            "port-detached",
            f"the interface of {title} is not in the bridge of its network: it is cut off",
            f"ip link show {name}: {f'master {master}' if master else 'no master'}, not {bridge}",
            # It lost its settings as a port, too.
            "netctl repair",
        )
    if not link.up:
        return problem(
            "port-down",
            f"the interface of {title} is down: it is cut off",
            f"ip link show {name}: state DOWN",
            "netctl repair",
        )
    if link.carrier and link.state not in ("", "forwarding"):
        return problem(
            "port-blocked",
            f"the bridge passes nothing from or to {title}: its port does not forward, as while"
            " a spanning tree is found",
            f"bridge link show dev {name}: state {link.state}",
            f"ip link set {bridge} type bridge stp_state 0",
            f"bridge link set dev {name} state 3",
        )
    if link.isolated != access.is_port_isolated(network, endpoint):
        return _isolation(title, link)
    return None


def _isolation(title: str, link: Link) -> Finding:
    if link.isolated:
        return problem(
            "port-isolated",
            f"{title} does not reach other isolated ports of its network: it was isolated",
            f"bridge -d link show dev {link.name}: isolated on",
            "netctl repair",
        )
    return warning(
        "port-not-isolated",
        f"{title} reaches others of its network, which forbids that: it is not isolated any more",
        f"bridge -d link show dev {link.name}: isolated off",
        "netctl repair",
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
                f"netctl network create {machine.free_name(f'{network.name}-2')}"
                "  # for further endpoints",
            )


def sizes(machine: Machine) -> Iterator[Finding]:
    """The largest packets along the path: what is larger than the smallest link is lost, silently
    within a bridge."""
    for network in machine.networks:
        wanted = int(network.facts["mtu"])
        bridge = machine.found.link("", network.facts["bridge"])
        if bridge and bridge.mtu < wanted and bridge.mtu not in _smallest(network, machine):
            yield _smaller(f"the bridge of network {network.name}", bridge, wanted, "")
        yield from _uplink(network, wanted, machine)
    for network, endpoint, place in machine.intact:
        title = f"endpoint {network.name}/{endpoint.name}"
        for netns, name in (("", place.host_ifname), (place.netns, place.ifname)):
            link = machine.found.link(netns, name) if name else None
            if link and link.mtu != place.mtu:
                yield _smaller(f"an interface of {title}", link, place.mtu, netns)


def _smallest(network: Network, machine: Machine) -> Iterator[int]:
    """Yield the MTU of each endpoint's port: the bridge's follows the smallest."""
    for other, _, place in machine.joined:
        link = machine.found.link("", place.host_ifname)
        if link and other.id == network.id:
            yield link.mtu


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
                f"netctl network create {machine.free_name(f'{network.name}-2')}"
                f" -o driver.mtu={link.mtu}  # in the place of {network.name}",
            )
            return
