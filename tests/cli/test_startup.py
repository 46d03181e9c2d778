"""What a command imports, and the files that are generated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netctl import api_page, manual
from netctl.cli import cli
from netctl.groups import COMMANDS
from tests.cli.conftest import Netctl
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pyroute2", "rich", "yaml", "ctypes", "asyncio", "subprocess", "importlib.metadata")
KNOWN = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 75, 77, 130}


def imported(tmp_path: Path, *arguments: str, **environ: str) -> tuple[str, set[str]]:
    """Run netctl in a process of its own; return its output and what it imported of ``HEAVY``."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
        "from netctl.cli import main\nmain()"
    )
    places = {"NETCTL_STATE_DIR": f"{tmp_path}/s", "NETCTL_RUN_DIR": f"{tmp_path}/r"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **places, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    modules = done.stderr.splitlines()[-1].split()
    return done.stdout, {name for name in HEAVY if name in modules}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["network", "--help"],
        ["network", "ls"],
        ["network", "ls", "--format", "json"],
        ["endpoint", "ls"],
        ["sandbox", "ls"],
        ["service", "ls"],
        ["container", "ls"],
        ["network", "inspect", "none"],
        ["network", "exists", "none"],
        ["sandbox", "ps", "none"],
        ["completion", "bash"],
    ],
)
def test_reading_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    assert imported(tmp_path, *arguments)[1] == set()


def test_yaml_only_when_asked_for(tmp_path: Path) -> None:
    assert imported(tmp_path, "network", "ls", "--format", "yaml")[1] == {"yaml"}


