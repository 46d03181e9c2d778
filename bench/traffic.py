"""Traffic through a published port: as much with many ports and networks as through one rule."""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Callable, Sequence

from bench import section
from tests.kernel.host import Host
from tests.kernel.host_children import fork, kill
from tests.system.library import controller

_INSIDE, _PORT, _HOST = 80, 8080, "192.0.2.1"
_SECONDS = 1.5
_BLOCK = 1 << 17
_BY_HAND = """
sysctl -qw net.ipv4.ip_forward=1
ip link add by-hand type bridge
ip address add 10.99.0.1/24 dev by-hand
ip link set by-hand up
ip netns add c
ip link add near type veth peer name eth0 netns c
ip link set near master by-hand up
ip -n c link set lo up
ip -n c link set eth0 up
ip -n c address add 10.99.0.2/24 dev eth0
ip -n c route add default via 10.99.0.1
nft add table ip by-hand
nft add chain ip by-hand prerouting '{ type nat hook prerouting priority dstnat; }'
nft add rule ip by-hand prerouting ip daddr 192.0.2.1 tcp dport 8080 dnat to 10.99.0.2:80
"""
_WORDS = (
    "From a host outside to a server in a sandbox, through a published TCP port: connections that"
    " are opened, answered with a byte and closed one after the other, and bytes through one"
    f" connection, {_SECONDS:.1f} s each; medians, the worlds taking turns. Client and server are"
    " plain sockets on the same machine, whose noise is some percent."
)


def main(arguments: Sequence[str]) -> int:
    given = section.options("traffic", arguments)
    worlds: dict[str, Callable[[Host], object]] = {
        "one DNAT rule by hand": lambda host: host.sh(_BY_HAND),
        "netctl, 1 port": lambda host: host.call(_fill, 1, 1, timeout=120),
        "netctl, 1,000 ports, 100 networks": lambda host: host.call(_fill, 1000, 100, timeout=300),
    }
    rates: dict[str, list[float]] = {name: [] for name in worlds}
    flows: dict[str, list[float]] = {name: [] for name in worlds}
    hosts: dict[str, Host] = {}
    try:
        for name, make in worlds.items():
            section.tell(name)
            hosts[name] = Host()
            make(hosts[name])
        for _ in range(given.rounds):
            for name, host in hosts.items():
                rates[name].append(host.call(_connections, host))
                flows[name].append(host.call(_throughput, host))
    finally:
        for host in hosts.values():
            host.close()
    section.show("traffic", list(_rows(rates, flows)), _WORDS, given)
    return 0


def _rows(rates: dict[str, list[float]], flows: dict[str, list[float]]) -> section.Rows:
    rows = [["", "connections/s", "/ by hand", "Gbit/s", "/ by hand"]]
    base = next(iter(rates))
    first, second = statistics.median(rates[base]), statistics.median(flows[base])
    for name in rates:
        rate, flow = statistics.median(rates[name]), statistics.median(flows[name])
        rows.append(
            [name, f"{rate:.0f}", f"{rate / first:.2f}", f"{flow:.1f}", f"{flow / second:.2f}"]
        )
    return rows


def _fill(ports: int, networks: int) -> None:
    """Publish port 80 of sandbox c as 8080, beside as many other ports and networks."""
    with controller() as c, c.batch():
        c.networks.create("web", subnets=["10.99.0.0/24"])
        c.sandboxes.create("c")
        c.endpoints.connect("web", "c", ip="10.99.0.2", ports=[f"{_PORT}:{_INSIDE}"])
        share = -(-(ports - 1) // max(networks - 1, 1))
        for number in range(1, networks):
            c.networks.create(f"n{number}", subnets=["auto/28"])
            c.sandboxes.create(f"s{number}")
            first = 20000 + number * 20
            spec = f"{first}-{first + share - 1}:100-{100 + share - 1}"
            c.endpoints.connect(f"n{number}", f"s{number}", ports=[spec])


def _serving(host: Host, serve: Callable[[socket.socket], None]) -> int:
    """Start a server in the sandbox; return its process id."""
    reading, writing = os.pipe()
    child = fork()
    if child == 0:
        try:
            _enter("/run/netns/c")
            with socket.create_server(("10.99.0.2", _INSIDE), backlog=512) as server:
                os.write(writing, b"r")
                serve(server)
        finally:
            os._exit(0)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    return child


def _enter(netns: str) -> None:
    from netctl.kernel import syscalls

    with open(netns, "rb") as pinned:
        syscalls.setns(pinned.fileno(), syscalls.CLONE_NEWNET)


def _answer(server: socket.socket) -> None:
    while True:
        client, _ = server.accept()
        client.send(b"x")
        client.close()


def _swallow(server: socket.socket) -> None:
    client, _ = server.accept()
    buffer = bytearray(_BLOCK)
    while client.recv_into(buffer):
        continue


def _connections(host: Host) -> float:
    """Return how many connections a second one client opens."""
    server = _serving(host, _answer)
    try:
        host.enter("outside")
        done, end = 0, time.perf_counter() + _SECONDS
        while time.perf_counter() < end:
            with socket.create_connection((_HOST, _PORT), 5) as client:
                client.recv(1)
            done += 1
        return done / _SECONDS
    finally:
        kill(server)
        os.waitpid(server, 0)


def _throughput(host: Host) -> float:
    """Return the Gbit/s of one connection."""
    server = _serving(host, _swallow)
    try:
        host.enter("outside")
        block, sent = bytes(_BLOCK), 0
        with socket.create_connection((_HOST, _PORT), 5) as client:
            begin = time.perf_counter()
            while time.perf_counter() < begin + _SECONDS:
                sent += client.send(block)
            return sent * 8 / (time.perf_counter() - begin) / 1e9
    finally:
        kill(server)
        os.waitpid(server, 0)
