"""``fill.py COUNT``: put endpoints into the networks ``work`` and ``other``, half of them each.

They are what ``endpoint create`` makes, joined to nothing: no kernel object stands behind them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import netctl
from netctl.models import Cursor, Endpoint, Network, now
from netctl.names import mac_of, new_id
from netctl.store import Changes

_BATCH = 500
"""Documents of one commit."""


def main(count: int) -> None:
    with netctl.Controller() as controller:
        networks = [controller.networks.get(name).doc for name in ("work", "other")]
        with controller.store.locked("fill") as writer:
            for network in networks:
                endpoints = list(_endpoints(network, count // len(networks)))
                for start in range(0, len(endpoints), _BATCH):
                    writer.commit(Changes(put=tuple(endpoints[start : start + _BATCH])))
                writer.commit(Changes(put=(_cursor(network, endpoints[-1]),)))


def _endpoints(network: Network, count: int) -> Iterator[Endpoint]:
    pool = network.pools[0]
    first = IPv4Network(pool.subnet)[256]
    for index in range(count):
        endpoint_id = new_id()
        yield Endpoint(
            id=endpoint_id,
            name=f"endpoint{index}",
            network_id=network.id,
            created=now(),
            mac=mac_of(endpoint_id),
            ipv4=pool.with_prefix(str(IPv4Address(first + index))),
        )


def _cursor(network: Network, last: Endpoint) -> Cursor:
    return Cursor(id=network.id, last={network.pools[0].subnet: last.ipv4.partition("/")[0]})


if __name__ == "__main__":
    main(int(sys.argv[1]))
