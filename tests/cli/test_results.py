"""What commands that make and remove print on request, help, objects at a glance, and counters."""

from __future__ import annotations

import json
import re
import time
from typing import NoReturn

import pytest

from netctl.controller import Controller
from netctl.errors import NotPermitted
from netctl.names import is_id
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel

MAKING = {
    "network create web": "network",
    "sandbox create c1": "sandbox",
    "endpoint create web web1": "endpoint",
    "network connect web c1": "endpoint",
    "service publish web2.web": "endpoint",
    "container create c2": "sandbox",
}


def test_what_is_made_is_printed_as_inspect_prints_it(netctl: Netctl) -> None:
    for line, kind in MAKING.items():
        done = netctl(*line.split(), "--format", "json")
        assert (done.status, done.err) == (0, "")
        [row] = done.json
        assert netctl(kind, "inspect", row["id"]).json == [row]
    assert netctl("network", "create", "db", "--format", "{{.Name}}").out == "db\n"
    assert netctl("network", "create", "x", "--dry-run", "--format", "name").out.find("x\n") != 0
    assert is_id(netctl("network", "create", "y").out.strip())


@pytest.mark.parametrize("form", ["nope", "{{.Name"])
def test_a_wrong_form_makes_nothing(netctl: Netctl, form: str) -> None:
    assert netctl("network", "create", "web", "--format", form).status == 2
    assert netctl("network", "exists", "web").status == 3


def test_what_is_removed_is_printed(netctl: Netctl) -> None:
    ids = [netctl("network", "create", name).out.strip() for name in ("a", "b")]
    done = netctl("network", "rm", "a", "nope", "b", "--format", "json")
    assert done.status == 3
    assert [(row["id"], row["name"]) for row in done.json] == list(zip(ids, "ab", strict=True))
    assert json.loads(done.err)["error"]["code"] == "not_found"
    netctl("sandbox", "create", "c1")
    assert netctl("sandbox", "rm", "c1", "--format", "jsonl").out.count("\n") == 1
    assert netctl("sandbox", "rm", "c1", "--ignore-missing", "--format", "json").json == []
    netctl("network", "create", "web")
    netctl("endpoint", "create", "web", "e1")
    assert netctl("endpoint", "rm", "e1", "--dry-run", "--format", "name").status == 0
    assert netctl("endpoint", "rm", "web/e1", "--format", "name").out == "e1\n"


@pytest.mark.parametrize(
    "words", [[], ["network"], ["network", "create"], ["doctor"], ["sb", "ls"]]
)
def test_help_is_that_of_the_command(netctl: Netctl, words: list[str]) -> None:
    done = netctl("help", *words)
    assert (done.status, done.err) == (0, "")
    assert done.out == netctl(*words, "--help").out


def test_help_of_what_is_no_command(netctl: Netctl) -> None:
    for words, message in (
        (["netwrok"], "Did you mean 'network'?"),
        (["network", "craete"], "Did you mean 'create'?"),
        (["doctor", "x"], "has no command 'x'"),
    ):
        done = netctl("help", *words)
        assert done.status == 2 and message in done.err


