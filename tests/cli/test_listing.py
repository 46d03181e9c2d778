"""How lists are chosen, ordered and printed: columns, sorting, JSON lines and docker's templates."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl import gotemplate
from netctl.columns import Column, ordered
from netctl.errors import InvalidInput
from tests.cli.conftest import Netctl

LISTS = ("network", "endpoint", "sandbox", "service", "container")


@pytest.fixture
def made(netctl: Netctl) -> Netctl:
    netctl("network", "create", "web", "--label", "a=b")
    netctl("network", "create", "db10", "--ipv6", "--ttl", "2h")
    netctl("network", "create", "db9", "--internal")
    netctl("sandbox", "create", "c1")
    netctl("network", "connect", "web", "c1")
    return netctl


@pytest.mark.parametrize("group", LISTS)
def test_every_list_has_the_same_options(made: Netctl, group: str) -> None:
    whole = made(group, "ls").out.splitlines()
    bare = made(group, "ls", "--no-headers").out.splitlines()
    assert [line.split() for line in whole[1:]] == [line.split() for line in bare]
    rows = made(group, "ls", "--format", "json").json
    assert [
        json.loads(line) for line in made(group, "ls", "--format", "jsonl").out.splitlines()
    ] == (rows)
    names = made(group, "ls", "--format", "{{.Name}}").out.split()
    assert names == [row["name"] for row in rows]
    assert made(group, "ls", "--sort", "-id", "-q", "--no-trunc").out.split() == sorted(
        (row["id"] for row in rows), reverse=True
    )


@pytest.mark.parametrize("group", LISTS)
@pytest.mark.parametrize("option", ["--columns", "--sort"])
def test_an_unknown_column_is_named_beside_those_that_are_known(
    netctl: Netctl, group: str, option: str
) -> None:
    done = netctl(group, "ls", option, "nope")
    assert (done.status, done.out) == (2, "")
    assert "no column 'nope'" in done.err and "hint: columns: " in done.err


@pytest.mark.parametrize("group", LISTS)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-q", "--columns", "id"), "--quiet and --columns"),
        (("-q", "--format", "json"), "--quiet and --format json"),
        (("--format", "name", "--quiet"), "--quiet and --format name"),
        (("-q", "--format", "{id}"), "--quiet and a template"),
        (("--columns", "name", "--format", "{id}"), "--columns and a template"),
        (("--columns", "name", "--format", "table {{.ID}}"), "--columns and a template"),
        (("--columns", "name", "--format", "name"), "--columns and --format name"),
    ],
)
def test_options_of_which_one_would_have_no_effect_are_refused(
    made: Netctl, group: str, words: tuple[str, ...], said: str
) -> None:
    done = made(group, "ls", *words)
    assert (done.status, done.out) == (2, "")
    assert f"{said} exclude each other" in done.err and "hint" in done.err


@pytest.mark.parametrize("form", ["table", "jsonl", "yaml"])
def test_columns_of_each_form_that_has_them(made: Netctl, form: str) -> None:
    done = made("network", "ls", "--columns", "driver", "--format", form, "--no-headers")
    assert done.status == 0 and "bridge" in done.out and "web" not in done.out


def test_columns_are_chosen_and_ordered(made: Netctl) -> None:
    done = made("network", "ls", "--columns", "internal,Name,network-id")
    first, *lines = done.out.splitlines()
    assert first.split() == ["INTERNAL", "NAME", "NETWORK", "ID"]
    assert [line.split()[:2] for line in lines] == [
        ["false", "db10"],
        ["true", "db9"],
        ["false", "web"],
    ]
    rows = made("network", "ls", "--columns", "name,ipv6", "--format", "json").json
    assert rows[0] == {"name": "db10", "ipv6": True}


def test_numbers_in_names_are_sorted_as_numbers(made: Netctl) -> None:
    assert made("network", "ls", "--sort", "name", "--format", "name").out.split() == [
        "db9",
        "db10",
        "web",
    ]


def test_what_expires_is_a_column_where_something_does(made: Netctl) -> None:
    assert "EXPIRES" in made("network", "ls").out
    assert "EXPIRES" not in made("sandbox", "ls").out
    assert "EXPIRES" in made("sandbox", "ls", "--columns", "name,expires").out


def test_tables_of_docker_have_headings(made: Netctl) -> None:
    done = made("network", "ls", "--format", r"table {{.ID}}\t{{.Name}}\t{{.Driver}}")
    first, second, *_ = done.out.splitlines()
    assert first.split() == ["NETWORK", "ID", "NAME", "DRIVER"]
    assert second.split()[1:] == ["db10", "bridge"] and len(second.split()[0]) == 12
    bare = made("network", "ls", "--no-headers", "--format", r"table {{.Name}}\t{{.Driver}}")
    assert bare.out.splitlines()[0].split() == ["db10", "bridge"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.Name}}", "web"),
        ("{{ .Name }}:{{.Driver}}", "web:bridge"),
        ("{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}", "172.17.0.0/16 172.17.0.1"),
        ("{{(index .IPAM.Config 0).Subnet}}", "172.17.0.0/16"),
        ('{{index .Labels "a"}}{{.Labels.a}}', "bb"),
        ('{{index .Labels "none"}}', ""),
        ("{{json .Labels}}", '{"a": "b"}'),
        ("{{.Labels | json}}", '{"a": "b"}'),
        ("{{range .Containers}}{{.Name}}={{.IPv4Address}}{{end}}", "c1=172.17.0.2/16"),
        ("{{range $k, $v := .Labels}}{{$k}}-{{$v}}{{end}}", "a-b"),
        ("{{if .EnableIPv6}}six{{else}}four{{end}}", "four"),
        ("{{with .Labels}}{{.a}}{{end}}", "b"),
        ('{{join .Subnets ","}}', "172.17.0.0/16"),
        ("{{len .Subnets}}{{upper .Name}}", "1WEB"),
        ("{{if and (eq .Name `web`) (not .Internal)}}yes{{end}}", "yes"),
        ("a {{- .Name -}} b", "awebb"),
        ("{{/* nothing */}}{{.Name}}", "web"),
    ],
)
def test_templates_of_docker(made: Netctl, template: str, expected: str) -> None:
    done = made("network", "inspect", "web", "--format", template)
    assert (done.status, done.out.strip()) == (0, expected)


@pytest.mark.parametrize(
    "template",
    [
        *("{{.Name", "{{end}}", "{{range .Labels}}", "{{else}}", "{{}}", "{{name}}"),
        *('{{printf "%s" .Name}}', "{{.Name .Id}}", "{{$x}}", "{{(.Name}}", "{{.Name)}}"),
        *(
            "{{template}}",
            "{{.__class__}}",
            "{{.Nope}}",
            "{{.Name.Length}}",
            "{{index .Subnets 9}}",
        ),
        *("{{json}}", "{{range .Name}}{{end}}", "{{join .Name 1}}", "{{if}}{{end}}", "{{range}}"),
        "{{if .Name}}" * 50 + "{{end}}" * 50,
        "{{" + "(" * 500 + ".Name" + ")" * 500 + "}}",
        "{{$a, $b, $c := .Labels}}",
    ],
)
def test_what_is_not_understood_is_a_usage_error(made: Netctl, template: str) -> None:
    for command in (("ls",), ("inspect", "web")):
        done = made("network", *command, "--format", template)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("netctl: --format"), done.err


PIECES = [
    *"{}.$()|`ab 01",
    '"',
    "\\",
    "{{",
    "}}",
    "{{range ",
    "{{end}}",
    "{{if ",
    "{{else}}",
    "json ",
]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_a_template_or_a_usage_error(text: str) -> None:
    try:
        gotemplate.parsed(text).filled({"a": ["b"], "b": {"a": 1}, "id": "0"})
    except InvalidInput:
        pass


@given(st.lists(st.one_of(st.none(), st.text(max_size=8), st.lists(st.text(max_size=3)))))
def test_anything_can_be_sorted(values: list[object]) -> None:
    rows = [{"a": value} for value in values]
    for order in ("a", "-a"):
        found = ordered(rows, [Column("A", "a")], order)
        assert sorted(map(str, found)) == sorted(map(str, rows))
        assert [row["a"] for row in found] == [*filter(None, [row["a"] for row in found])] + [
            row["a"] for row in found if not row["a"]
        ]
