"""The checks that no throw-away host can show: full tables, missing features, old libraries."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from netctl.controller import Controller
from netctl.doctor.crossing import Crossing
from netctl.doctor.destination import Destination
from netctl.doctor.examination import CHECKS, examine
from netctl.doctor.finding import Finding, Severity
from netctl.doctor.machine import Machine
from netctl.errors import KernelError, NotPermitted
from netctl.kernel import Address
from netctl.kernel.diag import Socket
from netctl.kernel.lookup import Neighbour
from netctl.kernel.probing import Journey
from netctl.kernel.ruleset import Chain
from netctl.kernel.vitals import Filesystem, Vitals
from netctl.ports import spec
from netctl.record import replace
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config

STAT = "entries  allocs\n{:08x}  00000000\n"


class FakeVitals(Vitals):
    """A machine in good health, of which a test takes something away."""

    def __init__(self) -> None:
        self.without: list[str] = []
        self.version: str | None = "1.0.6"
        self.names: dict[int, str] = {}
        self.serving: dict[tuple[str, int], str] = {}
        self.disk = Filesystem(
            mode=0o700, owner=0, free=1 << 30, free_files=1 << 20, read_only=False
        )
        self.lost: list[tuple[str, str]] = []
        self.deaf: set[tuple[str, int]] = set()
        self.sockets: list[Socket] = []
        self.delays: dict[str, float | None] = {}

    def lacking(self) -> list[str]:
        return self.without

    def library(self) -> str | None:
        return self.version

    def processes(self) -> dict[int, str]:
        return self.names

    def listener(self, protocol: str, port: int) -> str | None:
        return self.serving.get((protocol, port))

    def hears(
        self, netns: str, index: int, asked: Sequence[tuple[str, str, int]]
    ) -> list[bool | None]:
        return [each[1:] not in self.deaf for each in asked]

    def listening(self, netns: str, protocol: str) -> list[Socket]:
        return self.sockets

    def chains(self, netns: str) -> list[Chain]:
        return []

    def filesystem(self, path: str) -> Filesystem | None:
        return self.disk

    def missing(self) -> list[tuple[str, str]]:
        return self.lost

    def dns_delay(self, server: str, limit: float) -> float | None:
        return self.delays.get(server, 0.01)


class Case:
    """A furnished fake machine."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 0)
        self.kernel = FakeKernel()
        self.vitals = FakeVitals()
        self.kernel.files["/etc/resolv.conf"] = "nameserver 192.0.2.254\n"
        self.controller = Controller(config(directory), kernel=self.kernel)
        self.controller.networks.create("web", ipv6=True)
        self.controller.sandboxes.create("c1")
        self.controller.endpoints.connect("web", "c1", ports=["8080:80"])
        self.bridge = self.controller.networks.get("web").doc.facts["bridge"]
        # Which the kernel does by itself when ip_forward is turned on.
        for link in (self.bridge, "uplink"):
            self.settings()[f"net/ipv4/conf/{link}/forwarding"] = "1"

    def examine(self, *, probe: bool = False) -> list[Finding]:
        before = len(self.kernel.calls)
        found = examine(self.controller, vitals=self.vitals, probe=probe)
        assert len(self.kernel.calls) == before, "something was changed"
        return found

    def found(self, *, probe: bool = False) -> list[tuple[str, str, str]]:
        found = self.examine(probe=probe)
        return [(str(each.severity), each.code, each.evidence) for each in found]

    def settings(self) -> dict[str, str]:
        return self.kernel.host.settings


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    made = Case(tmp_path, monkeypatch)
    our_table = Chain(family="inet", table="netctl", name="forward")
    made.kernel.foreign[our_table] = []
    return made


def test_a_healthy_machine_has_nothing(case: Case) -> None:
    assert case.found(probe=True) == []


def _full_bridge(case: Case) -> None:
    index = case.kernel.host.links[case.bridge].index
    for number in range(1022):
        case.kernel.add_link(f"p{number}")
        case.kernel.host.links[f"p{number}"] = replace(
            case.kernel.host.links[f"p{number}"], master=index
        )


