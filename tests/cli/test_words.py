"""Other words for the same commands, and global options behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Netctl


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("net ls", "network ls"),
        ("net list", "network ls"),
        ("sb ls", "sandbox ls"),
        ("ep list", "endpoint ls"),
        ("net del web", "network rm web"),
        ("net delete web", "network rm web"),
        ("sb remove c1", "sandbox rm c1"),
        ("ep del web/one", "endpoint rm web/one"),
    ],
)
def test_other_words_are_the_same_commands(netctl: Netctl, short: str, full: str) -> None:
    assert netctl(*short.split(), "--help").out == netctl(*full.split(), "--help").out
    one, other = netctl(*short.split()), netctl(*full.split())
    assert (one.status, one.out, one.err) == (other.status, other.out, other.err)


def test_help_lists_no_other_words(netctl: Netctl) -> None:
    for words in ((), ("network",)):
        listed = {line.split()[0] for line in netctl(*words, "--help").out.splitlines() if line}
        assert listed.isdisjoint({"net", "sb", "ep", "del", "delete", "remove", "list"})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("sb", {"sb"}),
        ("net", {"network"}),
        ("ep", {"ep"}),
        ("sb r", {"rename", "refresh", "rm"}),
        ("network del", {"del", "delete"}),
        ("network li", {"list"}),
        ("net rm ", {"web"}),
        ("net del w", {"web"}),
        ("sb exec ", {"c1"}),
        ("sandbox exec --state-dir STATE ", {"c1"}),
        ("network ls --color a", {"auto", "always"}),
    ],
)
def test_other_words_are_completed(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, expected: set[str]
) -> None:
    netctl("network", "create", "web")
    netctl("sandbox", "create", "c1")
    if "STATE" in words:
        monkeypatch.delenv("NETCTL_STATE_DIR")
        words = words.replace("STATE", f"{tmp_path}/state")
    monkeypatch.setenv("_NETCTL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"netctl {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
    assert {item.partition(",")[2] for item in netctl().out.split()} == expected


@pytest.mark.parametrize(
    "place",
    [
        ("--state-dir", "X", "network", "ls", "-q"),
        ("network", "--state-dir", "X", "ls", "-q"),
        ("network", "ls", "--state-dir", "X", "-q"),
        ("network", "ls", "-q", "--state-dir=X"),
        ("--state-dir", "Y", "network", "--state-dir", "Y", "ls", "-q", "--state-dir=X"),
    ],
)
def test_global_options_stand_anywhere(
    netctl: Netctl, tmp_path: Path, place: tuple[str, ...]
) -> None:
    assert netctl("network", "create", "web").status == 0
    other = str(tmp_path / "other")
    assert len(netctl("network", "ls", "-q").out.split()) == 1
    done = netctl(*(word.replace("X", other) for word in place))
    assert (done.status, done.out, done.err) == (0, "", "")


def test_verbose_stands_anywhere(netctl: Netctl) -> None:
    steps = netctl("-v", "network", "create", "one").err.count("\n+ ")
    assert steps > 3
    assert netctl("network", "create", "two", "-v").err.count("\n+ ") > 1
    assert netctl("network", "-v", "create", "three").err.count("\n+ ") > 1


def test_global_options_are_checked_wherever_they_stand(netctl: Netctl) -> None:
    for words in (["--state-dir", "", "network", "ls"], ["network", "ls", "--state-dir", ""]):
        done = netctl(*words)
        assert (done.status, done.err.splitlines()[0]) == (2, "netctl: --state-dir is empty")
    for words in (["--color", "red", "network", "ls"], ["network", "ls", "--color", "red"]):
        assert netctl(*words).status == 2


def test_errors_behind_another_word_have_the_form_that_was_asked_for(netctl: Netctl) -> None:
    assert (
        netctl("net", "--state-dir", "/nowhere", "inspect", "web", "--format", "json").err[0] == "{"
    )
    done = netctl("sb", "--run-dir", "/nowhere", "exec", "c1", "--", "x", "--format", "json")
    assert done.status == 3 and done.err.startswith("netctl: no sandbox")
    assert "hint: netctl network rm --help" in netctl("net", "del", "--nope").err
