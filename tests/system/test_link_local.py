"""Networks whose IPv6 addresses are link-local: reached on the network, with a zone."""

from __future__ import annotations

import pytest

from tests.kernel.host import Host, Outside
from tests.system.library import act, clear

C1, C2 = "/run/netns/c1", "/run/netns/c2"


def commands(host: Host, text: str) -> None:
    for line in text.strip().splitlines():
        done = host.netctl(*line.split())
        assert done.returncode == 0 and "warning" not in done.stderr, (line, done.stderr)


def bridge(host: Host) -> str:
    return host.sh("ip -br link show type bridge | cut -d' ' -f1").strip()


@pytest.mark.parametrize("subnet", ["fe80::/64", "fe80:0:0:5::/64", "febf:ffff::/64"])
def test_endpoints_and_host_reach_each_other_with_a_zone(host: Host, subnet: str) -> None:
    # Each interface may have the same addresses.
    host.sh("ip addr add fe80::1/64 dev uplink nodad; ip addr add fe80::2/64 dev uplink nodad")
    host.outside.sh("ip addr add fe80::fe/64 dev world nodad")
    assert host.ping("", "fe80::fe%uplink")
    before = host.snapshot()
    commands(
        host,
        f"""
        network create ll --ipv6 --subnet {subnet}
        sandbox create c1
        sandbox create c2
        network connect ll c1
        network connect ll c2 -p 8080:80
        check
        """,
    )
    base = subnet.removesuffix("/64")
    for there in ("c1", "c2"):
        other = {"c1": f"{base}3", "c2": f"{base}2"}[there]
        assert host.ping(f"/run/netns/{there}", f"{other}%eth0")
        assert host.ping(f"/run/netns/{there}", f"{base}1%eth0")
        assert host.ping(f"/run/netns/{there}", Outside.IPV4)
    assert host.ping("", f"{base}2%{bridge(host)}")
    # No router forwards them: no way out is given, and IPv6 forwarding is not turned on.
    assert host.sh("ip -n c1 -6 route show default") == ""
    assert host.sh("cat /proc/sys/net/ipv6/conf/all/forwarding") == "0\n"
    # The addresses of other interfaces stay what they were.
    assert host.outside.ping("fe80::1%world") and host.outside.ping("fe80::2%world")
    with host.server(C2, "0.0.0.0", 80):
        assert host.ask("outside", "192.0.2.1", 8080)
        assert host.ask("", "127.0.0.1", 8080)
    host.call(act, clear)
    host.assert_unchanged(before)


def test_names_lead_to_addresses_that_need_no_zone(host: Host) -> None:
    commands(
        host,
        """
        network create ll --ipv6 --subnet fe80::/64
        sandbox create c1
        sandbox create c2
        network connect ll c1
        network connect ll c2
        """,
    )
    found = host.sh("ip netns exec c1 getent ahosts c2")
    assert "172." in found and "fe80" not in found
    assert "fe80" not in host.sh("ip netns exec c1 cat /etc/hosts")
    assert host.netctl("doctor", "c1", "c2").returncode == 0
    assert "fe80::2/64" in host.netctl("endpoint", "ls").stdout


def test_the_way_out_is_another_networks(host: Host) -> None:
    commands(
        host,
        """
        network create a --no-ipv4 --ipv6 --subnet fe80::/64
        network create b --no-ipv4 --ipv6
        sandbox create c1
        network connect a c1
        network connect b c1
        """,
    )
    assert host.ping(C1, Outside.IPV6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("network create x --ipv6 --subnet fe80::/65", "link-local"),
        ("network create x --ipv6 --subnet fe80::/63", "link-local"),
        ("network create x --ipv6 --subnet fe80::/10", "link-local"),
        ("network create x --ipv6 --subnet fe80::1/64", "it should be fe80::/64"),
        ("network create x --ipv6 --subnet fe00::/8", "link-local"),
        ("endpoint create ll e -p 8080:80", "link-local"),
        ("endpoint create ll e -p [::]:8080:80", "link-local"),
        ("endpoint create ll e --ip6 fe80:0:0:1::5", "outside of the subnets"),
    ],
)
def test_what_cannot_be_is_refused(host: Host, arguments: str, words: str) -> None:
    commands(host, "network create ll --no-ipv4 --ipv6 --subnet fe80::/64")
    done = host.netctl(*arguments.split())
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert "\nhint: " in done.stderr


def test_a_bridge_with_an_address_of_its_own_is_adopted(host: Host) -> None:
    host.sh("ip link add br0 type bridge; ip link set br0 up")
    commands(
        host,
        """
        network create ll --no-ipv4 --ipv6 --subnet fe80::/64 -o bridge.name=br0
        sandbox create c1
        network connect ll c1
        check
        """,
    )
    assert host.ping("", "fe80::2%br0")
    assert host.netctl("doctor").returncode == 0
