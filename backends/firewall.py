"""The firewall: one table of our own, ``inet netctl``, for both families.

Verdicts hang on sets of interface names, so neither a packet nor a change costs more with more
networks. Each operation is one transaction that first puts the table's frame back, which makes
it work even while somebody runs ``nft flush ruleset``. The chains ``user-pre`` and ``user-post``
belong to the operator: nothing here flushes or removes them while they hold a rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from netctl.backends import access, guard
from netctl.kernel import Kernel
from netctl.kernel.ruleset import Chain
from netctl.models import HostState, Network, is_link_local
from netctl.steps.settings import Nft

TABLE = "inet netctl"
BRIDGE_TABLE = "bridge netctl"
"""The table of what bridges pass between their ports: see ``netctl.backends.apart``."""
TABLES = (TABLE, BRIDGE_TABLE)
ENDED = f"{TABLE} ended"
"""The sets of flows that ended with their port, but for the family's number; those of ports with
too many of them are named like them, with ``-ports``."""
_HOOKED = {
    TABLE: Chain(family="inet", table="netctl", name="forward"),
    BRIDGE_TABLE: Chain(family="bridge", table="netctl", name="forward"),
}
"""A chain of each that only the whole frame brings."""
USER_CHAINS = (f"{TABLE} user-pre", f"{TABLE} user-post")

# Chains that verdicts of maps lead to are there before the maps' elements.
OBJECTS = f"""\
add table {TABLE}
add chain {TABLE} apart
add chain {TABLE} open
add chain {TABLE} routed
add chain {TABLE} inner
add chain {TABLE} confined
{guard.objects(TABLE)}\
add set {TABLE} networks {{ type ifname; }}
add set {TABLE} internal {{ type ifname; }}
add map {TABLE} pairs {{ type ifname . ifname : verdict; }}
add set {TABLE} hairpin {{ type ifname . ifname; }}
""" + "".join(
    f"""\
