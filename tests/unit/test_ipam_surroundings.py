"""IPAM: who is in the way, and the arithmetic that keeps clear of them."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.backends.ipam import AddressPool, choice
from netctl.backends.ipam.parsing import address_text
from netctl.backends.ipam.surroundings import Occupied, Surroundings, span, surroundings
from netctl.errors import Conflict, Exhausted
from netctl.kernel import Address, Route
from netctl.models import Pool
from netctl.record import replace
from tests.unit.ipam_cases import DEFAULT, NET, NOWHERE, REQUEST, network, refused


def test_a_network_is_named_before_its_own_route_and_address() -> None:
    around = surroundings(
        networks=[network(Pool(subnet="10.0.0.0/24"))],
        routes=[Route(destination="10.0.0.0/24", gateway="", link="br-1", metric=0)],
        addresses=[Address(link="br-1", address="10.0.0.1/24")],
        resolv_conf="",
    )
    pools = (AddressPool(base="10.0.0.0/24", size=24),)
    request = replace(REQUEST, address_pools=pools)
    error = refused(Exhausted, "in the way are", lambda: DEFAULT.pools(request, around))
    assert error.message.endswith("in the way are network web (10.0.0.0/24)")


def test_many_in_the_way_are_named_in_part_and_none_that_is_elsewhere() -> None:
    networks = [network(Pool(subnet=f"10.0.{n}.0/24"), name=f"net{n}") for n in range(40)]
    around = surroundings(networks=networks, routes=[], addresses=[], resolv_conf="")
    pools = (AddressPool(base="10.0.0.0/27", size=27), AddressPool(base="10.0.4.0/22", size=24))
    request = replace(REQUEST, address_pools=pools)
    message = refused(Exhausted, "net0", lambda: DEFAULT.pools(request, around)).message
    assert re.findall(r"net\d+", message) == ["net0", "net4", "net5", "net6", "net7"]
    request = replace(REQUEST, address_pools=(AddressPool(base="10.0.0.0/19", size=24),))
    message = refused(Exhausted, "and 24 more", lambda: DEFAULT.pools(request, around)).message
    assert len(re.findall(r"net\d+", message)) == 8


@pytest.mark.parametrize(
    ("resolv_conf", "who"),
    [
        ("nameserver 172.17.0.5\n", "name server 172.17.0.5 in resolv.conf"),
        ("  nameserver\t172.17.0.5 # ours\n", "name server 172.17.0.5 in resolv.conf"),
        ("nameserver fe80::1%eth0\n", "name server fe80::1 in resolv.conf"),
    ],
)
def test_name_servers(resolv_conf: str, who: str) -> None:
    around = surroundings(networks=[], routes=[], addresses=[], resolv_conf=resolv_conf)
    assert [item.by for item in around.host] == [who]


def test_lines_of_resolv_conf_that_name_no_server() -> None:
    text = "search x\n#nameserver 10.0.0.1\nnameserver\nnameserver nonsense\n;nameserver 10.0.0.2\n"
    assert surroundings(networks=[], routes=[], addresses=[], resolv_conf=text) == NOWHERE


def test_who_on_the_host_uses_a_part_of_an_explicit_subnet() -> None:
    around = surroundings(
        networks=[network(Pool(subnet="10.0.0.0/24"))],
        routes=[
            Route(destination="0.0.0.0/0", gateway="192.0.2.1", link="eth0", metric=0),
            Route(destination="10.0.0.0/8", gateway="", link="tun0", metric=0),
            Route(destination="10.0.0.0/8", gateway="", link="tun0", metric=9),
        ],
        addresses=[Address(link="eth0", address="10.0.0.77/32")],
        resolv_conf="nameserver 10.0.1.1\n",
    )
    assert around.host_users("10.0.0.0/24") == (
        "route 10.0.0.0/8 dev tun0",
        "address 10.0.0.77/32 on eth0",
    )
    assert around.host_users("fd00::/64") == ()


addresses4 = st.integers(0, (1 << 32) - 1)
addresses6 = st.integers(0, (1 << 128) - 1)


@given(
    st.one_of(
        st.tuples(st.just(4), addresses4, st.integers(0, 32)),
        st.tuples(st.just(6), addresses6, st.integers(0, 128)),
    )
)
def test_spans_are_those_of_ipaddress(case: tuple[int, int, int]) -> None:
    version, number, length = case
    text = f"{address_text(number, version)}/{length}"
    subnet = ip_network(text, strict=False)
    expected = (version, int(subnet.network_address), int(subnet.broadcast_address))
    assert span(text) == expected


small = st.builds(
    lambda number, size: IPv4Network((number, size), strict=False),
    st.integers(0x0A000000, 0x0A0003FF),
    st.integers(22, 32),
)


@given(st.lists(small, max_size=12), st.integers(23, 30))
def test_the_choice_is_the_first_that_a_walk_would_find(used: list[IPv4Network], size: int) -> None:
    base = IPv4Network("10.0.0.0/23")
    around = Surroundings(host=tuple(Occupied(subnet=str(s), by=str(s)) for s in used))
    free = [s for s in base.subnets(new_prefix=size) if not any(s.overlaps(u) for u in used)]
    pools = [AddressPool(base=str(base), size=size)]
    if free:
        assert choice.choose(pools, None, around) == free[0]
        return
    with pytest.raises(Exhausted) as caught:
        choice.choose(pools, None, around)
    named = re.findall(r"10\.0\.\d+\.\d+/\d+", caught.value.message)
    assert named
    assert len(named) == len(set(named))
    assert all(ip_network(text).overlaps(base) for text in named)


@pytest.mark.parametrize("edge", ["10.0.0.0/32", "10.0.0.255/32"])
def test_one_address_at_the_edge_is_in_the_way(edge: str) -> None:
    used = (Occupied(subnet=edge, by="network db"),)
    pools = [AddressPool(base="10.0.0.0/16", size=24)]
    assert str(choice.choose(pools, None, Surroundings(networks=used))) == "10.0.1.0/24"
    request = replace(REQUEST, subnets=NET)
    around = Surroundings(networks=used)
    error = refused(
        Conflict, "10.0.0.0/24 overlaps network db", lambda: DEFAULT.pools(request, around)
    )
    assert error.exit_code == 4


def test_what_is_used_is_jumped_over() -> None:
    # A walk through candidates of /128 would not end.
    around = Surroundings(host=(Occupied(subnet="fd00::/49", by="route fd00::/49 dev tun0"),))
    pools = [AddressPool(base="fd00::/48", size=64)]
    assert str(choice.choose(pools, 128, around)) == "fd00:0:0:8000::/128"
