"""Packets that are not what they should be: sent to many, out of the window, of flows that ended,
or telling others where to send theirs."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface

import pytest

from netctl.controller import Controller
from tests.kernel.host import Host, Outside
from tests.kernel.raw import (
    ACK,
    FIN,
    PSH,
    RST,
    SECONDS,
    Segment,
    checksum,
    datagram,
    exchanged,
    frames,
    listener,
    send,
    sniffer,
    tcp_of,
)
from tests.system.library import act, addresses, bridge_filter, clear
from tests.waiting import QUIET

HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
OUTSIDE = {4: Outside.IPV4, 6: Outside.IPV6}
MODES = ("bridge.gateway_mode_ipv4", "bridge.gateway_mode_ipv6")
ISOLATED = dict.fromkeys(MODES, "isolated")
ROUTED = dict.fromkeys(MODES, "routed")
MANY = ("255.255.255.255", "{broadcast}", "224.0.0.1", "239.1.2.3", "ff02::1", "ff05::17")
PORT = 5000


def inside(host: Host, name: str) -> dict[int, str]:
    return dict(zip((4, 6), host.call(addresses, name), strict=True))


def bridge_of(host: Host, network: str) -> str:
    return host.netctl("network", "inspect", network, "--format", "{bridge}").stdout.strip()


def pair(c: Controller, network: str, *, internal: bool, options: dict[str, str]) -> None:
    c.networks.create(network, ipv6=True, internal=internal, options=options)
    for number in (1, 2):
        c.sandboxes.create(f"{network}{number}")
        c.endpoints.connect(network, f"{network}{number}")


def local_address(host: Host, command: str) -> str:
    """Return the address that ``ip`` prints."""
    found = (item for link in host.json(command) if link for item in link["addr_info"])
    return next(str(item["local"]) for item in found if "local" in item)


def heard_of_many(host: Host, source: tuple[str, str], target: tuple[str, str]) -> set[str]:
    """Return which destinations of ``MANY`` reach a listener in a stack; each stack is named with
    the interface there."""
    first, second = inside(host, "net1")[4].split(".")[:2]
    wanted = [item.format(broadcast=f"{first}.{second}.255.255") for item in MANY]
    found = set()
    for number, each in enumerate(wanted):
        groups = [each] if each.startswith(("ff", "2")) and each != "255.255.255.255" else []
        with listener(host, target[0], PORT + number, groups, target[1]) as heard:
            datagram(host, source[0], source[1], each, PORT + number)
            heard.settimeout(SECONDS / 2)
            try:
                heard.recv(10)
            except TimeoutError:
                continue
            found.add(MANY[number])
    return found


@pytest.mark.parametrize("filtering", [False, True], ids=["", "br_netfilter"])
@pytest.mark.parametrize(
    ("options", "internal", "host_hears", "sandbox_hears"),
    [
        ({}, False, set(MANY), set(MANY)),
        ({}, True, set(), set(MANY)),
        (ISOLATED, True, set(), set()),
        ({MODES[0]: "isolated"}, True, set(), {m for m in MANY if ":" in m}),
    ],
    ids=["nat", "internal", "isolated", "isolated by IPv4"],
)
def test_what_is_sent_to_many(
    host: Host,
    filtering: bool,
    options: dict[str, str],
    internal: bool,
    host_hears: set[str],
    sandbox_hears: set[str],
) -> None:
    bridge_filter(host, filtering)
    host.call(act, lambda c: pair(c, "net", internal=internal, options=options))
    bridge = bridge_of(host, "net")
    one, two = ("/run/netns/net1", "eth0"), ("/run/netns/net2", "eth0")
    # Endpoints hear each other, whatever the host does.
    assert host.call(heard_of_many, host, one, two) == set(MANY)
    assert host.call(heard_of_many, host, one, ("", bridge)) == host_hears
    # The host sends by a route, which for the subnet's broadcast it needs an address there for.
    assert host.call(heard_of_many, host, ("", bridge), two) == sandbox_hears
    peer = inside(host, "net2")
    for version in (4, 6):
        assert host.ping(one[0], peer[version])
        if options.get(MODES[version == 6]) != "isolated":
            shown = f"ip -j -{version} address show dev {bridge} scope global"
            host.sh("ip netns exec net1 ip neigh flush all; ip neigh flush all")
            assert host.ping(one[0], local_address(host, shown))
            assert host.ping("", peer[version])
    assert host.netctl("check").returncode == 0


def test_an_isolated_network_on_a_bridge_of_the_operators_own(host: Host) -> None:
    """The bridge has a link-local address, which is no way to the host either, nor back."""
    host.sh("ip link add br0 type bridge; ip link set br0 up")
    options = {"bridge.name": "br0"}
    host.call(act, lambda c: pair(c, "net", internal=True, options={**ISOLATED, **options}))
    host.sh(
        "for i in $(seq 100); do ip -6 address show dev br0 scope link -tentative | grep -q fe80"
        " && break; sleep 0.1; done; ip netns exec net1 sysctl -qw"
        " net.ipv6.conf.eth0.disable_ipv6=0"
    )
    local = local_address(host, "ip -j -6 address show dev br0 scope link")
    far = local_address(host, "ip -n net1 -j -6 address show dev eth0 scope link")
    assert not host.ping("/run/netns/net1", f"{local}%eth0", seconds=QUIET)
    assert not host.ping("", f"{far}%br0", seconds=QUIET)
    host.sh("nft flush ruleset")
    assert host.ping("/run/netns/net1", f"{local}%eth0")
    host.call(act, lambda c: c.reload())
    assert not host.ping("/run/netns/net1", f"{local}%eth0", seconds=QUIET)


def test_anycast_of_other_networks_is_not_reached_from_an_internal_one(host: Host) -> None:
    host.call(act, lambda c: pair(c, "net", internal=True, options={}))
    host.call(act, lambda c: c.networks.create("web", ipv6=True))
    web = local_address(host, f"ip -j -6 address show scope global dev {bridge_of(host, 'web')}")
    anycast = str(ip_interface(f"{web}/64").network.network_address)
    shown = "ip -j -6 address show scope global dev"
    via = local_address(host, f"{shown} {bridge_of(host, 'net')}")
    host.sh(f"ip -n net1 -6 route add {anycast} via {via}")
    assert not host.ping("/run/netns/net1", anycast, seconds=QUIET)


def test_an_internal_network_sends_nothing_as_part_of_anothers_flow(host: Host) -> None:
    host.call(
        act,
        lambda c: pair(c, "web", internal=False, options={}),
        lambda c: pair(c, "net", internal=True, options={}),
    )
    victim = inside(host, "web1")
    for version in (4, 6):
        with host.server("outside", OUTSIDE[version], 7000, "udp"):
            assert host.ask("/run/netns/web1", OUTSIDE[version], 7000, "udp")
    gateway = host.json(f"ip -j -4 address show dev {bridge_of(host, 'net')}")
    via = gateway[0]["addr_info"][0]["local"]
    host.sh(f"ip -n net1 route add default via {via}; ip -n net1 addr add {victim[4]}/32 dev lo")
    begun = Segment(victim[4], 40000, OUTSIDE[4], 80, 2)
    assert exchanged(host, "/run/netns/web1", [begun])
    # The outside's answer, a reset, ended that one; the other goes on.
    spoofed = [Segment(victim[4], 40000, OUTSIDE[4], 80, flags) for flags in (2, ACK, PSH | ACK)]
    assert exchanged(host, "/run/netns/net1", spoofed) == []


STRAY = (RST, RST | ACK, FIN | ACK)
"""What connection tracking calls invalid where it knows no connection."""


@pytest.mark.parametrize("masquerade", [True, False])
def test_invalid_packets_do_not_leave_a_hidden_network(host: Host, masquerade: bool) -> None:
    option = {"bridge.enable_ip_masquerade": str(masquerade).lower()}
    host.call(
        act,
        lambda c: pair(c, "web", internal=False, options=option),
        lambda c: pair(c, "lan", internal=False, options=ROUTED),
        lambda c: c.networks.create("db", ipv6=True, options={"host_ipv4": HOST[4]}),
        lambda c: c.sandboxes.create("db1"),
        lambda c: c.endpoints.connect("db", "db1"),
    )
    for version in (4, 6):
        # The uplink has no link-local address to ask its neighbours from.
        assert host.ping("", OUTSIDE[version])
        for name in ("web1", "lan1", "db1"):
            own = inside(host, name)[version]
            sent = [Segment(own, 40000 + n, OUTSIDE[version], 80, f) for n, f in enumerate(STRAY)]
            seen = exchanged(host, f"/run/netns/{name}", sent)
            hidden = name == "db1" or (name == "web1" and masquerade)
            # Where nothing is translated answers may take another way, and no flow be known.
            assert [item.source for item in seen] == ([] if hidden else [own] * len(STRAY))


def _breaks(host: Host, address: str, port: int, offset: int, protocol: int) -> list[bool]:
    """Return whether a connection from outside breaks after a packet with another sequence, and
    whether a reset was seen meanwhile."""
    host.enter_stack("outside")
    with sniffer(host, "outside", "world") as heard:
        client = socket.create_connection((address, port), 5)
        client.settimeout(5)
        client.send(b"one")
        client.recv(9)
        mine, last = client.getsockname(), None
        for frame in frames(heard, 0.3):
            found = tcp_of(frame)
            if found and found[0].sport == mine[1]:
                last = found[1]
        assert last
        bad = last._replace(sequence=last.sequence + offset, flags=PSH | ACK, payload=b"zz")
        send(host, "outside", [bad])
        resets = [f for f in map(tcp_of, frames(heard, 0.5)) if f and f[0].flags & RST]
        try:
            client.send(b"two")
            broken = client.recv(9) != b"two"
        except OSError:
            broken = True
    return [broken, bool(resets)]


ECHO = """
import socket, sys, threading
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print("ready", flush=True)
def echo(client):
    try:
        while data := client.recv(100):
            client.send(data)
    except OSError:
        pass
