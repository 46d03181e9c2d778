"""Ports of the host's loopback: 127.0.0.0/8 by the rules, ::1 by the resolver's process; and what
else they must not open."""

from __future__ import annotations

import signal

from netctl.controller import Controller
from tests.kernel.host import Host
from tests.kernel.resolver_host import end_process
from tests.system.library import act, addresses, clear, two_networks
from tests.waiting import QUIET, equal

C1, C2 = "/run/netns/c1", "/run/netns/c2"
HOST4, HOST6 = "192.0.2.1", "2001:db8::1"

C1 = "/run/netns/c1"
HOST4, HOST6 = "192.0.2.1", "2001:db8::1"


def publish(c: Controller, *specs: str) -> None:
    c.endpoints.publish("web/c1", specs)


def test_a_port_of_127_0_0_1_is_not_reached_from_outside_whatever_the_host_routes(
    host: Host,
) -> None:
    before = host.snapshot()
    host.call(act, two_networks, lambda c: publish(c, "127.0.0.1:8080:80"))
    inside, _ = host.call(addresses, "c1")
    # A host that takes such packets from everywhere, and a neighbour that sends them.
    host.sh("sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.all.rp_filter=0")
    host.outside.sh(
        "sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.all.rp_filter=0;"
        " ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.1/32 via 192.0.2.1 src 192.0.2.254"
    )
    with host.server(C1, inside, 80):
        assert host.ask("outside", "127.0.0.1", 8080, seconds=QUIET) is None
        assert host.ask("", "127.0.0.1", 8080)
    host.outside.sh("ip route del 127.0.0.1/32; ip address add 127.0.0.1/8 dev lo")
    host.sh("sysctl -qw net.ipv4.conf.all.route_localnet=0")
    host.call(act, clear)
    host.assert_unchanged(before)


def test_the_hosts_own_loopback_is_not_reached_through_the_bridge(host: Host) -> None:
    host.call(act, two_networks)
    host.sh(
        "ip netns exec c1 sh -c 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet';"
        "ip -n c1 address del 127.0.0.1/8 dev lo; ip -n c1 route add 127.0.0.9/32 via 172.17.0.1"
    )
    with host.server("", "127.0.0.9", 7777):
        assert host.ask("", "127.0.0.9", 7777)
        assert host.ask(C1, "127.0.0.9", 7777, seconds=QUIET) is None


def localnet(host: Host, bridge: str = "") -> str:
    name = bridge or host.netctl("network", "inspect", "web", "--format", "{bridge}").stdout.strip()
    return host.sh(f"cat /proc/sys/net/ipv4/conf/{name}/route_localnet").strip()


def test_the_hosts_loopback_is_not_open_while_the_rules_are_away(host: Host) -> None:
    host.call(act, two_networks)
    host.sh(
        "ip netns exec c1 sh -c 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet';"
        "ip -n c1 address del 127.0.0.1/8 dev lo; ip -n c1 route add 127.0.0.9/32 via 172.17.0.1;"
        "nft flush ruleset"
    )
    with host.server("", "127.0.0.9", 7777):
        assert host.ask("", "127.0.0.9", 7777)
        assert host.ask(C1, "127.0.0.9", 7777, seconds=QUIET) is None
        host.call(act, lambda c: c.reload())
        assert localnet(host) == "0"


def test_the_loopback_leads_into_a_network_while_one_of_its_ports_needs_it(host: Host) -> None:
    host.call(act, two_networks)
    assert localnet(host) == "0"
    # Those that loopback does not lead to: of one address, of IPv6, not the way out.
    host.call(act, lambda c: publish(c, f"{HOST4}:8080:80", "[::]:8081:80", "[::1]:8082:80"))
    assert localnet(host) == "0"
    host.call(act, lambda c: publish(c, "127.0.0.1:8083:80", "8084:80"))
    assert localnet(host) == "1"
    host.call(act, lambda c: c.endpoints.publish("web/c2", ["8085:80"]))
    host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["127.0.0.1:8083:80"]))
    host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["8084:80"]))
    assert localnet(host) == "1"
    # Another way out, and back.
    host.call(act, lambda c: c.endpoints.connect("db", "c2", priority=9))
    assert localnet(host) == "0"
    host.call(act, lambda c: c.endpoints.disconnect("db", "c2"))
    assert localnet(host) == "1"
    host.call(act, lambda c: c.sandboxes.refresh("c2"))
    assert localnet(host) == "1" and host.netctl("check").returncode == 0
    bridge = host.netctl("network", "inspect", "web", "--format", "{bridge}").stdout.strip()
    host.sh(f"sysctl -qw net.ipv4.conf.{bridge}.route_localnet=0")
    assert host.netctl("check").returncode == 9
    assert host.netctl("repair").returncode == 0 and localnet(host) == "1"
    host.call(act, lambda c: c.endpoints.leave("web/c2"))
    assert localnet(host) == "0"
    host.sh(f"sysctl -qw net.ipv4.conf.{bridge}.route_localnet=1")
    assert "route_localnet" in host.netctl("check").stdout
    assert host.netctl("reload").returncode == 0 and localnet(host) == "0"


