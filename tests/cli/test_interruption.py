"""Ctrl-C and SIGTERM between and within objects; waiting for the lock; progress on a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from netctl import Controller, controller, progress, removing
from netctl.cli import State
from netctl.columns import Row
from netctl.commands import looking
from netctl.config import Config
from netctl.errors import KernelError
from netctl.interruption import Interruption
from netctl.names import is_id
from netctl.store import Store, lock
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel
from tests.waiting import PATIENCE, until

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(params=STATUS, ids=lambda number: number.name)
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that ends a command, handled as in a process of its own."""
    known: signal.Signals = request.param
    first = signal.default_int_handler if known == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(known, first)
    yield known
    assert signal.getsignal(known) is first
    signal.signal(known, before)


def at_call(monkeypatch: pytest.MonkeyPatch, method: str, when: int, number: int) -> None:
    """Send this process signals in the middle of a change of the kernel."""
    calls = 0
    inner = getattr(FakeKernel, method)

    def called(*arguments: Any, **given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == when:
            for _ in range(3):
                os.kill(os.getpid(), number)
        return inner(*arguments, **given)

    monkeypatch.setattr(FakeKernel, method, called)


def networks(netctl: Netctl, *names: str) -> None:
    for name in names:
        assert netctl("network", "create", name).status == 0


def test_the_next_object_is_not_begun(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    networks(netctl, "a", "b", "c", "d")
    # Objects that go at once are one.
    monkeypatch.setattr(removing, "_AT_ONCE", 2)
    at_call(monkeypatch, "links_delete", 1, number)
    done = netctl("network", "rm", "--force", "a", "b", "c", "d")
    assert done.status == STATUS[number]
    assert done.err.splitlines() == [
        "netctl: interrupted: 2 done, 2 left",
        "  done: a, b",
        "  left: c, d",
        "hint: to go on: netctl network rm --force c d",
    ]
    assert netctl("network", "ls", "--format", "name").out.split() == ["c", "d"]
    assert netctl("network", "rm", "--force", "c", "d").status == 0


def test_what_is_finished_is_not_interrupted(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    at_call(monkeypatch, "bridge_add", 1, number)
    done = netctl("network", "create", "web")
    assert (done.status, done.err) == (0, "") and is_id(done.out.strip())
    networks(netctl, "db")
    at_call(monkeypatch, "links_delete", 1, number)
    assert netctl("network", "rm", "web", "db").status == 0


@pytest.mark.parametrize("left", [[], ["b"]], ids=["the last ones", "others left"])
def test_what_fails_is_still_reported(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, left: list[str]
) -> None:
    networks(netctl, "a", "b")
    monkeypatch.setattr(removing, "_AT_ONCE", 3 - len(left))
    at_call(monkeypatch, "boot_id", 1, number)
    done = netctl("network", "rm", "nope", "a", "b")
    assert done.status == (STATUS[number] if left else 3)
    assert done.err.startswith("netctl: no network 'nope'")
    assert ("interrupted: 1 done, 1 left" in done.err) == bool(left)
    assert netctl("network", "ls", "--format", "name").out.split() == left


def refused(*arguments: Any, **given: Any) -> Any:
    raise KernelError("it is refused")


def test_prune_tells_what_it_did_before_a_signal(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Also where each goes on its own, as after a refusal."""
    networks(netctl, "a", "b", "c")
    monkeypatch.setattr(FakeKernel, "links_delete", refused)
    at_call(monkeypatch, "link_delete", 1, number)
    done = netctl("network", "prune", "--force")
    assert (done.status, done.out) == (STATUS[number], "a\n")
    assert done.err.splitlines() == [
        "netctl: interrupted: 1 done, 2 left",
        "  done: a",
        "  left: b, c",
        "hint: to go on: netctl network prune --force",
    ]


@pytest.mark.parametrize("style", ["table", "json"])
def test_many_names_can_be_gone_on_with(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, style: str
) -> None:
    monkeypatch.setattr(removing, "_AT_ONCE", 2)
    rest = [f"network-of-a-long-name-{count}" for count in range(30)]
    for more, said in (
        ([], "the same command with --ignore-missing goes on"),
        (["--ignore-missing"], "the same command goes on"),
    ):
        networks(netctl, "a", "b")
        with monkeypatch.context() as patch:
            at_call(patch, "links_delete", 1, number)
            done = netctl("network", "rm", "--format", style, *more, "a", "b", *rest)
        assert done.status == STATUS[number]
        if style == "table":
            assert f"hint: {said}" in done.err and "and 20 more" in done.err
            continue
        error = json.loads(done.err)["error"]
        assert error["hint"].endswith(f"{' '.join(more)} {' '.join(rest)}".strip())
        assert error["notes"] == ["done: a, b", f"left: {', '.join(rest)}"]


def test_names_that_are_words_of_the_command_stay_in_it(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    networks(netctl, "network", "prune", "z")
    monkeypatch.setattr(removing, "_AT_ONCE", 2)
    at_call(monkeypatch, "links_delete", 1, number)
    done = netctl("network", "prune", "--force")
    assert "done: network, prune" in done.err
    assert "hint: to go on: netctl network prune --force" in done.err


def test_what_only_looks_just_ends(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    networks(netctl, "a", "b", "c")
    look = looking.network

    def interrupted(state: State, name: str) -> Row:
        row = look(state, name)
        if name == "b":
            os.kill(os.getpid(), number)
        return row

    monkeypatch.setattr(looking, "network", interrupted)
    done = netctl("network", "inspect", "a", "b", "c")
    assert (done.status, done.out, done.err) == (STATUS[number], "", "")


@pytest.mark.parametrize("command", ["repair", "restore", "gc --yes"])
def test_what_failed_before_a_signal_is_told(
    netctl: Netctl,
    kernel: FakeKernel,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    command: str,
) -> None:
    collecting = command.startswith("gc")
    for name in ("a", "b", "c"):
        made = netctl("network", "create", name, *(["--ttl", "1s"] if collecting else []))
        assert made.status == 0
    if collecting:
        until(lambda: netctl("gc").out.count("network") == 3, "the end of three leases")
        monkeypatch.setattr(removing, "_AT_ONCE", 1)
    else:
        kernel.reboot()
    method = "link_delete" if collecting else "bridge_add"
    inner, calls = getattr(FakeKernel, method), []

    def called(*arguments: Any, **given: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise KernelError("it is refused")
        os.kill(os.getpid(), number)
        return inner(*arguments, **given)

    monkeypatch.setattr(FakeKernel, method, called)
    done = netctl(*command.split())
    assert done.status == STATUS[number], done
    assert "interrupted: 1 done, 1 left" in done.err
    [line] = [line for line in done.err.splitlines() if line.startswith("  failed: ")]
    assert "network a" in line and "it is refused" in line


@pytest.mark.parametrize("command", ["repair", "restore", "prune", "gc"])
def test_one_operation_over_many_ends_at_the_next_object(
    netctl: Netctl,
    kernel: FakeKernel,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    command: str,
) -> None:
    if command == "gc":
        for name in ("a", "b", "c"):
            assert netctl("network", "create", name, "--ttl", "1s").status == 0
        until(lambda: netctl("gc").out.count("network") == 3, "the end of three leases")
    else:
        networks(netctl, "a", "b", "c")
    if command in ("repair", "restore"):
        kernel.reboot()
    monkeypatch.setattr(removing, "_AT_ONCE", 1)
    making = command in ("repair", "restore")
    at_call(monkeypatch, "bridge_add" if making else "link_delete", 1, number)
    words = {"prune": ("network", "prune", "--force"), "gc": ("gc", "--yes")}
    given = words.get(command, (command,))
    done = netctl(*given)
    assert done.status == STATUS[number], done
    assert "network a" in done.out or done.out == "a\n"
    assert "interrupted: 1 done, 2 left" in done.err and "b" in done.err.splitlines()[2]
    assert f"hint: to go on: netctl {' '.join(given)}" in done.err
    monkeypatch.undo()
    monkeypatch.setattr(controller, "open_kernel", lambda: kernel)


@pytest.mark.parametrize("command", ["repair", "restore"])
@pytest.mark.parametrize("call", [2, 6])
def test_looking_ends_at_the_next_object_too(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, command: str, call: int
) -> None:
    networks(netctl, "web")
    for name in ("a", "b", "c", "d"):
        assert netctl("sandbox", "create", name).status == 0
        assert netctl("network", "connect", "web", name).status == 0
    at_call(monkeypatch, "routes", call, number)
    done = netctl(command)
    assert done.status == STATUS[number], done
    assert "interrupted: 0 done," in done.err and "left: sandbox " in done.err
    assert f"hint: to go on: netctl {command}" in done.err


def test_looking_is_shown_as_progress(kernel: FakeKernel, tmp_path: Path) -> None:
    config = Config(state_dir=str(tmp_path / "state"), run_dir=str(tmp_path / "run"))
    seen: list[tuple[str, int, int | None]] = []
    with Controller(config, progress=lambda *told: seen.append(told)) as made:
        for name in ("a", "b"):
            made.sandboxes.create(name)
        for look in (made.restore, made.repair, made.check):
            seen.clear()
            look()
            assert seen[:2] == [("sandbox a", 0, 2), ("sandbox b", 1, 2)]


def test_what_goes_one_by_one_is_counted(
    kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(state_dir=str(tmp_path / "state"), run_dir=str(tmp_path / "run"))
    seen: list[tuple[str, int, int | None]] = []
    with Controller(config, progress=lambda *told: seen.append(told)) as made:
        made.networks.create("web")
        for name in ("a", "b", "c"):
            made.endpoints.connect("web", made.sandboxes.create(name))

        def refused(*arguments: Any, **given: Any) -> Any:
            raise KernelError("no links are deleted together")

        monkeypatch.setattr(kernel, "links_delete", refused, raising=False)
        seen.clear()
        made.sandboxes.remove_each(["a", "b", "c"], lambda name, error: None, force=True)
        assert made.sandboxes.list() == []
    assert seen[-3:] == [(f"sandbox rm {name}", at, 3) for at, name in enumerate("abc")]


def test_a_signal_is_raised_once() -> None:
    interruption = Interruption()
    assert interruption.exit_code == 130
    interruption.begin()
    interruption.hold()
    interruption._arrived(signal.SIGTERM, None)
    interruption._arrived(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        interruption.begin()
    # Clearing up is not kept from its work.
    interruption.begin()
    assert interruption.exit_code == 143


def test_waiting_for_the_lock_is_announced(
    netctl: Netctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, over = Event(), Event()

    def hold() -> None:
        with Store(str(tmp_path / "state"), str(tmp_path / "run")).locked("slow work"):
            held.set()
            over.wait(PATIENCE)

    # Sooner than others are told, so that the machine may be busy.
    assert lock._PATIENCE == 1
    monkeypatch.setattr(lock, "_PATIENCE", 0.05)
    thread = Thread(target=hold)
    thread.start()
    try:
        assert held.wait(PATIENCE)
        done = netctl("--lock-timeout", "1.3", "network", "create", "web")
        assert done.status == 75
        first, second, _ = done.err.splitlines()
        assert first.startswith(f"netctl: waiting for process {os.getpid()}, 'slow work' since")
        assert second.startswith("netctl: another netctl holds the lock")
        # Not before.
        quick = netctl("--lock-timeout", "0.04", "network", "create", "web")
        assert "waiting" not in quick.err
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("network rm a b", "0 done, 2 left"),
        ("network prune --force", "0 done, 2 left"),
        ("endpoint prune --force", "nothing done"),
    ],
)
def test_a_process_that_waits_ends_at_once(
    netctl: Netctl, tmp_path: Path, number: signal.Signals, words: str, said: str
) -> None:
    networks(netctl, "a", "b")
    command = [sys.executable, "-m", "netctl", *words.split()]
    with (
        Store(str(tmp_path / "state"), str(tmp_path / "run")).locked("slow work"),
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr
        assert "waiting for process" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(PATIENCE) == STATUS[number]
        assert f"interrupted: {said}" in process.stderr.readline()


def test_the_library_is_told_by_callbacks_or_not_at_all(kernel: FakeKernel, tmp_path: Path) -> None:
    config = Config(state_dir=str(tmp_path / "state"), run_dir=str(tmp_path / "run"))
    seen: list[tuple[str, int, int | None]] = []

    def tell(what: str, done: int, total: int | None) -> None:
        seen.append((what, done, total))

    with Controller(config, progress=tell) as made:
        with made.batch("many", progress=tell):
            for name in ("a", "b"):
                made.networks.create(name)
        assert seen == [("network create a", 1, None), ("network create b", 2, None)]
        seen.clear()
        kernel.reboot()
        made.restore()
        assert seen[:2] == [("network a", 0, 2), ("network b", 1, 2)]


class Terminal:
    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...


def test_progress_is_shown_on_a_terminal_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    meter = progress.Meter(0.0)
    meter("network a", 0, 3)
    assert terminal.text == ""  # It may be over before anybody looks.
    clock[0] = 2.0
    meter("network b", 1, 3)
    meter.hide()
    assert "1/3" in terminal.text and "network b" in terminal.text


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}])
def test_progress_is_silent_elsewhere(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    monkeypatch.setattr(progress, "_PAUSE", -1.0)
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    networks(netctl, "a", "b", "c")
    done = netctl("network", "rm", "a", "b", "c")
    assert (done.status, done.out, done.err) == (0, "", "")
