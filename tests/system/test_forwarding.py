"""Forwarding that netctl turns on: for its networks alone, and with the host as it was found
afterwards."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import pytest

from tests.kernel.host import Host, Outside
from tests.system.library import act, clear, web
from tests.waiting import QUIET

SETTINGS = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.default.forwarding",
    "net.ipv4.conf.lan.forwarding",
    "net.ipv4.conf.uplink.forwarding",
    "net.ipv4.conf.lo.forwarding",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.forwarding",
    "net.ipv6.conf.lan.forwarding",
    "net.ipv6.conf.uplink.forwarding",
    "net.ipv6.conf.uplink.accept_ra",
)
LATER = "22222222-2222-4222-8222-222222222222"
SHELL = f'netctl() {{ {sys.executable} -m netctl "$@"; }}'
DEFAULT = "ip -6 route show default proto ra"
PC = "/run/netns/pc"
ADVERTISE = """
import socket, struct, sys
packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, int(sys.argv[1]), 0, 0)
if len(sys.argv) > 2:
    prefix = socket.inet_pton(socket.AF_INET6, sys.argv[2])
    packet += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 7200, 3600, 0) + prefix
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58) as sock:
    index = socket.if_nametoindex("world")
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    sock.sendto(packet, ("ff02::1", 0, 0, index))
"""


def findings(host: Host, code: str) -> list[dict[str, Any]]:
    done = host.netctl("doctor", "--format", "json")
    return [found for found in json.loads(done.stdout) if found["code"] == code]


def settings(host: Host) -> str:
    return host.sh(f"sysctl -e {' '.join(SETTINGS)}")


def add_lan(host: Host, kind: str = "") -> None:
    """Bring an interface ``lan``, and behind it a machine ``pc`` whose way out is the host."""
    host.sh(
        f"""
        ip netns add pc; ip link add {kind or "lan"} type veth peer name eth0 netns pc
        ip -n pc link set eth0 up; ip link set {kind or "lan"} up
        """
    )
    if kind:
        host.sh(f"ip link add lan type bridge; ip link set {kind} master lan; ip link set lan up")
    host.sh(
        """
        ip addr add 198.51.100.1/24 dev lan; ip addr add 2001:db8:1::1/64 dev lan nodad
        ip -n pc addr add 198.51.100.2/24 dev eth0
        ip -n pc addr add 2001:db8:1::2/64 dev eth0 nodad
        ip -n pc route add default via 198.51.100.1
        ip -n pc -6 route add default via 2001:db8:1::1
        """
    )
    host.outside.sh(
        "ip route add 198.51.100.0/24 via 192.0.2.1; ip -6 route add 2001:db8:1::/64 via 2001:db8::1"
    )
    # Without a link-local address the uplink asks for no neighbour in the name of others.
    assert host.ping("", Outside.IPV6) and host.ping("", Outside.IPV4)


@pytest.mark.parametrize("redirects", ["0", "1"])
def test_what_the_kernel_changes_with_forwarding_is_put_back(host: Host, redirects: str) -> None:
    add_lan(host)
    host.sh(
        f"sysctl -qw net.ipv4.conf.all.accept_redirects={redirects} net.ipv4.conf.lan.forwarding=1"
        " net.ipv6.conf.lan.forwarding=1"
    )
    before = settings(host)
    host.call(act, web)
    assert "ip_forward = 1" in settings(host)
    assert host.netctl("check").stdout == ""
    host.call(act, clear)
    assert settings(host) == before


def test_what_the_operator_changed_meanwhile_stays(host: Host) -> None:
    add_lan(host)
    host.sh("sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.lan.forwarding=1")
    host.call(act, web)
    host.sh("sysctl -qw net.ipv4.conf.all.accept_redirects=1 net.ipv4.conf.lan.forwarding=0")
    host.call(act, clear)
    found = host.sh("sysctl -n net.ipv4.conf.all.accept_redirects net.ipv4.conf.lan.forwarding")
    assert found == "1\n0\n"


def test_an_interface_that_comes_later_is_guarded(host: Host) -> None:
    host.call(act, web)
    add_lan(host)
    for address in (Outside.IPV4, Outside.IPV6):
        assert not host.ping(PC, address, seconds=QUIET)
    for address in ("198.51.100.2", "2001:db8:1::2"):
        assert host.ping("", address)
        assert not host.outside.ping(address, seconds=QUIET)
    assert host.netctl("check").returncode == 0
    assert host.netctl("reload").returncode == 0
    assert not host.ping(PC, Outside.IPV4, seconds=QUIET)


def test_nothing_goes_back_out_by_the_interface_that_it_came_in_by(host: Host) -> None:
    """Two subnets on one wire: netctl does not make the host a router between them."""
    host.sh("ip netns add pc")
    host.outside.sh(
        """
        ip link add wire address 02:00:00:ff:00:fe type bridge; ip link set wire up
        ip addr flush dev world; ip link set world master wire
        ip addr add 192.0.2.254/24 dev wire; ip addr add 2001:db8::fe/64 dev wire nodad
        ip link add pc type veth peer name eth0 address 02:00:00:ff:00:aa netns pc
        ip link set pc master wire up
        ip route add 198.51.100.0/24 via 192.0.2.1; ip -6 route add 2001:db8:1::/64 via 2001:db8::1
        """
    )
    host.sh(
        """
        ip addr add 198.51.100.1/24 dev uplink; ip addr add 2001:db8:1::1/64 dev uplink nodad
        ip -6 neighbour add 2001:db8:1::2 dev uplink lladdr 02:00:00:ff:00:aa nud permanent
        for i in all uplink; do sysctl -qw net.ipv4.conf.$i.send_redirects=0; done
        ip -n pc addr add 198.51.100.2/24 dev eth0; ip -n pc link set eth0 up
        ip -n pc addr add 2001:db8:1::2/64 dev eth0 nodad
        ip -n pc route add default via 198.51.100.1
        ip -n pc -6 route add default via 2001:db8:1::1
        """
    )
    assert host.ping("", "198.51.100.2") and host.ping("", "2001:db8:1::2")
    sysctls = "net.ipv4.ip_forward net.ipv6.conf.all.forwarding"
    host.sh(f"for s in {sysctls}; do sysctl -qw $s=1; done")
    assert host.outside.ping("198.51.100.2") and host.outside.ping("2001:db8:1::2")
    host.sh(f"for s in {sysctls}; do sysctl -qw $s=0; done")
    host.call(act, web)
    for address in ("198.51.100.2", "2001:db8:1::2"):
        assert host.ping("", address)
        assert not host.outside.ping(address, seconds=QUIET)
    assert host.netctl("check").stdout == ""


def test_the_doctor_names_it_and_its_remedy_helps(host: Host) -> None:
    host.call(act, web)
    host.sh("mkdir /etc/netctl; echo 'lock_timeout: 20' > /etc/netctl/netctl.yaml")
    add_lan(host)
    for name in ("lan", "vpn0"):
        if name == "vpn0":
            host.sh("ip link add vpn0 type bridge; ip addr add 10.200.0.1/24 dev vpn0")
            host.sh("ip link set vpn0 up")
        found = findings(host, "guarded")
        assert len(found) == 1 and f"between {name} and" in found[0]["what"]
        host.sh("\n".join([SHELL, *found[0]["remedy"]]))
        assert not findings(host, "guarded")
    assert host.ping(PC, Outside.IPV4) and host.ping(PC, Outside.IPV6)
    assert host.outside.ping("198.51.100.2") and host.outside.ping("2001:db8:1::2")
    assert host.netctl("check").stdout == ""


def test_interfaces_are_spared_by_the_beginning_of_their_names(host: Host) -> None:
    host.sh(
        "mkdir /etc/netctl; echo 'ip_forward_interfaces: [lan, \"la*\"]' > /etc/netctl/netctl.yaml"
    )
    host.call(act, web)
    add_lan(host)
    assert host.ping(PC, Outside.IPV4)
    host.sh("echo 'ip_forward_interfaces: [lan0]' > /etc/netctl/netctl.yaml")
    assert host.netctl("check").returncode == 9
    assert host.netctl("repair").returncode == 0
    assert not host.ping(PC, Outside.IPV4, seconds=QUIET)
    host.sh("echo 'ip_forward_interfaces: [\"l*\", lan0]' > /etc/netctl/netctl.yaml")
    assert host.netctl("network", "create", "db").returncode == 0
    assert host.ping(PC, Outside.IPV4)


def test_an_interface_that_the_operator_lets_forward_goes_on(host: Host) -> None:
    """IPv4 asks the interface that a packet came in by, whatever ip_forward says."""
    add_lan(host)
    host.sh("sysctl -qw net.ipv4.conf.lan.forwarding=1 net.ipv4.conf.uplink.forwarding=1")
    assert host.ping(PC, Outside.IPV4)
    host.call(act, web)
    assert host.ping(PC, Outside.IPV4)
    assert not host.ping(PC, Outside.IPV6, seconds=QUIET)
    host.call(act, clear)
    assert host.ping(PC, Outside.IPV4)


def test_a_family_that_was_on_before_is_not_guarded(host: Host) -> None:
    add_lan(host)
    host.sh("sysctl -qw net.ipv4.ip_forward=1")
    host.call(act, web)
    assert host.ping(PC, Outside.IPV4)
    assert not host.ping(PC, Outside.IPV6, seconds=QUIET)


@pytest.mark.parametrize("first", [True, False], ids=["before", "later"])
def test_a_bridge_of_others_passes_frames_between_its_ports(host: Host, first: bool) -> None:
    """With br_netfilter they come to the forward chain."""
    if not first:
        host.call(act, web)
    add_lan(host, "tap0")
    host.sh(
        """
        ip netns add vm; ip link add tap1 type veth peer name eth0 netns vm
        ip link set tap1 master lan up; ip -n vm addr add 198.51.100.3/24 dev eth0
        ip -n vm addr add 2001:db8:1::3/64 dev eth0 nodad; ip -n vm link set eth0 up
        """
    )
    for setting in ("iptables", "ip6tables"):
        place = f"/proc/sys/net/bridge/bridge-nf-call-{setting}"
        host.sh(f"! test -e {place} || echo 1 > {place}")
    if first:
        host.call(act, web)
    for address in ("198.51.100.3", "2001:db8:1::3"):
        assert host.ping(PC, address)
    for address in (Outside.IPV4, Outside.IPV6):
        assert not host.ping(PC, address, seconds=QUIET)
    assert host.netctl("check").stdout == ""


@pytest.fixture
def advertised(host: Host) -> Host:
    """A host whose IPv6 default route comes from a router's advertisement."""
    host.sh("ip -6 route del default; ip addr add fe80::1/64 dev uplink nodad")
    host.sh("sysctl -qw net.ipv6.conf.uplink.accept_ra=1")
    host.outside.sh("ip addr add fe80::fe/64 dev world nodad")
    advertise(host)
    return host


