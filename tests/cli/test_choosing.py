"""Removing what is not named: all, what filters choose, and what is unused."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import subprocess
import sys
from typing import Any

import click
import pytest

from netctl import removing
from netctl.kernel.inhabitants import Process
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel
from tests.waiting import PATIENCE


@pytest.fixture
def full(netctl: Netctl) -> Netctl:
    """Networks web and db, sandboxes c1 (in web) and c2, endpoints web/c1, web/e1 and db/e2."""
    for words in (
        "network create web --label tier=front",
        "network create db",
        "sandbox create c1 --label tier=front",
        "sandbox create c2",
        "network connect web c1",
        "endpoint create web e1 --label tier=front",
        "endpoint create db e2",
    ):
        assert netctl(*words.split()).status == 0
    return netctl


def left(netctl: Netctl) -> list[list[str]]:
    kinds = ("network", "endpoint", "sandbox")
    return [netctl(kind, "ls", "--format", "name").out.split() for kind in kinds]


ALL = [["db", "web"], ["c1", "e1", "e2"], ["c1", "c2"]]


@pytest.mark.parametrize("kind", ["network", "endpoint", "sandbox"])
def test_nothing_is_removed_that_is_not_chosen(full: Netctl, kind: str) -> None:
    for words, said in (
        ((), f"no {kind} is named"),
        (("--force",), f"no {kind} is named"),
        (("c1", "--all", "--force"), "exclude names"),
        (("c1", "--filter", "name=c"), "exclude names"),
        (("--all",), "asks before it removes"),
        (("--all", "--filter", "label=tier"), "asks before it removes"),
        (("--filter", "nope=1"), "unknown filter"),
        (("--filter", "name="), "has no value"),
        (("--filter", "label="), "has no value"),
        (("--filter", ""), "is empty"),
    ):
        done = full(kind, "rm", *words)
        assert done.status == 2 and said in done.err, words
    assert full(kind, "rm", "--filter", "label=nowhere").status == 0
    assert full(kind, "rm", "--all", "--filter", "label=nowhere").status == 0
    assert left(full) == ALL


def test_filters_choose_what_is_removed(full: Netctl) -> None:
    assert full("endpoint", "rm", "--filter", "network=db").status == 0
    assert left(full)[1] == ["c1", "e1"]
    done = full("network", "rm", "--filter", "label=tier=front")
    assert done.status == 4 and "network web has endpoints" in done.err
    assert full("network", "rm", "--filter", "label=tier=front", "--force").status == 0
    assert full("sandbox", "rm", "--filter", "name=c", "--filter", "label!=tier").status == 0
    assert left(full) == [["db"], [], ["c1"]]


def test_what_was_chosen_is_printed_in_a_form(full: Netctl) -> None:
    done = full("endpoint", "rm", "--filter", "label=tier", "--format", "json")
    assert done.status == 0 and [row["name"] for row in done.json] == ["e1"]
    assert full("endpoint", "rm", "--filter", "label=tier", "--format", "json").json == []


def test_one_that_is_in_use_stops_no_other(full: Netctl) -> None:
    full("sandbox", "create", "c3")
    done = full("sandbox", "rm", "--filter", "name=c")
    assert done.status == 4 and "sandbox c1 has endpoints: web/c1" in done.err
    assert left(full)[2] == ["c1"]


@pytest.mark.parametrize("kind", ["network", "endpoint", "sandbox"])
def test_all_are_removed(full: Netctl, kind: str) -> None:
    shown = full(kind, "rm", "--all", "--force", "--dry-run")
    assert shown.status == 0 and left(full) == ALL
    done = full(kind, "rm", "--all", "--force")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert full(kind, "ls", "-q").out == ""
    assert full("check").status == 0
    assert full(kind, "rm", "--all").status == 0


@pytest.mark.parametrize("words", ["--filter label=x", "--all --force"])
@pytest.mark.parametrize("kind", ["network", "endpoint", "sandbox"])
def test_another_that_took_the_name_meanwhile_stays(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, kind: str, words: str
) -> None:
    make = {"endpoint": ("endpoint", "create", "web", "a")}.get(kind, (kind, "create", "a"))
    known = {"endpoint": "web/a"}.get(kind, "a")
    if kind == "endpoint":
        assert netctl("network", "create", "web").status == 0
    assert netctl(*make, "--label", "x=1").status == 0
    before = removing.each

    def each(*arguments: Any) -> None:
        monkeypatch.setattr(removing, "each", before)
        assert netctl(kind, "rm", known).status == 0
        assert netctl(*make).status == 0
        before(*arguments)

    monkeypatch.setattr(removing, "each", each)
    done = netctl(kind, "rm", *words.split())
    assert (done.status, done.err) == (0, "")
    assert netctl(kind, "ls", "--format", "name").out == "a\n"


def test_what_is_found_is_told_by_its_name(full: Netctl) -> None:
    done = full("endpoint", "rm", "--filter", "name=c1", "--verbose")
    assert done.status == 4 and "netctl endpoint leave web/c1" in done.err


def in_the_place_of_its_bridge(netctl: Netctl, kernel: FakeKernel, network: str) -> str:
    """Put somebody else's interface into the place of a network's bridge; return its name."""
    [row] = netctl("network", "inspect", network).json
    links = kernel.host.links
    [bridge] = [name for name in links if row["id"] in (links[name].alias or "")]
    kernel.link_delete("", bridge, alias=links[bridge].alias)
    kernel.add_link(bridge, alias="theirs")
    return bridge


@pytest.mark.parametrize("style", ["", "json"])
def test_prune_tells_what_went_and_each_that_did_not(
    netctl: Netctl, kernel: FakeKernel, style: str
) -> None:
    for name in ("a", "b", "c", "d"):
        assert netctl("network", "create", name).status == 0
    bridges = [in_the_place_of_its_bridge(netctl, kernel, name) for name in ("b", "d")]
    done = netctl("network", "prune", "--force", *(["--format", style] if style else []))
    assert done.status == 7, done
    removed = [row["name"] for row in done.json] if style else done.out.split()
    assert removed == ["a", "c"]
    assert all(bridge in done.err for bridge in bridges)
    assert netctl("network", "ls", "--format", "name").out.split() == ["b", "d"]


def test_prune_counts_as_removed_what_leaves_something(full: Netctl, kernel: FakeKernel) -> None:
    path = "/run/netns/c2"
    kernel.netns_delete(path, identity=kernel.netns_identity(path) or "")
    kernel.netns_create(path, identity=kernel.netns_new(alias="theirs"))
    assert full("sandbox", "create", "c3").status == 0
    done = full("sandbox", "prune", "--force")
    assert (done.status, done.out) == (10, "c2\nc3\n"), done
    assert "netctl: sandbox c2 is removed, but not all that stands for it" in done.err
    assert left(full)[2] == ["c1"]


def test_what_is_removed_is_printed_before_what_failed(
    netctl: Netctl, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        assert netctl("network", "create", name).status == 0
    in_the_place_of_its_bridge(netctl, kernel, "a")
    order: list[str] = []
    monkeypatch.setattr(click, "echo", lambda line, **given: order.append(line.split()[0]))
    assert netctl("network", "prune", "--force").status == 7
    assert order == ["b", "c", "netctl:"]


def on_terminal(answer: bytes, *arguments: str) -> tuple[int, str]:
    """Run netctl with a terminal as its input; return its status and what it said."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "netctl", *arguments],
        stdin=secondary,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    os.write(primary, answer)
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(secondary)
    os.close(primary)
    return process.returncode, out.decode()


