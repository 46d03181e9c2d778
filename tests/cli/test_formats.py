"""``--format``: what cannot be printed is refused before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from netctl import samples
from netctl.commands import forms
from netctl.errors import Partial
from netctl.samples import ROWS, Fixed
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel

WRONG = [
    *(
        "{bogus}",
        "{name.part}",
        "{labels",
        "{{.Bogus}}",
        "{{.Name.Part}}",
        "{{range .Name}}{{end}}",
    ),
    "{{if .Bogus}}{{end}}",
    "{{if .ID}}{{else}}{{.Bogus}}{{end}}",
    "{{with .ID}}{{.Bogus}}{{end}}",
    '{{index . "bogus"}}',
]
DOING = [
    "network create new",
    "network rm idle",
    "network connect web c2",
    "network prune --force",
    "endpoint create web new",
    "endpoint rm web/e1",
    "endpoint publish web/e1 8080:80",
    "endpoint unpublish web/c1 90",
    "endpoint prune --force",
    "sandbox create new",
    "sandbox rm c2",
    "sandbox prune --force",
    "container create new",
    "container rm c2",
    "service publish new.web",
    "service unpublish e1.web",
]
READING = [
    *("network ls", "endpoint ls", "sandbox ls", "service ls", "container ls"),
    *("network inspect web", "endpoint inspect e1", "sandbox inspect c1", "service info e1.web"),
    *("network info web", "sandbox info c1", "sandbox ps c1", "sandbox stats c1", "check"),
    *("info", "version", "doctor"),
]


@pytest.fixture
def full(netctl: Netctl) -> Netctl:
    for line in (
        "network create web --label a=b",
        "network create idle",
        "sandbox create c1 --add-host a:192.0.2.1 --label a=b",
        "sandbox create c2",
        "endpoint create web e1 --label a=b",
        "network connect web c1 -p 9090:90 --route 192.0.2.0/24,172.17.0.1 --rate-in 10mbit",
    ):
        assert netctl(*line.split()).status == 0
    return netctl


def stored(netctl: Netctl) -> list[Any]:
    return [
        netctl(kind, "ls", "--format", "json").json for kind in ("network", "endpoint", "sandbox")
    ]


@pytest.mark.parametrize("line", DOING)
def test_what_cannot_be_printed_is_not_done(full: Netctl, line: str) -> None:
    before = stored(full)
    for template in WRONG:
        done = full(*line.split(), "--format", template)
        assert (done.status, done.out) == (2, ""), template
        assert "--format" in done.err
    assert stored(full) == before
    done = full(*line.split(), "--format", "{name}\\t{id}")
    assert done.status == 0 and done.err == ""
    for row in done.out.splitlines():
        name, _, identity = row.partition("\t")
        assert name and len(identity) == 64


@pytest.mark.parametrize("line", READING)
def test_a_field_that_is_not_there_is_refused_without_rows_too(netctl: Netctl, line: str) -> None:
    for template in WRONG:
        if "part" not in template.lower() and "range" not in template and "ID" not in template:
            done = netctl(*line.split(), "--format", template)
            assert (done.status, done.out) == (2, ""), (template, done)
            assert done.err.startswith("netctl: --format")


def test_what_a_mapping_lacks_is_empty(full: Netctl) -> None:
    assert full("network", "ls", "--format", "{name}={labels.a}").out == "idle=\nweb=b\n"
    assert full("network", "ls", "--format", "{{.Name}}={{.Labels.a}}").out == "idle=\nweb=b\n"
    assert full("endpoint", "inspect", "e1", "--format", "{attachment.key}").out == "\n"
    made = full("network", "create", "new", "--format", "{name}:{labels.a}")
    assert (made.status, made.out) == (0, "new:\n")


def test_what_only_the_result_shows_not_to_fit_undoes_nothing(full: Netctl) -> None:
    for number, template in enumerate(("{{index .Subnets 1}}", "{subnets.1}")):
        done = full("network", "create", f"new{number}", "--format", template)
        assert (done.status, done.out) == (10, "")
        assert "is made, but not printed" in done.err
        assert full("network", "exists", f"new{number}").status == 0
        both = full("network", "create", f"six{number}", "--ipv6", "--format", template)
        assert both.status == 0 and ":" in both.out


def test_what_is_changed_or_removed_and_does_not_fit_is_named(full: Netctl) -> None:
    done = full("endpoint", "publish", "e1", "8080:80", "--format", "{{index .Aliases 7}}")
    assert (done.status, done.out) == (10, "")
    assert "web/e1 is changed, but not printed" in done.err
    for count, said in ((1, "1 is"), (2, "2 are")):
        with pytest.raises(Partial, match=f"^{said} removed, but not printed"):
            forms.gone([{"id": "a" * 64, "name": "a"}] * count, "{name.part}")


def test_tabs_and_new_lines_are_understood_as_docker_does(full: Netctl) -> None:
    assert (
        full("network", "ls", "--format", r"{name}\t{driver}").out == "idle\tbridge\nweb\tbridge\n"
    )
    for template in (r"{name}\n{driver}", r"{{.Name}}\n{{.Driver}}"):
        assert full("network", "ls", "--format", template).out == "idle\nbridge\nweb\nbridge\n"
    # Only those of the template: what a value has is shown as it is.
    full("network", "create", "new", "--label", r"a=x\ty")
    assert full("network", "inspect", "new", "--format", "{labels.a}").out == "x\\ty\n"


def test_results_are_printed_in_a_form(full: Netctl) -> None:
    [row] = full("endpoint", "publish", "e1", "8080:80", "--format", "json").json
    assert row == full("endpoint", "inspect", "e1").json[0] and row["ports"] == ["*:8080->80/tcp"]
    [row] = full("endpoint", "unpublish", "e1", "80", "--format", "json").json
    assert row["ports"] == []
    assert full("endpoint", "publish", "e1", "8080:80").out == ""
    [row] = full("service", "unpublish", "e1.web", "--format", "json").json
    assert row["name"] == "e1"
    [row] = full("network", "prune", "--force", "--format", "json").json
    assert row["name"] == "idle" and set(row) == {"id", "name"}
    assert full("container", "rm", "c1", "--format", "name").out == "c1\n"
    assert full("container", "rm", "c1", "--format", "name").status == 3
    assert full("sandbox", "prune", "--force", "--format", "{name}").out == "c2\n"


def same_keys(sample: Any, real: Any, path: str = "") -> None:
    """Compare the keys of a sample with those of a row, as deep as both go."""
    if isinstance(sample, Fixed):
        if real is not None:
            assert isinstance(real, Mapping) and set(sample) == set(real), path
            for key, value in sample.items():
                same_keys(value, real[key], f"{path}.{key}")
    elif isinstance(sample, samples.Some):
        assert isinstance(real, list), path
        for item in real:
            same_keys(sample[0], item, f"{path}[]")
    elif isinstance(sample, dict):
        assert isinstance(real, (dict, type(None))) or path == ".configuration[].value", path
    else:
        assert real is None or isinstance(real, type(sample)) or path.endswith("_port"), (
            path,
            real,
        )


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        *(
            (kind, f"{kind} ls")
            for kind in ("network", "endpoint", "sandbox", "service", "container")
        ),
        ("network in full", "network inspect web"),
        ("endpoint in full", "endpoint inspect web/c1"),
        ("endpoint in full", "endpoint inspect e1"),
        ("sandbox in full", "sandbox inspect c1"),
        ("service in full", "service info c1.web"),
        ("removed", "network prune --force"),
        ("counters", "sandbox stats c1"),
        ("versions", "version"),
        ("survey", "info"),
        ("difference", "check"),
    ],
)
def test_a_sample_is_like_the_rows(full: Netctl, kernel: FakeKernel, kind: str, line: str) -> None:
    if line == "check":
        kernel.reboot()
    rows = full(*line.split(), "--format", "json").json
    assert rows
    for row in rows if isinstance(rows, list) else [rows]:
        same_keys(ROWS[kind], row)
