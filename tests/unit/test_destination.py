"""How a packet's destination is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netctl.controller import Controller
from netctl.doctor.destination import Destination, parse
from netctl.errors import InvalidInput, NetctlError
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config


@pytest.fixture
def c(tmp_path: Path) -> Controller:
    made = Controller(config(tmp_path), kernel=FakeKernel())
    made.networks.create("web", ipv6=True)
    made.networks.create("six", ipv4=False, ipv6=True)
    made.sandboxes.create("c1")
    made.endpoints.connect("web", "c1", name="web1")
    made.endpoints.create("six", "only6")
    return made


@pytest.mark.parametrize(
    ("text", "address", "protocol", "port"),
    [
        ("192.0.2.7", "192.0.2.7", "icmp", 0),
        ("192.0.2.7:443", "192.0.2.7", "tcp", 443),
        ("192.0.2.7:53/udp", "192.0.2.7", "udp", 53),
        ("192.0.2.7:53/tcp", "192.0.2.7", "tcp", 53),
        ("2001:DB8::1", "2001:db8::1", "icmp", 0),
        ("[2001:db8::1]", "2001:db8::1", "icmp", 0),
        ("[2001:db8::1]:80", "2001:db8::1", "tcp", 80),
        ("fe80::1", "fe80::1", "icmp", 0),
        ("web1", "172.17.0.2", "icmp", 0),
        ("web/web1:80", "172.17.0.2", "tcp", 80),
        ("c1:80/udp", "172.17.0.2", "udp", 80),
    ],
)
def test_what_is_a_destination(
    c: Controller, text: str, address: str, protocol: str, port: int
) -> None:
    found = parse(text, c.store)
    assert found == Destination(address=address, protocol=protocol, port=port)
    assert parse(found.text, c.store) == found


@pytest.mark.parametrize(
    ("text", "zone", "port"),
    [
        ("fe80::1%eth0", "eth0", 0),
        ("[fe80::1%eth1]", "eth1", 0),
        ("[FE80::1%a.b-c]:80", "a.b-c", 80),
    ],
)
def test_an_address_of_a_link_has_its_zone(c: Controller, text: str, zone: str, port: int) -> None:
    found = parse(text, c.store)
    assert (found.address, found.zone, found.port) == ("fe80::1", zone, port)
    assert parse(found.text, c.store) == found


@pytest.mark.parametrize("text", ["fe80::1%", "fe80::1%a/b", "fe80::1%%", "192.0.2.1%eth0"])
def test_a_zone_that_is_none(c: Controller, text: str) -> None:
    with pytest.raises(InvalidInput, match="is no address"):
        parse(text, c.store)


@pytest.mark.parametrize("text", ["example.org", "www.example.org:443", "web.nowhere:80/udp"])
def test_names_of_hosts_are_refused_with_what_is_taken(c: Controller, text: str) -> None:
    with pytest.raises(InvalidInput, match="not resolved") as caught:
        parse(text, c.store)
    assert caught.value.exit_code == 2 and "[2001:db8::1]:443" in (caught.value.hint or "")


def test_a_sandbox_in_several_networks(c: Controller) -> None:
    """Its endpoints often have its own name; the one counts that is in a network of the sender."""
    c.sandboxes.create("c2")
    web, db = (c.networks.create(name).id for name in ("front", "back"))
    for name in ("front", "back"):
        c.endpoints.connect(name, "c2")
    first, second = (
        c.endpoints.get(f"{name}/c2").doc.ipv4.partition("/")[0] for name in ("front", "back")
    )
    assert parse("c2", c.store).address == first
    assert parse("c2:80", c.store, {db}).address == second
    assert parse("c2", c.store, {web, db}).address == first
    with pytest.raises(NetctlError, match="ambiguous"):
        c.endpoints.get("c2")


def test_an_endpoint_without_ipv4(c: Controller) -> None:
    assert ":" in parse("six/only6:1", c.store).address


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.text(max_size=20) | st.from_regex(r"[0-9.:\[\]a-f/]{0,25}", fullmatch=True))
def test_whatever_is_typed_is_an_address_or_an_error(c: Controller, text: str) -> None:
    try:
        found = parse(text, c.store)
    except NetctlError as error:
        assert error.exit_code in (2, 3, 4)
    else:
        assert found.address and 0 <= found.port <= 65535