def test_the_loopback_of_a_bridge_that_is_not_ours(host: Host) -> None:
    host.sh(
        "ip link add br0 type bridge; ip link set br0 up; ip link add br1 type bridge;"
        "sysctl -qw net.ipv4.conf.br1.route_localnet=1"
    )

    def prepare(c: Controller) -> None:
        for number in (0, 1):
            c.networks.create(f"n{number}", options={"bridge.name": f"br{number}"})
            for name in ("a", "b"):
                c.sandboxes.create(f"{name}{number}")
                c.endpoints.connect(f"n{number}", f"{name}{number}", ports=["80"])

    host.call(act, prepare)
    assert (localnet(host, "br0"), localnet(host, "br1")) == ("1", "1")
    # All in one operation: none of them stays.
    for number in (0, 1):
        host.netctl("network", "rm", "--force", f"n{number}", check=True)
    assert (localnet(host, "br0"), localnet(host, "br1")) == ("0", "1")


def relayed(host: Host) -> str:
    return host.sh("ss -Htuln src [::1] | awk '{print $1, $5}' | sort")


def test_the_loopback_of_ipv6_over_time(host: Host) -> None:
    """What is sent to ::1 is relayed by the resolver's process: with it, and with the endpoint."""
    before = host.snapshot()
    host.call(act, two_networks)
    _, inside = host.call(addresses, "c1")
    tables = host.sh("nft list ruleset")
    with host.server("", "::1", 8080):
        done = host.netctl("endpoint", "publish", "web/c1", "[::1]:8080:80")
        assert done.returncode == 5 and "8080 is held by process" in done.stderr
    host.call(act, lambda c: publish(c, "[::1]:8080:80"))
    # It takes no rule.
    assert host.sh("nft list ruleset") == tables
    host.call(act, lambda c: publish(c, "8081:81", "[::]:53:53/udp", "[2001:db8::1]:8082:82"))
    assert relayed(host) == "tcp [::1]:8080\ntcp [::1]:8081\nudp [::1]:53\n"
    with host.server(C1, inside, 80), host.server(C1, inside, 81):
        assert host.ask("", "::1", 8080) and host.ask("", "::1", 8081)
        assert host.ask("", HOST6, 8080) is None
        assert host.netctl("check").returncode == 0
        assert "port-served-twice" not in host.netctl("doctor", "--format", "json").stdout
        with host.server("", "0.0.0.0", 8081):
            found = host.netctl("doctor").stdout
            assert "[port-served-twice]" in found and "netctl-dns" not in found
        # Killed, it comes back with the next command that changes something.
        end_process(int(host.sh("cat /run/netctl/resolver.pid")), signal.SIGKILL)
        assert host.ask("", "::1", 8080) is None
        with host.server("", "::1", 8080):
            done = host.netctl("network", "create", "more")
            assert "it is back" in done.stderr and host.ask("", "::1", 8081)
            found = host.netctl("check").stdout
            assert "ports on ::1 of endpoint" in found and "all but tcp 8080" in found
            assert host.netctl("repair").returncode == 10
        log = host.sh("cat /run/netctl/resolver.log; rm /run/netctl/resolver.log")
        assert "tcp port 8080 of [::1] is not relayed: Address already in use" in log
        assert host.netctl("repair").returncode == 0 and host.ask("", "::1", 8080)
        # What goes is gone when the command has ended.
        host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["80", "53/udp"]))
        assert relayed(host) == "tcp [::1]:8081\n" and host.ask("", "::1", 8081)
        host.call(act, lambda c: c.endpoints.leave("web/c1"))
        assert relayed(host) == ""
        host.call(act, lambda c: c.endpoints.join("web/c1", "c1"))
        assert host.ask("", "::1", 8081)
        # Another way out for IPv6 takes it away, and gives it back.
        host.call(act, lambda c: c.networks.create("six", ipv4=False, ipv6=True))
        host.call(act, lambda c: c.endpoints.connect("six", "c1", priority=9))
        assert relayed(host) == ""
        host.call(act, lambda c: c.endpoints.disconnect("six", "c1"))
        assert relayed(host) == "tcp [::1]:8081\n"
    host.call(act, clear)
    host.assert_unchanged(before)


def test_the_loopback_of_ipv6_without_names(host: Host) -> None:
    """The process is there for a port alone, and goes with it."""
    before = host.snapshot()
    host.call(
        act, lambda c: c.networks.create("web", ipv6=True), lambda c: c.sandboxes.create("c1")
    )
    host.call(act, lambda c: c.endpoints.connect("web", "c1", no_dns=True))
    assert host.processes() == []
    host.call(act, lambda c: publish(c, "8080:80"))
    _, inside = host.call(addresses, "c1")
    with host.server(C1, inside, 80):
        assert host.ask("", "::1", 8080)
    host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["80"]))
    assert relayed(host) == ""
    equal(host.processes, [])
    host.call(act, lambda c: publish(c, "[::1]:8080:80"), clear)
    equal(host.processes, [])
    host.assert_unchanged(before)
