"""What the resolver is told: which ports it relays from ::1."""

from __future__ import annotations

import pytest

from netctl import naming
from netctl.config import Config
from netctl.gateway import Member
from netctl.models import Attachment, Endpoint, Network, Port, Sandbox
from netctl.ports import parse
from netctl.record import replace

BOOT = "this one"
NETWORK = Network(id="n", name="web", driver="bridge", created="", facts={"bridge": "br-n"})
SANDBOX = Sandbox(id="s", name="c1", created="", netns="/run/netns/c1", boot_id=BOOT)
BOTH = {4: "10.0.0.1", 6: "fd00::1"}


def published(spec: str) -> Port:
    port = parse(spec)
    # As it is when the host's port has been chosen.
    return replace(port, host_first=port.host_first or 40000)


def member(
    *specs: str,
    name: str = "web1",
    gateways: dict[int, str] | None = None,
    facts: dict[str, str] | None = None,
    ipv6: str = "fd00::2/64",
) -> Member:
    place = Attachment(sandbox_id="s", netns="/run/netns/c1", boot_id=BOOT)
    endpoint = Endpoint(
        id=name,
        name=name,
        network_id="n",
        created="",
        ports=tuple(published(spec) for spec in specs),
        ipv4="10.0.0.2/24",
        ipv6=ipv6,
    )
    network = replace(NETWORK, facts={**NETWORK.facts, **(facts or {})})
    ways = BOTH if gateways is None else gateways
    return Member(network=network, endpoint=endpoint, attachment=place, gateways=ways)


def relays(*members: Member, boot_id: str = BOOT) -> dict[str, object]:
    found = naming.model(SANDBOX, members, boot_id)
    return {id: message for (kind, id), message in found.items() if kind == "relay"}


def port(protocol: str, outer: int, inner: int, count: int = 1) -> dict[str, object]:
    return {"protocol": protocol, "outer": outer, "inner": inner, "count": count}


def test_ports_of_all_addresses_and_of_the_loopback_are_relayed() -> None:
    specs = ("[::1]:81:80/udp", "8080:80", "[::]:90-93:90-93", "7000:70/sctp")
    elsewhere = ("0.0.0.0:1:1", "127.0.0.1:2:2", "[2001:db8::1]:3:3", "192.0.2.1:4:4")
    expected = {
        "do": "relay",
        "id": "web1",
        "addresses": ["fd00::2", "10.0.0.2"],
        "ports": [port("tcp", 90, 90, 4), port("tcp", 8080, 80), port("udp", 81, 80)],
    }
    assert relays(member(*specs, *elsewhere)) == {"web1": expected}
    # In whatever order they were published.
    assert relays(member(*elsewhere, *reversed(specs))) == {"web1": expected}


@pytest.mark.parametrize(
    "item",
    [
        member(),
        member("0.0.0.0:80:80", "[2001:db8::1]:80:80"),
        member("8080:80", gateways={4: "10.0.0.1"}),
        member("8080:80", gateways={}),
        member("8080:80", ipv6=""),
        member("8080:80", facts={"mode6": "routed"}),
    ],
    ids=["nothing", "elsewhere", "not the way out", "no way out", "no IPv6", "routed"],
)
def test_what_is_not_lent_for_ipv6_is_not_relayed(item: Member) -> None:
    assert relays(item) == {}


def test_the_way_out_of_ipv6_has_the_ports() -> None:
    one, other = member("8080:80"), member("8081:80", name="web2", gateways={6: "fd00::1"})
    assert set(relays(one, other)) == {"web1"}
    first = replace(other, attachment=replace(other.attachment, priority=1))
    assert set(relays(one, first)) == {"web2"}


def test_what_was_published_in_another_boot_is_gone() -> None:
    assert relays(member("8080:80"), boot_id="the next") == {}


def test_a_relay_alone_keeps_the_resolver_at_work() -> None:
    config = Config()
    plain = naming.model(SANDBOX, [member()], BOOT)
    assert naming.begin(plain, config) == ()
    assert naming.begin(naming.model(SANDBOX, [member("8080:80")], BOOT), config)
    assert naming.begin(naming.model(replace(SANDBOX, served=True), [], BOOT), config)
