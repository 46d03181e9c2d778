"""Networks that keep their endpoints apart (``enable_icc=false``): which ports of the bridge have the
flag ``isolated``, and when there is the table ``bridge netctl``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from netctl.controller import Controller
from netctl.plan import Step
from netctl.steps.links import VethAdd
from netctl.steps.settings import Nft
from netctl.steps.together import Together
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config

CLOSED = {"bridge.enable_icc": "false"}
TABLE = "bridge netctl"


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def c(kernel: FakeKernel, tmp_path: Path) -> Controller:
    return Controller(config(tmp_path), kernel=kernel)


def fill(
    c: Controller, name: str = "web", options: Mapping[str, str] | None = None, **facts: Any
) -> None:
    """Make a closed network with two endpoints."""
    c.networks.create(name, options={**CLOSED, **(options or {})}, **facts)
    for number in (1, 2):
        c.sandboxes.create(f"{name}{number}")
        c.endpoints.connect(name, f"{name}{number}")


def flags(c: Controller, kernel: FakeKernel, name: str = "web") -> list[bool]:
    """Return which ports of a network's endpoints are isolated."""
    places = (c.endpoints.get(f"{name}/{name}{number}").doc.attachment for number in (1, 2))
    return [kernel.host.ports[place.host_ifname][0] for place in places if place]


def test_the_flag_follows_the_first_and_the_last_published_port(
    c: Controller, kernel: FakeKernel
) -> None:
    fill(c)
    assert flags(c, kernel) == [True, True]
    seen, publish, unpublish = [], c.endpoints.publish, c.endpoints.unpublish
    for change, port in (
        (publish, "8080:80"),
        (publish, "8081:81/udp"),
        (unpublish, "80"),
        (unpublish, "81/udp"),
    ):
        change("web/web1", [port])
        seen.append(flags(c, kernel))
        assert c.check() == []
    assert seen == [[False, True], [False, True], [False, True], [True, True]]
    # One that comes in with its ports.
    c.endpoints.publish("web/web2", ["8080:80"])
    c.sandboxes.refresh("web2")
    assert flags(c, kernel) == [True, False] and c.check() == []


def test_the_flag_stays_where_the_host_lends_no_port(c: Controller, kernel: FakeKernel) -> None:
    fill(c, ipv6=True)
    c.endpoints.publish("web/web1", ["[::1]:8080:80"])
    modes = dict.fromkeys(("bridge.gateway_mode_ipv4", "bridge.gateway_mode_ipv6"), "routed")
    fill(c, "routed", ipv6=True, options=modes)
    c.endpoints.publish("routed/routed1", ["80"])
    fill(c, "inner", internal=True)
    c.endpoints.publish("inner/inner1", ["8081:80"])
    assert [flags(c, kernel, name) for name in ("web", "routed", "inner")] == [[True, True]] * 3
    assert c.check() == []


def test_one_that_is_not_the_way_out_is_as_its_document_says(
    c: Controller, kernel: FakeKernel
) -> None:
    fill(c)
    c.networks.create("first")
    c.endpoints.connect("first", "web1", priority=1)
    c.endpoints.publish("web/web1", ["8080:80"])
    assert flags(c, kernel) == [False, True] and c.check() == []
    c.endpoints.disconnect("first", "web1")
    assert flags(c, kernel) == [False, True] and c.check() == []
    c.endpoints.unpublish("web/web1", ["80"])
    assert flags(c, kernel) == [True, True] and c.check() == []


def _adopted(c: Controller, kernel: FakeKernel) -> None:
    kernel.add_link("lan", kind="bridge")
    fill(c, options={"bridge.name": "lan"})


def _unknown(c: Controller, kernel: FakeKernel) -> None:
    kernel.firewall.lacking = ("bridge",)
    fill(c)


@pytest.mark.parametrize("make", [_adopted, _unknown])
def test_without_rules_all_ports_have_the_flag(
    c: Controller, kernel: FakeKernel, make: Callable[[Controller, FakeKernel], None]
) -> None:
    make(c, kernel)
    c.endpoints.publish("web/web1", ["8080:80"])
    assert flags(c, kernel) == [True, True]
    assert list(kernel.firewall.tables) == ["inet netctl"]
    assert "inside" not in kernel.firewall.tables["inet netctl"].chains
    assert c.check() == [] and c.leftovers() == []
    c.endpoints.unpublish("web/web1", ["80"])
    assert c.check() == []


