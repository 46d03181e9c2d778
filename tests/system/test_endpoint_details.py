"""An endpoint's settings and static routes, on the real kernel."""

from __future__ import annotations

import json

import pytest

from netctl.controller import Controller
from netctl.errors import Conflict, KernelError, Partial
from tests.kernel.host import Host
from tests.system.library import act, addresses, clear, web

C1, C2 = "/run/netns/c1", "/run/netns/c2"
FAR4, FAR6 = "10.50.0.1", "fd50::1"
SETTINGS = {
    "net.ipv4.conf.IFNAME.rp_filter": "2",
    "net.ipv4.neigh.IFNAME.ucast_solicit": "5",
    "net.ipv6.conf.IFNAME.mtu": "1400",
}


def router(c: Controller) -> None:
    """A network, and c2 in it as the router to a place beyond."""
    web(c)
    c.sandboxes.create("c2")
    c.endpoints.connect("web", "c2")


def detailed(c: Controller, ipv4: str, ipv6: str) -> None:
    c.sandboxes.create("c1")
    c.endpoints.create(
        "web",
        "e1",
        ifname="lan.0",
        sysctls=SETTINGS,
        no_default_route=True,
        routes=[
            *(f"10.50.0.0/16,{ipv4}", f"fd50::/64,{ipv6},7", "10.51.0.0/16", "fd51::/64"),
            *("10.50.7.0/24,blackhole", "10.50.8.0/24,unreachable,5", "fd50::7:0/112,prohibit"),
        ],
    )
    c.endpoints.join("e1", "c1")


def routes(host: Host) -> set[str]:
    """Return the routes in c1 that are not there by themselves."""
    text = host.sh("ip -n c1 route; ip -n c1 -6 route")
    lines = (" ".join(line.split()) for line in text.splitlines())
    return {line for line in lines if "proto kernel" not in line}


def expected(ipv4: str, ipv6: str) -> set[str]:
    return {
        f"10.50.0.0/16 via {ipv4} dev lan.0 proto static",
        "10.51.0.0/16 dev lan.0 proto static scope link",
        "blackhole 10.50.7.0/24 proto static",
        "unreachable 10.50.8.0/24 proto static metric 5",
        f"fd50::/64 via {ipv6} dev lan.0 proto static metric 7 pref medium",
        "fd51::/64 dev lan.0 proto static metric 1024 pref medium",
        "prohibit fd50::7:0/112 dev lo proto static metric 1024 pref medium",
    }


def setting(host: Host, name: str) -> str:
    return host.sh(f"ip netns exec c1 cat /proc/sys/net/{name}").strip()


def settings(host: Host, link: str) -> list[str]:
    names = (f"ipv4/conf/{link}/rp_filter", f"ipv4/neigh/{link}/ucast_solicit")
    return [setting(host, name) for name in (*names, f"ipv6/conf/{link}/mtu")]


def check(host: Host, ipv4: str, ipv6: str) -> None:
    assert routes(host) == expected(ipv4, ipv6)
    assert settings(host, "lan.0") == ["2", "5", "1400"]
    assert settings(host, "lo") == ["0", "3", "65536"]
    for far in (FAR4, FAR6):
        assert host.ping(C1, far)


def test_routes_and_settings_come_and_go_with_the_endpoint(host: Host) -> None:
    clean = host.snapshot()
    host.call(act, router)
    ipv4, ipv6 = host.call(addresses, "c2")
    host.sh(
        f"ip -n c2 address add {FAR4}/16 dev lo; ip -n c2 address add {FAR6}/64 dev lo nodad;"
        "ip netns exec c2 sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'"
    )
    host.call(act, lambda c: detailed(c, ipv4, ipv6))
    check(host, ipv4, ipv6)
    for nowhere, words in (
        ("10.50.7.1", "Invalid argument"),
        ("10.50.8.1", "No route to host"),
        ("fd50::7:1", "Permission denied"),
        ("192.0.2.254", "unreachable"),
    ):
        done = host.run("ip", "netns", "exec", "c1", "ping", "-c1", "-w1", nowhere)
        assert words in done.stderr + done.stdout, (nowhere, done)
    host.call(act, lambda c: c.sandboxes.refresh("c1"))
    check(host, ipv4, ipv6)
    host.sh(
        "ip -n c1 route del blackhole 10.50.7.0/24; ip -n c1 -6 route del fd50::/64 metric 7;"
        "ip netns exec c1 sh -c 'echo 0 > /proc/sys/net/ipv4/conf/lan.0/rp_filter'"
    )
    found = host.netctl("check")
    assert (found.returncode, found.stdout.count("sandbox c1")) == (9, 3), found.stdout
    assert host.netctl("repair").returncode == 0
    check(host, ipv4, ipv6)
    done = host.netctl(
        *("endpoint", "create", "web", "odd", "--sysctl", "net.ipv4.conf.IFNAME.rp_filter=abc")
    )
    done = host.netctl("endpoint", "join", "web/odd", "c2") if not done.returncode else done
    assert done.returncode == 7 and "hint: the setting takes no such value" in done.stderr
    host.netctl("endpoint", "rm", "--ignore-missing", "web/odd")
    host.sh("ip netns add theirs")
    host.call(act, lambda c: c.sandboxes.set_key("c1", "/run/netns/theirs"))
    check(host, ipv4, ipv6)
    host.call(act, lambda c: c.endpoints.leave("e1"))
    assert routes(host) == set()
    host.call(act, lambda c: c.endpoints.join("e1", "c1"))
    check(host, ipv4, ipv6)
    host.call(act, clear)
    assert host.sh("ip -n theirs route; ip -n theirs -6 route show type prohibit") == ""
    host.sh("ip netns delete theirs")
    host.assert_unchanged(clean)


