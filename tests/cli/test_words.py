"""Other words for the same commands, and global options behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Netctl

ROOT = Path(__file__).resolve().parents[2]


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


def test_other_words_are_documented(netctl: Netctl) -> None:
    for words, aliases, page in (
        (["--help"], {"network": "net", "sandbox": "sb", "endpoint": "ep"}, "netctl.1"),
        (["network", "--help"], {"rm": "del, delete, remove", "ls": "list"}, "netctl-network.1"),
        (["container", "--help"], {"rm": "del, delete, remove"}, "netctl-container.1"),
    ):
        said = netctl(*words).out.partition("Other words:\n")[2]
        written = (ROOT / "man" / page).read_text().partition(".SH OTHER WORDS\n")[2]
        for command, others in aliases.items():
            assert f"  {command} " in said and others in said
            assert f".B {command}\n{others}\n" in written
    assert "Other words" not in netctl("system", "--help").out


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("network inspect fornt", "'front'"),
        ("network rm frontt back", "'front'"),
        ("sandbox exec bx1 true", "'box1'"),
        ("sandbox rm bxo1", "'box1'"),
        ("endpoint inspect apii", "'api'"),
        ("endpoint inspect front/appi", "'front/api'"),
        ("endpoint inspect fron/api", "'front/api'"),
        ("service info appi.front", "'api.front'"),
        ("network connect frnt box1", "'front'"),
        ("network connect front box2", ""),
        ("network inspect box1", ""),
        ("sandbox inspect front", ""),
        ("endpoint inspect box1", ""),
    ],
)
def test_a_mistyped_name_is_answered_with_a_near_one_of_its_kind(
    netctl: Netctl, words: str, meant: str
) -> None:
    for line in (
        "network create front",
        "network create backend",
        "sandbox create box1",
        "endpoint create front api",
    ):
        assert netctl(*line.split()).status == 0
    done = netctl(*words.split())
    assert done.status == 3
    first = next(line for line in done.err.splitlines() if line.startswith("hint:"))
    assert first.endswith("ls shows what there is")
    assert ("did you mean" in first) == bool(meant) and meant in first
