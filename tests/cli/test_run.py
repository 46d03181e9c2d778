"""``run`` with the options of endpoints: what its sandbox is like while the command runs."""

from __future__ import annotations

from typing import Any

import pytest

from netctl.controller import Controller
from netctl.kernel import process
from netctl.models import SandboxKind
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel


class Runs:
    """Runs commands, and keeps what their sandboxes were like."""

    def __init__(self, netctl: Netctl) -> None:
        self.netctl = netctl
        self.endpoints: dict[str, Any] = {}
        self.type: SandboxKind | None = None
        self.commands: list[tuple[str, ...]] = []

    def look(self, netns: str, binds: object, argv: tuple[str, ...]) -> int:
        self.commands.append(tuple(argv))
        with Controller() as controller:
            [sandbox] = controller.sandboxes.list()
            self.type = sandbox.doc.type
            self.endpoints = {
                each.network.name: each.doc
                for each in controller.endpoints.list()
                if each.doc.attachment
            }
        return 7


@pytest.fixture
def runs(netctl: Netctl, monkeypatch: pytest.MonkeyPatch) -> Runs:
    found = Runs(netctl)
    monkeypatch.setattr(process, "supervise", found.look)
    for name in ("db", "web"):
        assert netctl("network", "create", name, "--ipv6").status == 0
    return found


def test_the_options_of_endpoints_hold_for_the_first_network(
    runs: Runs, kernel: FakeKernel
) -> None:
    words = (
        "run --network web --network db --ip 172.18.0.9 --mac 02:00:00:00:00:07 --alias www"
        " --alias db1:database --ifname lan0 --route 10.9.0.0/16 --expose 80 --priority -1"
        " --no-default-route --rate-in 10mbit --sysctl net.ipv4.conf.IFNAME.rp_filter=2 -it"
        " -- true -v"
    )
    assert runs.netctl(*words.split()).status == 7
    first, other = runs.endpoints["web"], runs.endpoints["db"]
    assert (first.ipv4, first.mac, first.aliases) == (
        "172.18.0.9/16",
        "02:00:00:00:00:07",
        ("www",),
    )
    place = first.attachment
    assert (place.ifname, place.priority, place.aliases) == ("lan0", -1, {"database": "db1"})
    assert [route.destination for route in first.routes] == ["10.9.0.0/16"]
    assert first.no_default_route and first.exposed == ("80/tcp",)
    assert (other.aliases, other.routes, other.attachment.priority) == ((), (), 0)
    assert other.attachment.ifname == "eth0" and not other.no_default_route
    for each in (first, other):
        assert each.limits.rate_in == 10_000_000 and len(each.sysctls) == 1
    assert runs.commands == [("true", "-v")]
    assert runs.netctl("endpoint", "ls", "-q").out == ""


def test_ports_are_published_on_the_way_out(runs: Runs) -> None:
    words = "run --network web --network db -p 8080:80 --ip6 fd00::9 -- true"
    assert runs.netctl(*words.split()).status == 2  # Of no subnet.
    assert runs.netctl(*words.replace("--ip6 fd00::9 ", "").split()).status == 7
    assert [len(runs.endpoints[name].ports) for name in ("db", "web")] == [1, 0]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("--network inner", "is not internal, or leave out --publish"),
        ("--network web --no-default-route", "is not internal, without --no-default-route, or"),
    ],
)
def test_ports_without_a_way_out_are_refused_in_the_words_of_run(
    runs: Runs, words: str, hint: str
) -> None:
    runs.netctl("network", "create", "inner", "--internal")
    done = runs.netctl("run", *words.split(), "-p", "80", "--", "true")
    assert done.status == 4 and runs.commands == []
    assert "no --network leads outside, so --publish is not possible" in done.err
    assert "sandbox" not in done.err and hint in done.err
    assert runs.netctl("sandbox", "ls", "-q").out == ""


def test_a_sandbox_without_a_network(runs: Runs, kernel: FakeKernel) -> None:
    assert runs.netctl("run", "--network", "none", "--", "true").status == 7
    assert (runs.endpoints, runs.type) == ({}, SandboxKind.OWN)


def test_a_sandbox_of_the_hosts_stack(runs: Runs) -> None:
    assert runs.netctl("run", "--network", "host", "--add-host", "a:::1", "--", "true").status == 7
    assert (runs.endpoints, runs.type) == ({}, SandboxKind.HOST)
    assert runs.netctl("sandbox", "ls", "-q").out == ""


@pytest.mark.parametrize(
    "words",
    [
        "run --network host --hostname me -- true",
        "run --network none --hostname me -- true",
        "run --network none --domainname example.org -- true",
        "sandbox create me --host --hostname me",
        "sandbox create me --host --domainname example.org --hostname me",
    ],
)
def test_a_name_without_an_address_is_refused(runs: Runs, words: str) -> None:
    done = runs.netctl(*words.split())
    assert done.status == 2
    assert "has no addresses of its own, so --" in done.err and "no effect" in done.err
    assert "hint: leave out --" in done.err
    assert runs.netctl("sandbox", "ls", "-q").out == ""


def test_a_network_of_that_name_comes_first(runs: Runs) -> None:
    runs.netctl("network", "create", "none")
    runs.netctl("network", "create", "host", "-d", "host")
    assert runs.netctl("run", "--network", "none", "--", "true").status == 7
    assert list(runs.endpoints) == ["none"]
    # In one of driver host only the host's stack can be.
    assert runs.netctl("run", "--network", "host", "--", "true").status == 7
    assert (runs.endpoints, runs.type) == ({}, SandboxKind.HOST)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--network none --network web", "exclude each other"),
        ("--network web --network host", "exclude each other"),
        ("--network none -p 80", "leave out --publish"),
        ("--network host --ip 10.0.0.1 --alias x", "leave out --ip, --alias"),
        ("--network none --priority 3 --rate-in 1mbit", "leave out --priority, --rate-in\n"),
        ("--network none --rate-out 1mbit --burst 64k", "leave out --rate-out, --burst\n"),
        ("--network none --anonymous", "leave out --anonymous\n"),
        ("--network host --no-dns --expose 80", "leave out --no-dns, --expose\n"),
        ("--network none --alias x:y", "leave out --alias"),
        ("--network web --network web", "given twice"),
        ("--network web --ip x", "is not an IP address"),
        ("--network web --mac 01:00:00:00:00:00", "is not a unicast MAC address"),
        ("--network web --route x", "--route"),
    ],
)
def test_what_does_not_go_together_is_refused(
    runs: Runs, kernel: FakeKernel, words: str, said: str
) -> None:
    before = kernel.state()
    done = runs.netctl("run", *words.split(), "--", "true")
    assert (done.status, runs.commands) == (2, []) and said in done.err
    assert kernel.state() == before


def test_completion_offers_the_words_beside_the_networks(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_NETCTL_COMPLETE", "bash_complete")
    for word, expected in (("n", {"none"}), ("h", {"host"}), ("w", {"web"}), ("", {"db", "web"})):
        monkeypatch.setenv("COMP_WORDS", f"netctl run --network {word}")
        monkeypatch.setenv("COMP_CWORD", "3")
        assert {item.partition(",")[2] for item in runs.netctl().out.split()} == expected
