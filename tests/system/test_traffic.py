"""What can reach what, with real packets, and that everything comes apart without a trace."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from netctl.controller import Controller
from tests.kernel.host import Host, Outside
from tests.system.library import act, addresses, clear, two, two_networks, web
from tests.waiting import QUIET

C1, C2, C3 = (f"/run/netns/c{number}" for number in (1, 2, 3))


def sandbox_in(c: Controller, network: str, sandbox: str, **options: Any) -> None:
    c.sandboxes.create(sandbox, if_not_exists=True)
    c.endpoints.connect(network, sandbox, **options)


def create(c: Controller, name: str, **options: Any) -> None:
    c.networks.create(name, **options)


def test_the_main_job(host: Host) -> None:
    before = host.snapshot()
    host.call(act, two)
    v4, v6 = host.call(addresses, "c2")
    for address in (v4, v6, Outside.IPV4, Outside.IPV6):
        assert host.ping(C1, address), address
    with host.server(C2, v4, 80), host.server(C2, v6, 81):
        assert host.ask(C1, v4, 80) == host.call(addresses, "c1")[0]
        assert host.ask(C1, v6, 81) == host.call(addresses, "c1")[1]
    host.call(act, clear)
    host.assert_unchanged(before)


def test_the_outside_sees_the_hosts_address(host: Host) -> None:
    host.call(act, two)
    with host.server("outside", Outside.IPV4, 80), host.server("outside", Outside.IPV6, 81):
        assert host.ask(C1, Outside.IPV4, 80) == "192.0.2.1"
        assert host.ask(C1, Outside.IPV6, 81) == "2001:db8::1"


def test_networks_are_isolated_from_each_other_and_from_outside(host: Host) -> None:
    host.call(act, two_networks)
    v4, v6 = host.call(addresses, "c1")
    host.outside.sh(
        "ip route add 172.16.0.0/12 via 192.0.2.1; ip -6 route add fd00::/8 via 2001:db8::1"
    )
    assert host.ping("", v4) and host.ping("", v6)
    for address in (v4, v6):
        assert not host.ping(C3, address, seconds=QUIET), address
        assert host.outside.run("ping", "-c1", "-w1", address).returncode != 0, address


def test_the_host_does_not_become_a_router(host: Host) -> None:
    host.sh(
        "ip link add lan type veth peer name pc; ip addr add 198.51.100.1/24 dev lan; ip link set lan up"
    )
    host.sh("ip netns add pc; ip link set pc netns pc; ip -n pc addr add 198.51.100.2/24 dev pc")
    host.sh("ip -n pc link set pc up; ip -n pc route add default via 198.51.100.1")
    host.outside.sh("ip route add 198.51.100.0/24 via 192.0.2.1")
    assert host.ping("/run/netns/pc", "198.51.100.1")
    host.call(act, web)
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
    assert not host.ping("/run/netns/pc", Outside.IPV4, seconds=QUIET)
    host.call(act, clear)
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward") == "0\n"


def test_forwarding_stays_for_newcomers_and_keeps_its_drop(host: Host) -> None:
    host.call(act, web)
    host.sh("ip link add docker0 type bridge")
    host.call(act, clear)
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
    assert "goto guard" in host.sh("nft list map inet netctl guards")
    assert host.netctl("gc", "--yes").stdout == host.netctl("check").stdout == ""
    assert "goto guard" in host.sh("nft list map inet netctl guards")
    host.sh("ip link delete docker0")
    host.call(act, web, clear)
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward") == "0\n"
    assert host.sh("nft list ruleset") == ""


def test_a_bridge_that_is_used_is_no_newcomer_when_it_is_let_go(host: Host) -> None:
    """It was there when forwarding was turned on: it is kept apart again, and forwarding goes."""
    host.sh("ip link add br0 type bridge; ip addr add 10.9.0.1/24 dev br0; ip link set br0 up")
    host.sh("ip link add vm type veth peer name eth0; ip link set vm master br0 up")
    host.sh("ip netns add pc; ip link set eth0 netns pc; ip -n pc addr add 10.9.0.2/24 dev eth0")
    host.sh("ip -n pc link set eth0 up; ip -n pc route add default via 10.9.0.1")
    host.call(act, web)
    assert not host.ping("/run/netns/pc", Outside.IPV4, seconds=QUIET)
    lan = "network create lan -o bridge.name=br0 --subnet 10.9.0.0/24 --gateway 10.9.0.1"
    assert host.netctl(*lan.split()).returncode == 0
    assert host.ping("/run/netns/pc", Outside.IPV4)
    assert host.netctl("network", "rm", "lan").returncode == 0
    assert not host.ping("/run/netns/pc", Outside.IPV4, seconds=QUIET)
    host.call(act, clear)
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward; nft list ruleset") == "0\n"


def test_interfaces_with_odd_names_are_no_hindrance(host: Host) -> None:
    odd = [r"a\377b", r"a\302\233b", 'q\\"x', "s*"]
    for name in odd:
        host.sh(f"""ip link add "$(printf '{name}')" type bridge""")
    host.call(act, web)
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
    host.call(act, clear)
    assert host.sh("nft list ruleset") == ""


def test_forwarding_that_was_on_stays_on_and_drops_nothing(host: Host) -> None:
    host.sh(
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"
    )
    before = host.snapshot()
    host.call(act, web)
    assert "elements" not in host.sh("nft list map inet netctl guards")
    host.call(act, clear)
    host.assert_unchanged(before)


def test_an_internal_network_reaches_only_itself(host: Host) -> None:
    host.call(
        act,
        partial(create, name="web", internal=True),
        partial(sandbox_in, network="web", sandbox="c1"),
        partial(sandbox_in, network="web", sandbox="c2"),
    )
    assert host.ping(C1, host.call(addresses, "c2")[0])
    assert not host.ping(C1, Outside.IPV4, seconds=QUIET)
    assert "default" not in host.sh("ip -n c1 route")
    # Not even with a route of the sandbox's own making.
    gateway = host.sh(
        "ip -4 -o address show dev $(ls /sys/class/net | grep br-) | awk '{print $4}'"
    )
    host.sh(f"ip -n c1 route add default via {gateway.split('/')[0]}")
    assert not host.ping(C1, Outside.IPV4, seconds=QUIET)


def test_without_icc_endpoints_reach_the_outside_but_not_each_other(host: Host) -> None:
    host.call(
        act,
        partial(create, name="web", options={"bridge.enable_icc": "false"}, ipv6=True),
        partial(sandbox_in, network="web", sandbox="c1"),
        partial(sandbox_in, network="web", sandbox="c2"),
    )
    v4, v6 = host.call(addresses, "c2")
    assert not host.ping(C1, v4, seconds=QUIET)
    assert not host.ping(C1, v6, seconds=QUIET)
    assert host.ping(C1, Outside.IPV4) and host.ping(C1, Outside.IPV6)


def test_without_masquerade_the_outside_sees_the_sandbox(host: Host) -> None:
    options = {"bridge.enable_ip_masquerade": "false"}
    host.call(
        act,
        partial(create, name="web", options=options, subnets=["10.9.0.0/24"]),
        partial(sandbox_in, network="web", sandbox="c1"),
    )
    assert not host.ping(C1, Outside.IPV4, seconds=QUIET)
    host.outside.sh("ip route add 10.9.0.0/24 via 192.0.2.1")
    with host.server("outside", Outside.IPV4, 80):
        assert host.ask(C1, Outside.IPV4, 80) == host.call(addresses, "c1")[0]


def test_source_address_to_the_outside(host: Host) -> None:
    host.sh(
        "ip address add 192.0.2.77/24 dev uplink; ip address add 2001:db8::77/64 dev uplink nodad"
    )
    options = {"host_ipv4": "192.0.2.77", "host_ipv6": "2001:db8::77"}
    host.call(
        act,
        partial(create, name="web", options=options, ipv6=True),
        partial(sandbox_in, network="web", sandbox="c1"),
    )
    with host.server("outside", Outside.IPV4, 80), host.server("outside", Outside.IPV6, 81):
        assert host.ask(C1, Outside.IPV4, 80) == "192.0.2.77"
        assert host.ask(C1, Outside.IPV6, 81) == "2001:db8::77"


def test_an_ipv6_only_network(host: Host) -> None:
    host.call(
        act,
        partial(create, name="six", ipv4=False, ipv6=True),
        partial(sandbox_in, network="six", sandbox="c1"),
    )
    assert host.ping(C1, Outside.IPV6)
    assert "inet " not in host.sh("ip -n c1 address show eth0")


def test_no_ipv6_at_all_on_a_network_without_it(host: Host) -> None:
    host.call(act, partial(create, name="web"), partial(sandbox_in, network="web", sandbox="c1"))
    assert "inet6" not in host.sh("ip -n c1 address show eth0")
    assert "inet6" not in host.sh("ip address show type bridge")


def test_an_adopted_bridge_is_used_and_never_deleted(host: Host) -> None:
    host.sh(
        "ip link add br0 address 02:00:00:00:00:b0 type bridge; ip addr add 10.7.0.1/24 dev br0; ip link set br0 addrgenmode none up"
    )
    # The kernel gives the bridge multicast routes when its first port comes; not our doing.
    host.sh("echo 1 > /proc/sys/net/ipv6/conf/br0/disable_ipv6")
    before = host.snapshot()
    options = {"bridge.name": "br0"}
    host.call(
        act,
        partial(create, name="web", options=options, subnets=["10.7.0.0/24"]),
        partial(sandbox_in, network="web", sandbox="c1"),
    )
    assert host.ping(C1, Outside.IPV4)
    assert "br0" in host.sh("ip -o link show type bridge")
    host.call(act, clear)
    host.assert_unchanged(before)


@pytest.mark.parametrize("prefix", [31, 30])
def test_the_smallest_subnets(host: Host, prefix: int) -> None:
    host.call(
        act,
        partial(create, name="web", subnets=[f"10.9.0.0/{prefix}"]),
        partial(sandbox_in, network="web", sandbox="c1"),
    )
    assert host.ping(C1, Outside.IPV4)


def test_the_mtu_is_that_of_the_way_out(host: Host) -> None:
    host.sh("ip link set uplink mtu 1400")
    host.call(act, partial(create, name="web"), partial(sandbox_in, network="web", sandbox="c1"))
    assert "mtu 1400" in host.sh("ip -n c1 link show eth0")
    assert "mtu 1400" in host.sh("ip link show type bridge")
    assert host.sh("ip netns exec c1 ping -M do -s 1372 -c1 -w2 192.0.2.254")


def test_the_mtu_of_an_adopted_bridge_is_its_endpoints(host: Host) -> None:
    host.sh("ip link add br0 type bridge; ip link set br0 mtu 9001 up")
    host.call(
        act,
        partial(create, name="web", options={"bridge.name": "br0"}),
        partial(create, name="db", options={"driver.mtu": "1400"}),
        partial(sandbox_in, network="web", sandbox="c1"),
    )
    assert "mtu 9001" in host.sh("ip -n c1 link show eth0")
    assert "mtu 9001" in host.sh("ip link show br0")
    given = partial(create, name="given", options={"bridge.name": "br0", "driver.mtu": "1300"})
    host.call(act, clear, given, partial(sandbox_in, network="given", sandbox="c1"))
    assert "mtu 1300" in host.sh("ip -n c1 link show eth0")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("--subnet 10.8.0.0/24", 4),
        ("--subnet 10.9.0.0/16 --gateway 10.9.0.1", 4),
        ("", 4),
        ("--subnet 10.9.0.0/24 --gateway 10.9.0.1", 0),
        ("--subnet 10.7.0.0/24 --gateway 10.7.0.1", 0),
        ("--subnet 10.8.0.0/24 -o bridge.inhibit_ipv4=true", 0),
        ("--subnet 10.8.0.0/24 --internal -o bridge.gateway_mode_ipv4=isolated", 0),
        ("--no-ipv4 --ipv6", 0),
    ],
)
def test_a_subnet_fits_the_addresses_of_an_adopted_bridge(
    host: Host, options: str, status: int
) -> None:
    host.sh(
        """
        ip link add br0 type bridge; ip addr add 10.9.0.1/24 dev br0
        ip addr add 10.7.0.1/24 dev br0; ip addr add 169.254.3.4/16 dev br0; ip link set br0 up
        """
    )
    before = host.sh("ip -o -4 addr show br0; nft list ruleset")
    done = host.netctl("network", "create", "web", "-o", "bridge.name=br0", *options.split())
    assert done.returncode == status, done.stderr
    if status:
        assert "10.9.0.1/24" in done.stderr and "does not fit bridge br0" in done.stderr
        assert host.sh("ip -o -4 addr show br0; nft list ruleset") == before
        hint = done.stderr.partition("hint: ")[2].partition(",")[0]
        again = host.netctl("network", "create", "web", "-o", "bridge.name=br0", *hint.split())
        assert again.returncode == 0, again.stderr


def test_two_endpoints_share_a_subnet_of_two_addresses(host: Host) -> None:
    host.call(
        act,
        partial(
            create,
            name="web",
            subnets=["10.9.0.0/31"],
            options={"bridge.inhibit_ipv4": "true"},
        ),
        partial(sandbox_in, network="web", sandbox="c1"),
        partial(sandbox_in, network="web", sandbox="c2"),
    )
    assert host.ping(C1, host.call(addresses, "c2")[0])
    assert host.netctl("check").stdout == ""
    full = host.netctl("endpoint", "create", "web", "third")
    assert full.returncode == 5


def test_what_was_asked_for_is_there(host: Host) -> None:
    wanted: dict[str, Any] = {"ip": "10.9.0.77", "mac": "02:00:00:00:00:77", "ifname": "wan0"}
    options = {"driver.mtu": "1300"}
    host.call(
        act,
        partial(create, name="web", subnets=["10.9.0.0/24"], options=options),
        partial(sandbox_in, network="web", sandbox="c1", **wanted),
    )
    shown = host.sh("ip -n c1 address show wan0")
    assert all(text in shown for text in ("10.9.0.77/24", "02:00:00:00:00:77", "mtu 1300"))


def test_the_operators_rules_come_first_and_survive(host: Host) -> None:
    host.call(act, web)
    host.sh("nft add rule inet netctl user-pre ip daddr 192.0.2.254 drop")
    host.call(act, partial(sandbox_in, network="web", sandbox="c1"))
    assert not host.ping(C1, Outside.IPV4, seconds=QUIET)
    host.call(act, partial(create, name="db"), clear)
    assert "192.0.2.254" in host.sh("nft list chain inet netctl user-pre")


def test_foreign_tables_are_not_touched(host: Host) -> None:
    host.sh(
        "nft 'add table ip theirs; add chain ip theirs c { type filter hook forward priority 0; }'"
    )
    before = host.snapshot()
    host.call(act, two, clear)
    host.assert_unchanged(before)


def test_taking_down_works_after_somebody_flushed_the_rules(host: Host) -> None:
    before = host.snapshot()
    host.call(act, two_networks)
    host.sh("nft flush ruleset")
    host.call(act, clear)
    host.assert_unchanged(before)
