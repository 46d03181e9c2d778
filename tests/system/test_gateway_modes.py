"""Gateway modes, trusted interfaces, direct routes, internal networks, no traffic between endpoints:
who reaches whom, and with which source address.

One host with an ``outside`` and a second one, ``pc``, both with routes to every sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from netctl.controller import Controller
from tests.kernel.host import ANSWER, Host, Outside
from tests.kernel.probes import Post, Question, compare, posts
from tests.system.library import act, addresses, bridge_filter, clear
from tests.waiting import QUIET

HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
OUTSIDE = {4: Outside.IPV4, 6: Outside.IPV6}
LAN = {4: "198.51.100.1", 6: "2001:db8:1::1"}
PC = {4: "198.51.100.2", 6: "2001:db8:1::2"}
FAMILIES = (4, 6)
LENT = {"nat": 8081, "open": 8082, "direct": 8083, "trusting": 8084}
"""The host's port that leads to port 80 of the first endpoint of a network."""
INNER = (80, 85, 99)
"""Ports that every sandbox answers on: 80 is published, 85 in a range, 99 is not."""
TRUSTED = "bridge.trusted_host_interfaces"
MODES = ("bridge.gateway_mode_ipv4", "bridge.gateway_mode_ipv6")
NETWORKS: dict[str, dict[str, str]] = {
    "nat": {},
    "open": dict.fromkeys(MODES, "nat-unprotected"),
    "routed": dict.fromkeys(MODES, "routed"),
    "direct": {"bridge.allow_direct_routing": "true"},
    "trusting": {TRUSTED: "lan:wg0"},
}
SECOND = """\
ip netns add pc
ip link add lan type veth peer name lan0 address 02:00:00:ff:02:02 netns pc
ip link set lan addrgenmode none
ip address add 198.51.100.1/24 dev lan; ip address add 2001:db8:1::1/64 dev lan nodad
ip link set lan up
ip neighbour add 2001:db8:1::2 lladdr 02:00:00:ff:02:02 dev lan nud permanent
ip -n pc address add 198.51.100.2/24 dev lan0; ip -n pc address add 2001:db8:1::2/64 dev lan0 nodad
ip -n pc link set lan0 up
ip -n pc route add default via 198.51.100.1; ip -n pc -6 route add default via 2001:db8:1::1
"""
"""A host on another interface; without a link-local address that has to know its neighbour, as the
uplink does (``tests.kernel.host_build``)."""


def prepare(c: Controller) -> None:
    for name, options in NETWORKS.items():
        c.networks.create(name, ipv6=True, options=options)
        for number in (1, 2):
            c.sandboxes.create(f"{name}{number}")
            c.endpoints.connect(name, f"{name}{number}")
        c.endpoints.publish(f"{name}/{name}1", [f"{LENT.get(name, 8089)}:80", "82-89"])


def first(host: Host, name: str) -> dict[int, str]:
    return dict(zip(FAMILIES, host.call(addresses, f"{name}1"), strict=True))


def gateways(host: Host, network: str) -> dict[int, str]:
    """Return the bridge's addresses."""
    bridge = host.netctl("network", "inspect", network, "--format", "{bridge}").stdout.strip()
    shown = (host.json(f"ip -j -{v} address show dev {bridge} scope global") for v in FAMILIES)
    return {v: found[0]["addr_info"][0]["local"] for v, found in zip(FAMILIES, shown, strict=True)}


@contextmanager
def stage(host: Host, names: Mapping[str, str]) -> Iterator[dict[str, Post]]:
    """Lend posts; every sandbox answers on the inner ports."""
    with posts(host, names) as there:
        for place, post in there.items():
            if place.endswith("1"):
                ports = [(n, p) for n in INNER for p in ("tcp", "udp")]
                post.serve(ports, list(first(host, place.removesuffix("1")).values()))
        yield there


def expectations(host: Host) -> Iterator[tuple[str, Question, str | None]]:
    """Yield every cell: who asks, whom, and the source address that is seen."""
    targets = {name: first(host, name) for name in NETWORKS}
    clients = {
        "outside": OUTSIDE,
        "pc": PC,
        "host": {},
        "nat1": targets["nat"],
        **{
            f"{n}2": dict(zip(FAMILIES, host.call(addresses, f"{n}2"), strict=True))
            for n in NETWORKS
        },
    }
    through = {name: gateways(host, name) for name in NETWORKS}
    for name, client in clients.items():
        for network, inside in targets.items():
            for version in FAMILIES:
                for port in INNER:
                    for protocol in ("tcp", "udp"):
                        if name == f"{network}1":
                            continue
                        own = client.get(version, through[network][version])
                        seen = own if reached(name, network, port, protocol) else None
                        yield name, Question(inside[version], port, protocol), seen
                if network in LENT and name in ("outside", "pc"):
                    question = Question(HOST[version], LENT[network], "tcp")
                    yield name, question, client[version]
                # A range without ports of the host got some that nobody asks here.


