"""What is changed of objects that are there: names, labels, aliases; and what may be there already
or not be there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netctl.errors import NotFound
from netctl.models import SandboxKind
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel


@pytest.fixture
def net(netctl: Netctl) -> Netctl:
    """A network web with an endpoint web1, and sandboxes c1, which is in it, and c2."""
    for words in (
        "network create web --label tier=front --label old",
        "sandbox create c1",
        "sandbox create c2",
        "network connect web c1 --alias www",
        "endpoint create web web1",
    ):
        assert netctl(*words.split()).status == 0
    return netctl


def names_of(kernel: FakeKernel, kind: str = "endpoint") -> list[Any]:
    """What the resolver knows of names."""
    found = [m for key, m in (kernel.names or {}).items() if key.startswith(f"{kind} ")]
    return [each["name"] if kind == "network" else each["names"] for each in found]


@pytest.mark.parametrize(
    "words",
    [
        "network set web --label tier=back --label-rm tier",
        "sandbox set c1 --label a --label-rm a",
        "endpoint set web1 --label a=2 --label-rm b --label-rm a",
        "endpoint set c1 --alias www --alias-rm www",
    ],
)
def test_what_is_set_and_taken_away_at_once_is_a_contradiction(net: Netctl, words: str) -> None:
    before = [net(kind, "ls", "--format", "json").json for kind in ("network", "endpoint")]
    done = net(*words.split())
    assert done.status == 2 and "contradict each other" in done.err
    assert [net(kind, "ls", "--format", "json").json for kind in ("network", "endpoint")] == before
    # Another case is another spelling of the alias.
    assert net("endpoint", "set", "c1", "--alias", "WWW", "--alias-rm", "www").status == 0
    assert net("endpoint", "inspect", "c1", "--format", "{aliases}").out == "WWW\n"


def test_a_network_is_renamed_with_all_that_is_in_it(net: Netctl, kernel: FakeKernel) -> None:
    before = net("network", "inspect", "web").json[0]
    done = net("network", "rename", "web", "front")
    assert (done.status, done.out, done.err) == (0, "", "")
    after = net("network", "inspect", "front").json[0]
    assert {**before, "name": "front"} == after
    assert names_of(kernel, "network") == ["front"]
    assert net("network", "inspect", "web").status == 3
    assert net("endpoint", "inspect", "front/web1", "--format", "{network}").out == "front\n"
    # The old name is free.
    assert net("network", "create", "web").status == 0
    assert net("check").status == 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("network rename nope x", 3, "no network 'nope'"),
        ("network rename web web", 4, "web exists already"),
        ("network rename web db", 4, "db exists already"),
        ("network rename web -x", 2, "no such option"),
        ("network rename web a/b", 2, "is not allowed"),
        ("network rename web ..", 2, "is not allowed"),
        (f"network rename web {'a' * 64}", 2, "64 characters"),
        ("network rename web", 2, "missing argument"),
        ("endpoint rename web/web1 c1", 4, "has an endpoint c1 already"),
        ("endpoint rename web/web1 web/web2", 2, "is not allowed"),
        ("endpoint rename web/nope x", 3, "no endpoint 'web/nope'"),
        ("network set web", 2, "nothing to change is given"),
        ("sandbox set c1", 2, "nothing to change is given"),
        ("endpoint set web1", 2, "nothing to change is given"),
        ("network set web --label =x", 2, "has no name"),
        ("network set web --label-rm nope", 3, "has no label 'nope'"),
        ("network set nope --label a=b", 3, "no network 'nope'"),
        ("sandbox set c1 --label-rm nope", 3, "has no label 'nope'"),
        ("endpoint set web1 --alias -x", 2, "is not a host name"),
        ("endpoint set web1 --alias-rm nope", 3, "has no alias 'nope'"),
        ("endpoint set one/host1 --alias x", 2, "no names"),
    ],
)
def test_what_cannot_be_changed(
    net: Netctl, kernel: FakeKernel, words: str, status: int, said: str
) -> None:
    net("network", "create", "db")
    net("network", "create", "one", "-d", "host")
    net("endpoint", "create", "one", "host1")
    before = kernel.state()
    shown = net("network", "inspect", "web", "db").out
    done = net(*words.split())
    assert (done.status, done.out) == (status, "")
    assert said in done.err.lower()
    assert kernel.state() == before and net("network", "inspect", "web", "db").out == shown


def test_the_default_network_is_that_of_the_configured_name(net: Netctl) -> None:
    net("network", "create", "bridge")
    done = net("network", "rename", "bridge", "lan")
    assert done.status == 0 and "default network is still called bridge" in done.err


def test_a_name_that_decided_the_way_out_is_told(net: Netctl, kernel: FakeKernel) -> None:
    net("network", "create", "zoo")
    net("network", "connect", "zoo", "c1", "--name", "beasts")
    [route] = [r for r in kernel.routes("/run/netns/c1") if r.destination == "0.0.0.0/0"]
    done = net("network", "rename", "zoo", "ark")
    assert done.status == 0
    assert "the way out of sandbox c1 is ark/beasts now" in done.err
    [other] = [r for r in kernel.routes("/run/netns/c1") if r.destination == "0.0.0.0/0"]
    assert (route.link, other.link) == ("eth0", "eth1")
    assert net("check").status == 0


def test_an_endpoint_is_renamed(net: Netctl, kernel: FakeKernel) -> None:
    assert net("endpoint", "rename", "web/c1", "shop").status == 0
    assert names_of(kernel) == [["shop", "www"]]
    [row] = net("endpoint", "inspect", "web/shop").json
    assert (row["sandbox"], row["aliases"]) == ("c1", ["www"])
    # It goes with its sandbox still, but not by its name.
    assert net("sandbox", "rename", "c1", "c3").status == 0
    assert net("endpoint", "ls", "-q", "--filter", "name=shop").out
    assert net("check").status == 0
    assert net("sandbox", "rm", "c3", "--force").status == 0
    assert net("endpoint", "inspect", "shop").status == 3


def test_an_alias_whose_name_goes_is_told(net: Netctl) -> None:
    net("network", "connect", "web", "c2", "--alias", "c1:database")
    done = net("endpoint", "rename", "web/c1", "shop")
    assert "in sandbox c2 the alias database stands for c1, which no endpoint" in done.err
    assert net("endpoint", "rename", "web/shop", "c1").err == ""
    done = net("sandbox", "rename", "c1", "c3")
    assert "the alias database stands for c1" in done.err
    # Where another has the name, it stands for that.
    net("endpoint", "set", "web/c3", "--alias", "web1")
    net("endpoint", "leave", "web/c2")
    net("endpoint", "join", "web/c2", "c2", "--alias", "web1:database")
    assert net("endpoint", "rename", "web/web1", "other").err == ""


def test_labels_are_changed(net: Netctl) -> None:
    for kind, name in (("network", "web"), ("sandbox", "c1"), ("endpoint", "web1")):
        words = ("--label", "tier=back", "--label", "x")
        assert net(kind, "set", name, *words).status == 0
        assert net(kind, "set", name, "--label-rm", "x", "--label", "y=1").status == 0
        [row] = net(kind, "inspect", name).json
        expected = {"tier": "back", "y": "1"} | ({"old": ""} if kind == "network" else {})
        assert row["labels"] == expected
        assert name in net(kind, "ls", "--format", "name", "--filter", "label=y=1").out


def test_aliases_are_changed_at_once(net: Netctl, kernel: FakeKernel) -> None:
    assert net("endpoint", "set", "web/c1", "--alias", "shop", "--alias", "WWW").status == 0
    assert names_of(kernel) == [["c1", "www", "shop"]]
    assert net("endpoint", "set", "web/c1", "--alias-rm", "Www", "--alias", "mall").status == 0
    assert names_of(kernel) == [["c1", "shop", "mall"]]
    assert net("check").status == 0
    assert net("endpoint", "set", "web1", "--alias", "later").status == 0
    net("endpoint", "join", "web1", "c2")
    assert ["web1", "later"] in names_of(kernel)


def test_changes_have_a_dry_run(net: Netctl, kernel: FakeKernel) -> None:
    before = kernel.state()
    for words in (
        "network rename web front",
        "endpoint rename web/c1 shop",
        "endpoint set web/c1 --alias shop",
    ):
        done = net(*words.split(), "--dry-run")
        assert done.status == 0 and "resolver.sock" in done.out
    assert net("network", "set", "web", "--label", "a", "--dry-run").out == ""
    assert kernel.state() == before and net("network", "inspect", "front").status == 3


def test_connect_accepts_what_is_connected(net: Netctl) -> None:
    again = ("network", "connect", "web", "c1", "--alias", "www", "--if-not-exists")
    [row] = net("endpoint", "inspect", "web/c1").json
    done = net(*again)
    assert (done.status, done.out, done.err) == (0, f"{row['id']}\n", "")
    for words in (("--name", "c1"), ("--ip", row["ipv4"].partition("/")[0])):
        assert net(*again, *words).out == done.out
    for words, said in (
        (("--priority", "7"), "priority"),
        (("--alias", "db:x"), "local aliases"),
        (("--alias", "other"), "aliases"),
        (("--ip", "172.17.0.99"), "ip"),
        (("-p", "80"), "ports"),
    ):
        refused = net(*again, *words)
        assert refused.status == 4 and f"another definition: {said}" in refused.err
    # Another name is another endpoint.
    assert net(*again, "--name", "second").out not in ("", done.out)
    assert net("network", "connect", "web", "c1").status == 4
    # What is not there is made.
    assert net("network", "connect", "web", "c2", "--if-not-exists").status == 0
    assert net("network", "connect", "nope", "c2", "--if-not-exists").status == 3


def test_connect_accepts_an_endpoint_of_another_name(net: Netctl) -> None:
    net("endpoint", "join", "web1", "c2")
    made = net("network", "connect", "web", "c2", "--if-not-exists")
    assert made.out == net("endpoint", "inspect", "web1", "--format", "{id}").out
    assert len(net("endpoint", "ls", "-q").out.split()) == 2


def test_join_accepts_what_is_joined(net: Netctl) -> None:
    join = ("endpoint", "join", "web1", "c2", "--priority", "3")
    assert net(*join, "--if-not-exists").status == 0
    assert net(*join, "--if-not-exists").status == 0
    assert net(*join).status == 4
    refused = net("endpoint", "join", "web1", "c2", "--if-not-exists")
    assert refused.status == 4 and "another definition: priority" in refused.err
    refused = net("endpoint", "join", "web1", "c1", "--priority", "3", "--if-not-exists")
    assert refused.status == 4 and "is in sandbox c2" in refused.err


def test_what_is_left_of_a_sandbox_is_not_accepted(net: Netctl, kernel: FakeKernel) -> None:
    kernel.reboot()
    for words in ("network connect web c1 --alias www", "endpoint join web/c1 c1"):
        done = net(*words.split(), "--if-not-exists")
        assert done.status == 4 and "is gone" in done.err


def test_what_is_not_joined_is_ignored(net: Netctl, kernel: FakeKernel) -> None:
    before = kernel.state()
    for words, status in (
        ("endpoint leave web1", 4),
        ("endpoint leave web1 c1", 4),
        ("endpoint leave nope", 3),
        ("endpoint leave web1 nope", 3),
        ("network disconnect web c2", 3),
        ("network disconnect nope c1", 3),
        ("network disconnect web nope", 3),
    ):
        assert net(*words.split()).status == status
        done = net(*words.split(), "--ignore-missing")
        assert (done.status, done.out, done.err) == (0, "", "")
    # That it is somewhere else is an error still.
    assert net("endpoint", "leave", "web/c1", "c2", "--ignore-missing").status == 4
    assert kernel.state() == before
    assert net("network", "disconnect", "web", "c1", "--ignore-missing").status == 0
    assert net("network", "disconnect", "web", "c1", "--ignore-missing").status == 0


def test_the_handles_say_it_too(net: Netctl) -> None:
    from netctl.controller import Controller

    with Controller() as controller:
        network = controller.networks.get("web").rename("front").update(labels={"a": "b"})
        assert (network.name, network.doc.labels["a"]) == ("front", "b")
        endpoint = controller.endpoints.get("front/web1")
        endpoint.rename("web2")
        endpoint.update(aliases=["x"], labels={"c": "d"})
        assert (endpoint.name, endpoint.doc.aliases, endpoint.doc.labels) == (
            "web2",
            ("x",),
            {"c": "d"},
        )
        sandbox = controller.sandboxes.get("c2").rename("c3").update(labels={"e": "f"})
        assert (sandbox.name, sandbox.doc.labels) == ("c3", {"e": "f"})
        assert sandbox.doc.type is SandboxKind.OWN and list(sandbox.processes()) == []
        endpoint.join(sandbox)
        endpoint.join(sandbox, if_not_exists=True)
        with pytest.raises(NotFound):
            endpoint.update(aliases_gone=["y"])
    assert json.loads(net("endpoint", "inspect", "front/web2").out)[0]["sandbox"] == "c3"
