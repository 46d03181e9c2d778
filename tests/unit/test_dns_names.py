"""What the resolver is told, and what a sandbox then finds under a name."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from netctl.backends.dns import model
from netctl.backends.dns.model import Endpoint, Member, Network
from netctl.backends.dns.zones import AAAA, ANY, PTR, A, Budget, View, Zones
from netctl.errors import InvalidInput

MX = 15


def endpoint(id: str, network: str, names: str, *addresses: str) -> Endpoint:
    return Endpoint(id=id, network=network, names=tuple(names.split()), addresses=addresses)


def member(network: str, **aliases: str) -> Member:
    return Member(endpoint="e", network=network, aliases=tuple(aliases.items()))


@pytest.fixture
def zones() -> Zones:
    made = Zones()
    made.put_network(Network(id="n1", name="Web", forward=True))
    made.put_network(Network(id="n2", name="db.int", forward=False))
    for item in (
        endpoint("e1", "n1", "web1 www", "10.0.0.1", "fd00::1"),
        endpoint("e2", "n1", "web2 www", "10.0.0.2"),
        endpoint("e3", "n1", "", "10.0.0.3"),
        endpoint("e4", "n2", "web1", "10.9.0.1"),
        endpoint("e5", "n2", "six", "fd09::5"),
        endpoint("e6", "n1", "six", "10.0.0.6"),
        endpoint("e7", "n1", "a.b"),
    ):
        made.put_endpoint(item)
    return made


def found(view: View, name: str, kind: int = A) -> list[str] | None:
    records = view.find(name, kind)
    if records is None:
        return None
    return [
        data.decode("latin-1") if kind == PTR else str(ip_address(data)) for kind, data in records
    ]


def test_names_of_the_networks_that_the_sandbox_is_in(zones: Zones) -> None:
    web, both = zones.view([member("n1")]), zones.view([member("n2"), member("n1")])
    assert found(web, "web1") == ["10.0.0.1"]
    assert found(web, "web1", AAAA) == ["fd00::1"]
    assert found(web, "web1", ANY) == ["10.0.0.1", "fd00::1"]
    assert found(web, "www") == ["10.0.0.1", "10.0.0.2"]
    assert found(web, "web1.web") == ["10.0.0.1"]
    assert found(web, "web1.db.int") is None
    assert found(both, "web1") == ["10.9.0.1"]
    assert found(both, "web1.db.int") == ["10.9.0.1"]
    assert found(both, "web1.web") == ["10.0.0.1"]
    assert found(both, "web1.int") is None


def test_a_name_without_the_type_is_empty_and_another_network_may_have_it(zones: Zones) -> None:
    web, both = zones.view([member("n1")]), zones.view([member("n2"), member("n1")])
    assert found(web, "web2", AAAA) == []
    assert found(web, "web2", MX) == []
    assert found(web, "a.b") == []
    assert found(both, "six", AAAA) == ["fd09::5"]
    assert found(both, "six", A) == ["10.0.0.6"]
    assert found(both, "web1", AAAA) == ["fd00::1"]
    assert found(web, "nobody") is None and found(web, "") is None


def test_aliases_hold_for_one_sandbox(zones: Zones) -> None:
    view = zones.view([member("n1", Db="Web2", web1="web2")])
    assert found(view, "db") == found(view, "db.web") == ["10.0.0.2"]
    # What is an alias is not looked up as a name as well.
    assert found(view, "web1") == ["10.0.0.2"]
    assert found(zones.view([member("n1", web1="nobody")]), "web1") is None
    assert found(zones.view([member("n1")]), "db") is None


def test_addresses_lead_to_the_first_name(zones: Zones) -> None:
    web, both = zones.view([member("n1")]), zones.view([member("n2"), member("n1")])
    assert found(web, "2.0.0.10.in-addr.arpa", PTR) == ["\4web2\3Web\0"]
    assert found(web, ip_address("fd00::1").reverse_pointer, PTR) == ["\4web1\3Web\0"]
    assert found(both, "1.0.9.10.in-addr.arpa", PTR) == ["\4web1\2db\3int\0"]
    assert found(web, "1.0.9.10.in-addr.arpa", PTR) is None
    assert found(web, "3.0.0.10.in-addr.arpa", PTR) == []
    assert found(web, "2.0.0.10.in-addr.arpa", A) == []


def test_what_changes_is_found_at_once(zones: Zones) -> None:
    view = zones.view([member("n1")])
    zones.put_endpoint(endpoint("e1", "n1", "web9", "10.0.0.9"))
    assert found(view, "web9") == ["10.0.0.9"] and found(view, "web1") is None
    assert found(view, "1.0.0.10.in-addr.arpa", PTR) is None
    zones.drop_endpoint("e2")
    assert found(view, "www") is None
    zones.put_network(Network(id="n1", name="lan", forward=False))
    assert found(view, "web9.lan") == ["10.0.0.9"] and found(view, "web9.web") is None
    assert not view.forward
    zones.drop_network("n1")
    assert found(view, "web9.lan") is None


def test_only_the_answers_that_have_become_wrong_are_forgotten(zones: Zones) -> None:
    views = [zones.view([member("n1")]), zones.view([member("n2")])]
    assert views[0] is zones.view([member("n1")])
    kept = ("web2", "web2.web", "2.0.0.10.in-addr.arpa")
    for view in views:
        for name in ("web1", "www.web", "1.0.0.10.in-addr.arpa", *kept):
            view.remember(name, name.encode(), iter(()), 100)
    zones.put_endpoint(endpoint("e1", "n1", "new", "10.0.0.1"))
    assert set(views[0].answers) == {name.encode() for name in kept}
    assert len(views[1].answers) == 6


def test_an_alias_is_forgotten_with_what_it_stands_for(zones: Zones) -> None:
    view = zones.view([member("n1", db="web1")])
    for name in ("db", "db.web", "web2"):
        view.remember(name, name.encode(), iter(()), 100)
    zones.drop_endpoint("e1")
    assert set(view.answers) == {b"web2"}


def test_the_memory_for_answers_is_bounded() -> None:
    budget = Budget(10000)
    views = [View((), budget), View((), budget)]
    for index in range(1000):
        views[index % 2].remember("name", b"%d" % index, iter(()), 1000)
        assert sum(len(view.answers) for view in views) <= 10


SANDBOX = {
    "do": "sandbox",
    "id": "s",
    "netns": "/run/netns/s",
    "members": [{"endpoint": "e", "network": "n", "aliases": {"a": "b"}}],
    "servers": [{"address": "2001:db8::1", "host": True}],
    "ndots": 1,
}
PORT = {"protocol": "tcp", "outer": 8080, "inner": 80, "count": 2}
RELAY: dict[str, object] = {"do": "relay", "id": "e", "addresses": ["fd00::1"], "ports": [PORT]}
MESSAGES: list[dict[str, object]] = [
    {"do": "network", "id": "n", "name": "web", "forward": True},
    {"do": "endpoint", "id": "e", "network": "n", "names": ["a"], "addresses": ["10.0.0.1"]},
    SANDBOX,
    RELAY,
]


def test_messages_survive_the_way() -> None:
    items = model.changes({"do": "all", "of": MESSAGES})
    assert [model.message(item) for item in items if not isinstance(item, model.Gone)] == MESSAGES
    assert model.changes({"do": "sandbox-gone", "id": "s"}) == [model.Gone(kind="sandbox", id="s")]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"do": 1},
        {"do": "something"},
        {"do": "-gone", "id": "x"},
        {"do": "all-gone", "id": "x"},
        {"do": "all", "of": {}},
        {"do": "all", "of": [{"do": "all", "of": []}]},
        {"do": "all", "of": ["x"]},
        {"do": "network-gone"},
        {"do": "network", "id": "../x", "name": "web", "forward": True},
        {"do": "network", "id": "n", "name": "", "forward": True},
        {"do": "network", "id": "n", "name": "web", "forward": 1},
        {**MESSAGES[1], "names": "a"},
        {**MESSAGES[1], "names": ["é"]},
        {**MESSAGES[1], "addresses": ["10.0.0.0/24"]},
        {**MESSAGES[1], "addresses": [1]},
        {**SANDBOX, "netns": None},
        {**SANDBOX, "members": [1]},
        {**SANDBOX, "members": [{"endpoint": "e", "network": "n", "aliases": {"a": 1}}]},
        {**SANDBOX, "servers": [{"address": "10.0.0.1"}]},
        {**SANDBOX, "servers": [{"address": "10.0.0.1", "host": False}] * 17},
        {**SANDBOX, "ndots": -1},
        {**SANDBOX, "ndots": True},
        {**RELAY, "addresses": ["here"]},
        {**RELAY, "ports": {}},
        *(
            {**RELAY, "ports": [{**PORT, key: value}]}
            for key, value in (
                *(("protocol", "sctp"), ("outer", 0), ("outer", 65535), ("inner", -1)),
                *(("inner", 65535), ("count", 0), ("count", True), ("count", None)),
            )
        ),
    ],
    ids=repr,
)
def test_a_wrong_message_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        model.changes(wrong)


@pytest.mark.parametrize(
    ("name", "kind", "ours"),
    [
        ("gone", A, True),
        ("gone", AAAA, True),
        ("gone", MX, True),
        ("gone.web", A, True),
        ("a.gone.web", A, True),
        ("gone.db.int", MX, True),
        # Not in this one's networks, or none of a network's.
        ("gone.other", A, False),
        ("gone.int", A, False),
        ("goneweb.test", A, False),
        ("web", A, True),
        ("1.0.0.10.in-addr.arpa", PTR, False),
        # What is asked of domains, not of hosts.
        ("com", 2, False),
        ("com", 43, False),
        ("", A, False),
    ],
)
def test_whose_names_are_nowhere_else(zones: Zones, name: str, kind: int, ours: bool) -> None:
    assert zones.view((member("n1"), member("n2"))).governs(name, kind) is ours
    assert not zones.view(()).governs("gone.web", kind)
