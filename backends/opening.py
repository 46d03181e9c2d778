"""Ports that are open on an endpoint's own address: a chain for each family of such an endpoint.

``open4`` and ``open6`` lead from its address to the chain, which is written as a whole each time:
what it says does not depend on what was open before.
"""

from __future__ import annotations

from collections.abc import Iterable

from netctl.backends import access
from netctl.backends.firewall import TABLE
from netctl.models import Endpoint, Network, Port
from netctl.names import short


def text(network: Network, endpoint: Endpoint) -> str:
    """Return how the ports of an endpoint come to be open, and no others."""
    found = access.opened(network, endpoint)
    addresses = access.addresses(endpoint).items()
    there = ((v, address) for v, address in addresses if access.opens(network, v))
    return "".join(_chain(endpoint, v, address, found.get(v, ())) for v, address in there)


def _chain(endpoint: Endpoint, version: int, address: str, ports: Iterable[Port]) -> str:
    chain = f"{TABLE} open{version}-{short(endpoint.id)}"
    element = f"element {TABLE} open{version} {{ {address} : goto {chain.split()[-1]} }}\n"
    # Adding first makes the removal succeed where there is nothing.
    made = f"add chain {chain}\nflush chain {chain}\nadd {element}"
    rules = "".join(f"add rule {chain} {rule}\n" for rule in _rules(ports))
    return made + (rules or f"delete {element}delete chain {chain}\n")


def _rules(ports: Iterable[Port]) -> Iterable[str]:
    spans: dict[str, list[tuple[int, int]]] = {}
    for port in ports:
        spans.setdefault(port.protocol, []).append((port.first, port.last))
    for protocol, found in sorted(spans.items()):
        yield f"{protocol} dport {{ {', '.join(_merged(found))} }} accept"


def _merged(spans: Iterable[tuple[int, int]]) -> Iterable[str]:
    """Yield ranges that neither overlap nor touch, as nft wants those of a set."""
    low, high = 0, -1
    for first, last in sorted(spans):
        if first > high + 1:
            yield from _range(low, high)
            low, high = first, last
        high = max(high, last)
    yield from _range(low, high)


def _range(low: int, high: int) -> Iterable[str]:
    if low <= high:
        yield f"{low}" if low == high else f"{low}-{high}"