def advertise(host: Host, seconds: int = 1800) -> None:
    done = host.outside.run("python3", "-c", ADVERTISE, str(seconds))
    assert done.returncode == 0, done.stderr
    wanted = "test" if seconds else "! test"
    host.until(f'{wanted} -n "$({DEFAULT})"')


def test_a_default_route_of_an_advertisement_stays(advertised: Host) -> None:
    host = advertised
    before = settings(host)
    assert host.ping("", Outside.IPV6)
    host.call(act, web)
    assert host.sh(DEFAULT)
    assert host.netctl("check").stdout == ""
    # Not only the one that was there: the router goes, and comes again.
    advertise(host, 0)
    advertise(host)
    host.sh("sysctl -qw net.ipv6.conf.uplink.accept_ra=1")
    assert host.netctl("check").returncode == 9
    assert host.netctl("reload").returncode == 0
    assert host.netctl("check").stdout == ""
    host.call(act, clear)
    assert settings(host) == before
    advertise(host, 0)
    advertise(host)


def test_an_address_of_an_advertisement_is_renewed(host: Host) -> None:
    """The way out may be another's: without advertisements the address goes in time."""
    host.outside.sh("ip addr add fe80::fe/64 dev world nodad")
    host.sh("ip link set uplink addrgenmode eui64; sysctl -qw net.ipv6.conf.uplink.accept_ra=1")
    host.sh("ip addr add fe80::1/64 dev uplink nodad; sysctl -qw net.ipv6.conf.uplink.accept_dad=0")
    before = settings(host)
    advertisement = ("python3", "-c", ADVERTISE, "0", "2001:db8:5::")
    assert host.outside.run(*advertisement).returncode == 0
    host.until("ip -6 addr show dev uplink | grep -q 2001:db8:5:")
    host.call(act, web)
    assert "uplink.accept_ra = 2" in settings(host)
    host.call(act, clear)
    assert settings(host) == before


