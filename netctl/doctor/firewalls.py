"""Our table, and what other firewalls do to our traffic."""

from __future__ import annotations

from collections.abc import Iterator

from netctl.backends import access, firewall, obstacles, publication, registry
from netctl.backends.evaluation import Evaluation, Packet, TooMany
from netctl.backends.foreign import FAMILIES
from netctl.backends.obstacles import BRIDGED, MANY, Obstacle
from netctl.doctor.finding import Finding, count, note, problem, warning
from netctl.doctor.machine import Machine, Published
from netctl.kernel.ruleset import Chain

_OUR_NAT = -100
"""Priority of our chains that translate (dstnat): at the same one, whoever came first is first."""
_LOST = {
    firewall.TABLE: "no NAT, no published port and no isolation",
    firewall.BRIDGE_TABLE: "endpoints that publish ports are not kept apart from others of their"
    " network (bridge.enable_icc=false)",
}
"""What is not there without a table."""
_PORTS = 64
"""Published ports that are followed through others' NAT."""


def foreign_drops(machine: Machine) -> Iterator[Finding]:
    """Whatever other tables drop of a network's traffic."""
    published = {item.network.id for item in machine.published}
    for network in machine.networks:
        found = obstacles.obstacles(
            [network],
            machine.kernel,
            machine.foreign,
            published=network.id in published,
            limit=MANY,
        )
        for obstacle in found:
            evidence = _evidence(obstacle, machine)
            say = warning if obstacle.partly else problem
            what, bridge = obstacle.sentence(), obstacle.bridge
            yield say("foreign-drop", what, evidence, *obstacle.remedy, on=bridge)


def _evidence(obstacle: Obstacle, machine: Machine) -> str:
    if obstacle.base.type == "legacy":
        tool = "iptables-legacy" if obstacle.base.family == "ip" else "ip6tables-legacy"
        return f"{tool} -S FORWARD: -P FORWARD DROP"
    if not obstacle.handle:
        return f"chain {obstacle.chain.place}: policy drop"
    text = machine.kernel.nft_text(obstacle.chain).get(obstacle.handle, "(nft cannot print it)")
    return f"chain {obstacle.chain.place}: {text} # handle {obstacle.handle}"


def legacy_rules(machine: Machine) -> Iterator[Finding]:
    """Rules of legacy iptables, which are not read."""
    for version, tool in ((4, "iptables-legacy"), (6, "ip6tables-legacy")):
        chain = machine.kernel.legacy_chain(version, "forward") if machine.networks else None
        if chain and not chain.empty and chain.policy == "accept":
            yield note(
                "legacy-rules",
                f"legacy iptables has rules for forwarded IPv{version} packets, which cannot be"
                " read here and may drop them",
                f"{tool} has rules in chain FORWARD",
                f"{tool} -S FORWARD  # shows them",
            )


def bridged(machine: Machine) -> Iterator[Finding]:
    """br_netfilter, which leads packets between endpoints of one bridge through the firewall."""
    for version, key in BRIDGED.items():
        if any(n.pool(version) for n in machine.networks) and machine.sysctl(key) == "1":
            dotted = key.replace("/", ".")
            yield note(
                "br-netfilter",
                f"IPv{version} packets between endpoints of one network pass the host's firewall,"
                " for br_netfilter is loaded: rules of others can drop them",
                f"{dotted} = 1",
                f"sysctl -w {dotted}=0  # unless another program relies on it",
            )


def isolated_ports(machine: Machine) -> Iterator[Finding]:
    """br_netfilter where the ports of a bridge are isolated: the bridge itself translates, and
    passes the packet on from port to port, which the isolation forbids."""
    inside = {item.network.id for item in machine.published}
    for network in machine.networks:
        closed = network.facts.get("icc") == "false" and network.id in inside
        closed = closed and not access.is_filtered(network)
        for version, key in BRIDGED.items():
            if closed and network.pool(version) and machine.sysctl(key) == "1":
                dotted = key.replace("/", ".")
                yield warning(
                    "icc-bridged",
                    f"published ports of network {network.name} are not reached from inside of it"
                    f" (IPv{version}): br_netfilter is loaded, and its endpoints are isolated",
                    f"{dotted} = 1, bridge.enable_icc=false",
                    f"sysctl -w {dotted}=0  # unless another program relies on it",
                )