while True:
    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
"""


@contextmanager
def program(host: Host, netns: str, text: str, *arguments: str) -> Iterator[None]:
    """Run a Python program in a stack that says when it is ready."""
    outside = netns == "outside"
    enter = ["nsenter", f"--net={netns}", "--"] if netns and not outside else []
    stack = "outside" if outside else "net"
    command = (*enter, sys.executable, "-c", text, *arguments)
    child = host.start(*command, stack=stack, stdout=subprocess.PIPE)
    try:
        assert child.stdout and child.stdout.readline() == "ready\n"
        yield
    finally:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


@pytest.mark.parametrize("spec", ["8080:80", "{address}:8080:80", "80-89:80-89"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_packet_out_of_the_window_resets_no_published_connection(
    host: Host, version: int, spec: str
) -> None:
    address = HOST[version]
    text = spec.format(address=address if version == 4 else f"[{address}]")
    host.call(act, lambda c: pair(c, "web", internal=False, options={}))
    host.call(act, lambda c: c.endpoints.publish("web/web1", [text]))
    port = 80 if text.startswith("80-") else 8080
    # A server of the host's own is left to the host.
    with (
        program(host, "/run/netns/web1", ECHO, inside(host, "web1")[version], "80"),
        program(host, "", ECHO, address, "9080"),
    ):
        for offset in (1 << 29, -(1 << 29)):
            assert host.call(_breaks, host, address, 9080, offset, version)[0] is False
            assert host.call(_breaks, host, address, port, offset, version) == [False, False]


TALK = """
import socket, sys, threading, time
protocol, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
server = socket.socket(family, kind)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, port))
heard = open("/run/heard", "ab", buffering=0)
def serve(read, write):
    threading.Thread(target=listen, args=(read,), daemon=True).start()
    while True:
        time.sleep(0.05)
        try:
            write(b"tick")
        except OSError:
            return