def test_after_a_reboot_the_router_may_come_after_netctl(advertised: Host) -> None:
    """At boot networks are restored before the uplink has heard of a router."""
    host = advertised
    host.call(act, web)
    name = host.sh("ip -br link show type bridge | cut -d' ' -f1").strip()
    host.sh(
        f"ip link del {name}; nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0"
        " net.ipv6.conf.all.forwarding=0 net.ipv6.conf.uplink.accept_ra=1"
    )
    advertise(host, 0)
    host.call(partial(act, boot_id=LATER), lambda c: c.restore())
    advertise(host)


def test_the_doctor_names_an_uplink_that_heeds_no_router(host: Host) -> None:
    host.sh("ip -6 route del default; sysctl -qw net.ipv6.conf.uplink.accept_ra=1")
    host.call(act, web)
    found = findings(host, "accept-ra")
    assert len(found) == 1 and "uplink" in found[0]["what"]
    host.sh("\n".join([SHELL, *found[0]["remedy"]]))
    assert not findings(host, "accept-ra")


def test_without_a_network_the_guard_can_still_be_changed_and_brought_back(host: Host) -> None:
    """Forwarding stays on for the owner of an interface that came meanwhile."""
    host.call(act, web)
    add_lan(host)
    host.call(act, clear)
    assert not host.ping(PC, Outside.IPV4, seconds=QUIET)
    host.sh("nft flush ruleset")
    assert host.netctl("check").returncode == 9
    assert host.netctl("repair").returncode == 0
    assert not host.ping(PC, Outside.IPV4, seconds=QUIET)
    host.sh("\n".join([SHELL, *findings(host, "guarded")[0]["remedy"]]))
    assert host.ping(PC, Outside.IPV4) and host.netctl("check").stdout == ""


def test_what_was_left_on_for_a_newcomer_ends_when_the_operator_turns_it_off(host: Host) -> None:
    host.sh("sysctl -qw net.ipv4.ip_forward=0; ip link add before type bridge")
    host.netctl("network", "create", "web")
    host.sh("ip link add br0 type bridge")
    told = host.netctl("network", "rm", "web").stderr
    assert "stays on" in told
    assert host.sh("sysctl -n net.ipv4.ip_forward").strip() == "1"
    # What the hint says.
    host.sh(f"{SHELL}\nsysctl -qw net.ipv4.ip_forward=0; netctl gc --yes")
    assert "netctl" not in host.sh("nft list tables")
    host.netctl("network", "create", "web")
    assert host.netctl("network", "rm", "web").stderr == ""
    assert host.sh("sysctl -n net.ipv4.ip_forward").strip() == "0"
    assert "netctl" not in host.sh("nft list tables")
