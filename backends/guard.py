"""The guard: forwarding that netctl turned on serves its networks, and makes the host no router.

It drops what would be forwarded between interfaces of other owners, those that come later too. It
stands for each family in which netctl turned forwarding on, and leaves alone:

- what comes in by an interface for which the operator had turned IPv4 forwarding on before;
- what comes in or goes out by the interfaces that the configuration names
  (``ip_forward_interfaces``);
- what a bridge passes between its own ports. Where br_netfilter is loaded it comes to the forward
  chain with the bridge as both interfaces. nftables compares no interface with another, so the
  first rule puts the pair of equals into a set, and the second looks the real pair up there. Only
  bridges get into the set: what is routed back out by the interface that it came in by is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netctl.models import HostState

_IPV4 = "net/ipv4/"


def objects(table: str) -> str:
    """Return the chain, the sets and the map, all empty."""
    return f"""\
add chain {table} guard
add map {table} guards {{ type nf_proto : verdict; }}
add set {table} routers {{ type ifname; }}
add set {table} spared {{ type ifname; flags interval; }}
add set {table} bridged {{ type ifname . ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
"""


def rules(table: str) -> str:
    """Return the chain's rules, and the one that leads to it."""
    return f"""\
flush chain {table} guard
add rule {table} guard meta iifkind "bridge" update @bridged {{ iifname . iifname }}
add rule {table} guard iifname . oifname @bridged return
add rule {table} guard meta nfproto ipv4 iifname @routers return
add rule {table} guard iifname @spared return
add rule {table} guard oifname @spared return
add rule {table} guard drop
add rule {table} forward iifname != @networks meta nfproto vmap @guards
"""


def elements(host: HostState) -> Iterator[tuple[str, str]]:
    """Yield what the sets hold while the host is in that state."""
    for key in host.forwarding:
        yield "guards", f"{'ipv4' if key.startswith(_IPV4) else 'ipv6'} : goto guard"
    for key in host.reset:
        words = key.split("/")
        if key.startswith(_IPV4) and words[-1] == "forwarding":
            yield "routers", f'"{words[3]}"'


def spared(patterns: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the elements of the interfaces that the configuration names. What another of them
    covers is left out: elements of an interval set must not overlap."""
    chosen = set(patterns)
    for pattern in sorted(chosen):
        if not any(covers(other, pattern) for other in chosen - {pattern}):
            yield "spared", f'"{pattern}"'


def covers(pattern: str, name: str) -> bool:
    """Whether a name, or what begins like one, is among those that a pattern means."""
    return name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))