def test_another_kernel_after_a_reboot(c: Controller, kernel: FakeKernel, tmp_path: Path) -> None:
    fill(c)
    c.endpoints.publish("web/web1", ["8080:80"])
    kernel.reboot()
    kernel.firewall.lacking = ("bridge",)
    rebooted = Controller(config(tmp_path), kernel=kernel)
    assert rebooted.restore().left == ()
    assert flags(rebooted, kernel) == [True, True] and rebooted.check() == []
    kernel.reboot("33333333-3333-4333-8333-333333333333")
    rebooted = Controller(config(tmp_path), kernel=kernel)
    assert rebooted.restore().left == ()
    assert flags(rebooted, kernel) == [False, True] and rebooted.check() == []
    assert TABLE in kernel.firewall.tables


def test_the_table_goes_with_the_last_network_that_needs_it(
    c: Controller, kernel: FakeKernel
) -> None:
    c.networks.create("open")
    plain = kernel.firewall.state()
    fill(c)
    fill(c, "db")
    c.networks.remove("web", force=True)
    assert len(kernel.firewall.tables[TABLE].sets["ports"]) == 2
    c.networks.remove("db", force=True)
    assert kernel.firewall.state() == plain


def test_a_network_without_the_option_has_nothing_of_it(c: Controller, kernel: FakeKernel) -> None:
    c.networks.create("open")
    c.sandboxes.create("c1")
    fill(c)
    before = kernel.firewall.tables[TABLE]
    c.endpoints.connect("open", "c1", ports=["8080:80"])
    assert kernel.firewall.tables[TABLE] == before
    assert "frames" not in c.networks.get("open").doc.facts


def _flushed_and_unpublished(c: Controller, kernel: FakeKernel) -> None:
    kernel.firewall.tables.clear()
    c.endpoints.unpublish("open/c1", ["80"])
    c.endpoints.disconnect("web", "web2")


GONE: dict[str, Callable[[Controller, FakeKernel], object]] = {
    "flush": lambda c, k: k.firewall.tables.clear(),
    "its own table": lambda c, k: k.firewall.tables.pop(TABLE),
    # What it takes back leaves sets behind, which must not pass for the whole table.
    "flush, then unpublish": _flushed_and_unpublished,
}
NEXT: dict[str, Callable[[Controller], object]] = {
    "connect": lambda c: c.endpoints.connect("web", "c1"),
    "create": lambda c: c.networks.create("db", options=CLOSED),
    "publish": lambda c: c.endpoints.publish("web/web1", ["8082:82"]),
    "batch": lambda c: _batch(c),
}


def _batch(c: Controller) -> None:
    with c.batch():
        c.sandboxes.create("c2")
        c.endpoints.connect("open", "c2")
        c.endpoints.connect("web", "c2")


@pytest.mark.parametrize("gone", GONE)
@pytest.mark.parametrize("command", NEXT)
def test_the_next_command_brings_the_rules_back(
    c: Controller, kernel: FakeKernel, gone: str, command: str
) -> None:
    fill(c)
    c.endpoints.publish("web/web1", ["8081:80"])
    c.networks.create("open")
    c.sandboxes.create("c1")
    c.endpoints.connect("open", "c1", ports=["8080:80"])
    GONE[gone](c, kernel)
    assert c.check()
    NEXT[command](c)
    assert c.check() == []


def test_the_rules_of_ports_go_after_the_ports(kernel: FakeKernel, tmp_path: Path) -> None:
    steps: list[Step] = []
    c = Controller(config(tmp_path), kernel=kernel, observe=steps.append)
    fill(c)
    c.endpoints.publish("web/web1", ["8080:80"])
    steps.clear()
    c.sandboxes.remove_each(["web1", "web2"], lambda name, error: None, force=True)
    order = [_kind(getattr(step, "step", step)) for step in steps]
    assert [kind for kind in order if kind] == ["rules", "ports", "rules of ports"]
    assert c.check() == [] and kernel.firewall.tables[TABLE].sets["ports"] == set()


def _kind(step: Step) -> str:
    if isinstance(step, Nft):
        return "rules of ports" if step.do.startswith(f"add table {TABLE}") else "rules"
    return "ports" if isinstance(step, Together | VethAdd) else ""