@pytest.mark.parametrize("word", ["network rm ", "sandbox exec ", "endpoint join "])
def test_completion_imports_nothing_heavy(tmp_path: Path, word: str) -> None:
    heavy = imported(
        tmp_path, _NETCTL_COMPLETE="bash_complete", COMP_WORDS=f"netctl {word}", COMP_CWORD="3"
    )[1]
    assert heavy == set()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("network rm ", {"web", "db"}),
        ("network rm w", {"web"}),
        ("network create -d ", {"bridge", "host", "null"}),
        ("network create -o bridge.e", {"bridge.enable_icc=", "bridge.enable_ip_masquerade="}),
        ("endpoint join ", {"one", "db/two", "web/two"}),
        ("endpoint join db/", {"db/one", "db/two"}),
        ("endpoint join w", {"web/two"}),
        ("endpoint join db/one ", {"c1", "c2"}),
        ("endpoint rm one db/", {"db/two"}),
        ("endpoint leave ", {"there"}),
        ("endpoint leave there ", {"c2"}),
        ("endpoint unpublish ", {"there"}),
        ("endpoint unpublish there ", {"8080:80/tcp", "127.0.0.1:53:53/udp"}),
        ("endpoint unpublish there 8080:80/tcp ", {"127.0.0.1:53:53/udp"}),
        ("network rm web ", {"db"}),
        ("network rm web db ", set()),
        ("network connect db ", {"c1", "c2"}),
        ("network connect web ", {"c1"}),
        ("network disconnect ", {"web"}),
        ("network disconnect web ", {"c2"}),
        ("network disconnect db ", set()),
        ("sandbox exec ", {"c1", "c2"}),
        ("sandbox rm c2 ", {"c1"}),
        ("doctor ", {"c1", "c2"}),
        ("doctor c1 c", {"c2"}),
        ("run --network web --network ", {"db"}),
        ("service attach c1 ", {"one.db", "two.db", "two.web"}),
        ("service detach ", {"c2"}),
        ("service detach c2 ", {"there.web"}),
        ("container rm ", {"c1", "c2"}),
        ("run --network ", {"web", "db"}),
        ("network ls --format ", {"table", "json", "jsonl", "yaml", "name"}),
        ("network create -o mt", {"mtu="}),
        ("network create -o enable_icc=", {"true", "false"}),
        ("network connect web c1 -o if", {"ifname="}),
        ("service ls --sort ", {"service-id", "name", "network", "container", "sandbox"}),
        ("container ls --columns ", {"sandbox-id", "container", "services", "key"}),
        ("sandbox ls --columns name,s", {"name,sandbox-id", "name,state"}),
        ("network ls --columns name,driver,n", {"name,driver,network-id"}),
        ("run --network n", {"none"}),
        ("s", {"sandbox", "service", "system"}),
        ("sandbox re", {"refresh", "rename"}),
        ("completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_completion_offers_what_there_is(
    netctl: Netctl, monkeypatch: pytest.MonkeyPatch, words: str, expected: set[str]
) -> None:
    for arguments in (
        ["network", "create", "web"],
        ["network", "create", "db"],
        ["sandbox", "create", "c1"],
        ["endpoint", "create", "db", "one"],
        ["endpoint", "create", "db", "two"],
        ["endpoint", "create", "web", "two"],
        ["sandbox", "create", "c2"],
        [
            *("network", "connect", "web", "c2", "--name", "there"),
            *("-p", "8080:80", "-p", "127.0.0.1:53:53/udp"),
        ],
    ):
        assert netctl(*arguments).status == 0
    line = f"netctl {words}"
    monkeypatch.setenv("_NETCTL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    offered = {item.partition(",")[2] for item in netctl().out.split()}
    assert offered == expected


def test_without_a_network_run_offers_the_other_stacks(tmp_path: Path) -> None:
    out, heavy = imported(
        tmp_path,
        _NETCTL_COMPLETE="bash_complete",
        COMP_WORDS="netctl run --network ",
        COMP_CWORD="3",
    )
    assert out.split() == ["plain,none", "plain,host"] and heavy == set()


def test_completion_never_fails(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("not a directory")
    out, _ = imported(
        tmp_path, _NETCTL_COMPLETE="bash_complete", COMP_WORDS="netctl network rm ", COMP_CWORD="3"
    )
    assert out.strip() == ""


def generated() -> list[tuple[str, str]]:
    return [
        *((f"man/{name}", content) for name, content in manual.pages()),
        *((f"completions/{name}", content) for name, content in manual.scripts()),
        ("docs/library.md", api_page.page()),
    ]


@pytest.mark.parametrize(("name", "content"), generated(), ids=lambda value: str(value)[:40])
def test_generated_files_are_up_to_date(name: str, content: str) -> None:
    assert (ROOT / name).read_text() == content, "run: python -m netctl.manual ."


def test_no_generated_file_is_left_over() -> None:
    found = {
        f"{path.parent.name}/{path.name}"
        for d in ("man", "completions")
        for path in (ROOT / d).iterdir()
    }
    # The other pages of docs are written by hand.
    assert found | {"docs/library.md"} == {name for name, _ in generated()}


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    names = command.list_commands(context)
    found = ((name, command.get_command(context, name)) for name in names)
    return [leaf for name, inner in found if inner for leaf in leaves(inner, (*path, name))]


LEAVES = leaves(cli)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_help_with_an_example(netctl: Netctl, path: tuple[str, ...]) -> None:
    done = netctl(*path, "--help")
    assert done.status == 0
    assert done.out.startswith(f"Usage: netctl {' '.join(path)}")
    assert "Example" in done.out


def test_the_table_of_commands_tells_the_truth() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None and command.name == name


WORDS = st.sampled_from(
    [word for path in LEAVES for word in path]
    + ["--format", "--filter", "-o", "--subnet", "--force", "--ip", "--dry-run", "-v", "--label"]
    + [
        "web",
        "c1",
        "10.0.0.0/24",
        "a=b",
        "",
        "-",
        "--",
        "\x00",
        "{x}",
        "é" * 70,
        "../..",
        "'\"$(x)",
    ]
) | st.text(max_size=20)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(WORDS, max_size=7))
def test_no_command_line_gives_a_traceback(netctl: Netctl, words: list[str]) -> None:
    if {"exec", "run", "resolver"} & {*words} or any(
        "\ud800" <= c <= "\udfff" for w in words for c in w
    ):
        return
    done = netctl(*words)
    assert done.status in KNOWN - {1}, (words, done.err)
    assert "Traceback" not in done.err + done.out
