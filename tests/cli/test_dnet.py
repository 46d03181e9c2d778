"""dnet's words: services and containers."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Netctl


def test_the_life_of_a_service(netctl: Netctl) -> None:
    netctl("network", "create", "front")
    made = netctl("service", "publish", "--alias", "www", "web1.front").out.strip()
    sandbox = netctl("container", "create", "c1").out.strip()
    lines = netctl("service", "ls").out.splitlines()
    assert re.fullmatch(r"SERVICE ID +NAME +NETWORK +CONTAINER +SANDBOX", lines[0])
    # What is unset prints nothing at all.
    assert re.fullmatch(rf"{made[:12]} +web1 +front", lines[1])
    assert netctl("service", "attach", "c1", "web1.front", "--alias", "db1:db").status == 0
    [_, line] = netctl("service", "ls").out.splitlines()
    assert line.split() == [made[:12], "web1", "front", "c1", sandbox[:12]]
    [_, line] = netctl("service", "ls", "--no-trunc").out.splitlines()
    assert line.split() == [made, "web1", "front", "c1", sandbox]
    [row] = netctl("endpoint", "inspect", "front/web1").json
    assert (row["aliases"], row["attachment"]["aliases"]) == (["www"], {"db": "db1"})
    [_, line] = netctl("container", "ls").out.splitlines()
    assert line.split() == [sandbox[:12], "c1", "1", "/run/netns/c1"]
    busy = netctl("service", "unpublish", "web1.front")
    assert busy.status == 4 and "c1" in busy.err
    assert netctl("service", "detach", "c1", "web1.front").status == 0
    assert netctl("service", "unpublish", "web1.front").status == 0
    assert netctl("container", "rm", "c1").status == 0
    assert netctl("service", "ls", "-q").out == netctl("container", "ls", "-q").out == ""


def test_the_default_network_comes_into_being(netctl: Netctl) -> None:
    assert netctl("service", "publish", "web1").status == 0
    assert netctl("network", "ls", "--format", "name").out == "bridge\n"
    info = netctl("service", "info", "web1").out
    assert re.search(r"^name +web1$", info, re.MULTILINE)
    assert re.search(r"^network +bridge$", info, re.MULTILINE)
    assert netctl("service", "unpublish", "web1.bridge").status == 0


def test_the_last_dot_splits(netctl: Netctl) -> None:
    netctl("network", "create", "b")
    netctl("service", "publish", "v1.web.b")
    assert netctl("service", "info", "v1.web.b", "--format", "{network}/{name}").out == (
        "b/v1.web\n"
    )
    missing = netctl("service", "publish", "v1.web")
    assert missing.status == 3 and "network 'web'" in missing.err


def test_parts_of_ids(netctl: Netctl) -> None:
    netctl("network", "create", "front")
    made = netctl("service", "publish", "web1.front").out.strip()
    for reference in (made, made[:12], f"{made[:12]}.front", f"{made}.front"):
        assert netctl("service", "info", reference, "--format", "name").out == "web1\n"
    netctl("network", "create", "back")
    assert netctl("service", "info", f"{made[:12]}.back").status == 3
    assert netctl("service", "info", "zz").status == 3
    assert netctl("service", "info", "web1").status == 3
    for number in range(16):
        netctl("service", "publish", f"s{number}.front")
    first = next(
        each
        for each in "0123456789abcdef"
        if sum(line.startswith(each) for line in netctl("service", "ls", "-q").out.split()) > 1
    )
    assert netctl("service", "info", f"{first}.front").status == 4


def test_unpublish_with_force_takes_it_out(netctl: Netctl) -> None:
    netctl("container", "create", "c1")
    netctl("service", "publish", "web1")
    netctl("service", "attach", "c1", "web1")
    assert netctl("service", "attach", "c1", "web1").status == 4
    assert netctl("service", "unpublish", "-f", "web1").status == 0
    assert netctl("container", "ls", "--format", "{endpoint_count}").out == "0\n"


def test_container_rm_detaches_and_services_stay(netctl: Netctl) -> None:
    netctl("container", "create", "c1")
    netctl("service", "publish", "web1")
    netctl("service", "attach", "c1", "web1", "--alias", "web2")
    assert netctl("container", "rm", "c1").status == 0
    assert netctl("service", "ls", "--format", "{name} {container}").out == "web1 \n"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["publish", ""], 2),
        (["publish", ".bridge"], 2),
        (["publish", "a.none"], 3),
        (["publish", "a", "--alias", "x:y"], 2),
        (["attach", "c1", "none"], 3),
        (["attach", "none", "web1"], 3),
        (["attach", "c1", "web1", "--alias", "a:b:c"], 2),
        (["detach", "c1", "web1"], 4),
        (["detach", "c1", "none"], 3),
        (["unpublish", "none"], 3),
        (["info", "none.bridge"], 3),
        (["ls", "--network", "none"], 3),
    ],
)
def test_wrong_words(netctl: Netctl, arguments: list[str], status: int) -> None:
    netctl("container", "create", "c1")
    netctl("service", "publish", "web1")
    done = netctl("service", *arguments)
    assert done.status == status
    assert done.out == "" and done.err.startswith("netctl: ")


def test_dry_runs_change_nothing(netctl: Netctl) -> None:
    netctl("container", "create", "c1")
    netctl("service", "publish", "web1")
    assert "type veth" in netctl("service", "attach", "c1", "web1", "--dry-run").out
    assert netctl("service", "unpublish", "web1", "--dry-run").status == 0
    assert netctl("container", "rm", "c1", "--dry-run").out
    assert netctl("service", "ls", "--format", "{name} {container}").out == "web1 \n"
