"""Commands in a sandbox: the shell where none is given, docker's options, and who is in there."""

from __future__ import annotations

import os

import pytest

from netctl.kernel import process
from netctl.kernel.inhabitants import Process
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel

ENTERED = list[tuple[str, ...]]


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch, netctl: Netctl) -> ENTERED:
    """The commands that netctl would have become, in the sandbox c1."""
    assert netctl("sandbox", "create", "c1").status == 0
    found: ENTERED = []

    def execute(argv: tuple[str, ...]) -> None:
        found.append(tuple(argv))
        raise SystemExit(0)

    monkeypatch.setattr(process, "enter", lambda netns, binds: None)
    monkeypatch.setattr(process, "execute", execute)
    return found


@pytest.mark.parametrize("options", [(), ("-it",), ("-i",), ("-t",), ("--tty", "--interactive")])
def test_exec_takes_the_options_of_docker(
    netctl: Netctl, entered: ENTERED, options: tuple[str, ...]
) -> None:
    assert netctl("sandbox", "exec", *options, "c1", "ls", "-it", "-v").status == 0
    assert entered == [("ls", "-it", "-v")]


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("/bin/sh", "/bin/sh"),
        ("/nowhere/zsh", "/bin/sh"),
        ("/etc/passwd", "/bin/sh"),
        ("sh", "/bin/sh"),
        ("", "/bin/sh"),
        (None, "/bin/sh"),
    ],
)
def test_exec_without_a_command_is_a_shell(
    netctl: Netctl,
    entered: ENTERED,
    monkeypatch: pytest.MonkeyPatch,
    shell: str | None,
    expected: str,
) -> None:
    monkeypatch.delenv("SHELL", raising=False)
    if shell is not None:
        monkeypatch.setenv("SHELL", shell)
    assert netctl("sandbox", "exec", "-it", "c1").status == 0
    assert entered == [(expected,)]


def test_the_shell_of_the_user_comes_first(
    netctl: Netctl, entered: ENTERED, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/bin/cat")
    assert netctl("sandbox", "exec", "c1").status == 0
    assert entered == [("/bin/cat",)]


def test_dashes_without_a_command_are_no_shell(netctl: Netctl, entered: ENTERED) -> None:
    # As from a script whose variable is empty: -- $COMMAND.
    done = netctl("sandbox", "exec", "c1", "--")
    assert (done.status, entered) == (2, [])
    assert "no command is given" in done.err
    assert netctl("sandbox", "exec", "c1", "").status == 2


def test_ps_lists_who_is_in_a_sandbox(netctl: Netctl, kernel: FakeKernel) -> None:
    netctl("sandbox", "create", "c1")
    assert netctl("sandbox", "ps", "c1").out.split() == ["PID", "USER", "COMMAND"]
    assert netctl("sandbox", "ps", "c1", "--format", "json").json == []
    kernel.living["/run/netns/c1"] = [
        Process(pid=41, uid=0, command="sh -c \x1b[31mred"),
        Process(pid=7000, uid=4000000, command="[dead]"),
    ]
    lines = netctl("sandbox", "ps", "c1").out.splitlines()
    assert lines[1].split() == ["41", "root", "sh", "-c", "\N{REPLACEMENT CHARACTER}[31mred"]
    assert lines[2].split() == ["7000", "4000000", "[dead]"]
    [first, _] = netctl("sandbox", "ps", "c1", "--format", "json").json
    assert first == {"pid": 41, "user": "root", "uid": 0, "command": "sh -c \x1b[31mred"}
    assert netctl("sandbox", "ps", "c1", "--format", "{pid}").out == "41\n7000\n"


def test_ps_of_what_is_not_there(netctl: Netctl, kernel: FakeKernel) -> None:
    assert netctl("sandbox", "ps", "c1").status == 3
    netctl("sandbox", "create", "c1")
    kernel.reboot()
    done = netctl("sandbox", "ps", "c1")
    assert done.status == 4 and "gone" in done.err


def test_a_process_that_says_nothing_is_shown_by_its_name() -> None:
    from netctl.kernel import inhabitants

    [me] = [each for each in inhabitants.of("") if each.pid == os.getpid()]
    assert me.uid == os.geteuid() and me.command
    assert inhabitants.inhabited({"", "/nowhere", "/etc/passwd"}) == {""}
    assert inhabitants.of("/nowhere") == []
