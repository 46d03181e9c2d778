"""Limits of endpoints on the command line, on a kernel that takes everything."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel


def limited(netctl: Netctl, name: str = "web/web1") -> list[int | None]:
    row = netctl("endpoint", "inspect", name).json[0]
    return [row["rate_in"], row["rate_out"], row["burst"]]


def test_an_endpoint_that_is_nowhere_keeps_its_limits(netctl: Netctl, kernel: FakeKernel) -> None:
    netctl("network", "create", "web")
    before = kernel.state()
    options = ("--rate-in", "10mbit", "--rate-out", "2mbps", "--burst", "64k")
    assert netctl("endpoint", "create", "web", "web1", *options).status == 0
    assert limited(netctl) == [10_000_000, 16_000_000, 65536]
    assert netctl("endpoint", "limit", "web1", "--rate-in", "none", "--burst", "none").status == 0
    assert limited(netctl) == [None, 16_000_000, None]
    assert netctl("endpoint", "inspect", "web1").json[0]["limits"] == {"in": None, "out": None}
    assert kernel.state() == before
    netctl("sandbox", "create", "c1")
    assert netctl("endpoint", "join", "web1", "c1").status == 0
    assert netctl("endpoint", "inspect", "web1").json[0]["limits"]["out"]["rate"] == 16_000_000
    assert netctl("endpoint", "leave", "web1").status == 0
    assert limited(netctl) == [None, 16_000_000, None]


def test_if_not_exists_compares_limits(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    create = ("endpoint", "create", "web", "web1", "--if-not-exists")
    first = netctl(*create, "--rate-in", "10mbit")
    assert netctl(*create, "--rate-in", "10000kbit").out == first.out
    for other in ([], ["--rate-in", "11mbit"], ["--rate-in", "10mbit", "--burst", "64k"]):
        done = netctl(*create, *other)
        assert (done.status, "another definition" in done.err) == (4, True), other


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rate-in", "0"], "--rate-in '0' is not a rate from 8kbit to 1tbit"),
        (["--rate-out", "-5mbit"], "--rate-out '-5mbit' is not a rate"),
        (["--rate-in", "10furlongs"], "is not a rate"),
        (["--rate-in", "9e99"], "is not a rate"),
        (["--rate-in", "none"], "is not a rate"),
        (["--rate-out", "9999999tbit"], "is not a rate"),
        (["--burst", "64k"], "--burst needs a rate"),
        (["--rate-in", "1mbit", "--burst", "0"], "--burst '0' is not a size"),
        (["--rate-in", "1mbit", "--burst", "1500"], "less than one packet of network web"),
        (["--rate-in", "8kbit", "--burst", "1g"], "more than a minute"),
    ],
)
def test_bad_limits_are_named(netctl: Netctl, options: list[str], words: str) -> None:
    netctl("network", "create", "web")
    done = netctl("endpoint", "create", "web", "web1", *options)
    assert (done.status, words in done.err, "hint: " in done.err) == (2, True, True), done.err
    netctl("sandbox", "create", "c1")
    for command in (["network", "connect", "web", "c1"], ["run", "--network", "web"]):
        tail = ["--", "true"] if command[0] == "run" else []
        done = netctl(*command, *options, *tail)
        assert (done.status, words in done.err) == (2, True), done.err
    assert netctl("endpoint", "ls", "--format", "name").out == ""


@pytest.mark.parametrize("driver", ["host", "null"])
def test_drivers_without_interfaces_limit_nothing(netctl: Netctl, driver: str) -> None:
    netctl("network", "create", "other", "-d", driver)
    done = netctl("endpoint", "create", "other", "e1", "--rate-in", "1mbit")
    assert (done.status, f"driver {driver}" in done.err, "--rate-in" in done.err) == (2, True, True)
    assert netctl("endpoint", "create", "other", "e1").status == 0
    done = netctl("endpoint", "limit", "e1", "--rate-in", "1mbit")
    assert (done.status, "have no interface" in done.err, "hint: " in done.err) == (2, True, True)
