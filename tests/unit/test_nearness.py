"""Which words a mistyped one may stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.nearness import distance, nearest

COMMANDS = ("connect", "create", "disconnect", "exists", "info", "inspect", "ls", "prune", "rm")
OPTIONS = ("--filter", "--force", "--format", "--ignore-missing", "--network", "--no-trunc")


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("craete", COMMANDS, ["create"]),
        ("inspct", COMMANDS, ["inspect"]),
        ("conect", COMMANDS, ["connect"]),
        ("insp", COMMANDS, ["inspect"]),
        ("rename", COMMANDS, []),
        ("remove", COMMANDS, []),
        ("sl", COMMANDS, ["ls"]),
        ("x", COMMANDS, []),
        ("--forse", OPTIONS, ["--force"]),
        ("--forced", OPTIONS, ["--force"]),
        ("--formt", OPTIONS, ["--format"]),
        ("--fromat", OPTIONS, ["--format"]),
        ("--force", ("--format", "--filter"), []),
        ("--format", ("--force", "--filter"), []),
        ("--net", OPTIONS, ["--network"]),
        ("a" * 5000, OPTIONS, []),
        ("--label-add", ("--label", "--label-rm"), []),
        ("--alias-add", ("--alias", "--alias-rm"), []),
        ("--lable-rm", ("--label", "--label-rm"), ["--label-rm"]),
        ("--no-ipv6", ("--no-ipv4", "--ipv6"), []),
        ("--ip4", ("--ip", "--ip6"), []),
        ("--ipv4", ("--no-ipv4", "--ipv6"), []),
        ("--tty", ("--ttl",), []),
        ("--tlt", ("--ttl", "--pid"), ["--ttl"]),
        ("--dryrun", ("--dry-run",), ["--dry-run"]),
        ("--ignore-misisng", OPTIONS, ["--ignore-missing"]),
    ],
)
def test_only_what_is_near_is_meant(word: str, known: list[str], expected: list[str]) -> None:
    assert nearest(word, known) == expected


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_distance_is_one(one: str, other: str) -> None:
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) <= max(len(one), len(other))
    if one:
        assert distance(one, one[1:]) == 1
