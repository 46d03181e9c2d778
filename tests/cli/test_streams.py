"""Output that cannot be written, and Ctrl-C at any moment, in whole processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
NETCTL = f"{sys.executable} -m netctl"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    places = {"NETCTL_STATE_DIR": f"{tmp_path}/s", "NETCTL_RUN_DIR": f"{tmp_path}/r"}
    return {**os.environ, **places}


def shell(environ: dict[str, str], script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("command", ["network ls", "--help", "network --help", "version"])
def test_a_reader_that_has_gone_is_no_bug(environ: dict[str, str], command: str) -> None:
    done = shell(environ, f"exec 3> >(exec 0<&-); wait $!; {NETCTL} {command} >&3; echo $?")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("command", ["network ls", "--help", "network ls --format json"])
def test_a_full_disk_is_named(environ: dict[str, str], command: str) -> None:
    done = shell(environ, f"{NETCTL} {command} >/dev/full; echo $?")
    assert done.stdout == "7\n"
    assert "the standard output cannot be written: No space left on device" in done.stderr
    assert "what the command does is done" in done.stderr
    assert len(done.stderr.splitlines()) == (1 if "json" in command else 2)


def test_trouble_with_messages_does_not_hide_the_result(environ: dict[str, str]) -> None:
    done = shell(environ, f"{NETCTL} network inspect none 2>/dev/full; echo $?")
    assert done.stdout.splitlines()[-1] == "3"


@pytest.mark.parametrize(
    "module", ["netctl.cli", "click", "netctl.commands.network", "netctl.config", "yaml"]
)
def test_ctrl_c_is_silent_whatever_is_being_imported(environ: dict[str, str], module: str) -> None:
    program = f"""
import os, signal, sys
# Whoever starts the tests in the background of a shell has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupt:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from netctl import __main__
__main__.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "network", "ls", "--format", "yaml"],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) in ((130, ""), (-signal.SIGINT, ""))
