"""Limits hold for what really flows, can be changed at once, and leave nothing."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import Any

import pytest

from netctl.config import load
from netctl.controller import Controller
from netctl.kernel.linux import LinuxKernel
from tests.kernel.flow import wire_rate
from tests.kernel.host import Host
from tests.system.library import act, addresses, clear, controller, two
from tests.waiting import PATIENCE, equal, until

C1, C2 = "/run/netns/c1", "/run/netns/c2"
RATE = 20_000_000
LATER = "99999999-9999-4999-8999-999999999999"


def limit(c: Controller, **given: str) -> None:
    c.endpoints.limit("web/c1", **given)


def kernel_of(host: Host) -> dict[str, Any]:
    """Return what there is but for files, of which documents leave a copy, and for what flowed."""
    left_out = ("files", "flows")
    return {name: facts for name, facts in host.snapshot().items() if name not in left_out}


def queues(host: Host) -> list[str]:
    """Return the queueing disciplines that somebody made: noqueue comes by itself."""
    return [line for line in host.snapshot()["qdiscs"] if " noqueue " not in line]


def shown(host: Host) -> Any:
    [row] = json.loads(host.netctl("endpoint", "inspect", "web/c1").stdout)
    return row


def assert_near(
    host: Host, source: str, target: str, address: str, protocol: str, rate: float
) -> None:
    found = wire_rate(host, source, target, address, protocol, seconds=0.4, wanted=rate)
    assert found == pytest.approx(rate, rel=0.05), (address, protocol)


def test_both_ways_are_limited_in_tcp_and_udp(host: Host) -> None:
    clean = host.snapshot()
    host.call(act, two)
    before = kernel_of(host)
    first, second = (host.call(addresses, name) for name in ("c1", "c2"))
    host.call(act, partial(limit, rate_in="20mbit", rate_out="10mbit"))
    for version in (0, 1):
        for protocol in ("tcp", "udp"):
            assert_near(host, C2, C1, first[version], protocol, RATE)
            assert_near(host, C1, C2, second[version], protocol, RATE / 2)
    # Nothing inside the sandbox can change that: it is the host's.
    host.sh("ip netns exec c1 tc qdisc del dev eth0 root 2>/dev/null; true")
    row = shown(host)
    assert (row["rate_in"], row["rate_out"], row["burst"]) == (RATE, RATE // 2, None)
    for way, rate in (("in", RATE), ("out", RATE // 2)):
        found = row["limits"][way]
        assert (found["by"], found["rate"]) == ("tbf", rate)
        assert found["sent_bytes"] > rate / 8 and found["dropped_packets"] >= 0
    host.call(act, partial(limit, rate_in="40mbit", rate_out="none", burst="100k"))
    until(lambda: wire_rate(host, C1, C2, second[0], "tcp", seconds=0.5) > 5 * RATE)
    assert shown(host)["limits"]["in"]["burst"] == 100 * 1024
    assert shown(host)["limits"]["out"] is None
    host.call(act, partial(limit, rate_in="none"))
    assert kernel_of(host) == before
    host.call(act, clear)
    host.assert_unchanged(clean)


_FLOOD = """
import os, socket, sys, time
os.nice(-15)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9))
s.setsockopt(17, 103, 1400)
while True:
    try:
        s.send(bytes(56000))
    except OSError:
        pass
    time.sleep(0.01)
"""


def speed(seconds: float = 0.4) -> tuple[float, float]:
    """Return how fast the first endpoint is now, both ways, in bits/s as the kernel counts."""
    with controller() as c:
        place = c.endpoints.get("web/c1").doc.attachment
        assert place
        links = (place.host_ifname, place.ifb)

        def sent() -> list[int]:
            found = [c.kernel.shaper(link) for link in links]
            return [each.sent_bytes if each else 0 for each in found]

        begin, first = time.monotonic(), sent()
        time.sleep(seconds)
        passed, last = time.monotonic() - begin, sent()
        there, back = ((b - a) * 8 / passed for a, b in zip(first, last, strict=True))
        return there, back


def assert_speed(host: Host, rates: tuple[int, int]) -> None:
    """See both ways at those rates, in Mbit/s, for a moment. Where the machine has no time for the
    senders, a moment's share is lost."""
    equal(lambda: host.call(speed), pytest.approx([rate * 10**6 for rate in rates], rel=0.05))


def test_a_limit_changes_while_traffic_flows(host: Host) -> None:
    host.call(act, two, partial(limit, rate_in="20mbit", rate_out="20mbit"))
    senders = [
        host.start(
            *("nsenter", f"--net={source}", "--", sys.executable, "-c", _FLOOD),
            host.call(addresses, target)[0],
        )
        for source, target in ((C2, "c1"), (C1, "c2"))
    ]
    try:
        assert_speed(host, (20, 20))
        for rates in ((8, 8), (2, 16), (16, 2)):
            toward, away = (f"{rate}mbit" for rate in rates)
            host.call(act, partial(limit, rate_in=toward, rate_out=away))
            assert_speed(host, rates)
        host.call(act, partial(limit, rate_in="none", rate_out="none"))
        assert queues(host) == []
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()


