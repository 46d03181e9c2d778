"""Tables on a terminal of any width: what stays a table, and what is shown instead; and colour."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import redirect_stdout
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from netctl import tables
from netctl.columns import Column
from tests.cli.conftest import Netctl

LONG = "frontend-of-the-shop"


def on_terminal(
    columns: int, *arguments: str, status: int = 0, piped: str = "", **environ: str
) -> str:
    """Run netctl on a terminal of that width; return what it shows. ``piped`` is the stream,
    ``stdout`` or ``stderr``, that is no terminal."""
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    unwanted = ("COLUMNS", "LINES", "NO_COLOR")
    plain = {key: value for key, value in os.environ.items() if key not in unwanted}
    away = subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, "-m", "netctl", *arguments],
        stdin=secondary,
        stdout=away if piped == "stdout" else secondary,
        stderr=away if piped == "stderr" else secondary,
        env={**plain, "TERM": "xterm", "NO_COLOR": "1", **environ},
    )
    os.close(secondary)
    shown = b""
    for _ in range(10_000):
        try:
            shown += os.read(primary, 4096)
        except OSError:
            break  # EIO: it has ended.
    os.close(primary)
    assert process.wait(60) == status
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


def test_nothing_is_cut_and_a_table_becomes_blocks(ids: list[str]) -> None:
    wide, block = (on_terminal(n, "network", "ls") for n in (120, 40))
    assert "…" not in wide + block
    assert wide.split()[:3] == ["NETWORK", "ID", "NAME"] and "──" in wide
    assert block.splitlines()[1].split() == ["NAME", "web"]


def test_two_plain_endpoints_are_a_table_at_80_columns(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    for name in ("web1", "web2"):
        netctl("sandbox", "create", name)
        netctl("network", "connect", "web", name)
    lines = on_terminal(80, "endpoint", "ls").splitlines()
    assert lines[0].split()[:2] == ["ENDPOINT", "ID"] and len(lines) == 4
    assert max(map(len, lines)) <= 80


WORDS = st.text(st.sampled_from("ab/.:…界"), min_size=0, max_size=40)


@settings(deadline=None)
@given(
    st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(1, 200),
)
def test_what_fits_is_a_table_and_nothing_is_cut(rows: list[list[str]], width: int) -> None:
    columns = [Column(heading, heading) for heading in ("A", "LONG HEADING", "C")]
    given_rows = [{c.key: cell for c, cell in zip(columns, row, strict=True)} for row in rows]
    with mock.patch.dict(os.environ, COLUMNS=str(width), LINES="24", TERM="xterm"):
        out = io.StringIO()
        with redirect_stdout(out):
            tables.drawn(given_rows, columns, trunc=True, when="never")
    shown = out.getvalue()
    cells = [cell for row in rows for cell in row if cell.strip()]
    assert all(cell in shown for cell in cells)
    wide = [max([len(c.key), *(cell_len(row[n]) for row in rows)]) for n, c in enumerate(columns)]
    if sum(wide) + 4 <= width:
        assert "─" in shown
    if "─" in shown:
        assert max(map(cell_len, shown.splitlines())) <= width


def test_errors_have_colour_on_a_terminal_alone(netctl: Netctl) -> None:
    red = "\x1b[31m\x1b[1mnetctl:"
    asked = ("network", "inspect", "nope")
    assert red in on_terminal(80, *asked, status=3, NO_COLOR="")
    assert red in on_terminal(80, *asked, status=3, NO_COLOR="", piped="stdout")
    assert red in on_terminal(80, "nope", status=2, NO_COLOR="")
    assert red in on_terminal(80, "--color", "always", "nope", status=2, NO_COLOR="1")
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb", "NO_COLOR": ""}):
        assert "\x1b" not in on_terminal(80, *asked, status=3, **environ)
    for when in (("--color", "never"),):
        assert "\x1b" not in on_terminal(80, *when, "nope", status=2, NO_COLOR="")
    # Each stream is judged on its own: stdout is a terminal, stderr is not.
    done = netctl(*asked)
    assert "\x1b" not in done.err
    assert red in netctl("--color", "always", *asked).err


def test_what_needs_attention_has_colour(netctl: Netctl) -> None:
    netctl("sandbox", "create", "c1")
    # This process of netctl is on another kernel than the one that made it.
    shown = on_terminal(120, "sandbox", "ls", NO_COLOR="")
    assert "gone" in shown and re.search("\x1b\\[[0-9;]*33[0-9;]*mgone", shown)
    block = on_terminal(20, "sandbox", "ls", NO_COLOR="")
    assert "\x1b[33m\x1b[1mgone" in block
    assert "\x1b" not in on_terminal(120, "sandbox", "ls")


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