def listen(read):
    while True:
        try:
            data = read()
        except OSError:
            continue
        if not data:
            return
        heard.write(b".")
if protocol == "tcp":
    server.listen()
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        serve_one = threading.Thread(
            target=serve, args=(lambda: client.recv(1000), client.send), daemon=True)
        serve_one.start()
print("ready", flush=True)
_, peer = server.recvfrom(100)
serve(lambda: server.recvfrom(1000)[0], lambda data: server.sendto(data, peer))
"""


TALKER = """
import socket, sys, time
protocol, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
talk = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
talk.connect((address, port))
talk.settimeout(0.05)
heard = open("/run/answers", "ab", buffering=0)
print("ready", flush=True)
while True:
    try:
        talk.send(b"tock")
        if talk.recv(1000):
            heard.write(b".")
    except OSError:
        time.sleep(0.02)
"""


def counted(host: Host) -> tuple[int, ...]:
    """Return how much the server and the client of a talk have heard."""
    return tuple(map(int, host.sh("stat -c %s /run/heard /run/answers").split()))


def await_talk(host: Host) -> None:
    end, start = time.monotonic() + 10, counted(host)
    while not all(now > then for now, then in zip(counted(host), start, strict=True)):
        assert time.monotonic() < end, "no talk"
        time.sleep(0.05)


KINDS: dict[str, tuple[dict[str, str], str]] = {
    "nat": ({}, "8080:80"),
    "nat, the same port": ({}, "80:80"),
    "no masquerade": ({"bridge.enable_ip_masquerade": "false"}, "80:80"),
    "direct": ({"bridge.allow_direct_routing": "true"}, "8080:80"),
    "direct, no masquerade": (
        {"bridge.allow_direct_routing": "true", "bridge.enable_ip_masquerade": "false"},
        "8080:80",
    ),
    "trusted": (
        {
            "bridge.trusted_host_interfaces": "uplink",
            "bridge.enable_ip_masquerade": "false",
        },
        "8080:80",
    ),
    "routed": (ROUTED, "80"),
    "open": (dict.fromkeys(MODES, "nat-unprotected"), "80:80"),
}
"""Networks, and what their endpoint publishes of port 80."""
ENDINGS = {
    "unpublish": "endpoint unpublish web/web1 80/{protocol}",
    "leave": "endpoint leave web/web1",
    "rm": "sandbox rm --force web1",
    "network rm": "network rm --force web",
}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_flows_end_with_what_let_them_in(host: Host, kind: str, protocol: str) -> None:
    options, spec = KINDS[kind]
    for version in (4, 6):
        for ending in ENDINGS if kind in ("nat", "routed") else ("unpublish",):
            _ends(host, options, spec, protocol, version, ENDINGS[ending])


def _ends(
    host: Host, options: dict[str, str], spec: str, protocol: str, version: int, ending: str
) -> None:
    def prepare(c: Controller) -> None:
        pair(c, "web", internal=False, options=options)
        c.endpoints.publish("web/web1", [f"{spec}/{protocol}"])

    host.call(act, prepare)
    own = inside(host, "web1")[version]
    host.outside.sh(f"ip -{version} route replace {own} via {HOST[version]}")
    direct = "direct" in str(options) or "trusted" in str(options) or spec == "80"
    target, port = (own, "80") if direct else (HOST[version], spec.partition(":")[0])
    host.sh(": > /run/heard; : > /run/answers")
    # The uplink has no link-local address to ask its neighbours from.
    assert host.ping("", OUTSIDE[version])
    with (
        program(host, "/run/netns/web1", TALK, protocol, own, "80"),
        program(host, "outside", TALKER, protocol, target, port),
    ):
        await_talk(host)
        done = host.netctl(*ending.format(protocol=protocol).split())
        assert done.returncode == 0, done.stderr
        time.sleep(0.3)
        before = counted(host)
        time.sleep(0.7)
        assert counted(host) == before, (options, version, ending)
    host.call(act, clear)


def test_a_flow_to_an_open_address_outlives_the_port_beside_it(host: Host) -> None:
    """In mode nat-unprotected the endpoint's own address stays open."""

    def prepare(c: Controller) -> None:
        pair(c, "web", internal=False, options=dict.fromkeys(MODES, "nat-unprotected"))
        c.endpoints.publish("web/web1", ["80:80"])

    host.call(act, prepare)
    own = inside(host, "web1")[4]
    host.outside.sh(f"ip route add {own} via {HOST[4]}")
    host.sh(": > /run/heard; : > /run/answers")
    with (
        program(host, "/run/netns/web1", TALK, "tcp", own, "80"),
        program(host, "outside", TALKER, "tcp", own, "80"),
    ):
        await_talk(host)
        host.netctl("endpoint", "unpublish", "web/web1", "80", check=True)
        await_talk(host)


