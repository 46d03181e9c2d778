"""Sandboxes that hold more than is read, and hosts that hold many."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path

import pytest

from netctl.controller import Controller
from netctl.doctor import believed, routing, ruled
from netctl.doctor.machine import Machine
from netctl.errors import KernelError
from netctl.kernel.lookup import Neighbour, PolicyRule, Way
from netctl.record import replace
from netctl.steps import links
from tests.fake_kernel import FakeKernel
from tests.unit.test_doctor import Case, case
from tests.unit.test_every_step import config

__all__ = ["case"]

CROWDED = "/run/netns/c1"
TABLES = ("rules", "routes", "all_routes", "dead_ends", "neighbours")


@pytest.fixture
def crowded(case: Case, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Two sandboxes, of which the first holds too much of everything."""
    for name in TABLES:
        original = getattr(FakeKernel, name)

        def look(kernel: FakeKernel, *args: object, was: object = original) -> object:
            if CROWDED in args:
                raise KernelError("list it: too many", errno=errno.EFBIG)
            assert callable(was)
            return was(kernel, *args)

        monkeypatch.setattr(FakeKernel, name, look)
    case.controller.sandboxes.create("c2")
    case.controller.endpoints.connect("web", "c2", ports=["8081:80"])
    return case


def test_a_crowded_sandbox_hides_no_forged_neighbour_of_another(
    crowded: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = crowded.kernel.neighbours

    def neighbours(netns: str) -> list[Neighbour]:
        if netns != "/run/netns/c2":
            return there(netns)
        gateway = crowded.controller.networks.get("web").doc.pools[0].gateway
        assert gateway
        return [Neighbour(link="eth0", address=gateway, mac="02:00:00:00:00:99", state="permanent")]

    monkeypatch.setattr(crowded.kernel, "neighbours", neighbours)
    found = {each.code: each for each in believed.forged(Machine(crowded.controller))}
    assert set(found) == {"neighbour-forged", "not-looked-at"}
    assert "sandbox c1" in found["not-looked-at"].what


def test_a_crowded_sandbox_hides_no_rule_of_another(
    crowded: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, way = crowded.kernel.rules, crowded.kernel.way
    refusal = PolicyRule(preference=5, refuses=True, table=0)
    inner = {CROWDED, "/run/netns/c2"}

    def rules(version: int, netns: str = "") -> list[PolicyRule]:
        return [refusal] if netns == "/run/netns/c2" else there(version, netns)

    def refused(netns: str, address: str, **more: str) -> Way:
        found = way(netns, address, **more)
        return replace(found, kind="prohibit", link="") if netns in inner else found

    monkeypatch.setattr(crowded.kernel, "rules", rules)
    monkeypatch.setattr(crowded.kernel, "way", refused)
    found = list(ruled.refused(Machine(crowded.controller)))
    assert [f.code for f in found if "c2" in f.what][:1] == ["rule-refuses"]
    assert [f.code for f in found if "sandbox c1" in f.what] == ["not-looked-at"]


@pytest.mark.parametrize("check", [routing.answers, routing.gateways])
def test_another_gateway_is_found_among_too_many_routes(
    crowded: Case, monkeypatch: pytest.MonkeyPatch, check: object
) -> None:
    way = crowded.kernel.way

    def led(netns: str, address: str, **more: str) -> Way:
        found = way(netns, address, **more)
        return replace(found, gateway="172.17.0.99") if netns and ":" not in address else found

    monkeypatch.setattr(crowded.kernel, "way", led)
    assert callable(check)
    found = list(check(Machine(crowded.controller)))
    expected = {"gateway-foreign"} if check is routing.gateways else set()
    assert {each.code for each in found} == expected
    assert len(found) == 2 * len(expected)


def test_the_way_of_one_packet_has_lines_that_mend_it_in_a_crowd(crowded: Case) -> None:
    way = crowded.kernel.way(CROWDED, "192.0.2.1")
    lines = list(ruled.mended(crowded.kernel, CROWDED, way, "192.0.2.1"))
    assert lines[0].startswith("ip -n c1 route get fibmatch 192.0.2.1") and "repair" in lines[-1]


def test_intact_endpoints_are_compared_without_a_walk_through_all_links(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    look = case.kernel.netns_number

    def number(path: str) -> int:
        asked[path] += 1
        return look(path)

    def walk(*_: object) -> bool:
        raise AssertionError("all links are looked through")

    case.controller.networks.create("db")
    case.controller.endpoints.connect("db", "c1")
    monkeypatch.setattr(case.kernel, "netns_number", number)
    monkeypatch.setattr(links, "is_end_of_ours", walk)
    assert case.controller.check() == []
    assert asked == {CROWDED: 1}


def test_advertisements_that_the_operator_refuses_stay_refused(
    tmp_path: Path,
) -> None:
    kernel = FakeKernel()
    key = "net/ipv6/conf/uplink/accept_ra"
    kernel.host.routes = [
        replace(r, advertised=r.destination == "::/0") for r in kernel.host.routes
    ]
    kernel.host.settings[key] = "1"
    controller = Controller(config(tmp_path), kernel=kernel)
    controller.networks.create("web", ipv6=True)
    assert kernel.host.settings[key] == "2"
    kernel.host.settings[key] = "0"
    controller.networks.remove("web")
    assert kernel.host.settings[key] == "0"