def reached(client: str, network: str, port: int, protocol: str) -> bool:
    """Whether a client reaches a port on the endpoint's own address."""
    published = protocol == "tcp" and port in (80, 85)
    if client == "host" or client == f"{network}2" or network == "open":
        return True
    if network in ("routed", "direct"):
        return published
    return network == "trusting" and client == "pc" and published


@pytest.mark.parametrize("filtering", [False, True], ids=["", "br_netfilter"])
def test_modes(host: Host, filtering: bool) -> None:
    bridge_filter(host, filtering)
    host.sh(SECOND)
    before = host.snapshot()
    host.call(act, prepare)
    names = {f"{n}{i}": f"/run/netns/{n}{i}" for n in NETWORKS for i in (1, 2)}
    for version in FAMILIES:
        for network in NETWORKS:
            route = f"ip -{version} route add {first(host, network)[version]} via {HOST[version]}"
            host.outside.sh(route)
    with stage(host, {"host": "", "outside": "outside", "pc": "/run/netns/pc", **names}) as there:
        expected: dict[str, dict[Question, str | None]] = {}
        for name, question, seen in expectations(host):
            expected.setdefault(name, {})[question] = seen
        assert compare(there, expected) == []
        host.sh("nft flush ruleset")
        host.call(act, lambda c: c.reload())
        assert compare(there, expected) == []
        for version in FAMILIES:
            for network, answers in (("nat", False), ("routed", True), ("direct", False)):
                inside = first(host, network)[version]
                seconds = ANSWER if answers else QUIET
                assert host.outside.ping(inside, seconds=seconds) == answers, (network, version)
        # What is not open any more ends at once, and the rest goes on.
        host.call(act, lambda c: c.endpoints.unpublish("routed/routed1", ["80"]))
        gone = {
            q: None if q.port == 80 else s
            for q, s in expected["outside"].items()
            if q.address in first(host, "routed").values()
        }
        assert compare(there, {"outside": gone}) == []
    assert host.netctl("check").returncode == 0
    host.call(act, clear)
    host.assert_unchanged(before)


SERVICE = 7000
"""A port of the host's own."""


def closed(c: Controller) -> None:
    c.networks.create("inner", ipv6=True, internal=True)
    c.networks.create("alone", ipv6=True, internal=True, options=dict.fromkeys(MODES, "isolated"))
    c.networks.create("web", ipv6=True, options={TRUSTED: "lan"})
    for network in ("inner", "alone", "web"):
        for number in (1, 2):
            c.sandboxes.create(f"{network}{number}")
            c.endpoints.connect(network, f"{network}{number}")


def routes_to_the_host(host: Host, sandbox: str, gateway: dict[int, str]) -> None:
    """Give a sandbox the routes that it should not need: it may have been taken over."""
    for version in FAMILIES:
        ip = f"ip -n {sandbox} -{version} route"
        if version in gateway:
            host.sh(f"{ip} replace default via {gateway[version]}")
        else:
            host.sh(f"{ip} replace {HOST[version]} dev eth0; {ip} replace default dev eth0")


@pytest.mark.parametrize("filtering", [False, True], ids=["", "br_netfilter"])
def test_an_internal_network_reaches_its_host_at_most(host: Host, filtering: bool) -> None:
    bridge_filter(host, filtering)
    host.sh(SECOND)
    before = host.snapshot()
    host.call(act, closed)
    inner, web = gateways(host, "inner"), gateways(host, "web")
    bridge = host.netctl("network", "inspect", "alone", "--format", "{bridge}").stdout.strip()
    assert host.json(f"ip -j address show dev {bridge}")[0]["addr_info"] == []
    routes_to_the_host(host, "inner1", inner)
    routes_to_the_host(host, "alone1", {})
    for version in FAMILIES:
        for gateway in (inner[version], web[version]):
            host.outside.sh(f"ip -{version} route add {gateway} via {HOST[version]}")
    places = {f"{n}{i}": f"/run/netns/{n}{i}" for n in ("inner", "alone", "web") for i in (1, 2)}
    names = {"host": "", "outside": "outside", "pc": "/run/netns/pc", **places}
    with stage(host, names) as there:
        there["host"].serve([(SERVICE, "tcp"), (SERVICE, "udp")], ["0.0.0.0", "::"])
        there["outside"].serve([(SERVICE, "tcp")], list(OUTSIDE.values()))
        expected = dict(_closed_cells(host, inner, web))
        assert compare(there, expected) == []
    host.call(act, clear)
    host.assert_unchanged(before)


