"""Endpoints that their network keeps apart (``enable_icc=false``): published ports of theirs are
reached, nothing else is, whether br_netfilter shows bridged packets to the firewall or not."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address

import pytest

from netctl.controller import Controller
from tests.kernel.host import Host
from tests.kernel.probes import Question, compare, posts
from tests.kernel.raw import checksum, frames, sniffer
from tests.system.library import HOST, MODES, act, bridge_filter, bridge_of, clear, inside
from tests.waiting import QUIET

FAMILIES = (4, 6)
CLOSED = {"bridge.enable_icc": "false"}
NAMES = ("one", "two", "plain", "quiet")
"""Sandboxes: the first two publish port 80, as 8081 and 8082 of the host."""
LENT = {"one": 8081, "two": 8082}
NOBODY = bytes.fromhex("02deadbeef01")
EVERYBODY = b"\xff" * 6


def closed(c: Controller, options: dict[str, str]) -> None:
    c.networks.create("net", ipv6=True, options={**CLOSED, **options})
    for name in NAMES:
        c.sandboxes.create(name)
        c.endpoints.connect("net", name)
        if name in LENT:
            c.endpoints.publish(f"net/{name}", [f"{LENT[name]}:80", f"{LENT[name]}:80/udp"])


def gateways(host: Host) -> dict[int, str]:
    bridge = bridge_of(host, "net")
    shown = (host.json(f"ip -j -{v} address show {bridge} scope global") for v in FAMILIES)
    return {v: found[0]["addr_info"][0]["local"] for v, found in zip(FAMILIES, shown, strict=True)}


def mac_of(host: Host, sandbox: str, link: str = "eth0") -> bytes:
    command = f"ip -n {sandbox}" if sandbox else "ip"
    address: str = host.json(f"{command} -j link show dev {link}")[0]["address"]
    return bytes.fromhex(address.replace(":", ""))


def toggled(host: Host) -> Iterator[bool]:
    """Let br_netfilter show bridged packets to the firewall, and no more, again and again; the
    tests that need it are skipped without it."""
    for on in (True, False, True):
        bridge_filter(host, on)
        # What the host knows of its neighbours decides which way the kernel passes a packet on.
        host.sh("ip neigh flush all")
        yield on


@pytest.mark.parametrize("mode", ["nat", "nat-unprotected"])
def test_published_ports_are_reached_from_inside(host: Host, mode: str) -> None:
    before = host.snapshot()
    host.call(act, partial(closed, options=dict.fromkeys(MODES, mode)))
    gateway, own = gateways(host), {name: inside(host, name) for name in NAMES}
    cells: dict[str, dict[Question, str | None]] = {name: {} for name in NAMES}
    for name in NAMES:
        for other, port in LENT.items():
            for v in FAMILIES:
                for protocol in ("tcp", "udp"):
                    # The answer comes back by the host.
                    cells[name][Question(HOST[v], port, protocol)] = gateway[v]
                    if other != name:
                        cells[name][Question(own[other][v], 80, protocol)] = None
    places = {name: f"/run/netns/{name}" for name in NAMES}
    with posts(host, places) as there:
        for name in LENT:
            there[name].serve([(80, "tcp"), (80, "udp")], list(own[name].values()))
        for on in toggled(host):
            assert compare(there, cells) == [], f"br_netfilter: {on}"
            assert host.netctl("check").returncode == 0
            trace = host.netctl("doctor", "plain", f"{HOST[4]}:{LENT['one']}", "--format", "json")
            assert trace.returncode == 0, trace.stdout
        assert "icc-bridged" not in host.netctl("doctor").stdout
    host.call(act, clear)
    host.assert_unchanged(before)


def packet(version: int, source: str, destination: str, tag: bytes) -> bytes:
    """Return a UDP datagram, or to a solicited-node group an ICMPv6 message."""
    ends = ip_address(source).packed + ip_address(destination).packed
    if version == 4:
        body = struct.pack("!HHHH", 9, 9, 8 + len(tag), 0) + tag
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 9, 17, 0)
        return head[:10] + struct.pack("!H", checksum(head + ends)) + ends + body
    body = struct.pack("!BBHI", 135, 0, 0, 0) + ip_address(destination).packed + tag
    return struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + ends + body


def arp(own: bytes, source: str, target: str, tag: bytes) -> bytes:
    ends = own + ip_address(source).packed + bytes(6) + ip_address(target).packed
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + ends + tag


def messages(
    own: bytes, peer: bytes, source: dict[int, str], target: dict[int, str]
) -> dict[str, bytes]:
    """Return frames from an endpoint to a peer by what they are, which is in them as well."""
    found: dict[str, bytes] = {}

    def add(name: str, to: bytes, kind: int, body: bytes = b"") -> None:
        found[name] = to + own + struct.pack("!H", kind) + body + f"<{name}>".encode() + bytes(46)

    groups = {4: bytes.fromhex("01005e010203"), 6: bytes.fromhex("3333ff000002")}
    add("arp", EVERYBODY, 0x0806, arp(own, source[4], target[4], b""))
    add("arp to one", peer, 0x0806, arp(own, source[4], target[4], b""))
    for v, kind in ((4, 0x0800), (6, 0x86DD)):
        many = {4: "239.1.2.3", 6: "ff02::1:ff00:2"}[v]
        for name, to, address in (
            (f"ipv{v}", peer, target[v]),
            (f"ipv{v} in a broadcast", EVERYBODY, target[v]),
            (f"ipv{v} multicast", groups[v], many),
            (f"ipv{v} multicast to one", peer, many),
        ):
            add(name, to, kind, packet(v, source[v], address, f"<{name}>".encode()))
    add("ethertype", peer, 0x88B5)
    add("ethertype to many", bytes.fromhex("030000000001"), 0x88B5)
    add("spanning tree", bytes.fromhex("0180c2000000"), 38)
    add("lldp", bytes.fromhex("0180c200000e"), 0x88CC)
    add("vlan", peer, 0x8100, bytes.fromhex("000188b5"))
    add("unknown destination", NOBODY, 0x88B5)
    return found


def crossing(host: Host, source: str, target: str, sent: dict[str, bytes], link: str) -> set[str]:
    """Send frames from a sandbox; return which are heard on an interface of another stack."""
    with sniffer(host, target, link) as heard, sniffer(host, f"/run/netns/{source}", "eth0") as out:
        for frame in sent.values():
            out.send(frame)
        return {
            name for frame in frames(heard, QUIET) for name in sent if f"<{name}>".encode() in frame
        }


def heard(host: Host, source: str, target: str, *, own: bytes = b"") -> set[str]:
    """Return what of all kinds of frames one sandbox hears of another."""
    there, here = inside(host, target), inside(host, source)
    sent = messages(own or mac_of(host, source), mac_of(host, target), here, there)
    return host.call(crossing, host, source, f"/run/netns/{target}", sent, "eth0")


PAIRS = (("one", "two"), ("one", "plain"), ("plain", "one"), ("plain", "quiet"))


def test_nothing_passes_from_port_to_port(host: Host) -> None:
    host.call(act, partial(closed, options={}))
    for on in toggled(host):
        for source, target in PAIRS:
            assert heard(host, source, target) == set(), (source, target, on)
        # One that has another MAC than netctl gave it, and one that lies about its own.
        host.sh("ip -n two link set eth0 address 02:de:ad:be:ef:01")
        for source, target in (("one", "two"), ("two", "plain"), ("plain", "two")):
            assert heard(host, source, target) == set(), (source, target, on)
        assert heard(host, "plain", "one", own=NOBODY) == set()
        host.netctl("repair", check=True)
        assert host.netctl("check").returncode == 0
    # They were sent: the host hears what is for it and for all.
    bridge, own = bridge_of(host, "net"), inside(host, "plain")
    sent = messages(mac_of(host, "plain"), mac_of(host, "", bridge), own, gateways(host))
    assert host.call(crossing, host, "plain", "", sent, bridge) >= {
        *("arp", "arp to one", "ipv4", "ipv6", "ipv4 multicast", "ipv6 multicast"),
        *("ethertype", "ethertype to many"),
    }


def test_without_rules_endpoints_that_publish_nothing_stay_apart(host: Host) -> None:
    """As docs/architecture.md says of the time while the rules are away."""
    bridge_filter(host, False)
    host.call(act, partial(closed, options={}))
    host.sh("nft flush ruleset")
    assert heard(host, "plain", "quiet") == set()
    assert "ethertype" in heard(host, "plain", "one") and "arp" in heard(host, "one", "plain")
    host.netctl("endpoint", "unpublish", "net/one", "80", "80/udp", check=True)
    assert heard(host, "plain", "one") == set() == heard(host, "one", "quiet")
    # The next command that needs the network brings all of them back.
    assert heard(host, "plain", "two")
    host.netctl("endpoint", "publish", "net/one", f"{LENT['one']}:80", check=True)
    assert heard(host, "plain", "two") == set() == heard(host, "plain", "one")
    assert host.netctl("check").returncode == 0


def test_the_table_of_bridges(host: Host) -> None:
    before = host.snapshot()
    host.call(act, partial(closed, options={}))
    for broken in (
        "nft delete table bridge netctl",
        "nft flush set bridge netctl ports",
        "nft flush chain bridge netctl forward",
        "nft add rule bridge netctl arriving counter accept",
        "nft delete chain inet netctl inside",
    ):
        host.sh(broken)
        assert host.netctl("check").returncode == 9, broken
        found = host.netctl("doctor").stdout
        assert "[table-missing]" in found or "[table-changed]" in found, broken
        host.netctl("reload", check=True)
        assert host.netctl("check").returncode == 0, broken
    shown = host.netctl("network", "create", "other", "-o", "bridge.enable_icc=false", "--dry-run")
    assert "add table bridge netctl" in shown.stdout + shown.stderr
    host.netctl("network", "rm", "net", "--force", check=True)
    assert "bridge" not in host.sh("nft list tables")
    host.sh("nft add table bridge netctl")
    assert "table bridge netctl" in host.netctl("gc").stdout
    host.netctl("gc", "--yes", check=True)
    host.call(act, clear)
    host.assert_unchanged(before)
