"""Traffic control on a real kernel."""

from __future__ import annotations

import pytest

from netctl.errors import KernelError, Unsupported
from netctl.kernel.interface import Shape
from netctl.kernel.linux import LinuxKernel
from netctl.kernel.snapshot import Snapshot
from netctl.steps.shaping import Shaped
from tests.kernel.host import Host
from tests.kernel.with_kernel import refused, with_kernel

MARK = "netctl:endpoint:" + "b" * 64
SLOW = Shape(rate=1_000_000, burst=3028, limit=20_000)
FAST = Shape(rate=40_000_000_000, burst=5_000_000, limit=9_000_000)
FASTEST = Shape(rate=10**12, burst=1 << 30, limit=2 << 30)
"""The highest rate that may be given, and what limits.py makes of it at most."""
SHORTEST = Shape(rate=10**12, burst=1514, limit=20_000)
"""Twelve nanoseconds."""


def two(kernel: LinuxKernel) -> None:
    for name in ("ni1", "ni2"):
        kernel.ifb_add(name, alias=MARK, mtu=1400)


def no_more(kernel: LinuxKernel) -> None:
    for name in ("ni1", "ni2"):
        assert kernel.link_delete("", name, alias=MARK)


def test_kinds_of_links_are_known_without_making_any(host: Host) -> None:
    before = host.snapshot()
    kinds = ("bridge", "veth", "nonsense", "x" * 15)
    found = with_kernel(host, lambda k: [k.has_link_kind(kind) for kind in kinds])
    assert found == [True, True, False, False]
    host.assert_unchanged(before)


def test_a_bucket_is_set_changed_and_taken_away(host: Host) -> None:
    before = host.snapshot()
    with_kernel(host, two)
    [link] = host.json("ip -d -j link show ni1")
    assert (link["ifalias"], link["mtu"], "UP" in link["flags"]) == (MARK, 1400, False)
    for shape in (SLOW, FAST, FAST, FASTEST, SHORTEST, SLOW):
        with_kernel(host, lambda k, s=shape: k.shaper_set("ni1", alias=MARK, shape=s))  # type: ignore[misc]
        found = with_kernel(host, lambda k: k.shaper("ni1"))
        assert found and (found.shape.rate, found.shape.limit) == (shape.rate, shape.limit)
        assert found.shape.burst == pytest.approx(shape.burst, rel=0.001, abs=8000)
        step = Shaped(link="ni1", alias=MARK, shape=shape)
        assert with_kernel(host, lambda k, s=step: list(s.differences(Snapshot(k)))) == []  # type: ignore[misc]
        assert (found.sent_bytes, found.dropped) == (0, 0)
    [shown] = host.json("tc -j qdisc show dev ni1 root")
    assert (shown["kind"], shown["handle"]) == ("tbf", "2:")
    assert (shown["options"]["rate"], shown["options"]["burst"]) == (125_000, 3028)
    gone = with_kernel(host, lambda k: [k.shaper_delete("ni1", alias=MARK) for _ in range(2)])
    assert gone == [True, False]
    assert with_kernel(host, lambda k: k.shaper("ni1")) is None
    with_kernel(host, no_more)
    host.assert_unchanged(before)


def test_what_comes_in_is_led_elsewhere(host: Host) -> None:
    before = host.snapshot()
    with_kernel(host, two)
    quiet = host.snapshot()
    with_kernel(host, lambda k: k.divert_add("ni1", alias=MARK, to="ni2"))
    found = with_kernel(host, lambda k: k.ingress("ni1"))
    assert found and (found.to, found.shape) == ("ni2", None)
    assert "redirect to device ni2" in host.sh("tc filter show dev ni1 ingress").lower()
    error = refused(host, lambda k: k.divert_add("ni1", alias=MARK, to="ni2"))
    assert error.errno == 17
    assert refused(host, lambda k: k.divert_add("ni2", alias=MARK, to="none")).errno == 19
    gone = with_kernel(host, lambda k: [k.ingress_delete("ni1", alias=MARK) for _ in range(2)])
    assert gone == [True, False]
    host.assert_unchanged(quiet)
    with_kernel(host, no_more)
    host.assert_unchanged(before)