def our_table(machine: Machine) -> Iterator[Finding]:
    """Our own table: missing, or not as the documents say."""
    if not machine.networks:
        return
    places = {f"{chain.family} {chain.table}" for chain in machine.kernel.nft_chains()}
    missing = [table for table in firewall.tables(machine.networks) if table not in places]
    if missing:
        yield problem(
            "table-missing",
            f"netctl's firewall rules are gone: {_LOST[missing[0]]}",
            f"nft list table {missing[0]}: no such table",
            "netctl repair",
        )
        return
    from netctl.upkeep.check import firewall_findings

    found = list(firewall_findings(machine.reader, machine.controller))
    if found:
        first = found[0].difference
        yield problem(
            "table-changed",
            f"netctl's firewall rules are not as it made them ({count(len(found), 'difference')})",
            f"{first.what}: expected {first.expected}, found {first.found}",
            "netctl repair",
        )


def loopback_source(machine: Machine) -> Iterator[Finding]:
    """``route_localnet`` of bridges, without which 127.0.0.1 does not lead into a sandbox."""
    leading = {p.network.id for p in machine.published if publication.is_on_loopback(p.port)}
    for network in (network for network in machine.networks if network.id in leading):
        for key in registry.load(network.driver).settings(network):
            if machine.sysctl(key) != "0":
                continue
            dotted = key.replace("/", ".")
            yield problem(
                "localnet-lost",
                f"ports of network {network.name} cannot be reached by the host's 127.0.0.1:"
                " route_localnet was switched off",
                f"{dotted} = 0",
                "netctl repair",
            )


def foreign_translations(machine: Machine) -> Iterator[Finding]:
    """Others that translate a published port before we do."""
    chains = [
        chain
        for chain in machine.foreign.chains
        if chain.type == "nat" and chain.hook == "prerouting" and chain.priority <= _OUR_NAT
    ]
    evaluation = Evaluation(machine.kernel, machine.foreign.chains, limit=MANY)
    for item in machine.published[:_PORTS] if chains else ():
        for chain in chains:
            yield from _translated(item, chain, evaluation, machine)


def _translated(
    item: Published, chain: Chain, evaluation: Evaluation, machine: Machine
) -> Iterator[Finding]:
    port = item.port
    for version in FAMILIES[chain.family]:
        link = machine.uplink(version).link
        if not port.on(version) or not port.host_ports:
            continue
        everywhere = port.host_ip in ("", "0.0.0.0", "::")
        packet = Packet(
            version=version,
            iif=link,
            destination=_address_of(machine, link, version) if everywhere else port.host_ip,
            protocol=port.protocol,
            port=port.host_ports[0],
            local=True,
        )
        try:
            outcome = evaluation.outcome(chain, packet)
        except TooMany:
            continue
        if outcome.word in ("dnat", "redirect"):
            number = f"{port.host_ports[0]}/{port.protocol}"
            text = machine.kernel.nft_text(outcome.chain).get(outcome.handle, "?")
            yield problem(
                "foreign-dnat",
                f"port {number}, published by {item.name}, is translated by another rule first:"
                " it does not reach its sandbox",
                f"chain {outcome.chain.place}: {text} # handle {outcome.handle}",
                f"nft delete rule {outcome.chain.place} handle {outcome.handle}",
            )
            return


def _address_of(machine: Machine, link: str, version: int) -> str:
    """Return an address of an interface, ``""`` where it has none of that family."""
    addresses = (a.address.partition("/")[0] for a in machine.found.addresses("") if a.link == link)
    return next((a for a in sorted(addresses) if (":" in a) == (version == 6)), "")
