"""Options and settings that no other test has in the middle of it."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import click
import pytest

from netctl import manual
from netctl.backends import registry
from netctl.backends.options import PREFIX, full_labels
from netctl.cli import cli
from netctl.errors import InvalidInput
from tests.cli.conftest import Netctl
from tests.cli.test_startup import LEAVES
from tests.fake_kernel import FakeKernel
from tests.namespaces import make_namespace

FORWARDING = "net/ipv4/ip_forward"
READING = frozenset(
    {
        *(
            "check",
            "doctor",
            "completion",
            "exec",
            "exists",
            "help",
            "info",
            "inspect",
            "ls",
            "ps",
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
    assert ("'ipv4 : goto guard'" in str(kernel.firewall.state())) == (word == "auto")
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
    assert ["NETWORK", "web"] in [line[:2] for line in lines]
    assert ["SUBNETS", "172.17.0.0/16,"] in [line[:2] for line in lines]


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


def test_hints_that_lead_to_the_right_place(netctl: Netctl, kernel: FakeKernel) -> None:
    netctl("network", "create", "nothing", "-d", "null")
    netctl("sandbox", "create", "c1")
    make_namespace(kernel, "/run/netns/outside", alias="")
    for words, hint in {
        ("endpoint", "create", "nothing", "t", "-p", "80"): "a network of driver bridge",
        ("sandbox", "rename", "c1", "outside"): "choose another name",
        (
            "sandbox",
            "create",
            "outside",
        ): "netctl sandbox create outside --netns /run/netns/outside",
        ("run", "--name", "c1", "--", "true"): "netctl sandbox exec c1",
        ("sandbox", "set-key", "c1", "/run/netns/c1"): "netctl sandbox refresh c1",
        ("endpoint", "create", "x", "-o"): "netctl endpoint create --help",
        ("-v", "network", "create", "--subnet"): "netctl network create --help",
        ("network", "create", "x", "--subnet", "10.1.0.0/0"): "10.0.0.0/24",
        ("network", "create", "x", "-o", "driver.mtu=1"): "leave the option out for 1500",
    }.items():
        done = netctl(*words)
        assert done.status in (2, 4)
        assert hint in done.err.partition("hint: ")[2], done.err


@pytest.mark.parametrize("variable", ["NETCTL_STATE_DIR", "NETCTL_RUN_DIR"])
def test_a_file_where_a_directory_should_be(
    netctl: Netctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv(variable, str(path))
        for words in ("network create web", "network ls", "sandbox exists c1"):
            if variable == "NETCTL_RUN_DIR" and "create" not in words:
                continue  # Readers take no lock.
            done = netctl(*words.split())
            assert done.status == 7 and str(path) in done.err, words
            assert "--state-dir and --run-dir are directories" in done.err


def test_of_labels_the_last_one_counts(netctl: Netctl) -> None:
    netctl("network", "create", "web", "--label", "a=1", "--label", "a=2", "--label", "b")
    [row] = netctl("network", "ls", "--format", "json").json
    assert row["labels"] == {"a": "2", "b": ""}


def test_the_same_option_twice_with_one_value_is_one(netctl: Netctl) -> None:
    options = "driver.mtu=1400,com.docker.network.driver.mtu=1400"
    assert netctl("network", "create", "web", "-o", options).status == 0


def test_an_empty_variable_names_no_file(netctl: Netctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETCTL_CONFIG", "")
    assert netctl("network", "ls").status == 0


def test_a_subnet_beside_what_the_host_uses(netctl: Netctl, kernel: FakeKernel) -> None:
    """The fake host has 192.0.2.1/24 on its uplink."""
    [own] = [a for a in kernel.addresses("") if a.link == "uplink" and ":" not in a.address]
    host = own.address.partition("/")[0]
    subnet = str(ip_network(own.address, strict=False))
    done = netctl("network", "create", "lan", "--subnet", subnet, "--gateway", host)
    assert (done.status, done.out) == (4, "")
    assert f"the gateway {host} of network lan is an address of this host already" in done.err
    assert "hint: another --gateway or --subnet\n" in done.err
    kernel.add_link("br0", address="10.77.0.1/24", mac="02:00:00:ff:00:02", kind="bridge")
    adopted = ("--subnet", "10.77.0.0/24", "--gateway", "10.77.0.1")
    assert "or -o bridge.name=br0\n" in netctl("network", "create", "br", *adopted).err
    done = netctl("network", "create", "br", *adopted, "-o", "bridge.name=br0")
    assert (done.status, done.err) == (0, "")
    done = netctl("network", "create", "lan", "--subnet", subnet, "--gateway", f"{host}00")
    assert done.status == 0
    assert f"subnet {subnet} of network lan overlaps what the host uses" in done.err
    assert f"address {own.address} on uplink" in done.err
    assert netctl("network", "create", "auto").err == ""


def test_a_bridge_that_has_the_name_of_an_id_is_not_taken(
    netctl: Netctl, kernel: FakeKernel
) -> None:
    kernel.add_link("br-aaaaaaaaaaaa", kind="bridge")
    before = kernel.state()
    done = netctl("network", "create", "web", "--id", "a" * 64)
    assert (done.status, done.out) == (
        4,
        "",
    ) and "bridge br-aaaaaaaaaaaa exists already" in done.err
    assert kernel.state() == before
    use = ("-o", "bridge.name=br-aaaaaaaaaaaa")
    assert netctl("network", "create", "web", "--id", "a" * 64, *use).status == 0


def test_a_dry_run_shows_commands_alone(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    netctl("sandbox", "create", "c1")
    netctl("network", "connect", "web", "c1", "-p", "8080:80/udp")
    for words in (("sandbox", "rm", "--force", "c1"), ("endpoint", "unpublish", "c1", "80/udp")):
        shown = netctl(*words, "--dry-run").out
        assert "conntrack -D" in shown
        assert not [line for line in shown.splitlines() if line.startswith(":")]
    done = netctl("-v", "endpoint", "unpublish", "c1", "80/udp")
    assert "+ conntrack -D" in done.err and "+ :" not in done.err


def test_a_driver_that_is_not_known_stops_all_but_lists(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETCTL_DRIVER_OPTIONS", "bridge:foo=1")
    for words in ("network create x", "sandbox create c1", "info", "network inspect x", "repair"):
        done = netctl(*words.split())
        assert (done.status, done.out) == (2, ""), words
        assert "environment NETCTL_DRIVER_OPTIONS: driver_options: driver bridge has no" in done.err
    assert netctl("network", "ls").status == 0


def test_the_last_word_of_an_option_is_enough(netctl: Netctl) -> None:
    assert netctl("network", "create", "web", "-o", "mtu=1400,enable_icc=false").status == 0
    [row] = netctl("network", "inspect", "web").json
    assert row["mtu"] == 1400 and set(row["options"]) == {
        "com.docker.network.driver.mtu",
        "com.docker.network.bridge.enable_icc",
    }
    again = ("network", "create", "web", "--if-not-exists", "-o", "driver.mtu=1400")
    assert netctl(*again, "-o", "bridge.enable_icc=false").status == 0
    netctl("sandbox", "create", "c1")
    assert netctl("network", "connect", "web", "c1", "-o", "ifname=lan0").status == 0
    for wrong in ("tu=1400", "driver=1400", "name.x=1", "bridge=1"):
        done = netctl("network", "create", "db", "-o", wrong)
        assert done.status == 2 and "has no option" in done.err
    done = netctl("network", "create", "db", "-o", "mtu=1400", "-o", "driver.mtu=1500")
    assert done.status == 2 and "given twice" in done.err


def test_a_last_word_of_several_options_names_them() -> None:
    known = (f"{PREFIX}bridge.mtu", f"{PREFIX}driver.mtu", f"{PREFIX}mtus")
    with pytest.raises(InvalidInput, match=r"'mtu' is ambiguous: bridge\.mtu, driver\.mtu"):
        full_labels({"mtu": "1"}, known)
    assert full_labels({"mtus": "1"}, known) == {f"{PREFIX}mtus": "1"}
    assert full_labels({"mtu": "1"}, (*known, f"{PREFIX}mtu")) == {f"{PREFIX}mtu": "1"}
