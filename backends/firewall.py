"""The firewall: one table of our own, ``inet netctl``, for both families.

Verdicts hang on sets of interface names, so neither a packet nor a change costs more with more
networks. Each operation is one transaction that first puts the table's frame back, which makes
it work after somebody else's ``nft flush ruleset`` too. The chains ``user-pre`` and ``user-post``
belong to the operator: nothing here flushes or removes them while they hold a rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from netctl.models import HostState, Network
from netctl.steps import Nft

TABLE = "inet netctl"
USER_CHAINS = (f"{TABLE} user-pre", f"{TABLE} user-post")

OBJECTS = f"""\
add table {TABLE}
add set {TABLE} networks {{ type ifname; }}
add set {TABLE} internal {{ type ifname; }}
add set {TABLE} uplinks {{ type ifname; }}
add set {TABLE} same-bridge {{ type ifname . ifname; }}
add set {TABLE} hairpin {{ type ifname . ifname; }}
add set {TABLE} masquerade4 {{ type ifname; }}
add set {TABLE} masquerade6 {{ type ifname; }}
add map {TABLE} snat4 {{ type ifname : ipv4_addr; }}
add map {TABLE} snat6 {{ type ifname : ipv6_addr; }}
add set {TABLE} self4 {{ type ipv4_addr . ipv4_addr; }}
add set {TABLE} self6 {{ type ipv6_addr . ipv6_addr; }}
"""

# A drop is final in every table, an accept only in its own. Established traffic comes first; a
# new connection enters a network's bridge only from that bridge; `uplinks` is filled when netctl
# had to turn forwarding on, so that the host does not become a router between its own interfaces.
RULES = f"""\
add chain {TABLE} user-pre
add chain {TABLE} user-post
add chain {TABLE} forward {{ type filter hook forward priority filter; policy accept; }}
add chain {TABLE} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
add chain {TABLE} loopback {{ type filter hook prerouting priority raw; policy accept; }}
flush chain {TABLE} forward
flush chain {TABLE} postrouting
flush chain {TABLE} loopback
add rule {TABLE} loopback iifname @networks ip daddr 127.0.0.0/8 drop
add rule {TABLE} loopback iifname @networks ip saddr 127.0.0.0/8 drop
add rule {TABLE} forward jump user-pre
add rule {TABLE} forward ct state established,related accept
add rule {TABLE} forward iifname . oifname @same-bridge accept
add rule {TABLE} forward iifname @internal drop
add rule {TABLE} forward oifname @networks ct status dnat accept
add rule {TABLE} forward oifname @networks drop
add rule {TABLE} forward jump user-post
add rule {TABLE} forward iifname @uplinks oifname @uplinks drop
add rule {TABLE} postrouting ip saddr . ip daddr @self4 masquerade
add rule {TABLE} postrouting ip6 saddr . ip6 daddr @self6 masquerade
add rule {TABLE} postrouting iifname . oifname @hairpin ct status dnat masquerade
add rule {TABLE} postrouting oifname @networks ip saddr 127.0.0.0/8 masquerade
add rule {TABLE} postrouting oifname @networks ct status dnat accept
add rule {TABLE} postrouting iifname . oifname @same-bridge accept
add rule {TABLE} postrouting meta nfproto ipv4 snat ip to iifname map @snat4
add rule {TABLE} postrouting meta nfproto ipv6 snat ip6 to iifname map @snat6
add rule {TABLE} postrouting meta nfproto ipv4 iifname @masquerade4 masquerade
add rule {TABLE} postrouting meta nfproto ipv6 iifname @masquerade6 masquerade
"""

# Adding first makes the removal succeed where the table is missing.
GONE = f"{OBJECTS}delete table {TABLE}\n"


def plan(network: Network, before: HostState, after: HostState, *, alone: bool) -> Nft:
    """Return the transaction that lets a network in, and as its opposite the one that takes it out.

    ``before`` and ``after`` are the host's states without and with the network. ``alone`` means
    that nothing else needs the table: it goes with the network, unless a rule of the operator is
    in it then.
    """
    elements = [*elements_of(network), *uplinks_of(before, after)]
    # Adding first makes the removal succeed where an element, or the table, is missing.
    added, removed = added_text(elements), removed_text(elements)
    do, undo = OBJECTS + RULES + added, OBJECTS + added + removed
    if not alone:
        return Nft(do=do, undo=undo)
    return Nft(do=do, undo=GONE, undo_kept=undo, chains=USER_CHAINS)


def elements_of(network: Network) -> Iterable[tuple[str, str]]:
    bridge = quoted(network.facts["bridge"])
    yield "networks", bridge
    yield "hairpin", f"{bridge} . {bridge}"
    if network.internal:
        yield "internal", bridge
    if network.facts["icc"] == "true":
        yield "same-bridge", f"{bridge} . {bridge}"
    for version in (4, 6):
        if source := network.facts.get(f"snat{version}"):
            yield f"snat{version}", f"{bridge} : {source}"
        elif network.facts.get(f"masquerade{version}"):
            yield f"masquerade{version}", bridge


def added_text(elements: Iterable[tuple[str, str]]) -> str:
    return "".join(f"add element {TABLE} {name} {{ {item} }}\n" for name, item in elements)


def removed_text(elements: Iterable[tuple[str, str]]) -> str:
    return "".join(f"delete element {TABLE} {name} {{ {item} }}\n" for name, item in elements)


def uplinks_of(before: HostState, after: HostState) -> Iterable[tuple[str, str]]:
    return (("uplinks", quoted(name)) for name in after.uplinks if name not in before.uplinks)


def quoted(ifname: str) -> str:
    """Return an interface name as an nft string; interface names hold no quotes of ours.

    The kernel forbids only ``/``, ``:`` and white space, so a foreign name may hold a quote: such
    a name cannot be written in nft's syntax and is refused by ``forwarding`` before.
    """
    return f'"{ifname}"'
