"""Whatever is typed, and whatever is in the files: an exit code of the table, and no traceback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import click
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netctl.cli import cli
from tests.cli.conftest import Netctl

CODES = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 75, 77}
NEVER_RUN = {"exec", "run", "unit", "install", "uninstall", "set-key", "resolver"}
"""What would become another program, or works outside the store: tried elsewhere."""
_HARD = [
    "",
    "-",
    "--",
    "web",
    "c1",
    "web/c1",
    "..",
    "/",
    "a" * 300,
    "\x00",
    "\udcff",
    "é",
    "0",
    "-1",
    "1e9",
]
_SETTINGS = settings(
    max_examples=int(os.environ.get("NETCTL_FUZZ_EXAMPLES", "300")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _leaves(
    group: click.Group, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if name in NEVER_RUN:
            continue
        if isinstance(command, click.Group):
            found += _leaves(command, (*path, name))
        else:
            found.append(((*path, name), command))
    return found


LEAVES = _leaves(cli)
WORDS = st.one_of(
    st.sampled_from(_HARD),
    st.text(max_size=12),
    st.sampled_from(
        ["10.9.0.0/24", "fd00::/64", "8080:80", "k=v", "10m", "{name}", "json", "label=a"]
    ),
)


@st.composite
def _lines(draw: st.DrawFn) -> list[str]:
    path, command = draw(st.sampled_from(LEAVES))
    line = [*path]
    options = [p for p in command.params if isinstance(p, click.Option)]
    for option in draw(st.lists(st.sampled_from(options), max_size=4) if options else st.just([])):
        line.append(option.opts[0])
        if not option.is_flag:
            line.append(draw(WORDS))
    line += draw(st.lists(WORDS, max_size=3))
    return line


def _furnish(netctl: Netctl) -> None:
    """Have something there; what is there already stays."""
    netctl("network", "create", "web")
    netctl("sandbox", "create", "c1")
    netctl("network", "connect", "web", "c1")


@_SETTINGS
@given(line=_lines())
def test_any_command_line_ends_with_a_code_of_the_table(line: list[str], netctl: Netctl) -> None:
    _furnish(netctl)
    result = netctl(*line)
    assert result.status in CODES, (line, result.err)
    assert "Traceback" not in result.err, (line, result.err)


@_SETTINGS
@given(words=st.lists(WORDS, max_size=5))
def test_any_words_end_with_a_code_of_the_table(words: list[str], netctl: Netctl) -> None:
    if not NEVER_RUN & set(words):
        result = netctl(*words)
        assert result.status in CODES and "Traceback" not in result.err, (words, result.err)


def _cut(data: bytes, place: int) -> bytes:
    return data[: place % max(len(data), 1)]


def _flip(data: bytes, place: int) -> bytes:
    changed = bytearray(data or b"x")
    changed[place % len(changed)] ^= 1 << place % 8
    return bytes(changed)


def _other(data: bytes, place: int) -> bytes:
    return (b"", b"{}", b"[]\n", b"\xff" * 9, data + data, b"null")[place % 6]


@_SETTINGS
@given(
    place=st.integers(0, 1 << 20),
    number=st.integers(0, 100),
    change=st.sampled_from([_cut, _flip, _other]),
    command=st.sampled_from(
        [
            "network ls",
            "endpoint ls",
            "sandbox inspect c1",
            "check",
            "network create x",
            "repair",
            "gc",
        ]
    ),
)
def test_any_damage_of_a_file_is_named(
    place: int,
    number: int,
    change: Callable[[bytes, int], bytes],
    command: str,
    netctl: Netctl,
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    if not state.exists():
        _furnish(netctl)
    copy = state.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(state, copy)
    try:
        paths = sorted(path for path in state.rglob("*") if path.is_file())
        path = paths[number % len(paths)]
        path.write_bytes(change(path.read_bytes(), place))
        result = netctl(*command.split())
        assert result.status in CODES, (path, command, result.err)
        assert "Traceback" not in result.err
        if result.status == 8:
            assert str(state) in result.err
    finally:
        shutil.rmtree(state)
        copy.rename(state)
