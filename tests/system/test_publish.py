"""Published ports over time: chosen, moved, ended. Who reaches them is in ``test_matrix``."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack
from functools import partial

import pytest

from netctl.controller import Controller
from netctl.errors import Exhausted, NotFound
from netctl.kernel import conntrack
from tests.kernel.host import Host
from tests.system.library import act, addresses, clear, controller, two_networks
from tests.waiting import PATIENCE, QUIET, equal, until

C1, C2 = "/run/netns/c1", "/run/netns/c2"
HOST4, HOST6 = "192.0.2.1", "2001:db8::1"


def publish(c: Controller, *specs: str) -> None:
    c.endpoints.publish("web/c1", specs)


def test_publications_follow_the_way_out_of_each_family(host: Host) -> None:
    """``db`` takes both families over, ``six`` IPv6 alone; each gives back what it took."""
    before = host.snapshot()
    host.call(act, two_networks, lambda c: publish(c, "8080:80"))
    host.call(act, lambda c: c.networks.create("six", ipv4=False, ipv6=True))

    def reached() -> tuple[bool, ...]:
        asked = ((HOST4, 8080), (HOST6, 8080), (HOST6, 8086))
        return tuple(bool(host.ask("outside", a, n, seconds=QUIET)) for a, n in asked)

    with host.server(C1, "0.0.0.0", 80), host.server(C1, "::", 80):
        equal(reached, (True, True, False))
        host.call(act, lambda c: c.endpoints.connect("six", "c1", priority=3, ports=["8086:80"]))
        equal(reached, (True, False, True))
        host.call(act, lambda c: c.endpoints.connect("db", "c1", priority=5))
        assert reached() == (False, False, False)
        host.call(act, lambda c: c.endpoints.disconnect("db", "c1"))
        equal(reached, (True, False, True))
        host.sh("nft flush ruleset")
        host.call(act, lambda c: c.reload())
        equal(reached, (True, False, True))
        host.call(act, lambda c: c.endpoints.disconnect("six", "c1"))
        equal(reached, (True, True, False))
    host.call(act, clear)
    host.assert_unchanged(before)


def _four(c: Controller) -> None:
    c.networks.create("four")


def _six(c: Controller) -> None:
    c.networks.create("six", ipv4=False, ipv6=True)


def _joined(c: Controller, network: str, sandbox: str, *ports: str) -> None:
    c.sandboxes.create(sandbox, if_not_exists=True)
    c.endpoints.connect(network, sandbox, ports=ports)


@pytest.mark.parametrize("other", ["c1", "c2"], ids=["one sandbox", "two sandboxes"])
def test_a_network_of_one_family_holds_no_port_of_the_other(host: Host, other: str) -> None:
    before = host.snapshot()
    host.call(act, _four, _six, lambda c: _joined(c, "four", "c1", "8000:80"))
    host.call(act, lambda c: _joined(c, "six", other, "8000:81", "8001:81"))
    inside = f"/run/netns/{other}"
    with host.server(C1, "0.0.0.0", 80), host.server(inside, "::", 81):
        assert host.ask("outside", HOST4, 8000) == "192.0.2.254"
        assert host.ask("outside", HOST6, 8000) == "2001:db8::fe"
        assert host.ask("", "127.0.0.1", 8000) and host.ask("", "::1", 8000)
        # Each ends on its own.
        host.call(act, lambda c: c.endpoints.unpublish(f"four/{'c1'}", ["8000:80"]))
        assert host.ask("outside", HOST4, 8000, seconds=QUIET) is None
        assert host.ask("outside", HOST6, 8000)
    assert host.netctl("check").stdout == ""
    host.call(act, clear)
    host.assert_unchanged(before)


def test_one_family_is_enough_to_hold_a_port_against_both(host: Host) -> None:
    host.call(act, _four, _six, lambda c: c.networks.create("both", ipv6=True))
    host.call(act, lambda c: _joined(c, "four", "c1", "8000:80"))
    for network, spec, free in (
        *(("both", "8000:80", False), ("four", "8000:80", False), ("six", "8000:80", True)),
        *(("both", "0.0.0.0:8000:80", False), ("both", "192.0.2.1:8000:80", False)),
        *(("both", "[::]:8000:80", False), ("four", "8000-8001:80", True)),
    ):
        done = host.netctl("endpoint", "create", network, f"e{free}", "-p", spec)
        assert (done.returncode == 0) == free, (network, spec, done.stderr)
        assert free or "is held by endpoint" in done.stderr
    # A process of the other family is in nobody's way.
    six = "import socket as s; l = s.create_server(('::', 8002), family=s.AF_INET6); input()"
    there = host.start(sys.executable, "-c", six, stdin=subprocess.PIPE)
    host.until("ss -Hltn | grep -q :8002")
    assert host.netctl("endpoint", "create", "four", "free", "-p", "8002:80").returncode == 0
    assert host.netctl("endpoint", "create", "six", "held", "-p", "8002:80").returncode == 5
    there.communicate()


def without_sets(rules: str, name: str) -> str:
    """Return a listing of rules without the set of that name."""
    left, found = re.subn(
        rf"\tset {name} \{{.*?^\t\}}\n", "", rules, flags=re.DOTALL | re.MULTILINE
    )
    assert found == 1
    return left


def test_unpublish_and_leave_end_it(host: Host) -> None:
    before_all = host.snapshot()
    host.call(act, two_networks)
    host.call(act, lambda c: publish(c, "8080:80", "8081:81/udp", "9000-9099:9000-9099"))
    v4 = host.call(addresses, "c1")[0]
    with host.server(C1, v4, 80):
        assert host.ask(C1, HOST4, 8080)
        host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["9000-9099", "81/udp"]))
        assert host.ask(C1, HOST4, 8080) and host.ask("outside", HOST4, 8080)
        host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["80"]))
        assert host.ask("outside", HOST4, 8080, seconds=QUIET) is None
    # Flows that ended with the ports are remembered, so that none of them goes on.
    rules = without_sets(host.sh("nft list ruleset"), "ended4")
    assert v4 not in rules
    assert "hairpin on" not in host.sh("bridge -d link")
    with pytest.raises(NotFound, match="does not publish 80/tcp"):
        host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["80"]))
    host.call(act, lambda c: publish(c, "8080:80"))
    host.call(act, clear)
    host.assert_unchanged(before_all)


def test_a_port_is_given_once_and_its_holder_named(host: Host) -> None:
    host.call(act, two_networks, lambda c: publish(c, "8080:80", "127.0.0.5:7000:70"))
    for spec, holder in (
        ("8080:90", "8080 is held by endpoint web/c1"),
        ("127.0.0.1:8080:90", "8080 is held by endpoint web/c1"),
        ("8000-8100:8000-8100", "8080 is held by endpoint web/c1"),
        ("7000:80", "7000 is held by endpoint web/c1"),
    ):
        with pytest.raises(Exhausted, match=holder):
            host.call(act, partial(lambda s, c: c.endpoints.publish("web/c2", [s]), spec))
    host.call(act, lambda c: c.endpoints.publish("web/c2", ["8080:80/udp", "127.0.0.6:7000:70"]))
    with host.server("", "0.0.0.0", 6000):
        with pytest.raises(Exhausted, match=r"6000 is held by process \d+ \("):
            host.call(act, lambda c: c.endpoints.publish("web/c2", ["6000:80"]))
        with pytest.raises(Exhausted, match="6000 is held"):
            host.call(act, lambda c: c.endpoints.publish("web/c2", ["127.0.0.1:6000:80"]))
    # The holder is the one that is in the way, and not another at that port.
    host.call(act, lambda c: c.endpoints.publish("web/c2", ["[::1]:6001:80"]))
    for address, spec in (
        ("127.0.0.1", "127.0.0.1:6001:80"),
        ("127.0.0.1", "0.0.0.0:6001:80"),
        (HOST4, f"{HOST4}:6001:80"),
        (HOST6, f"[{HOST6}]:6001:80"),
        ("0.0.0.0", f"{HOST4}:6001:80"),
    ):
        with host.server("", address, 6001):
            with pytest.raises(Exhausted, match=r"6001 is held by process \d+ \(") as caught:
                host.call(act, partial(lambda s, c: c.endpoints.publish("web/c2", [s]), spec))
            assert "netctl-dns" not in caught.value.message


def test_ephemeral_ports_are_the_kernels_and_not_given_again_at_once(host: Host) -> None:
    host.sh("echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range")
    host.sh("echo 40001-40003 > /proc/sys/net/ipv4/ip_local_reserved_ports")
    host.call(act, two_networks)

    def given() -> int:
        with controller() as c:
            publish(c, "80")
            port = c.endpoints.get("web/c1").doc.ports[-1].host_first
            c.endpoints.unpublish("web/c1", ["80"])
            return port

    assert [host.call(given) for _ in range(8)] == [
        *(40000, 40004, 40005, 40006, 40007, 40008, 40009, 40000),
    ]
    with pytest.raises(Exhausted, match="no free tcp port"):
        host.call(act, lambda c: publish(c, *(f"{number}" for number in range(1, 9))))


def chosen(spec: str, sandbox: str = "c1") -> int:
    """Publish; return the first port of the host that was chosen."""
    with controller() as c:
        c.endpoints.publish(f"web/{sandbox}", [spec])
        return c.endpoints.get(f"web/{sandbox}").doc.ports[-1].host_first


def test_what_is_held_is_stepped_over_until_nothing_is_left(host: Host) -> None:
    host.sh("echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range")
    host.call(act, two_networks, lambda c: c.endpoints.publish("web/c2", ["8001:91"]))
    inside = host.call(addresses, "c1")
    with (
        host.server("", "::", 40001),
        host.server("", "127.0.0.1", 40002, "udp"),
        host.server("", "127.0.0.1", 40003),
        host.server("", "192.0.2.1", 8000),
    ):
        # Held in one family is held in both, for a port is the same in both.
        assert [host.call(chosen, spec) for spec in ("80", "81", "82")] == [40000, 40002, 40004]
        assert host.call(chosen, "83/udp") == 40000
        with host.server(C1, inside[0], 81), host.server(C1, inside[1], 81):
            assert host.ask("outside", HOST4, 40002) and host.ask("outside", HOST6, 40002)
        # A range wants as many in a row; what it takes is whole or nothing.
        assert host.call(chosen, "90-92") == 40005
        with pytest.raises(Exhausted, match="no free tcp port among the ephemeral"):
            host.call(chosen, "93-95")
        assert [host.call(chosen, spec) for spec in ("93", "94")] == [40008, 40009]
        # Of a range of the host one is taken that neither a process nor an endpoint holds.
        assert [host.call(chosen, f"8000-8003:{inner}") for inner in (70, 71)] == [8002, 8003]
        before = host.snapshot()
        done = host.netctl("endpoint", "publish", "web/c1", "8000-8003:72")
        assert (done.returncode, "no free tcp port in 8000-8003" in done.stderr) == (5, True)
        assert "hint: " in done.stderr
        done = host.netctl("endpoint", "publish", "web/c1", "9999:72", "95")
        assert (done.returncode, "no free tcp port among the ephemeral" in done.stderr) == (5, True)
        assert "another range" in done.stderr
        host.assert_unchanged(before)
        # What is given back is free again.
        host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["82"]))
        assert host.call(chosen, "95") == 40004
    assert host.call(chosen, "96") == 40001


def test_sctp_is_published_like_the_others(host: Host) -> None:
    clean = host.snapshot()
    host.call(act, two_networks)
    inside = host.call(addresses, "c1")
    before = host.snapshot()
    done = host.netctl("endpoint", "publish", "web/c1", "8080:80/sctp", "9000-9009:9000-9009/sctp")
    if done.returncode == 6:
        assert "sctp" in done.stderr and "hint: " in done.stderr
        host.assert_unchanged(before)
        pytest.skip("this kernel has no SCTP")
    assert done.returncode == 0, done.stderr
    host.call(act, lambda c: publish(c, "8080:81", "127.0.0.1:8082:80/sctp"))
    with ExitStack() as servers:
        for address in inside:
            for port in (80, 9005):
                servers.enter_context(host.server(C1, address, port, "sctp"))
        for address, port in ((HOST4, 8080), (HOST6, 8080), (HOST4, 9005), (HOST6, 9005)):
            seen = host.ask("outside", address, port, "sctp")
            assert seen == (host.outside.IPV6 if ":" in address else host.outside.IPV4)
        for place in ("", "/run/netns/c3"):
            assert host.ask(place, HOST4, 8080, "sctp"), place
        assert host.ask("", "127.0.0.1", 8082, "sctp")
        assert host.ask("outside", HOST4, 8082, "sctp", seconds=QUIET) is None
        for address, number in ((HOST4, 4), (HOST6, 6)):
            own = inside[number == 6]
            host.outside.sh(f"ip -{number} route add {own} via {address}")
            assert host.ask("outside", own, 80, "sctp", seconds=QUIET) is None
        host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["80/sctp"]))
        assert host.ask("outside", HOST4, 8080, "sctp", seconds=QUIET) is None
        assert host.ask("outside", HOST4, 9005, "sctp")
    with (
        host.server("", "0.0.0.0", 6000, "sctp"),
        pytest.raises(Exhausted, match="sctp port 6000 is held"),
    ):
        host.call(act, lambda c: publish(c, "6000:60/sctp"))
    host.call(act, clear)
    host.assert_unchanged(clean)


def test_a_run_publishes(host: Host) -> None:
    before = host.snapshot()
    host.call(act, lambda c: c.networks.create("web"))
    process = host.start(
        *(sys.executable, "-m", "netctl", "run", "--network", "web", "-p", "8080:80", "--"),
        *(
            "python3",
            "-c",
            "import socket; s = socket.create_server(('', 80)); c, a = s.accept(); c.recv(9); c.send(a[0].encode())",
        ),
    )
    until(lambda: host.ask("outside", HOST4, 8080, seconds=QUIET), "an answer")
    assert process.wait(PATIENCE) == 0
    host.call(act, clear)
    host.assert_unchanged(before)


def flow(host: Host, port: int) -> subprocess.Popen[str]:
    """Start a client outside that asks from one port again and again."""
    program = (
        "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        f"s.bind(('', 5555)); s.connect(('{HOST4}', {port})); s.settimeout(0.02)\n"
        "while True:\n"
        "    time.sleep(0.02)\n"
        "    try: s.send(b'?'); f = open('/run/answers', 'a'); f.write(s.recv(99).decode() + '\\n')\n"
        "    except OSError: pass\n"
    )
    return host.start(sys.executable, "-c", program, stack="outside")


def test_flows_of_udp_follow_the_publication(host: Host) -> None:
    if host.run("test", "-e", "/proc/net/nf_conntrack").returncode:
        pytest.skip("/proc/net/nf_conntrack (CONFIG_NF_CONNTRACK_PROCFS)")
    host.call(act, two_networks)
    first, second = host.call(addresses, "c1")[0], host.call(addresses, "c2")[0]
    client = flow(host, 8080)
    tracked = "cat /proc/net/nf_conntrack | grep sport=5555; true"
    host.until("grep -q sport=5555 /proc/net/nf_conntrack")
    with host.server(C1, first, 80, "udp"), host.server(C2, second, 80, "udp"):
        assert f"src={HOST4}" in host.sh(tracked) and not host.sh(
            "cat /run/answers 2>/dev/null; true"
        )
        host.call(act, lambda c: publish(c, "8080:80/udp"))
        host.until("grep -q 192.0.2.254 /run/answers")
        host.call(act, lambda c: c.endpoints.unpublish("web/c1", ["80/udp"]))
        assert f"src={first}" not in host.sh(tracked)
        host.call(act, lambda c: c.endpoints.publish("web/c2", ["8080:80/udp"]))
        until(lambda: f"src={second}" in host.sh(tracked), "a flow to c2")
        host.call(act, lambda c: c.endpoints.disconnect("web", "c2"))
        assert second not in host.sh("cat /proc/net/nf_conntrack")
    client.kill()
    client.wait()


def _unpublish_from_many(c: Controller) -> None:
    conntrack._MOST_BARRED = 0
    c.endpoints.unpublish("web/c1", ["80/udp"])


def test_of_more_flows_than_are_counted_the_port_ends(host: Host) -> None:
    host.call(act, two_networks, lambda c: publish(c, "8080:80/udp"))
    own = host.call(addresses, "c1")[0]
    with host.server(C1, own, 80, "udp"):
        assert host.ask("outside", HOST4, 8080, "udp")
        host.call(act, _unpublish_from_many)
        assert f"{own} . udp . 80" in host.sh("nft list set inet netctl ended-ports4")
        assert own not in host.sh("nft list set inet netctl ended4")
        assert host.netctl("check").stdout == ""
        # Others may ask again once it is published.
        host.call(act, lambda c: publish(c, "8080:80/udp"))
        assert host.ask("outside", HOST4, 8080, "udp")