def test_on_a_terminal_all_are_removed_after_a_question(full: Netctl) -> None:
    status, said = on_terminal(b"n\n", "endpoint", "rm", "--all")
    assert status == 130 and "Remove 3 endpoints?" in said and left(full) == ALL
    assert "netctl: nothing is removed: that was not confirmed" in said
    full("endpoint", "rm", "c1", "--force")
    status, said = on_terminal(b"y\n", "endpoint", "rm", "--all")
    assert status == 0 and "Remove 2 endpoints?" in said and left(full)[1] == []
    assert on_terminal(b"", "endpoint", "rm", "--all") == (0, "")
    status, said = on_terminal(b"n\n", "network", "rm", "--filter", "name=d")
    assert status == 130 and "Remove 1 network?" in said and left(full)[0] == ["db", "web"]
    assert on_terminal(b"", "network", "rm", "--filter", "name=d", "--force") == (0, "")
    assert left(full)[0] == ["web"]
    assert "no processes?" in on_terminal(b"n\n", "sandbox", "prune")[1]
    assert "in no sandbox?" in on_terminal(b"n\n", "endpoint", "prune")[1]


@pytest.mark.parametrize(
    ("key", "expected"), [(b"\x04", 130), (b"\x03", 130)], ids=["end of input", "Ctrl-C"]
)
@pytest.mark.parametrize("words", ["endpoint rm --all", "network prune"])
def test_a_question_that_is_not_answered_removes_nothing(
    full: Netctl, words: str, key: bytes, expected: int
) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, "-m", "netctl", *words.split()])
    said = b""
    while b"?" not in said:
        said += os.read(terminal, 1000)
    ended = 0
    while not ended:
        # Python does not see a signal that comes just before it begins to read: then once more.
        with contextlib.suppress(OSError):
            os.write(terminal, key)
            if select.select([terminal], [], [], 1)[0]:
                said += os.read(terminal, 1000)
        ended, code = os.waitpid(pid, os.WNOHANG)
    status = os.waitstatus_to_exitcode(code)
    os.close(terminal)
    assert status == expected, said
    assert left(full) == ALL


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("network", ["db", "web"]),
        ("endpoint", ["web/c1", "web/e1", "db/e2"]),
        ("sandbox", ["c1", "c2"]),
    ],
)
def test_a_dry_run_names_what_would_be_removed(full: Netctl, kind: str, names: list[str]) -> None:
    for words in (["--all", "--force"], [*names, "--force"], ["--filter", "until=0s", "--force"]):
        shown = full(kind, "rm", *words, "--dry-run")
        assert shown.status == 0
        lines = [line for line in shown.out.splitlines() if line.startswith("#")]
        assert sorted(lines) == sorted(f"# would remove {kind} {name}" for name in names)
    assert left(full) == ALL
    shown = full("sandbox", "rm", "c1", "c2", "nope", "--dry-run")
    assert shown.status == 4
    assert [line for line in shown.out.splitlines() if "#" in line] == ["# would remove sandbox c2"]
    assert "# would remove sandbox c2" in full("sandbox", "prune", "--dry-run").out
    full("network", "create", "idle")
    assert full("network", "prune", "--dry-run").out.endswith("# would remove network idle\n")