def _closed_cells(
    host: Host, inner: dict[int, str], web: dict[int, str]
) -> Iterator[tuple[str, dict[Question, str | None]]]:
    own = {
        n: dict(zip(FAMILIES, host.call(addresses, n), strict=True))
        for n in ("inner1", "alone1", "web1", "inner2", "alone2")
    }
    yield (
        "inner1",
        {
            Question(address, SERVICE, protocol): own["inner1"][v] if address == inner[v] else None
            for v in FAMILIES
            for address in (inner[v], web[v], HOST[v], LAN[v], OUTSIDE[v])
            for protocol in ("tcp", "udp")
        },
    )
    yield (
        "alone1",
        {
            Question(address, SERVICE, "udp"): None
            for v in FAMILIES
            for address in (inner[v], web[v], HOST[v], OUTSIDE[v])
        },
    )
    for name in ("inner", "alone"):
        inside = first(host, name)
        yield f"{name}2", {Question(inside[v], 99, "tcp"): own[f"{name}2"][v] for v in FAMILIES}
    yield (
        "host",
        {
            Question(first(host, n)[v], 99, "tcp"): {"inner": inner[v]}.get(n)
            for n in ("inner", "alone")
            for v in FAMILIES
        },
    )
    # The address of a bridge is for those behind it, and whom the network trusts.
    yield (
        "outside",
        {
            Question(address, SERVICE, protocol): None
            for v in FAMILIES
            for address in (inner[v], web[v])
            for protocol in ("tcp", "udp")
        }
        | {Question(HOST[v], SERVICE, "tcp"): OUTSIDE[v] for v in FAMILIES},
    )
    yield (
        "pc",
        {
            Question(address, SERVICE, "tcp"): PC[v] if address == web[v] else None
            for v in FAMILIES
            for address in (inner[v], web[v])
        },
    )
    yield (
        "web1",
        {
            Question(address, SERVICE, "tcp"): own["web1"][v]
            for v in FAMILIES
            for address in (web[v], HOST[v])
        },
    )


def apart(c: Controller) -> None:
    for name, options in (("nat", {}), ("routed", dict.fromkeys(MODES, "routed"))):
        c.networks.create(name, ipv6=True, options={**options, "bridge.enable_icc": "false"})
        for number in (1, 2):
            c.sandboxes.create(f"{name}{number}")
            c.endpoints.connect(name, f"{name}{number}")
        c.endpoints.publish(f"{name}/{name}1", ["8080:80", "8080:80/udp"])


@pytest.mark.parametrize("filtering", [False, True], ids=["", "br_netfilter"])
def test_endpoints_apart_meet_through_published_ports_alone(host: Host, filtering: bool) -> None:
    bridge_filter(host, filtering)
    before = host.snapshot()
    host.call(act, apart)
    places = {f"{n}{i}": f"/run/netns/{n}{i}" for n in ("nat", "routed") for i in (1, 2)}
    with stage(host, {**places, "outside": "outside"}) as there:
        cells: dict[str, dict[Question, str | None]] = {"nat2": {}, "routed2": {}, "outside": {}}
        for name in ("nat", "routed"):
            inside, gateway = first(host, name), gateways(host, name)
            for version in FAMILIES:
                host.outside.sh(f"ip -{version} route add {inside[version]} via {HOST[version]}")
                # Past the bridge, through the host.
                host.sh(
                    f"ip -n {name}2 -{version} route replace {inside[version]} via"
                    f" {gateway[version]}"
                )
                for port in INNER:
                    for protocol in ("tcp", "udp"):
                        question = Question(inside[version], port, protocol)
                        cells[f"{name}2"][question] = None
                        seen = OUTSIDE[version] if (name, port) == ("routed", 80) else None
                        cells["outside"][question] = seen
                if name == "nat":
                    for protocol in ("tcp", "udp"):
                        question = Question(HOST[version], 8080, protocol)
                        cells["nat2"][question] = gateway[version]
                        cells["outside"][question] = OUTSIDE[version]
        assert compare(there, cells) == []
    host.call(act, clear)
    host.assert_unchanged(before)
