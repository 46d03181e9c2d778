"""What a peer, or the host, tells a sandbox about its routes: advertisements and redirects."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable

import pytest

from netctl.controller import Controller
from tests.kernel.host import ANSWER, Host
from tests.kernel.raw import checksum, frames, sniffer
from tests.system.library import HOST, OUTSIDE, act, bridge_of, inside, pair
from tests.waiting import QUIET, equal

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


OPENED = {
    "net.ipv6.conf.IFNAME.accept_ra": "1",
    "net.ipv4.conf.IFNAME.accept_redirects": "1",
}


@pytest.mark.parametrize("opened", [False, True])
def test_a_peer_changes_no_routes_unless_a_setting_lets_it(host: Host, opened: bool) -> None:
    def prepare(c: Controller) -> None:
        pair(c, "web")
        c.sandboxes.create("c1")
        c.endpoints.connect("web", "c1", sysctls=OPENED if opened else {})

    host.call(act, prepare)
    victim, evil = inside(host, "c1")[4], inside(host, "web1")[4]
    gateway = host.json("ip -n c1 -j -4 route show default")[0]["gateway"]
    host.call(_advertise, host, "/run/netns/web1")

    def advertised() -> bool:
        routes = host.json("ip -n c1 -j -6 route show default")
        return any(route["protocol"] == "ra" for route in routes)

    settles(advertised, opened, changes=opened)
    bridge = bridge_of(host, "web")
    assert host.json(f"ip -j -6 route show default dev {bridge}") == []
    # The route has to be in use, and the other gateway to be known.
    assert host.ping("/run/netns/c1", OUTSIDE[4]) and host.ping("/run/netns/c1", evil)
    told = (gateway, OUTSIDE[4], evil, victim)
    host.call(_redirect, host, "/run/netns/web1", *told)

    def way() -> str:
        return str(host.json(f"ip -n c1 -j route get {OUTSIDE[4]}")[0]["gateway"])

    settles(way, evil if opened else gateway, changes=opened)
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


def settles(look: Callable[[], object], wanted: object, *, changes: bool) -> None:
    """See what is wanted: after a while, or unchanged for a while."""
    if not changes:
        time.sleep(QUIET)
        assert look() == wanted
    equal(look, wanted)


def _redirects(host: Host, address: str, port: int) -> list[bytes]:
    """Return the redirects that reach c1 while it asks a port of the host's."""
    with sniffer(host, "/run/netns/web2", "eth0") as heard:
        host.enter_stack("/run/netns/web2")
        for _ in range(3):
            with socket.create_connection((address, port), ANSWER) as client:
                client.send(b"?")
                client.recv(100)
        found = frames(heard, QUIET)
        return [f for f in found if f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 5]


def test_the_host_sends_no_redirects_into_a_network(host: Host) -> None:
    host.call(act, lambda c: pair(c, "web"))
    host.call(act, lambda c: c.endpoints.publish("web/web1", ["8080:80"]))
    with host.server("/run/netns/web1", inside(host, "web1")[4], 80):
        assert host.call(_redirects, host, HOST[4], 8080) == []
