"""Gateway modes and their like: what options come to, and what becomes of ports."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from netctl.allotment import Place, allot
from netctl.backends import access, firewall, opening
from netctl.backends.options import PREFIX
from netctl.errors import Conflict, InvalidInput, NetctlError, Unsupported
from netctl.models import Endpoint, Network, Pool, Port
from netctl.ports import parse, shown
from netctl.record import replace


def network(*, internal: bool = False, options: Mapping[str, str] | None = None) -> Network:
    plain = Network(
        id="a" * 64, name="web", driver="bridge", created="", internal=internal, enable_ipv6=True
    )
    given = {PREFIX + "bridge." + key: value for key, value in (options or {}).items()}
    facts = {"bridge": "br0", "icc": "true", "addresses": "10.0.0.1/24 fd00::1/64"}
    pools = (Pool(subnet="10.0.0.0/24"), Pool(subnet="fd00::/64"))
    return replace(plain, pools=pools, facts=facts | access.facts(plain, given, "br0"))


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("gateway_mode_ipv4", "bridged", "is not a mode"),
        ("gateway_mode_ipv6", "isolated", "internal"),
        ("gateway_mode_ipv4", "", "is not a mode"),
        ("trusted_host_interfaces", "eth0::eth1", "not allowed as an interface name"),
        ("trusted_host_interfaces", "eth0 eth1", "not allowed as an interface name"),
        ("trusted_host_interfaces", "lo", "not allowed as an interface name"),
        ("allow_direct_routing", "maybe", "not a boolean"),
        ("host_binding_ipv4", "localhost", "not an address"),
        ("host_binding_ipv4", "ff02::1", "not an address"),
        ("host_binding_ipv4", "fe80::1%eth0", "not an address"),
        ("host_binding_ipv4", "fe80::1", "not an address"),
        ("host_binding_ipv4", "::ffff:192.0.2.1", "not an address"),
        ("host_binding_ipv4", "255.255.255.255", "not an address"),
        ("trusted_host_interfaces", "eth1:br0", "the network's own bridge"),
        ("default_bridge", "true", "default one by its name"),
        ("default_bridge", "perhaps", "not a boolean"),
    ],
)
def test_bad_options_are_named_with_a_remedy(option: str, value: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        network(options={option: value})
    assert option in caught.value.message
    assert caught.value.hint or "address" in said


@pytest.mark.parametrize(
    ("value", "binding"), [("0.0.0.0", ""), ("", ""), ("::", "::"), ("::1", "::1")]
)
def test_the_default_binding_means_both_families(value: str, binding: str) -> None:
    assert access.binding(network(options={"host_binding_ipv4": value})) == binding


NAT, ROUTED = (
    network(),
    network(options={"gateway_mode_ipv4": "routed", "gateway_mode_ipv6": "routed"}),
)
MIXED = network(options={"gateway_mode_ipv6": "routed"})
DIRECT = network(options={"allow_direct_routing": "true"})
LOOPBACK = network(options={"host_binding_ipv4": "127.0.0.1"})
LOOPBACK6 = network(options={"host_binding_ipv4": "::1"})


@pytest.mark.parametrize(
    ("where", "spec", "expected"),
    [
        (NAT, "8080:80", ["*:8080->80/tcp"]),
        (ROUTED, "8080:80", ["80/tcp"]),
        (ROUTED, "192.0.2.1:8080:80", ["80/tcp 0.0.0.0"]),
        (MIXED, "8080:80", ["80/tcp ::", "0.0.0.0:8080->80/tcp"]),
        (MIXED, "127.0.0.1:8080:80", ["127.0.0.1:8080->80/tcp"]),
        (MIXED, "[2001:db8::1]:8080:80", ["80/tcp ::"]),
        (LOOPBACK, "8080:80", ["127.0.0.1:8080->80/tcp"]),
        (LOOPBACK, "0.0.0.0:8080:80", ["0.0.0.0:8080->80/tcp"]),
    ],
)
def test_what_becomes_of_a_port(where: Network, spec: str, expected: list[str]) -> None:
    parts, _ = allot(Place(network=where, endpoint="e", versions=(4, 6)), [parse(spec)])
    found = [
        shown(part.port) if part.lent else f"{shown(part.port)} {part.port.host_ip}".strip()
        for part in parts
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("place", "spec", "said"),
    [
        (Place(network=NAT, endpoint="e", versions=(4,)), "[2001:db8::1]:80:80", "no IPv6 address"),
        (Place(network=NAT, endpoint="e", versions=(6,)), "192.0.2.1:80:80", "no IPv4 address"),
        (Place(network=LOOPBACK, endpoint="e", versions=(6,)), "80:80", "publishes on 127.0.0.1"),
        (Place(network=ROUTED, endpoint="e", versions=(4, 6)), "127.0.0.1:80:80", "this host"),
        (Place(network=ROUTED, endpoint="e", versions=(4, 6)), "[::1]:80:80", "this host"),
        (Place(network=LOOPBACK6, endpoint="e", versions=(4,)), "80:80", "publishes on ::1"),
        (Place(network=LOOPBACK6, endpoint="e", versions=(6,)), "80:80/sctp", "only TCP and"),
        (Place(network=NAT, endpoint="e", versions=(4,), way_out=False), "80", "way out"),
        (
            Place(
                network=ROUTED,
                endpoint="e",
                versions=(4, 6),
                ports=(Port(protocol="tcp", first=80, last=80),),
            ),
            "8080:80",
            "publishes 80/tcp already",
        ),
    ],
)
def test_what_cannot_be_published_is_refused(place: Place, spec: str, said: str) -> None:
    with pytest.raises(NetctlError, match=said) as caught:
        allot(place, [parse(spec)])
    assert isinstance(caught.value, InvalidInput | Conflict | Unsupported)


def test_an_endpoint_that_is_never_the_way_out_can_be_reached_directly() -> None:
    place = Place(network=DIRECT, endpoint="e", versions=(4, 6), way_out=False)
    parts, _ = allot(place, [parse("8080:80")])
    assert [(part.lent, shown(part.port)) for part in parts] == [(False, "80/tcp")]


def notices(where: Network, spec: str) -> list[str]:
    return list(allot(Place(network=where, endpoint="e", versions=(4, 6)), [parse(spec)])[1])


def test_what_is_ignored_is_said() -> None:
    assert notices(ROUTED, "80") == notices(NAT, "8080:80") == []
    assert "not used" in notices(ROUTED, "8080:80")[0]
    assert "not reachable from outside" in notices(network(internal=True), "8080:80")[0]


def endpoint(*specs: str) -> Endpoint:
    ports = tuple(parse(spec) for spec in specs)
    return Endpoint(
        id="e" * 64, name="e", network_id="a" * 64, created="", ipv4="10.0.0.2/24", ports=ports
    )


def test_open_ports_are_one_rule_of_merged_ranges() -> None:
    text = opening.text(DIRECT, endpoint("80", "81-83", "90", "100-110", "105-120", "53/udp"))
    assert "tcp dport { 80-83, 90, 100-120 } accept" in text
    assert "udp dport { 53 } accept" in text
    assert text.count("add rule") == 2


def test_a_port_of_the_loopback_is_never_open() -> None:
    assert "add rule" not in opening.text(DIRECT, endpoint("127.0.0.1:8080:80"))
    assert opening.text(NAT, endpoint("8080:80")) == ""


def test_an_internal_network_lets_nobody_in() -> None:
    everything = network(
        internal=True,
        options={
            "gateway_mode_ipv4": "nat-unprotected",
            "gateway_mode_ipv6": "routed",
            "allow_direct_routing": "true",
            "trusted_host_interfaces": "eth0",
        },
    )
    names = {name for name, _ in firewall.elements_of(everything)}
    assert names.isdisjoint({"inward4", "inward6"})
    assert [item for name, item in firewall.elements_of(everything) if name == "pairs"] == [
        '"br0" . "br0" : accept'
    ]
    assert opening.text(everything, endpoint("80")) == ""