add set {TABLE} masquerade{v} {{ type ifname; }}
add map {TABLE} snat{v} {{ type ifname : ipv{v}_addr; }}
add set {TABLE} self{v} {{ type ipv{v}_addr . ipv{v}_addr; }}
add map {TABLE} inward{v} {{ type ifname : verdict; }}
add map {TABLE} open{v} {{ type ipv{v}_addr : verdict; }}
add set {TABLE} guarded{v} {{ type ipv{v}_addr; }}
add set {TABLE} admitted{v} {{ type ifname . ipv{v}_addr; }}
add set {TABLE} isolated{v} {{ type ifname; }}
add set {TABLE} hidden{v} {{ type ifname; }}
add set {TABLE} ended{v} {{ type ipv{v}_addr . inet_proto . inet_service . ipv{v}_addr \
. inet_service; flags timeout; }}
add set {TABLE} ended-ports{v} {{ type ipv{v}_addr . inet_proto . inet_service; flags timeout; }}
"""
    for v in (4, 6)
)

# A drop is final in every table, an accept only in its own. Established traffic comes first; a
# new connection enters a network's bridge only from that bridge, unless its mode says more
# (`inward`). What is left has nothing to do with a network, and comes to the guard.
#
# A host answers on every interface for the addresses of all others. From an internal network only
# those of its bridge are reached, and a bridge's own (`guarded`) not from outside. What is sent to
# many (broadcast, multicast, anycast) reaches the host from an internal network only as far as
# neighbour discovery needs it. This is decided in the input hook, because with br_netfilter the
# packets between two endpoints pass the prerouting hook as well. A router's advertisement is left
# to accept_ra, which is off on our bridges: an operator's bridge may lead to the host's own router.
#
# A flow in the tables of connection tracking has no interface, so a packet of an internal network
# could pass as part of another network's flow: `confined` comes before established traffic.
#
# Connection tracking does not translate a packet that it calls invalid: it would leave a network
# whose endpoints are hidden with the endpoint's own address. `ended` holds the flows that ended
# with their published port. Connection tracking takes up a stream in the middle, so the server's
# next packet would begin such a flow again as one that the endpoint opens. Of thousands, as
# strangers can make them, `ended-ports` holds the port instead: no flow begins from it.
#
# The host would tell endpoints a shorter way (an ICMP redirect) to a neighbour to which it
# translates, past the translation. net.ipv4.conf.all can turn that on for all interfaces, and IPv6
# has no setting for it.
RULES = f"""\
add chain {TABLE} user-pre
add chain {TABLE} user-post
add chain {TABLE} forward {{ type filter hook forward priority filter; policy accept; }}
add chain {TABLE} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
add chain {TABLE} arriving {{ type filter hook prerouting priority raw; policy accept; }}
add chain {TABLE} receiving {{ type filter hook input priority filter; policy accept; }}
add chain {TABLE} sending {{ type filter hook output priority filter; policy accept; }}
flush chain {TABLE} inner
flush chain {TABLE} confined
flush chain {TABLE} receiving
flush chain {TABLE} sending
flush chain {TABLE} apart
flush chain {TABLE} open
flush chain {TABLE} routed
flush chain {TABLE} forward
flush chain {TABLE} postrouting
flush chain {TABLE} arriving
add rule {TABLE} arriving iifname @networks ip daddr 127.0.0.0/8 drop
add rule {TABLE} arriving iifname @networks ip saddr 127.0.0.0/8 drop
add rule {TABLE} arriving iifname @internal fib daddr type local fib daddr . iif type != local drop
add rule {TABLE} arriving iifname != "lo" iifname != @networks ip daddr @guarded4 \
iifname . ip daddr != @admitted4 drop
add rule {TABLE} arriving iifname != "lo" iifname != @networks ip6 daddr @guarded6 \
iifname . ip6 daddr != @admitted6 drop
add rule {TABLE} receiving iifname @internal jump inner
add rule {TABLE} inner meta nfproto ipv4 iifname @isolated4 drop
add rule {TABLE} inner meta nfproto ipv6 iifname @isolated6 drop
add rule {TABLE} inner icmp type redirect drop
add rule {TABLE} inner icmpv6 type {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} \
return
add rule {TABLE} inner icmpv6 type nd-redirect drop
add rule {TABLE} inner fib daddr . iif type != local drop
add rule {TABLE} sending meta nfproto ipv4 oifname @isolated4 drop
add rule {TABLE} sending meta nfproto ipv6 oifname @isolated6 drop
add rule {TABLE} sending icmp type redirect oifname @networks drop
add rule {TABLE} sending icmpv6 type nd-redirect oifname @networks drop
add rule {TABLE} forward jump user-pre
add rule {TABLE} forward iifname @internal goto confined
add rule {TABLE} confined iifname . oifname vmap @pairs
add rule {TABLE} confined drop
add rule {TABLE} forward ct state established,related accept
add rule {TABLE} forward iifname . oifname vmap @pairs
add rule {TABLE} forward meta nfproto ipv4 ct state invalid iifname @hidden4 oifname != @networks \
drop
add rule {TABLE} forward meta nfproto ipv6 ct state invalid iifname @hidden6 oifname != @networks \
drop
add rule {TABLE} forward ct state new ip saddr . meta l4proto . th sport . ip daddr . th dport \
@ended4 drop
add rule {TABLE} forward ct state new ip6 saddr . meta l4proto . th sport . ip6 daddr . th dport \
@ended6 drop
add rule {TABLE} forward ct state new ip saddr . meta l4proto . th sport @ended-ports4 drop
add rule {TABLE} forward ct state new ip6 saddr . meta l4proto . th sport @ended-ports6 drop
add rule {TABLE} forward oifname @networks ct status dnat accept
add rule {TABLE} forward meta nfproto ipv4 oifname vmap @inward4
add rule {TABLE} forward meta nfproto ipv6 oifname vmap @inward6
add rule {TABLE} forward oifname @networks drop
add rule {TABLE} forward jump user-post
{guard.rules(TABLE)}\
add rule {TABLE} apart ct status dnat accept
add rule {TABLE} apart drop
add rule {TABLE} open iifname @internal drop
add rule {TABLE} open ip daddr vmap @open4
add rule {TABLE} open ip6 daddr vmap @open6
add rule {TABLE} routed meta l4proto {{ icmp, icmpv6 }} accept
add rule {TABLE} routed jump open
add rule {TABLE} postrouting ip saddr . ip daddr @self4 masquerade
add rule {TABLE} postrouting ip6 saddr . ip6 daddr @self6 masquerade
add rule {TABLE} postrouting iifname . oifname @hairpin ct status dnat masquerade
add rule {TABLE} postrouting oifname @networks ip saddr 127.0.0.0/8 masquerade
add rule {TABLE} postrouting oifname @networks accept
add rule {TABLE} postrouting meta nfproto ipv4 snat ip to iifname map @snat4
add rule {TABLE} postrouting meta nfproto ipv6 snat ip6 to iifname map @snat6
add rule {TABLE} postrouting meta nfproto ipv4 iifname @masquerade4 masquerade
add rule {TABLE} postrouting meta nfproto ipv6 iifname @masquerade6 masquerade
"""

FRAME = OBJECTS + RULES
# Adding first makes the removal succeed where the table is missing.
GONE = f"{OBJECTS}delete table {TABLE}\n"


def plan(
    network: Network,
    before: HostState,
    after: HostState,
    *,
    alone: bool,
    spared: Iterable[str] = (),
) -> Nft:
    """Return the transaction that lets a network in, and as its opposite the one that takes it out.

    ``before`` and ``after`` are the host's states without and with the network. ``alone`` means
    that nothing else needs the table: it goes with the network, unless a rule of the operator is
    in it then. ``spared`` are the interfaces that the guard leaves alone.
    """
    own, kept = list(elements_of(network)), set(guard.elements(before))
    guarded = list(guard.elements(after))
    gone = [*own, *(item for item in guarded if item not in kept)]
    do = FRAME + added_text([*own, *guarded])
    do += f"flush set {TABLE} spared\n" + added_text(guard.spared(spared))
    # Adding first makes the removal succeed where an element, or the table, is missing.
    undo = OBJECTS + added_text(gone) + removed_text(gone)
    if not alone:
        return Nft(do=do, undo=undo, protects=True)
    return Nft(do=do, undo=GONE, undo_kept=undo, chains=USER_CHAINS, protects=True)


def tables(networks: Iterable[Network]) -> tuple[str, ...]:
    """Return those of our tables that the networks need."""
    return TABLES if any(map(access.is_filtered, networks)) else (TABLE,)


def stands(kernel: Kernel, networks: Iterable[Network]) -> bool:
    """Whether what those networks need of our tables is there: ``nft flush ruleset`` takes
    everybody's away. What is taken back afterwards leaves sets behind, and no chain with a hook."""
    return all(has_table(kernel, table) for table in tables(networks))


