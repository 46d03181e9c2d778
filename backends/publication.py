"""Published ports in nftables: maps, so that neither a packet nor a change costs more with more.

The frame of it comes into the table with the first publication, in the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from netctl.backends import firewall
from netctl.backends.firewall import TABLE
from netctl.kernel import Kernel
from netctl.models import HostState, Network, Port
from netctl.steps import Nft

Publication = tuple[Mapping[int, str], Sequence[Port]]
"""An endpoint's addresses, by the families (4, 6) in which it is published, and its ports."""

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
"""
    for v in (4, 6)
)
_PORTS = "meta l4proto { tcp, udp, sctp }"
_TARGET = "meta l4proto . th dport map"
# What is sent to ::1 cannot leave the host, whatever it is translated to (RFC 4291 section 2.5.3):
# left alone it is refused at once, and who asked for localhost goes on to 127.0.0.1.
# nftables of Debian 12 does not know the name of -100, dstnat, in the hook output.
_RULES = f"""\
add chain {TABLE} published
add chain {TABLE} prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}
add chain {TABLE} output {{ type nat hook output priority -100; policy accept; }}
flush chain {TABLE} published
flush chain {TABLE} prerouting
flush chain {TABLE} output
add rule {TABLE} prerouting fib daddr type local jump published
add rule {TABLE} output fib daddr type local jump published
add rule {TABLE} published ip6 daddr ::1 return
""" + "".join(
    f"""\
add rule {TABLE} published {_PORTS} dnat {ip} to {ip} daddr . {_TARGET} @at{v}
add rule {TABLE} published {_PORTS} dnat {ip} to {ip} daddr . {_TARGET} @at{v}-range
add rule {TABLE} published meta nfproto ipv{v} {_PORTS} dnat {ip} to {_TARGET} @any{v}
add rule {TABLE} published meta nfproto ipv{v} {_PORTS} dnat {ip} to {_TARGET} @any{v}-range
"""
    for v, ip in ((4, "ip"), (6, "ip6"))
)
_CHAINS = ("prerouting", "output", "published")
_MAPS = tuple(f"{name}{v}{end}" for v in (4, 6) for name in ("at", "any") for end in ("", "-range"))
# Adding the chains first, which does nothing to those that are there, tolerates their absence.
_GONE = (
    _RULES
    + "".join(f"flush chain {TABLE} {chain}\ndelete chain {TABLE} {chain}\n" for chain in _CHAINS)
    + "".join(f"delete map {TABLE} {name}\n" for name in _MAPS)
)
_FRAME = firewall.OBJECTS + _OBJECTS + firewall.RULES + _RULES


def publish(
    addresses: Mapping[int, str], ports: Sequence[Port], kernel: Kernel, *, alone: bool
) -> Nft:
    """Return the transaction that publishes ports, and as its opposite the one that ends it.

    ``alone`` means that they are all that the endpoint publishes. The frame of the maps is made
    where it is missing, and then goes with them if this is taken back.
    """
    elements = list(_elements(addresses, ports))
    elements += _of_self(addresses) if alone else ()
    added, removed = firewall.added_text(elements), firewall.removed_text(elements)
    undo = firewall.OBJECTS + _OBJECTS + added + removed
    if not kernel.nft_list(f"list chain {TABLE} published"):
        undo += _GONE
    return Nft(do=_FRAME + added, undo=undo)


def reload(
    networks: Iterable[Network], host: HostState, publications: Iterable[Publication]
) -> Nft:
    """Return the transaction that puts the whole table in order, whatever is left of it; the
    operator's chains stay as they are."""
    elements = [item for network in networks for item in firewall.elements_of(network)]
    elements += firewall.uplinks_of(HostState(), host)
    frame = firewall.OBJECTS + firewall.RULES
    for addresses, ports in publications:
        frame = _FRAME
        elements += (*_elements(addresses, ports), *_of_self(addresses))
    found = re.findall(rf"add (set|map) {TABLE} (\S+)", frame)
    flushed = "".join(f"flush {kind} {TABLE} {name}\n" for kind, name in found)
    text = frame + flushed + firewall.added_text(elements)
    return Nft(do=text, undo=text)


def _elements(addresses: Mapping[int, str], ports: Sequence[Port]) -> Iterable[tuple[str, str]]:
    for version, address in sorted(addresses.items()):
        for port in (port for port in ports if port.on(version)):
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
        return
    for inner, outer in zip(range(port.first, port.last + 1), port.host_ports, strict=True):
        yield name, f"{key} . {outer} : {address} . {inner}"