def test_unused_endpoints_are_pruned(full: Netctl) -> None:
    assert full("endpoint", "prune").status == 2
    shown = full("endpoint", "prune", "--force", "--dry-run").out.splitlines()
    assert sorted(shown) == ["# would remove endpoint db/e2", "# would remove endpoint web/e1"]
    assert full("endpoint", "prune", "--force", "--filter", "network=db").out == "db/e2\n"
    assert full("endpoint", "prune", "--force").out == "web/e1\n"
    done = full("endpoint", "prune", "--force")
    assert (done.status, done.out) == (0, "")
    assert left(full)[1] == ["c1"]


def test_unused_sandboxes_are_pruned(full: Netctl, kernel: FakeKernel) -> None:
    kernel.processes[os.getpid()] = 1
    owner = ("--owner-pid", str(os.getpid()))
    for words in (("busy",), ("owned", *owner), ("me", "--host"), ("gone",), ("kept",)):
        assert full("sandbox", "create", *words).status == 0
    kernel.living["/run/netns/busy"] = [Process(pid=7, uid=0, command="sleep")]
    kernel.living[""] = [Process(pid=1, uid=0, command="init")]
    kernel.netns_delete("/run/netns/gone", identity=kernel.netns_identity("/run/netns/gone") or "")
    assert full("sandbox", "prune").status == 2
    shown = full("sandbox", "prune", "--force", "--dry-run", "--filter", "name=c2")
    assert "ip netns delete c2" in shown.out
    kept = ("--filter", "name=c2", "--filter", "name=gone")
    assert full("sandbox", "prune", "--force", *kept).out == "c2\ngone\n"
    assert left(full)[2] == ["busy", "c1", "kept", "me", "owned"]
    del kernel.processes[os.getpid()], kernel.living["/run/netns/busy"]
    assert full("sandbox", "prune", "--force").out == "busy\nkept\nowned\n"
    assert full("check").status == 0


def test_the_sandbox_of_a_run_is_not_pruned(full: Netctl) -> None:
    # Between its making and the start of its command nothing else shows that it is in use.
    [row] = full("sandbox", "inspect", "c2").json
    marks = os.path.join(os.environ["NETCTL_RUN_DIR"], "run")
    os.makedirs(marks)
    path = os.path.join(marks, row["id"])
    with open(path, "w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        assert full("sandbox", "prune", "--force").out == ""
    assert left(full)[2] == ["c1", "c2"]