def has_table(kernel: Kernel, table: str) -> bool:
    """Whether one of our tables is there as a whole."""
    return kernel.nft_has_chain("", _HOOKED[table])


def elements_of(network: Network) -> Iterable[tuple[str, str]]:
    """Yield what a network puts into the sets and maps: the name of each, and the element."""
    bridge = quoted(network.facts["bridge"])
    yield "networks", bridge
    yield "hairpin", f"{bridge} . {bridge}"
    together = network.facts["icc"] == "true"
    yield "pairs", f"{bridge} . {bridge} : {'accept' if together else 'goto apart'}"
    if network.internal:
        yield "internal", bridge
    else:
        trusted = (f"{quoted(name)} . {bridge} : jump open" for name in access.trusted(network))
        yield from (("pairs", item) for item in trusted)
    for version in (4, 6):
        yield from _inward(network, version, bridge)
        source = network.facts.get(f"snat{version}")
        if source:
            yield f"snat{version}", f"{bridge} : {source}"
        elif network.facts.get(f"masquerade{version}"):
            yield f"masquerade{version}", bridge
        if source or network.facts.get(f"masquerade{version}"):
            yield f"hidden{version}", bridge
        if access.is_isolated(network, version):
            yield f"isolated{version}", bridge
    yield from _guarded(network)


def _inward(network: Network, version: int, bridge: str) -> Iterable[tuple[str, str]]:
    """Yield what may come in that is not published through the host's addresses."""
    verdicts = {access.UNPROTECTED: "accept", access.ROUTED: "jump routed"}
    verdict = verdicts.get(access.mode(network, version))
    if not verdict and access.is_direct(network):
        verdict = "jump open"
    if verdict and not network.internal:
        yield f"inward{version}", f"{bridge} : {verdict}"


def _guarded(network: Network) -> Iterable[tuple[str, str]]:
    # An address that was there before is somebody else's: the host may be known by it.
    for item in network.facts["addresses"].split():
        address = item.partition("/")[0]
        version = 6 if ":" in address else 4
        # The kernel takes a link-local one only where it is, and other interfaces have the same.
        if is_link_local(address):
            continue
        if not any(_inward(network, version, "")):
            yield f"guarded{version}", address
            for name in access.trusted(network):
                yield f"admitted{version}", f"{quoted(name)} . {address}"


def added_text(elements: Iterable[tuple[str, str]]) -> str:
    return "".join(f"add element {TABLE} {name} {{ {item} }}\n" for name, item in elements)


def removed_text(elements: Iterable[tuple[str, str]]) -> str:
    return "".join(f"delete element {TABLE} {name} {{ {item} }}\n" for name, item in elements)


def quoted(ifname: str) -> str:
    """Return an interface name as an nft string; interface names hold no quotes of ours.

    The kernel forbids only ``/``, ``:`` and white space, so a foreign name may hold a quote: such
    a name cannot be written in nft's syntax and is refused by ``forwarding`` before.
    """
    return f'"{ifname}"'