def _enslaved(case: Case) -> None:
    case.kernel.add_link("vrf0")
    links = case.kernel.host.links
    links[case.bridge] = replace(links[case.bridge], master=links["vrf0"].index)


def _stat(family: str, file: str, entries: int) -> Callable[[Case], None]:
    def prepare(case: Case) -> None:
        case.kernel.files[f"/proc/net/stat/{file}"] = STAT.format(entries)
        case.settings()[f"net/{family}/neigh/default/gc_thresh3"] = "1024"

    return prepare


def _tracked(count: int) -> Callable[[Case], None]:
    def prepare(case: Case) -> None:
        case.settings()["net/netfilter/nf_conntrack_count"] = str(count)
        case.settings()["net/netfilter/nf_conntrack_max"] = "1000"

    return prepare


def _no_ipv6(case: Case) -> None:
    del case.settings()["net/ipv6/conf/all/disable_ipv6"]


def _vital(**changes: object) -> Callable[[Case], None]:
    def prepare(case: Case) -> None:
        for name, value in changes.items():
            setattr(case.vitals, name, value)

    return prepare


def _disk(**changes: Any) -> Callable[[Case], None]:
    def prepare(case: Case) -> None:
        case.vitals.disk = replace(case.vitals.disk, **changes)

    return prepare