def test_a_stream_that_the_endpoint_began_outlives_its_ports(host: Host) -> None:
    def prepare(c: Controller) -> None:
        pair(c, "web", internal=False, options=ROUTED)
        c.endpoints.publish("web/web1", ["80"])

    host.call(act, prepare)
    own = inside(host, "web1")[4]
    host.outside.sh(f"ip route add {own} via {HOST[4]}")
    host.sh(": > /run/heard; : > /run/answers")
    with (
        program(host, "outside", TALK, "tcp", OUTSIDE[4], "80"),
        program(host, "/run/netns/web1", TALKER, "tcp", OUTSIDE[4], "80"),
    ):
        await_talk(host)
        host.netctl("endpoint", "unpublish", "web/web1", "80", check=True)
        await_talk(host)
        assert host.netctl("check").returncode == 0


ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 8, 1800, 0, 0) + struct.pack(
    "!BBHI", 5, 1, 0, 1280
)
"""Of a router of high preference, with an MTU (RFC 4861 section 4.2, RFC 4191)."""


def _advertise(host: Host, netns: str) -> None:
    host.enter_stack(netns)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        index = socket.if_nametoindex("eth0")
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        for _ in range(3):
            sender.sendto(ADVERTISEMENT, ("ff02::1", 0, 0, index))
    time.sleep(0.3)


