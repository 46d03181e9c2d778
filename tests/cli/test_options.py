"""Options and settings that no other test has in the middle of it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from netctl import manual
from netctl.backends import registry
from netctl.backends.options import PREFIX
from netctl.cli import cli
from tests.cli.conftest import Netctl
from tests.cli.test_startup import LEAVES
from tests.fake_kernel import FakeKernel

FORWARDING = "net/ipv4/ip_forward"
READING = frozenset(
    {
        *(
            "check",
            "doctor",
            "completion",
            "exec",
            "exists",
            "info",
            "inspect",
            "ls",
            "stats",
            "unit",
            "version",
        ),
        *("install", "uninstall"),
        "resolver",
    }
)
"""And those that only put files of ours where the system looks for them, or are a process of its."""


def command(path: tuple[str, ...]) -> click.Command:
    found: click.Command = cli
    for name in path:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None
        found = inner
    return found


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_whatever_changes_something_has_a_dry_run(path: tuple[str, ...]) -> None:
    names = {parameter.name for parameter in command(path).params}
    assert ("dry_run" in names) != (path[-1] in READING)


@pytest.mark.parametrize(
    ("word", "status", "forwarding", "later"),
    [("auto", 0, "1", "0"), ("no-drop", 0, "1", "1"), ("off", 7, "0", "0")],
)
def test_forwarding_is_turned_on_as_configured(
    netctl: Netctl,
    kernel: FakeKernel,
    monkeypatch: pytest.MonkeyPatch,
    word: str,
    status: int,
    forwarding: str,
    later: str,
) -> None:
    monkeypatch.setenv("NETCTL_IP_FORWARD", word)
    done = netctl("network", "create", "web")
    assert (done.status, kernel.sysctl_get("", FORWARDING)) == (status, forwarding)
    assert ("ip_forward: off" in done.err) == (word == "off")
    assert netctl("network", "create", "in", "--internal").status == 0
    assert ("'\"uplink\"'" in str(kernel.firewall.state())) == (word == "auto")
    netctl("network", "rm", "web", "in")
    assert kernel.sysctl_get("", FORWARDING) == later


def test_options_of_a_bridge(netctl: Netctl, kernel: FakeKernel) -> None:
    options = "bridge.name=br7,bridge.inhibit_ipv4=true,container_iface_prefix=wan"
    assert netctl("network", "create", "web", "--ipv6", "-o", options).status == 0
    assert [":" in a.address for a in kernel.addresses("") if a.link == "br7"] == [True]
    netctl("sandbox", "create", "c1")
    netctl("network", "connect", "web", "c1")
    assert {link.name for link in kernel.links("/run/netns/c1")} == {"lo", "wan0"}


def test_files_of_a_sandbox_in_other_places(
    netctl: Netctl, kernel: FakeKernel, tmp_path: Path
) -> None:
    paths = [f"{tmp_path}/hosts", f"{tmp_path}/resolv.conf"]
    options = ("--hosts-path", paths[0], "--resolv-conf-path", paths[1], "--dns", "192.0.2.53")
    assert netctl("sandbox", "create", "c1", *options).status == 0
    assert "localhost" in kernel.files[paths[0]] and "192.0.2.53" in kernel.files[paths[1]]
    assert netctl("sandbox", "create", "c2", *options).status == 4
    assert netctl("sandbox", "rm", "c1").status == 0
    assert not kernel.files.keys() & {*paths}


def test_filters_of_endpoints_and_sandboxes(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    netctl("network", "create", "db")
    netctl("sandbox", "create", "c1", "--label", "tier=front")
    netctl("sandbox", "create", "c2")
    netctl("network", "connect", "web", "c1", "--label", "a=b")
    netctl("endpoint", "create", "db", "free")

    def found(kind: str, *options: str) -> list[str]:
        return netctl(kind, "ls", "--format", "name", *options).out.split()

    assert found("endpoint", "--network", "db") == ["free"]
    assert found("endpoint", "--filter", "network=web") == ["c1"]
    assert found("endpoint", "--filter", "sandbox=c1") == ["c1"]
    assert found("endpoint", "--filter", "label=a") == ["c1"]
    assert found("sandbox", "--filter", "label=tier=front") == ["c1"]
    assert found("sandbox", "--filter", "type=own") == ["c1", "c2"]
    assert found("sandbox", "--filter", "type=host") == []
    assert netctl("sandbox", "ls", "--filter", "driver=bridge").status == 2


def test_a_network_for_people(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    lines = [line.split() for line in netctl("network", "info", "web").out.splitlines()]
    assert ["name", "web"] in lines and ["ipam.pools.0.subnet", "172.17.0.0/16"] in lines


@pytest.mark.parametrize(
    ("when", "plain", "colour"),
    [("always", "", True), ("always", "1", True), ("never", "", False), ("auto", "", False)],
)
def test_colour(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, when: str, plain: str, colour: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", plain)
    netctl("network", "create", "web")
    done = netctl("--color", when, "network", "ls")
    assert ("web" in done.out, "\x1b[" in done.out) == (True, colour)


@pytest.mark.parametrize("words", [(), ("network",), ("sandbox",), ("service",), ("system",)])
def test_a_group_alone_shows_its_help_as_an_error(netctl: Netctl, words: tuple[str, ...]) -> None:
    done, asked = netctl(*words), netctl(*words, "--help")
    assert (done.status, done.out, done.err) == (2, "", asked.out)
    assert "Commands:" in done.err


def test_an_error_of_usage_is_one_line(netctl: Netctl) -> None:
    done = netctl("completion")
    assert done.status == 2
    assert done.err.splitlines()[0].endswith("Choose from: bash, zsh, fish")


@pytest.mark.parametrize(
    ("words", "as_json"),
    [
        (["network", "inspect", "nope", "--format", "json"], True),
        (["--lock-timeout", "3", "network", "inspect", "--format=json", "nope"], True),
        (["network", "ls", "--format", "json", "--nope"], True),
        (["network", "inspect", "exec", "--format", "json"], True),
        (["network", "inspect", "nope", "--format", "table", "--", "--format", "json"], False),
        (["sandbox", "exec", "nope", "ip", "--format", "json"], False),
        (["sandbox", "exec", "nope", "--", "ip", "--format=json"], False),
        (["run", "--network", "nope", "ip", "--format", "json"], False),
        (["--state-dir", "/nonexistent", "-v", "run", "--nope", "--", "--format", "json"], False),
    ],
)
def test_errors_are_json_where_netctl_was_asked_to(
    netctl: Netctl, words: list[str], as_json: bool
) -> None:
    done = netctl(*words)
    assert done.status in (2, 3)
    assert done.err.startswith('{"error": {' if as_json else "netctl: "), done.err


def test_an_unknown_option_is_not_the_command_to_run(netctl: Netctl) -> None:
    for words in (("run", "--nope", "--", "true"), ("sandbox", "exec", "--nope", "c1", "true")):
        done = netctl(*words)
        assert done.status == 2 and "no such option" in done.err.lower()


def test_every_driver_option_is_explained(netctl: Netctl) -> None:
    shown = netctl("network", "create", "--help").out
    page = dict(manual.pages())["netctl-network.1"].replace("\\-", "-")
    for name in registry.names():
        for label, option in registry.load(name).options.items():
            line = f"{label.removeprefix(PREFIX)}={option.form}"
            assert line in shown and line in page
            assert option.help.endswith(".") and option.help in page
            assert f"[{option.default}]" in page or not option.default
    assert "enable_ipv6=true|false" in shown