SICK: dict[str, tuple[Callable[[Case], None], str, str, str]] = {
    "full bridge": (_full_bridge, "problem", "bridge-full", "1023 interfaces with master"),
    "bridge of a vrf": (_enslaved, "problem", "bridge-enslaved", "master vrf0"),
    "neighbours": (
        _stat("ipv4", "arp_cache", 1024),
        "problem",
        "neighbours-full",
        "1024 entries in /proc/net/stat/arp_cache",
    ),
    "neighbours soon": (
        _stat("ipv6", "ndisc_cache", 1000),
        "warning",
        "neighbours-full",
        "1000 entries in /proc/net/stat/ndisc_cache",
    ),
    "conntrack": (_tracked(1000), "problem", "conntrack-full", "nf_conntrack_count = 1000"),
    "conntrack soon": (_tracked(950), "warning", "conntrack-full", "nf_conntrack_max = 1000"),
    "no ipv6": (_no_ipv6, "problem", "kernel-feature", "/proc/sys/net/ipv6: no such directory"),
    "no bridge": (
        _vital(lost=[("interfaces of type bridge", "Operation not supported")]),
        "problem",
        "kernel-feature",
        "tried in a namespace of its own: Operation not supported",
    ),
    "no libnftables": (_vital(version=None), "problem", "libnftables", "libnftables.so.1"),
    "old libnftables": (_vital(version="0.9.8"), "warning", "libnftables", "version 0.9.8"),
    "no rights": (
        _vital(without=["CAP_NET_ADMIN"]),
        "note",
        "privileges",
        "missing: CAP_NET_ADMIN",
    ),
    "disk": (_disk(free=1 << 20), "problem", "disk-full", "1024 KiB"),
    "inodes": (_disk(free_files=3), "problem", "disk-full", "3 files free"),
    "read-only": (_disk(read_only=True), "problem", "state-read-only", "read-only"),
    "mode": (_disk(mode=0o750), "warning", "state-permissions", "mode 0750"),
    "owner": (_disk(owner=1000), "warning", "state-permissions", "owner 1000"),
    "served": (
        _vital(serving={("tcp", 8080): "process 7 (nginx)"}),
        "warning",
        "port-served-twice",
        "process 7 (nginx)",
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_what_is_wrong_is_named(case: Case, name: str) -> None:
    prepare, severity, code, evidence = SICK[name]
    prepare(case)
    found = case.found()
    assert [(s, c) for s, c, _ in found if c != "differs"][:1] == [(severity, code)], found
    assert any(evidence in text for _, c, text in found if c == code), found


def test_all_modules_are_loaded(case: Case) -> None:
    """``modprobe`` takes all words after the first one for the module's parameters."""
    case.vitals.lost = [("interfaces of type bridge", "Operation not supported")]
    [found] = case.examine()
    assert found.remedy[0].startswith("modprobe -a bridge veth ")


def unpublish(case: Case, code: str) -> list[str]:
    """Carry out the line of the one finding of a code; return what is published afterwards."""
    [found] = [each for each in case.examine() if each.code == code]
    [line] = found.remedy
    command, _, port = line.rpartition(" ")
    assert command == "netctl endpoint unpublish web/c1"
    case.controller.endpoints.unpublish("web/c1", [port])
    return [spec(port) for port in case.controller.endpoints.get("web/c1").doc.ports]


def test_of_an_address_that_is_gone_no_other_port_is_taken(case: Case) -> None:
    address = Address(link="uplink", address="203.0.113.50/24")
    case.kernel.host.addresses.append(address)
    ports = ["127.0.0.1:8001:80", "203.0.113.50:8002:80"]
    case.controller.endpoints.publish("web/c1", ports)
    case.kernel.host.addresses.remove(address)
    assert unpublish(case, "published-address-gone") == ["8080:80/tcp", "127.0.0.1:8001:80/tcp"]


def test_a_range_that_is_served_twice_is_unpublished(case: Case) -> None:
    case.controller.endpoints.publish("web/c1", ["9000-9002:90-92", "127.0.0.1:9100:90"])
    case.vitals.serving = {("tcp", 9000): "process 7 (nginx)"}
    assert unpublish(case, "port-served-twice") == ["8080:80/tcp", "127.0.0.1:9100:90/tcp"]


@pytest.mark.parametrize("link", ["uplink", "other0"])
def test_a_silent_neighbour_counts_on_its_own_interface(
    case: Case, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    way = case.kernel.way("", "198.51.100.7")
    silent = Neighbour(link=link, address=way.gateway, mac="", state="failed")
    monkeypatch.setattr(case.kernel, "neighbours", lambda netns: [silent])
    crossing = Crossing(
        Machine(case.controller, case.vitals),
        case.bridge,
        Destination(address="198.51.100.7", protocol="icmp"),
        Journey(answer="answered", source="172.17.0.2", port=0, number=1, events=()),
        None,
        "c1",
    )
    codes = [station.code for station in crossing.stations()]
    assert ("next-hop-silent" in codes) == (way.link == link)


def test_a_name_server_is_asked_on_demand(case: Case) -> None:
    case.vitals.delays["192.0.2.254"] = None
    assert case.found() == []
    assert [code for _, code, _ in case.found(probe=True)] == ["name-server-silent"]


def test_a_check_that_is_not_possible_stops_no_other(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NotPermitted("list the chains: not permitted", hint="run it as root")

    monkeypatch.setattr(case.kernel, "nft_chains", refuse)
    case.settings()["net/ipv4/ip_forward"] = "0"
    found = case.examine()
    assert found[0].code == "forwarding-off"
    [missed] = [each for each in found if each.code == "not-looked-at"]
    assert "our firewall rules" in missed.what and "other firewalls" in missed.what
    assert missed.evidence == "list the chains: not permitted"


@pytest.mark.parametrize("check", CHECKS)
def test_no_check_needs_networks(tmp_path: Path, check: str) -> None:
    from netctl.doctor.machine import Machine

    controller = Controller(config(tmp_path), kernel=FakeKernel())
    vitals = FakeVitals()
    vitals.disk = replace(vitals.disk, owner=os.geteuid())
    assert list(CHECKS[check](Machine(controller, vitals))) == []


def test_a_lock_that_is_not_to_be_had_is_no_error(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(operation: str) -> None:
        raise KernelError("read-only")

    case.settings()["net/ipv4/ip_forward"] = "0"
    monkeypatch.setattr(case.controller.store, "locked", refuse)
    found = case.examine()
    assert [each.severity for each in found if each.code == "forwarding-off"] == [Severity.PROBLEM]


def test_after_a_reboot_restore_is_the_remedy_for_sandboxes_too(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.kernel.pins.clear()
    [gone] = [each for each in case.examine() if each.code == "sandbox-gone"]
    assert gone.remedy == ("netctl sandbox refresh c1",)
    monkeypatch.setattr(case.kernel, "boot_id", lambda: "00000000-0000-4000-8000-000000000002")
    [gone] = [each for each in case.examine() if each.code == "sandbox-gone"]
    assert gone.remedy == ("netctl restore",)