def test_what_does_not_fit_leaves_nothing(host: Host) -> None:
    host.call(act, router, lambda c: c.sandboxes.create("c1"))
    blackhole = ["10.50.0.0/16,blackhole", "fd50::/64,blackhole"]

    def detailed(c: Controller) -> None:
        for name in ("e1", "e2"):
            c.endpoints.create("web", name, routes=blackhole)
        c.endpoints.create("web", "bad", sysctls={"net.ipv4.conf.IFNAME.rp_filter": "nonsense"})
        c.endpoints.join("e1", "c1")

    host.call(act, detailed)
    before = host.snapshot(), host.sh("ip -n c1 -d address; ip -n c1 route; ip -n c1 -6 route")
    with pytest.raises(
        Conflict, match=r"has the route 10\.50\.0\.0/16 already, of endpoint web/e1"
    ):
        host.call(act, lambda c: c.endpoints.join("e2", "c1"))
    with pytest.raises(KernelError, match="rp_filter"):
        host.call(act, lambda c: c.endpoints.join("bad", "c1"))
    # Somebody else's route in there is in the way, and stays.
    host.sh("ip -n c2 route add 10.50.0.0/16 via 172.17.0.1 metric 0")
    with pytest.raises(KernelError, match=r"blackhole route 10\.50\.0\.0/16"):
        host.call(act, lambda c: c.endpoints.join("e2", "c2"))
    assert "10.50.0.0/16 via" in host.sh("ip -n c2 route")
    after = host.snapshot(), host.sh("ip -n c1 -d address; ip -n c1 route; ip -n c1 -6 route")
    assert after == before
    # A namespace in the place of ours keeps its routes.
    host.sh("ip netns delete c1; ip netns add c1; ip -n c1 link set lo up")
    host.sh("ip -n c1 route add blackhole 10.50.0.0/16; ip -n c1 -6 route add blackhole fd50::/64")
    with pytest.raises(Partial, match="sandbox c1 is removed, but not all"):
        host.call(act, lambda c: c.sandboxes.remove("c1", force=True))
    assert routes(host) >= {
        "blackhole 10.50.0.0/16",
        "blackhole fd50::/64 dev lo metric 1024 pref medium",
    }


def test_the_command_line_takes_libnetworks_form(host: Host) -> None:
    option = (
        "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.rp_filter=2,"
        "net.ipv6.conf.IFNAME.disable_ipv6=1,endpoint.ifname=lan0"
    )
    host.call(act, router, lambda c: c.sandboxes.create("c1"))
    done = host.netctl("network", "connect", "web", "c1", "-o", option, "--route", "10.50.0.0/16")
    assert done.returncode == 0, done.stderr
    [shown] = json.loads(host.netctl("endpoint", "inspect", "web/c1").stdout)
    assert (shown["ifname"], shown["ipv6"], shown["no_default_route"]) == ("lan0", None, False)
    assert shown["sysctls"]["net.ipv4.conf.IFNAME.rp_filter"] == "2"
    assert shown["routes"] == [
        {"destination": "10.50.0.0/16", "gateway": None, "metric": None, "type": "unicast"}
    ]
    assert host.sh("ip -n c1 -6 address show dev lan0") == ""
    assert host.ping(C1, "192.0.2.254")
    ran = host.netctl(
        *("run", "--network", "web", "--sysctl", "net.ipv4.conf.IFNAME.log_martians=1", "--"),
        *("cat", "/proc/sys/net/ipv4/conf/eth0/log_martians"),
    )
    assert ran.stdout == "1\n", ran.stderr