def _redirect(host: Host, netns: str, gateway: str, target: str, to: str, own: str) -> None:
    """Tell the endpoint ``own`` as its gateway that packets to a target go elsewhere."""
    host.enter_stack(netns)
    inner = struct.pack("!BBHHHBBH", 0x45, 0, 84, 1, 0, 64, 1, 0)
    inner += socket.inet_aton(own) + socket.inet_aton(target) + struct.pack("!BBHHH", 0, 0, 0, 1, 1)
    body = struct.pack("!BBH", 5, 1, 0) + socket.inet_aton(to) + inner
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 1, 0)
    header += socket.inet_aton(gateway) + socket.inet_aton(own)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(header + body, (own, 0))
    time.sleep(0.2)


OPENED = {
    "net.ipv6.conf.IFNAME.accept_ra": "1",
    "net.ipv4.conf.IFNAME.accept_redirects": "1",
}


@pytest.mark.parametrize("opened", [False, True])
def test_a_peer_changes_no_routes_unless_a_setting_lets_it(host: Host, opened: bool) -> None:
    def prepare(c: Controller) -> None:
        pair(c, "web", internal=False, options={})
        c.sandboxes.create("c1")
        c.endpoints.connect("web", "c1", sysctls=OPENED if opened else {})

    host.call(act, prepare)
    victim, evil = inside(host, "c1")[4], inside(host, "web1")[4]
    gateway = host.json("ip -n c1 -j -4 route show default")[0]["gateway"]
    host.call(_advertise, host, "/run/netns/web1")
    routes = host.json("ip -n c1 -j -6 route show default")
    assert any(route["protocol"] == "ra" for route in routes) == opened
    bridge = bridge_of(host, "web")
    assert host.json(f"ip -j -6 route show default dev {bridge}") == []
    # The route has to be in use, and the other gateway to be known.
    assert host.ping("/run/netns/c1", OUTSIDE[4]) and host.ping("/run/netns/c1", evil)
    told = (gateway, OUTSIDE[4], evil, victim)
    host.call(_redirect, host, "/run/netns/web1", *told)
    way = host.json(f"ip -n c1 -j route get {OUTSIDE[4]}")[0]["gateway"]
    assert way == (evil if opened else gateway)
    found = json.loads(host.netctl("doctor", "--format", "json").stdout)
    foreign = [each for each in found if each["code"] == "gateway-foreign"]
    assert len(foreign) == int(opened)
    for each in foreign:
        host.sh(each["remedy"][0])
    assert "gateway-foreign" not in host.netctl("doctor").stdout
    assert host.netctl("check").returncode == 0
    for key in ("accept_redirects", "send_redirects"):
        assert host.sh(f"cat /proc/sys/net/ipv4/conf/{bridge}/{key}") == "0\n"
    for key in ("accept_redirects", "accept_ra"):
        assert host.sh(f"cat /proc/sys/net/ipv6/conf/{bridge}/{key}") == "0\n"


def _redirects(host: Host, address: str, port: int) -> list[bytes]:
    """Return the redirects that reach c1 while it asks a port of the host's."""
    with sniffer(host, "/run/netns/web2", "eth0") as heard:
        host.enter_stack("/run/netns/web2")
        for _ in range(3):
            with socket.create_connection((address, port), 5) as client:
                client.send(b"?")
                client.recv(100)
        found = frames(heard, 0.3)
        return [f for f in found if f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 5]


def test_the_host_sends_no_redirects_into_a_network(host: Host) -> None:
    host.call(act, lambda c: pair(c, "web", internal=False, options={}))
    host.call(act, lambda c: c.endpoints.publish("web/web1", ["8080:80"]))
    with host.server("/run/netns/web1", inside(host, "web1")[4], 80):
        assert host.call(_redirects, host, HOST[4], 8080) == []