def test_objects_at_a_glance(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    netctl("sandbox", "create", "c1")
    netctl("network", "connect", "web", "c1")
    for kind, name in (("network", "web"), ("endpoint", "c1"), ("sandbox", "c1")):
        done = netctl(kind, "info", name)
        assert (done.status, done.err) == (0, "")
        first, *_ = done.out.splitlines()
        assert re.fullmatch(rf"{kind.upper()} +{name} \([0-9a-f]{{12}}\)", first)
        assert "172.17.0.2/16" in done.out and "LABELS" not in done.out
        assert "CREATED" in done.out
        assert netctl(kind, "info", name, "--format", "json").json == (
            netctl(kind, "inspect", name).json
        )
        assert netctl(kind, "info", "nope").status == 3


def test_counters_of_several_and_of_all(netctl: Netctl) -> None:
    for name in ("c1", "c2"):
        netctl("sandbox", "create", name)
    rows = netctl("sandbox", "stats", "--format", "json").json
    assert {row["sandbox"] for row in rows} == {"c1", "c2"}
    assert netctl("sandbox", "stats", "c1", "c2", "--format", "json").json == rows
    assert netctl("sandbox", "stats").out.startswith("SANDBOX")
    assert netctl("sandbox", "stats", "c1").out.startswith("INTERFACE")


def test_counters_of_several_are_shown_beside_each_error(
    netctl: Netctl, kernel: FakeKernel
) -> None:
    netctl("sandbox", "create", "gone")
    kernel.reboot()
    for name in ("c1", "c2"):
        netctl("sandbox", "create", name)
    done = netctl("sandbox", "stats", "c1", "nope", "gone", "c2", "--format", "jsonl")
    assert done.status == 3
    assert [json.loads(line)["sandbox"] for line in done.out.splitlines()] == ["c1", "c2"]
    assert "no sandbox 'nope'" in done.err and "namespace of sandbox gone" in done.err
    assert netctl("sandbox", "stats", "gone", "c1", "nope").status == 4
    done = netctl("sandbox", "stats", "nope", "--watch", "gone")
    assert (done.status, done.out) == (4, "")


@pytest.mark.parametrize("words", [[], ["a"], ["a", "b"], ["--watch"]])
def test_counters_that_may_not_be_read_are_an_error(
    netctl: Netctl, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    for name in ("a", "b"):
        netctl("sandbox", "create", name)

    def refused(netns: str = "") -> NoReturn:
        raise NotPermitted("enter the namespace: not permitted")

    monkeypatch.setattr(kernel, "links", refused)
    done = netctl("sandbox", "stats", *words)
    assert done.status == 77 and "not permitted" in done.err


@pytest.mark.parametrize("names", [[], ["one", "two"], ["one", "nope", "two"]])
def test_counters_shown_again_leave_out_what_went(
    netctl: Netctl, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    # No beginning of an id.
    for name in ("one", "two"):
        netctl("sandbox", "create", name)
    steps = iter(["two", "one"] if names else ["two"])

    def sleep(seconds: float) -> None:
        if (name := next(steps, None)) is None:
            raise KeyboardInterrupt
        with Controller() as controller:
            controller.sandboxes.remove(name)

    monkeypatch.setattr(time, "sleep", sleep)
    done = netctl("sandbox", "stats", *names, "--watch", "1", "--format", "json")
    assert [json.loads(line)["sandbox"] for line in done.out.splitlines()] == ["one", "two", "one"]
    assert done.err.count("no sandbox 'nope'") == names.count("nope")
    # The watch of those that are named ends with the last one.
    assert done.status == (3 if names else 130)


@pytest.mark.parametrize("mode", ["nat", "nat-unprotected"])
@pytest.mark.parametrize("ports", [[], ["-p", "127.0.0.1:8080:80"]])
def test_what_is_reached_unpublished_is_seen_at_a_glance(
    netctl: Netctl, mode: str, ports: list[str]
) -> None:
    netctl("network", "create", "web", "-o", f"bridge.gateway_mode_ipv4={mode}")
    netctl("sandbox", "create", "c1")
    netctl("network", "connect", "web", "c1", *ports)
    lines = [line.strip() for line in netctl("endpoint", "info", "c1").out.splitlines()]
    found = [line.split() for line in lines if "unpublished=anywhere" in line]
    bare = ["unpublished=anywhere"] if ports else ["PORTS", "unpublished=anywhere"]
    assert found == ([bare] if mode == "nat-unprotected" else [])
    assert any("8080" in line and line.endswith("  host") for line in lines) == bool(ports)


def test_all_counters_without_those_that_are_gone(netctl: Netctl, kernel: FakeKernel) -> None:
    netctl("sandbox", "create", "c1")
    kernel.reboot()
    netctl("sandbox", "create", "c2")
    rows = netctl("sandbox", "stats", "--format", "json").json
    assert {row["sandbox"] for row in rows} == {"c2"}


@pytest.mark.parametrize(
    "words", [["--watch", "5"], ["--watch=5s"], ["--watch", "5."], ["--watch"], ["--watch", "c1"]]
)
def test_counters_are_shown_again(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    netctl("sandbox", "create", "c1")
    done = netctl("sandbox", "stats", *words)
    assert done.status == 130
    assert pauses == [5.0 if "5" in "".join(words) else 2.0] * 3
    headings = [line for line in done.out.splitlines() if "INTERFACE" in line]
    assert len(headings) == 1 and done.out.count("lo") == 3
    pauses.clear()
    lines = netctl("sandbox", "stats", "c1", "--watch", "--format", "json").out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["lo"] * 3


@pytest.mark.parametrize("seconds", ["0", "0.01", "999999", "2m", "1.2.3", ".", "2 s", "1web"])
def test_a_pause_has_its_bounds(netctl: Netctl, seconds: str) -> None:
    done = netctl("sandbox", "stats", f"--watch={seconds}")
    assert done.status == 2 and "0.1 to 86400" in done.err


def test_what_has_expired_is_said_to(netctl: Netctl, kernel: FakeKernel) -> None:
    kernel.processes[4711] = 1000
    netctl("sandbox", "create", "short", "--ttl", "1s")
    netctl("sandbox", "create", "owned", "--owner-pid", "4711")
    netctl("sandbox", "create", "long", "--ttl", "1h")
    del kernel.processes[4711]
    end = time.monotonic() + 60
    while netctl("sandbox", "ls", "--filter", "name=short", "--filter", "state=ready").out:
        if (
            "short"
            not in netctl("sandbox", "ls", "--filter", "state=ready", "--format", "name").out
        ):
            break
        assert time.monotonic() < end
        time.sleep(0.1)
    states = netctl("sandbox", "ls", "--format", "{name} {state}").out.splitlines()
    assert states == ["long ready", "owned expired", "short expired"]
    assert netctl("sandbox", "info", "short", "--format", "{state}").out == "expired\n"
    assert netctl("sandbox", "ls", "--filter", "state=expired", "--format", "name").out == (
        "owned\nshort\n"
    )
    listed = netctl("gc").out.splitlines()
    assert [line.partition(":")[0] for line in listed] == [
        "would remove sandbox owned",
        "would remove sandbox short",
    ]
    shown = netctl("gc", "--yes", "--dry-run").out.splitlines()
    assert shown[:2] == [f"# {line}" for line in listed] and "ip netns delete short" in shown
    removed = netctl("gc", "--yes").out.splitlines()
    assert removed == [line.replace("would remove", "removed") for line in listed]
    assert netctl("gc").out == ""


def test_forwarding_that_stays_on_is_told(netctl: Netctl, kernel: FakeKernel) -> None:
    for name in ("web", "db"):
        assert netctl("network", "create", name).err == ""
    kernel.bridge_add("lan0", alias="", mac="", mtu=0)
    assert netctl("network", "rm", "db").err == ""
    done = netctl("network", "rm", "web")
    assert done.status == 0
    first, hint = done.err.splitlines()
    assert first.startswith(
        "netctl: IP forwarding stays on (net.ipv4.ip_forward): netctl turned it"
    )
    assert "lan0 came since" in first
    assert hint == "hint: if not: sysctl -w net.ipv4.ip_forward=0; netctl gc"
    netctl("network", "create", "inner", "--internal")
    assert netctl("network", "rm", "inner").err == ""


def test_what_expires_is_listed_by_gc(netctl: Netctl) -> None:
    netctl("network", "create", "web", "--ttl", "2h")
    netctl("sandbox", "create", "c1", "--ttl", "1h")
    netctl("sandbox", "create", "c2")
    done = netctl("gc")
    assert (done.status, done.out) == (0, "")
    first, second = done.err.splitlines()
    assert first.startswith("netctl: sandbox c1 expires at 20")
    assert second.startswith("netctl: network web expires at 20")
