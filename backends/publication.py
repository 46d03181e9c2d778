"""Published ports: in maps, so that neither a packet nor a change costs more with more of them.

The frame of the maps comes into the table with the first publication, in the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from netctl.backends import access, firewall, guard, opening
from netctl.backends.driver import Occasion, Publishing
from netctl.backends.firewall import TABLE
from netctl.kernel import Kernel
from netctl.models import Attachment, Endpoint, HostState, Network, Port
from netctl.plan import Plan, Step
from netctl.record import Record, replace
from netctl.steps.links import Hairpin, Reachable
from netctl.steps.settings import FlowsForgotten, Nft, Sysctl


class Standing(Record):
    """An endpoint whose ports are published."""

    network: Network
    endpoint: Endpoint
    versions: tuple[int, ...]
    """The families (4, 6) in which it is its sandbox's way out."""


# One map each for ports of one address and of all, since keys of an interval map must not overlap;
# a range is one element where its ports stay the same, for nftables knows no offset.
_OBJECTS = "".join(
    f"""\
add map {TABLE} at{v} {{ type ipv{v}_addr . inet_proto . inet_service : ipv{v}_addr \
. inet_service; }}
add map {TABLE} any{v} {{ type inet_proto . inet_service : ipv{v}_addr . inet_service; }}
add map {TABLE} at{v}-range {{ type ipv{v}_addr . inet_proto . inet_service : ipv{v}_addr; \
flags interval; }}
add map {TABLE} any{v}-range {{ type inet_proto . inet_service : ipv{v}_addr; flags interval; }}
add set {TABLE} lent-at{v} {{ type ipv{v}_addr . inet_proto . inet_service; }}
add set {TABLE} lent-any{v} {{ type inet_proto . inet_service; }}
add set {TABLE} lent-at{v}-range {{ type ipv{v}_addr . inet_proto . inet_service; flags interval; }}
add set {TABLE} lent-any{v}-range {{ type inet_proto . inet_service; flags interval; }}
"""
    for v in (4, 6)
)
_PORTS = "meta l4proto { tcp, udp, sctp }"
_KEY = "meta l4proto . th dport"
_TARGET = f"{_KEY} map"
# What is sent to ::1 cannot leave the host, whatever it is translated to (RFC 4291 section 2.5.3):
# left alone it comes to the relay that listens there, or is refused at once, and who asked for
# localhost goes on to 127.0.0.1.
# What comes to 127.0.0.0/8 from elsewhere is left alone, even where the host takes it.
# A packet that connection tracking calls invalid, as one out of the window, is not translated: the
# host's own stack would get it, and reset the connection. `stray` drops it where the port is
# published; nft cannot ask a map whether it has a key, so the keys are in sets as well.
# nftables of Debian 12 does not know the name of -100, dstnat, in the hook output.
_RULES = f"""\
add chain {TABLE} published
add chain {TABLE} prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}
add chain {TABLE} output {{ type nat hook output priority -100; policy accept; }}
flush chain {TABLE} published
flush chain {TABLE} prerouting
flush chain {TABLE} output
add chain {TABLE} stray {{ type filter hook input priority filter; policy accept; }}
flush chain {TABLE} stray
add rule {TABLE} stray ct state != invalid accept
add rule {TABLE} prerouting iifname != "lo" ip daddr 127.0.0.0/8 return
add rule {TABLE} prerouting fib daddr type local jump published
add rule {TABLE} output fib daddr type local jump published
add rule {TABLE} published ip6 daddr ::1 return
""" + "".join(
    f"""\
add rule {TABLE} published {_PORTS} dnat {ip} to {ip} daddr . {_TARGET} @at{v}
add rule {TABLE} published {_PORTS} dnat {ip} to {ip} daddr . {_TARGET} @at{v}-range
add rule {TABLE} published meta nfproto ipv{v} {_PORTS} dnat {ip} to {_TARGET} @any{v}
add rule {TABLE} published meta nfproto ipv{v} {_PORTS} dnat {ip} to {_TARGET} @any{v}-range
add rule {TABLE} stray {_PORTS} {ip} daddr . {_KEY} @lent-at{v} drop
add rule {TABLE} stray {_PORTS} {ip} daddr . {_KEY} @lent-at{v}-range drop
add rule {TABLE} stray meta nfproto ipv{v} {_PORTS} {_KEY} @lent-any{v} drop
add rule {TABLE} stray meta nfproto ipv{v} {_PORTS} {_KEY} @lent-any{v}-range drop
"""
    for v, ip in ((4, "ip"), (6, "ip6"))
)
_CHAINS = ("prerouting", "output", "published", "stray")
_MAPS = tuple(f"{name}{v}{end}" for v in (4, 6) for name in ("at", "any") for end in ("", "-range"))
# Adding the chains first, which does nothing to those that are there, tolerates their absence.
_GONE = (
    _RULES
    + "".join(f"flush chain {TABLE} {chain}\ndelete chain {TABLE} {chain}\n" for chain in _CHAINS)
    + "".join(f"delete map {TABLE} {name}\ndelete set {TABLE} lent-{name}\n" for name in _MAPS)
)
_FRAME = firewall.FRAME + _OBJECTS + _RULES


