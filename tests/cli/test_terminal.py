"""Tables on a terminal of any width: what is cut, what never is, and what is shown instead."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from tests.cli.conftest import Netctl

LONG = "frontend-of-the-shop"


def on_terminal(columns: int, *arguments: str) -> str:
    """Run netctl on a terminal of that width; return what it shows."""
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "netctl", *arguments],
        stdin=secondary,
        stdout=secondary,
        env={**environ, "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(secondary)
    shown = b""
    for _ in range(10_000):
        try:
            shown += os.read(primary, 4096)
        except OSError:
            break  # EIO: it has ended.
    os.close(primary)
    assert process.wait(60) == 0
    return shown.decode()


@pytest.fixture
def ids(netctl: Netctl) -> list[str]:
    netctl("network", "create", "web", "--ipv6")
    netctl("sandbox", "create", LONG)
    ports = ("-p", "8080:80", "-p", "8443:443", "-p", "49153-49252:9000-9099")
    made = netctl("network", "connect", "web", LONG, *ports).out.strip()
    return [made[:12], LONG, "web", "*:8080->80/tcp", "*:49153-49252->9000-9099/tcp"]


@pytest.mark.parametrize("columns", [200, 120, 80, 40, 20])
def test_ids_names_and_ports_stay_whole(ids: list[str], columns: int) -> None:
    for command in (["endpoint", "ls"], ["network", "ls"], ["sandbox", "ls"]):
        lines = on_terminal(columns, *command).splitlines()
        words = [word for line in lines for word in line.split()]
        assert set(ids if command[0] == "endpoint" else []) <= {*words}
        longest = max(len(word) for word in words if word.strip("─"))
        assert max(map(len, lines)) <= max(columns, longest + 14), lines


def test_what_is_loose_is_cut_before_a_table_becomes_blocks(ids: list[str]) -> None:
    wide, narrow, block = (on_terminal(n, "network", "ls") for n in (120, 54, 40))
    assert "…" not in wide + block and "…" in narrow
    assert wide.split()[:3] == ["NETWORK", "ID", "NAME"]
    assert block.splitlines()[1].split() == ["NAME", "web"]


def test_a_column_that_is_empty_goes_first(netctl: Netctl) -> None:
    netctl("network", "create", "db")
    netctl("endpoint", "create", "db", "one")
    assert "IPV6" in on_terminal(120, "endpoint", "ls")
    shown = on_terminal(60, "endpoint", "ls")
    assert "IPV6" not in shown and "──" in shown


def test_nothing_is_cut_in_a_pipe(netctl: Netctl, ids: list[str]) -> None:
    out = netctl("endpoint", "ls").out
    assert "…" not in out and len(out.splitlines()) == 2
    assert "*:8080->80/tcp,*:8443->443/tcp" in out
