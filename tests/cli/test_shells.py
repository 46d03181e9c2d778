"""Tab in the shells themselves: the scripts that are checked in offer what there is."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netctl.groups import COMMANDS
from tests.cli.conftest import Netctl
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
BEGIN = {
    "bash": ["bash", "--noprofile", "--norc", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
PREPARE = {
    "bash": f"source {ROOT}/completions/netctl.bash",
    "zsh": f"autoload -Uz compinit; compinit -D -u; source {ROOT}/completions/_netctl",
}


class Shell:
    """A shell on a terminal of its own."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def shown(self, *words: str, seconds: float = PATIENCE) -> str:
        """Return what is shown until all the words are, or the time is over."""
        seen, end = "", time.monotonic() + seconds
        while not all(word in seen for word in words) and time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.2)[0]:
                seen += os.read(self._terminal, 4096).decode(errors="replace").replace("\a", "")
        return seen


@contextmanager
def shell(name: str, environ: dict[str, str]) -> Iterator[Shell]:
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        BEGIN[name],
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environ,
        start_new_session=True,
    )
    os.close(secondary)
    try:
        yield Shell(primary)
    finally:
        process.kill()
        process.wait()
        os.close(primary)


@pytest.fixture
def environ(netctl: Netctl, tmp_path: Path) -> dict[str, str]:
    """Return an environment with some objects, and with netctl in the PATH."""
    for line in (
        *("network create front", "network create back", "sandbox create c1"),
        *("endpoint create front web1 -p 8080:80", "network create lone"),
    ):
        assert netctl(*line.split()).status == 0
    places = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": places, "HOME": str(tmp_path), "TERM": "xterm", "PS1": "> "}


@pytest.mark.parametrize("name", BEGIN)
def test_tab_in_a_shell(environ: dict[str, str], name: str) -> None:
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    with shell(name, environ) as tty:
        tty.type(f"{PREPARE[name]}; echo re''ady\n")
        assert "ready" in tty.shown("ready")
        # One that begins so is filled in.
        tty.type("netctl network rm lo\t")
        assert "lone" in tty.shown("lone")
        tty.type("\x15netctl endpoint join front/\t")
        assert "front/web1" in tty.shown("front/web1")
        # Several are listed, in bash by the second Tab.
        tty.type("\x15netctl network inspect \t\t")
        listed = tty.shown("front", "back", "lone")
        assert all(word in listed for word in ("front", "back", "lone")), listed
        tty.type("\x15netctl sandbox ren\t")
        assert "rename" in tty.shown("rename")
        # A value is filled in behind its key, whatever the shell takes for a word.
        for typed, whole in (
            ("netctl network create -o bridge.enable_icc=f", "bridge.enable_icc=false"),
            ("netctl network ls --format=js", "--format=json"),
            ("netctl network ls --filter driver=br", "driver=bridge"),
            ("netctl endpoint unpublish web1 8080:", "80/tcp"),
            ("netctl --color alw", "always"),
            ("netctl --config /etc/passw", "/etc/passwd"),
            ("netctl sandbox create x --hosts-path /etc/passw", "/etc/passwd"),
            ("netctl sandbox exec c1 -- setpri", "setpriv"),
            ("netctl run -- cat /etc/passw", "/etc/passwd"),
        ):
            tty.type(f"\x15{typed}\t")
            assert whole in tty.shown(whole), whole


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("netctl network rm ", {"front", "back", "lone"}),
        ("netctl network rm lo", {"lone"}),
        ("netctl endpoint join ", {"web1"}),
        ("netctl endpoint join fr", {"front/web1"}),
        ("netctl endpoint unpublish web1 ", {"8080:80/tcp"}),
        ("netctl sandbox exec ", {"c1"}),
        ("netctl network create -d ", {"bridge", "host", "null"}),
        ("netctl sandbox ex", {"exec", "exists"}),
        (
            "netctl network ls --format=",
            {f"--format={s}" for s in ("table", "json", "jsonl", "yaml", "name")},
        ),
        (
            "netctl network create -o bridge.enable_icc=",
            {f"bridge.enable_icc={b}" for b in ("true", "false")},
        ),
        ("netctl sandbox ls -f state=r", {"state=ready"}),
        ("netctl endpoint ls -f network=f", {"network=front"}),
        ("netctl network create --ipam-driver ", {"default", "null"}),
    ],
)
def test_tab_in_fish(environ: dict[str, str], line: str, expected: set[str]) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    script = f"source {ROOT}/completions/netctl.fish; complete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    offered = {word.partition("\t")[0] for word in done.stdout.splitlines() if word}
    assert (offered, done.stderr) == (expected, "")


def test_descriptions_in_fish_are_whole(environ: dict[str, str]) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    script = f"source {ROOT}/completions/netctl.fish; complete -C 'netctl '; complete -C 'netctl s'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    described = dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
    for name, (_, line) in COMMANDS.items():
        assert described[name] == line
