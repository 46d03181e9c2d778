"""Check finds whatever is changed behind netctl's back; repair brings just that back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netctl.controller import Controller
from netctl.models import Network, Sandbox
from netctl.record import replace
from tests.fake.stack import Stack, setting_of
from tests.fake_kernel import FakeKernel
from tests.unit.scenarios import Scenario
from tests.unit.test_every_step import Place, config

Break = Callable[[FakeKernel], object]


def _furnish(c: Controller) -> None:
    c.networks.create("web", ipv6=True)
    c.networks.create("db", internal=True, options={"bridge.enable_icc": "false"})
    for name in ("c1", "c2"):
        c.sandboxes.create(name)
        c.endpoints.connect("web", name)
        c.endpoints.connect("db", name)
    c.endpoints.publish("web/c1", ["8080:80", "9000-9003:9000-9003"])
    c.networks.create("closed", options={"bridge.enable_icc": "false"})
    c.sandboxes.create("c3")
    c.endpoints.connect("closed", "c3", ports=["8081:80"])


FURNISHED = Scenario("furnished", _furnish, lambda c: None)


def _stacks(kernel: FakeKernel) -> Iterator[tuple[str, Stack]]:
    yield "host", kernel.host
    for path, inode in kernel.pins.items():
        yield path, kernel.stacks[inode]


def _ours(kernel: FakeKernel) -> Iterator[tuple[str, Break]]:
    """Yield every way in which one thing of ours is taken away or changed."""
    for where, stack in _stacks(kernel):
        for name in [n for n, link in stack.links.items() if link.alias and n != "lo"]:
            yield f"{where}: {name} deleted", _deleted(where, name)
            yield f"{where}: {name} down", _down(where, name)
            yield f"{where}: {name} mtu", _altered(where, name, mtu=1280)
            if not name.startswith("nc"):
                yield f"{where}: {name} mac", _altered(where, name, mac="02:00:00:00:00:99")
            if name.startswith("nc"):
                yield f"{where}: {name} bridge", _altered(where, name, master=0)
                isolated, hairpin = stack.ports[name]
                yield f"{where}: {name} isolated", _port(name, (not isolated, hairpin))
                if hairpin:
                    yield f"{where}: {name} hairpin", _port(name, (isolated, False))
        for item in stack.addresses:
            if stack.links[item.link].alias and item.link != "lo":
                yield f"{where}: {item.address}", _without_address(where, item.address)
        for route in stack.routes if where != "host" else ():
            yield f"{where}: route {route.destination}", _without_route(where, route.destination)
        for key in stack.settings:
            if setting_of(key) in stack.links:
                yield f"{where}: {key}", _setting(where, key)
    for path in kernel.links_to:
        yield path, lambda k, p=path: k.links_to.pop(p)  # type: ignore[misc]
    for path in kernel.files:
        yield path, lambda k, p=path: k.files.pop(p)  # type: ignore[misc]
    for path in kernel.pins:
        yield f"{path} deleted", _unpinned(path)
        yield f"{path}: lo down", _down(path, "lo")
        yield f"{path}: flushed", lambda k, p=path: k.astray.add(p)  # type: ignore[misc]
    yield "flushed", lambda k: k.firewall.tables.clear()
    for where, table in kernel.firewall.tables.items():
        yield f"{where} deleted", lambda k, w=where: k.firewall.tables.pop(w)  # type: ignore[misc]
        for name, elements in table.sets.items():
            for element in elements:
                yield f"{where} {name} {element}", _without_element(where, name, element)
        for chain in table.chains:
            if not chain.startswith("user-"):
                yield f"{where} chain {chain}", _without_rule(where, chain)


def _stack(kernel: FakeKernel, where: str) -> Stack:
    return dict(_stacks(kernel))[where]


def _deleted(where: str, name: str) -> Break:
    return lambda kernel: kernel._delete_link(_stack(kernel, where), name)


def _down(where: str, name: str) -> Break:
    return lambda kernel: kernel.link_set_up("" if where == "host" else where, name, up=False)


def _altered(where: str, name: str, **facts: object) -> Break:
    def change(kernel: FakeKernel) -> None:
        links = _stack(kernel, where).links
        links[name] = replace(links[name], **facts)  # type: ignore[arg-type]

    return change


def _port(name: str, modes: tuple[bool, bool]) -> Break:
    return lambda kernel: kernel.host.ports.update({name: modes})


def _without_address(where: str, address: str) -> Break:
    def change(kernel: FakeKernel) -> None:
        stack = _stack(kernel, where)
        stack.addresses = [a for a in stack.addresses if a.address != address]

    return change


def _without_route(where: str, destination: str) -> Break:
    def change(kernel: FakeKernel) -> None:
        stack = _stack(kernel, where)
        stack.routes = [r for r in stack.routes if r.destination != destination]

    return change


def _setting(where: str, key: str) -> Break:
    def change(kernel: FakeKernel) -> None:
        kernel.sysctl_set("" if where == "host" else where, key, "7")

    return change


def _unpinned(path: str) -> Break:
    def change(kernel: FakeKernel) -> None:
        kernel._end_stack(kernel.pins.pop(path))

    return change


def _without_element(table: str, name: str, element: str) -> Break:
    return lambda kernel: kernel.firewall.tables[table].sets[name].discard(element)


def _without_rule(table: str, chain: str) -> Break:
    return lambda kernel: kernel.firewall.tables[table].chains[chain].clear()


def test_whatever_is_broken_is_found_and_repaired(tmp_path: Path) -> None:
    broken = 0
    first = Place(tmp_path / "first", FURNISHED)
    for number, (name, change) in enumerate(list(_ours(first.kernel))):
        place = Place(tmp_path / str(number), FURNISHED)
        # Ids are random: what is broken is found again by its position.
        name, change = list(_ours(place.kernel))[number]
        assert place.controller.check() == []
        before = place.kernel.state()
        change(place.kernel)
        if place.kernel.state() == before:
            continue
        broken += 1
        assert place.controller.check(), f"{name} is not found"
        repaired = place.controller.repair()
        assert repaired.done and not repaired.left, (name, repaired)
        assert place.controller.check() == [], name
        assert place.kernel.state() == before, name
    assert broken > 80


def test_a_foreign_thing_in_the_place_of_ours_is_named_and_left(tmp_path: Path) -> None:
    place = Place(tmp_path, FURNISHED)
    bridge = place.controller.networks.get("web").doc.facts["bridge"]
    _altered("host", bridge, alias="theirs")(place.kernel)
    found = place.controller.check()
    assert [f.difference.found for f in found] == ["bridge, theirs"]
    repaired = place.controller.repair()
    assert repaired.done == () and "theirs" in repaired.left[0]
    assert place.kernel.host.links[bridge].alias == "theirs"


def test_everything_is_restored_after_a_reboot(tmp_path: Path) -> None:
    place = Place(tmp_path, FURNISHED)
    before = place.kernel.state()
    documents = [place.controller.endpoints.get(f"web/{n}").doc for n in ("c1", "c2")]
    place.kernel.reboot()
    rebooted = Controller(config(tmp_path), kernel=place.kernel)
    assert {f.difference.found for f in rebooted.check()} == {
        "of an earlier boot",
        "nothing: it was of an earlier boot",
    }
    assert rebooted.restore().left == ()
    assert rebooted.check() == []
    assert place.kernel.state() == before
    after = [rebooted.endpoints.get(f"web/{n}").doc for n in ("c1", "c2")]
    for old, new in zip(documents, after, strict=True):
        assert (old.ipv4, old.ipv6, old.mac, old.ports) == (new.ipv4, new.ipv6, new.mac, new.ports)


def test_a_namespace_of_somebody_else_that_is_gone_is_reported(tmp_path: Path) -> None:
    place = Place(tmp_path, FURNISHED)
    place.kernel.add_external("/proc/42/ns/net")
    place.controller.sandboxes.create("vm", netns_path="/proc/42/ns/net")
    place.controller.endpoints.connect("web", "vm")
    place.kernel.reboot()
    rebooted = Controller(config(tmp_path), kernel=place.kernel)
    repaired = rebooted.repair()
    assert len(repaired.left) == 1 and "sandbox vm" in repaired.left[0]
    assert [f.title for f in rebooted.check()] == ["sandbox vm"]


@pytest.mark.parametrize("kind", [Network, Sandbox])
def test_what_a_lost_store_leaves_behind_is_collected(tmp_path: Path, kind: object) -> None:
    empty = FakeKernel().state()
    place = Place(tmp_path / "lost", FURNISHED)
    fresh = Controller(config(tmp_path / "lost"), kernel=place.kernel)
    # The store is put back from an empty copy, with the files beside it.
    elsewhere = Controller(replace(fresh.config, state_dir=f"{tmp_path}/new"), kernel=place.kernel)
    found = elsewhere.leftovers()
    assert {item.what.split()[0] for item in found} >= {"interface", "namespace", "table"}
    assert place.controller.check() == []
    assert elsewhere.collect().left == ()
    assert elsewhere.leftovers() == []
    state = place.kernel.state()
    assert isinstance(state, dict) and isinstance(empty, dict)
    assert state["stacks"].keys() == empty["stacks"].keys()
    assert state["nft"] == {}