def plan(network: Network, change: Publishing, kernel: Kernel) -> Plan:
    """Return how ports are published: one transaction, and what goes with it."""
    endpoint = change.endpoint
    lent = access.translated(network, endpoint, change.versions)
    lent = lent if _any(lent, endpoint.ports) else {}
    opened = {} if change.occasion is Occasion.MOVE else access.opened(network, endpoint)
    steps: list[Step] = list(_reachable(network, change))
    if not lent and not opened:
        return tuple(steps)
    place = endpoint.attachment
    first = not _any(lent, change.rest)
    # With an endpoint that leaves all its flows end.
    if change.occasion is not Occasion.JOIN:
        steps.append(_ended(network, change, tuple(dict.fromkeys((*lent, *opened)))))
    if place and lent and first and not _any(change.staying, endpoint.ports):
        steps.append(Hairpin(name=place.host_ifname, bridge=network.facts["bridge"]))
    steps += _loopback_source(network, change, lent, kernel)
    steps.append(_rules(network, change, kernel, lent, opens=bool(opened)))
    if lent and (spoken := _of_host(endpoint.ports, ("udp",))):
        steps.append(FlowsForgotten(ports=spoken, coming=True))
    return tuple(steps)


def _reachable(network: Network, change: Publishing) -> Iterable[Reachable]:
    """Yield how the port of an endpoint that is kept apart loses its flag with the first port that
    is published, and has it again with the last: see ``netctl.backends.apart``."""
    endpoint, rest = change.endpoint, change.rest
    place = endpoint.attachment
    if place and change.occasion is Occasion.PUBLISH:
        bare, full = (replace(endpoint, ports=ports) for ports in (rest, (*rest, *endpoint.ports)))
        was, will = (access.is_port_isolated(network, each) for each in (bare, full))
        if was and not will:
            yield Reachable(name=place.host_ifname)


def leads_from_loopback(network: Network, endpoint: Endpoint, versions: Sequence[int]) -> bool:
    """Whether the host's 127.0.0.0/8 leads to a port of an endpoint that is its sandbox's way out
    in those families."""
    lent = access.translated(network, endpoint, versions)
    return 4 in lent and any(map(is_on_loopback, endpoint.ports))


def is_on_loopback(port: Port) -> bool:
    """Whether an address in 127.0.0.0/8 is among those that the host lends a port on."""
    return access.is_lent(port, 4) and (
        port.host_ip in ("", access.ALL[4]) or access.is_loopback(port.host_ip)
    )


def _loopback_source(
    network: Network, change: Publishing, lent: Mapping[int, str], kernel: Kernel
) -> Iterable[Sysctl]:
    # What the host sends to a port on 127.0.0.1 leaves by the bridge with that source. The setting
    # opens the way in the other direction too, which only our rules close: so it is on while such
    # a port is published, and goes with the last one.
    if network.facts.get("localnet") != "true" or 4 not in lent or change.beside:
        return
    if any(map(is_on_loopback, change.endpoint.ports)) and not any(
        map(is_on_loopback, change.rest)
    ):
        key = access.loopback_key(network)
        # Where the plan is taken back while other ports need it, it stays on.
        there = "0" if change.ending else kernel.sysctl_get("", key) or "0"
        yield Sysctl(netns="", key=key, value="1", previous=there)


def _ended(network: Network, change: Publishing, versions: Sequence[int]) -> FlowsForgotten:
    """Return how the flows end with what they were published by, for good."""
    ports = change.endpoint.ports
    inner = ((p.protocol, n) for p in ports for n in range(p.first, p.last + 1))
    sent = tuple(dict.fromkeys((*_of_host(ports), *inner)))
    there = access.addresses(change.endpoint, versions)
    # In mode nat-unprotected its own address stays open.
    spared = (a for v, a in there.items() if access.mode(network, v) == access.UNPROTECTED)
    return FlowsForgotten(
        addresses=tuple(there.values()),
        ports=sent,
        coming=False,
        spared=tuple(spared),
        barred=firewall.ENDED,
    )