def test_limits_go_along_and_are_kept_whole(host: Host) -> None:
    clean = host.snapshot()
    host.call(
        act,
        lambda c: c.networks.create("web"),
        lambda c: c.sandboxes.create("c1"),
        lambda c: c.endpoints.connect("web", "c1", rate_in="20mbit", rate_out="10mbit"),
    )

    def limited() -> None:
        limits = shown(host)["limits"]
        assert [limits[way]["rate"] for way in ("in", "out")] == [RATE, RATE // 2]

    limited()
    assert [line.split()[2] for line in queues(host)].count("tbf") == 2
    host.call(act, lambda c: c.sandboxes.refresh("c1"))
    limited()
    host.sh("ip netns add theirs")
    host.call(act, lambda c: c.sandboxes.set_key("c1", "/run/netns/theirs"))
    limited()
    # What somebody took away is missed, and comes back.
    port, ifb = sorted(
        link["ifname"] for link in host.json("ip -j link") if link["ifname"][:2] in ("nc", "ni")
    )
    for harm in (
        f"tc qdisc del dev {port} root",
        f"tc qdisc replace dev {ifb} root handle 1: tbf rate 1gbit burst 9000 limit 9000",
        f"tc qdisc del dev {port} ingress",
        f"ip link del {ifb}",
    ):
        host.sh(harm)
        assert host.netctl("check").returncode == 9, harm
        done = host.netctl("repair")
        assert done.returncode == 0, (harm, done)
        limited()
    # One that its endpoint does not go through is left over, though it bears its mark.
    mark = f"netctl:endpoint:{shown(host)['id']}"
    host.sh(f"ip link add ni-left type ifb && ip link set ni-left alias {mark}")
    assert "ni-left" in host.netctl("gc").stdout
    assert host.netctl("gc", "--yes").returncode == 0
    assert "ni-left" not in host.sh("ip link show type ifb")
    limited()
    host.call(act, lambda c: c.sandboxes.remove("c1", force=True))
    assert queues(host) == []
    host.sh("ip netns delete theirs")
    host.call(act, clear)
    host.assert_unchanged(clean)


def test_a_reboot_brings_limits_back(host: Host) -> None:
    clean = host.snapshot()
    host.call(
        act,
        lambda c: c.networks.create("web"),
        lambda c: c.sandboxes.create("c1"),
        lambda c: c.endpoints.connect("web", "c1", rate_in="20mbit", rate_out="10mbit"),
    )
    before = queues(host)
    assert len(before) == 3
    # What a reboot takes.
    host.sh(
        "ip netns delete c1; for l in $(ip -o link | awk -F'[ :@]+' '/netctl|br-/ {print $2}'); do"
        " ip link delete $l 2>/dev/null || true; done; nft flush ruleset;"
        " sysctl -qw net.ipv4.ip_forward=0; kill -9 $(cat /run/netctl/resolver.pid);"
        " rm -rf /run/netctl"
    )
    assert queues(host) == []
    host.call(partial(act, boot_id=LATER), lambda c: c.restore())
    assert queues(host) == before
    host.call(partial(act, boot_id=LATER), unchanged, clear)
    host.assert_unchanged(clean)


def unchanged(c: Controller) -> None:
    assert c.check() == []


class WithoutIfb(LinuxKernel):
    def has_link_kind(self, kind: str) -> bool:
        return kind != "ifb" and super().has_link_kind(kind)


def without_ifb(action: Any) -> None:
    with Controller(load(None, {}, {}), kernel=WithoutIfb()) as c:
        action(c)


def test_without_ifb_what_is_too_fast_is_dropped(host: Host) -> None:
    from netctl.errors import Unsupported

    host.call(act, two)
    before = kernel_of(host)
    try:
        host.call(without_ifb, partial(limit, rate_out="20mbit"))
    except Unsupported as error:
        assert "ifb" in error.message and "police" in error.message
        assert kernel_of(host) == before
        pytest.skip("this kernel has no act_police")
    assert shown(host)["limits"]["out"]["by"] == "police"
    target = host.call(addresses, "c2")[0]
    assert_near(host, C1, C2, target, "udp", RATE)
    # Senders of TCP slow down too much where nothing waits.
    until(lambda: RATE / 2 < wire_rate(host, C1, C2, target, "tcp", seconds=2) < RATE * 1.1)
    host.call(without_ifb, partial(limit, rate_out="none"))
    assert kernel_of(host) == before


def test_the_command_line(host: Host) -> None:
    host.call(act, two)
    for arguments, words in (
        ([], "nothing to change"),
        (["--rate-in", "fast"], "is not a rate"),
        (["--burst", "64k"], "needs a rate"),
        (["--rate-in", "1mbit", "--burst", "100"], "less than one packet"),
    ):
        done = host.netctl("endpoint", "limit", "web/c1", *arguments)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    dry = host.netctl("endpoint", "limit", "web/c1", "--rate-out", "1mbit", "--dry-run")
    assert "type ifb" in dry.stdout and "mirred egress redirect" in dry.stdout
    assert shown(host)["limits"] == {"in": None, "out": None}
    assert host.netctl("endpoint", "limit", "web/c1", "--rate-in", "8mbit").returncode == 0
    assert shown(host)["limits"]["in"]["rate"] == 8_000_000
    # Reading stays cheap.
    python = (sys.executable, "-X", "importtime", "-m", "netctl")
    imported = host.run(*python, "endpoint", "inspect", "web/c1").stderr
    assert "netctl.kernel.shaping" in imported and "pyroute2" not in imported
    before = queues(host)
    options = ("--network", "web", "--rate-in", "8mbit", "--rate-out", "8mbit")
    command = ("sh", "-c", "echo > /run/begun; exec sleep 600")
    process = host.start(sys.executable, "-m", "netctl", "run", *options, "--", *command)
    host.until("test -e /run/begun")
    assert len(queues(host)) == len(before) + 3
    process.terminate()
    process.wait(PATIENCE)
    assert queues(host) == before
