"""Rates and bursts: as text, as token buckets, and on kernels that lack a part."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.controller import Controller
from netctl.definitions.rates import check_on, limits, rate, size
from netctl.errors import InvalidInput
from netctl.kernel.interface import Shape
from netctl.models import Limits, Network
from netctl.plan import Assembly, Undo
from netctl.steps.shaping import Diverted, Policed, Shaped
from tests.unit import test_every_step as every_step
from tests.unit.scenarios import Scenario
from tests.unit.test_every_step import Place


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("8kbit", 8000),
        ("8000", 8000),
        ("10mbit", 10_000_000),
        ("10MBit", 10_000_000),
        ("1.5gbit", 1_500_000_000),
        ("1tbit", 10**12),
        ("1kbps", 8000),
        ("2mbps", 16_000_000),
        ("1mibit", 1_048_576),
        ("1kibps", 8192),
        ("0.01mbit", 10_000),
        ("12345bit", 12344),
    ],
)
def test_rates_are_tcs(text: str, bits: int) -> None:
    assert rate("--rate-in", text) == bits


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0",
            "7999",
            "1bit",
            "1.1tbit",
            "10 mbit",
            "10mb",
            "fast",
            "-1mbit",
            "1e9",
            "inf",
            "nan",
        ),
        *("\u0661mbit", "10mbit\n", "none", ".5mbit", "5.mbit", "9" * 400, "1pbit", "0x10"),
    ],
)
def test_what_is_no_rate_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"rate_out .* is not a rate") as caught:
        rate("--rate-out", text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"), [("1500", 1500), ("64k", 65536), ("1mb", 1 << 20), ("2KiB", 2048)]
)
def test_sizes(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "2g", "1kbit", "x", "1e3", "1 k"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"burst .* is not a size"):
        size(text)


@given(st.text(max_size=12) | st.from_regex(r"[0-9.]{1,6}[a-z]{0,5}", fullmatch=True))
def test_no_text_gives_another_error(text: str) -> None:
    for read in (lambda t: rate("--rate-in", t), size):
        try:
            assert read(text) > 0
        except InvalidInput:
            pass


def test_limits_change_one_by_one() -> None:
    first = limits({"rate_in": "10mbit", "rate_out": "20mbit", "burst": "64k"})
    assert first == Limits(rate_in=10_000_000, rate_out=20_000_000, burst=65536)
    lifted = limits({"rate_in": "none", "burst": "none"}, first)
    assert lifted == Limits(rate_out=20_000_000)
    assert limits({"rate_out": "none"}, first) == Limits(rate_in=10_000_000, burst=65536)
    # Without a rate there is no burst either.
    gone = limits({"rate_in": "none", "rate_out": "none"}, first)
    assert gone == Limits() and not gone
    for given_, before in (({"burst": "64k"}, None), ({"burst": "64k"}, Limits())):
        with pytest.raises(InvalidInput, match="needs a rate"):
            limits(given_, before)
    assert limits({"rate_in": "none", "burst": "none"}, Limits()) == Limits()
    for text in ("none", ""):
        with pytest.raises(InvalidInput, match="not a rate"):
            limits({"rate_in": text})
    with pytest.raises(InvalidInput, match="not a rate"):
        limits({"rate_in": ""}, first)


def test_a_burst_holds_a_packet_and_is_one() -> None:
    network = Network(id="a" * 64, name="web", driver="bridge", created="", facts={"mtu": "1500"})
    check_on(network, Limits(rate_in=10**6, burst=1514))
    check_on(network, Limits(rate_in=10**6))
    with pytest.raises(InvalidInput, match="less than one packet") as caught:
        check_on(network, Limits(rate_in=10**6, burst=1513))
    assert caught.value.hint == "at least 1514 bytes"
    with pytest.raises(InvalidInput, match="more than a minute"):
        check_on(network, Limits(rate_in=10**9, rate_out=10**6, burst=8 * 10**6))


def prepared(c: Controller) -> None:
    c.kernel.kinds.discard("ifb")  # type: ignore[attr-defined]
    c.networks.create("web")
    c.sandboxes.create("c1")
    c.endpoints.connect("web", "c1", rate_out="20mbit")


WITHOUT_IFB = (
    Scenario("leave", prepared, lambda c: c.endpoints.disconnect("web", "c1")),
    Scenario("other rate", prepared, lambda c: c.endpoints.limit("c1", rate_out="30mbit")),
    Scenario("no more", prepared, lambda c: c.endpoints.limit("c1", rate_out="none")),
)


@pytest.mark.parametrize("scenario", WITHOUT_IFB, ids=lambda scenario: scenario.name)
def test_without_ifb_too_every_step_may_be_refused(scenario: Scenario, tmp_path: Path) -> None:
    every_step.test_a_refused_step_leaves_everything_as_before(scenario, tmp_path / "refused")
    every_step.test_a_dry_run_shows_the_steps_and_changes_nothing(scenario, tmp_path / "dry")


def test_what_a_kernel_has_is_used(tmp_path: Path) -> None:
    place = Place(tmp_path, Scenario("police", prepared, lambda c: None))
    [found] = place.kernel.host.ingresses.values()
    # Enough for what a sender hands over at once.
    assert found == Shape(rate=20_000_000, burst=500_000)
    place.controller.endpoints.limit("c1", rate_out="30mbit")
    assert list(map(type, place.steps[-2:])) == [Undo, Policed]
    # What the kernel has learnt meanwhile is used from the next change on.
    place.kernel.kinds.add("ifb")
    place.steps.clear()
    place.controller.endpoints.limit("c1", rate_out="40mbit", rate_in="10mbit")
    assert list(map(type, place.steps)) == [Shaped, Undo, Assembly, Diverted]
    place.steps.clear()
    place.controller.endpoints.limit("c1", rate_in="11mbit")
    [changed] = [step for step in place.steps if isinstance(step, Shaped)]
    assert changed.previous and changed.previous.rate == 10_000_000
    assert changed.shape == Shape(rate=11_000_000, burst=68_750, limit=2 * 68_750)
    place.steps.clear()
    place.controller.endpoints.limit("c1", rate_out="40mbit")
    assert place.steps == []


def test_the_highest_rate_fits_into_what_the_kernel_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path, Scenario("ifb", with_ifb, lambda c: None))
    place.controller.endpoints.limit("c1", rate_in="1tbit", rate_out="1tbit")
    for shape in place.kernel.host.shapers.values():
        assert shape == Shape(rate=10**12, burst=1 << 30, limit=2 << 30)


def with_ifb(c: Controller) -> None:
    c.networks.create("web")
    c.sandboxes.create("c1")
    c.endpoints.connect("web", "c1", rate_out="20mbit")


def test_another_boots_kernel_may_lack_what_the_last_one_had(tmp_path: Path) -> None:
    place = Place(tmp_path, Scenario("ifb", with_ifb, lambda c: None))
    kernel, controller = place.kernel, place.controller
    assert [to for to in kernel.host.ingresses.values() if isinstance(to, str)]
    kernel.reboot()
    kernel.kinds.discard("ifb")
    assert controller.restore().left == ()
    [found] = kernel.host.ingresses.values()
    assert isinstance(found, Shape) and found.rate == 20_000_000
    assert controller.check() == []
    # And back.
    kernel.reboot("33333333-3333-4333-8333-333333333333")
    kernel.kinds.add("ifb")
    assert controller.restore().left == ()
    assert [to for to in kernel.host.ingresses.values() if isinstance(to, str)]