def _of_host(
    ports: Iterable[Port], protocols: Sequence[str] = ("tcp", "udp", "sctp")
) -> tuple[tuple[str, int], ...]:
    return tuple((p.protocol, n) for p in ports if p.protocol in protocols for n in p.host_ports)


def _rules(
    network: Network, change: Publishing, kernel: Kernel, lent: Mapping[int, str], *, opens: bool
) -> Nft:
    """Return the transaction that publishes ports, and as its opposite the one that ends it.

    The frame of the maps is made where it is missing, and then goes with them if this is taken
    back. Where it is ``ending``, it made no frame: others may have their ports in the maps.
    """
    endpoint, rest = change.endpoint, change.rest
    elements = list(_elements(lent, endpoint.ports))
    elements += () if _any(lent, rest) else _of_self(lent)
    added, removed = firewall.added_text(elements), firewall.removed_text(elements)
    do = (_FRAME if lent else firewall.FRAME) + added
    undo = firewall.OBJECTS + (_OBJECTS if lent else "") + added + removed
    if lent and not change.ending and not kernel.nft_list(f"list chain {TABLE} published"):
        undo += _GONE
    if opens:
        do += opening.text(network, replace(endpoint, ports=(*rest, *endpoint.ports)))
        undo += opening.text(network, replace(endpoint, ports=rest))
    return Nft(do=do, undo=undo)


def reload(
    networks: Iterable[Network],
    host: HostState,
    published: Iterable[Standing],
    spared: Iterable[str] = (),
    ports: Iterable[tuple[Network, Attachment]] = (),
) -> Nft:
    """Return the transaction that puts the whole table in order, whatever is left of it; the
    operator's chains stay as they are.

    ``spared`` are the interfaces that the guard leaves alone, ``ports`` those on which endpoints
    come in that are kept apart.
    """
    networks = list(networks)
    elements = [item for network in networks for item in firewall.elements_of(network)]
    elements += (*guard.elements(host), *guard.spared(spared))
    frame, opened = firewall.FRAME, ""
    for item in published:
        lent = access.translated(item.network, item.endpoint, item.versions)
        if _any(lent, item.endpoint.ports):
            frame = _FRAME
            elements += (*_elements(lent, item.endpoint.ports), *_of_self(lent))
        opened += opening.text(item.network, item.endpoint)
    # What is in `ended` no document knows, and it holds on.
    found = re.findall(rf"add (set|map) {TABLE} (?!ended)(\S+)", frame)
    flushed = "".join(f"flush {kind} {TABLE} {name}\n" for kind, name in found)
    text = frame + flushed + firewall.added_text(elements) + opened
    if filtered := list(filter(access.is_filtered, networks)):
        from netctl.backends import apart  # of no use to other networks

        text += apart.reload(filtered, ports)
    return Nft(do=text, undo=text)


def _any(versions: Iterable[int], ports: Iterable[Port]) -> bool:
    """Whether the kernel lends one of the ports in one of the families."""
    return any(access.is_lent(port, version) for version in versions for port in ports)


def _elements(addresses: Mapping[int, str], ports: Sequence[Port]) -> Iterable[tuple[str, str]]:
    for version, address in sorted(addresses.items()):
        for port in (port for port in ports if access.is_lent(port, version)):
            yield from _of_port(version, address, port)


def _of_self(addresses: Mapping[int, str]) -> Iterable[tuple[str, str]]:
    # Where br_netfilter is loaded a bridge itself translates, and no rule sees where the packet
    # came from.
    return ((f"self{v}", f"{address} . {address}") for v, address in sorted(addresses.items()))


def _of_port(version: int, address: str, port: Port) -> Iterable[tuple[str, str]]:
    everywhere = port.host_ip in ("", "0.0.0.0", "::")
    name = f"any{version}" if everywhere else f"at{version}"
    key = port.protocol if everywhere else f"{port.host_ip} . {port.protocol}"
    if port.size > 1 and port.host_first == port.first:
        yield f"{name}-range", f"{key} . {port.first}-{port.last} : {address}"
        yield f"lent-{name}-range", f"{key} . {port.first}-{port.last}"
        return
    for inner, outer in zip(range(port.first, port.last + 1), port.host_ports, strict=True):
        yield name, f"{key} . {outer} : {address} . {inner}"
        yield f"lent-{name}", f"{key} . {outer}"