def test_what_comes_in_is_dropped(host: Host) -> None:
    with_kernel(host, two)
    before = host.snapshot()
    try:
        with_kernel(host, lambda k: k.police_add("ni1", alias=MARK, shape=FAST))
    except Unsupported as error:
        assert "CONFIG_NET_ACT_POLICE" in error.message and error.hint
        host.assert_unchanged(before)
        pytest.skip("this kernel has no act_police")
    found = with_kernel(host, lambda k: k.ingress("ni1"))
    assert found and found.shape and (found.to, found.shape.rate) == ("", FAST.rate)
    assert found.shape.burst == pytest.approx(FAST.burst, rel=0.001)
    assert with_kernel(host, lambda k: k.ingress_delete("ni1", alias=MARK))
    host.assert_unchanged(before)


def test_nothing_foreign_is_limited_or_freed(host: Host) -> None:
    with_kernel(host, two)
    host.sh("tc qdisc add dev ni1 root handle 7: tbf rate 1mbit burst 2000 limit 9000")
    host.sh("tc qdisc add dev ni2 root handle 1: htb")
    before = host.snapshot()
    for name in ("ni1", "ni2", "lo", "none"):
        assert with_kernel(host, lambda k, n=name: k.shaper(n)) is None  # type: ignore[misc]
        assert with_kernel(host, lambda k, n=name: k.ingress(n)) is None  # type: ignore[misc]
    for name in ("ni1", "ni2", "none"):
        assert not with_kernel(host, lambda k, n=name: k.shaper_delete(n, alias=MARK))  # type: ignore[misc]
    for act in (
        lambda k: k.shaper_set("uplink", alias=MARK, shape=SLOW),
        lambda k: k.shaper_delete("uplink", alias=MARK),
        lambda k: k.divert_add("uplink", alias=MARK, to="ni1"),
        lambda k: k.ingress_delete("uplink", alias=MARK),
    ):
        with pytest.raises(KernelError, match=r"uplink.*: it is not netctl's"):
            with_kernel(host, act)
    host.assert_unchanged(before)


def test_a_discipline_of_somebody_elses_is_left_as_it_is(host: Host) -> None:
    with_kernel(host, two)
    for kind in ("ingress", "clsact"):
        host.sh(f"tc qdisc add dev ni1 {kind}")
        error = refused(host, lambda k: k.divert_add("ni1", alias=MARK, to="ni2"))
        assert "of somebody else's is there" in error.message
        assert host.sh("tc filter show dev ni1 ingress") == ""
        match = "u32 match ip protocol 1 0xff action mirred egress mirror dev ni2"
        host.sh(f"tc filter add dev ni1 ingress protocol ip prio 7 {match}")
        before = host.snapshot()
        assert not with_kernel(host, lambda k: k.ingress_delete("ni1", alias=MARK))
        assert with_kernel(host, lambda k: k.ingress("ni1")) is None
        host.assert_unchanged(before)
        [found] = [q for q in host.json("tc -j qdisc show dev ni1") if q["kind"] == kind]
        assert found["handle"] == "ffff:"
        assert "pref 7" in host.sh("tc filter show dev ni1 ingress")
        host.sh(f"tc qdisc del dev ni1 {kind}")
    host.sh("tc qdisc add dev ni1 root handle 7: tbf rate 1mbit burst 2000 limit 9000")
    before = host.snapshot()
    error = refused(host, lambda k: k.shaper_set("ni1", alias=MARK, shape=SLOW))
    assert "of somebody else's is there" in error.message and error.hint
    host.assert_unchanged(before)
    with_kernel(host, no_more)


def test_a_filter_of_somebody_elses_beside_ours_stays(host: Host) -> None:
    with_kernel(host, two)
    with_kernel(host, lambda k: k.divert_add("ni1", alias=MARK, to="ni2"))
    match = "u32 match ip protocol 1 0xff action mirred egress mirror dev ni2"
    host.sh(f"tc filter add dev ni1 ingress protocol ip prio 7 {match}")
    gone = with_kernel(host, lambda k: [k.ingress_delete("ni1", alias=MARK) for _ in range(2)])
    assert gone == [True, False]
    shown = host.sh("tc filter show dev ni1 ingress")
    assert "pref 7" in shown and "pref 1 " not in shown
    # What is empty is of use to nobody: ours lost its filter.
    host.sh("tc filter delete dev ni1 ingress prio 7")
    assert with_kernel(host, lambda k: k.ingress_delete("ni1", alias=MARK))
    assert "ingress" not in host.sh("tc qdisc show dev ni1")
    with_kernel(host, no_more)
