"""IPAM's finer rules: what is refused and why, who is named, and what a search may cost."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.backends import ipam
from netctl.backends.ipam import (
    AddressPool,
    Occupied,
    PoolRequest,
    Surroundings,
    allocate,
    choice,
    surroundings,
)
from netctl.backends.ipam.parsing import address_text
from netctl.backends.ipam.surroundings import span
from netctl.errors import Conflict, Exhausted, InvalidInput, NetctlError
from netctl.kernel import Address, Route
from netctl.models import Network, Pool

DEFAULT = ipam.load("default")
REQUEST = PoolRequest(machine_id="0123456789abcdef0123456789abcdef")
NOWHERE = Surroundings()
NET = ("10.0.0.0/24",)


def network(*pools: Pool, name: str = "web") -> Network:
    return Network(id="n" * 64, name=name, driver="bridge", created="", pools=pools)


def nobody(address: str) -> str | None:
    return None


def refused(error: type[NetctlError], words: str, call: Callable[[], object]) -> NetctlError:
    """Return the error, which must have these words in it and a remedy."""
    with pytest.raises(error, match=re.escape(words)) as caught:
        call()
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subnets": ("10.0.0.0/255.255.255.0",)}, "'10.0.0.0/255.255.255.0' is not CIDR"),
        ({"subnets": ("10.0.0.0/0.0.0.255",)}, "is not CIDR"),
        ({"subnets": ("10.0.0.0/-1",)}, "is not CIDR"),
        ({"subnets": ("10.0.0.0/٢٤",)}, "is not CIDR"),
        ({"subnets": ("10.0.0.0/24/24",)}, "is not CIDR"),
        ({"subnets": (" 10.0.0.0/24",)}, "is not CIDR"),
        ({"subnets": ("",)}, "'' is not CIDR"),
        ({"subnets": ("auto",)}, "'auto' is not CIDR"),
        ({"subnets": ("auto/0",)}, "is not CIDR"),
        ({"subnets": ("x" * 5000,)}, "x" * 60 + "' is not CIDR"),
        ({"subnets": ("fe80::1%eth0/64",), "ipv6": True}, "is not CIDR"),
        ({"subnets": ("fd00::1/64",), "ipv6": True}, "should be fd00::/64"),
        ({"subnets": ("126.0.0.0/7",)}, "127.0.0.0/8 is loopback"),
        ({"subnets": ("192.0.0.0/2",)}, "224.0.0.0/4 is multicast"),
        ({"subnets": ("168.0.0.0/5",)}, "169.254.0.0/16 is link-local"),
        ({"subnets": ("255.255.255.255/32",)}, "255.255.255.255/32 is broadcast"),
        ({"subnets": ("0.1.0.0/16",)}, "0.0.0.0/8 is unspecified"),
        ({"subnets": ("::/0",), "ipv6": True}, "is not for hosts"),
        ({"subnets": ("0::/64",), "ipv6": True}, "::/128 is unspecified"),
        ({"subnets": ("::1/128",), "ipv6": True}, "::1/128 is loopback"),
        ({"subnets": ("::ffff:10.0.0.0/120",), "ipv6": True}, "is IPv4-mapped"),
        ({"subnets": ("fe80::/64",), "ipv6": True}, "is link-local"),
        ({"subnets": ("ff02::/64",), "ipv6": True}, "is multicast"),
        ({"subnets": ("fd00::/64",)}, "fd00::/64 is IPv6, which this network has not"),
        ({"subnets": ("auto/64",)}, "auto/64 is IPv6, which this network has not"),
        ({"subnets": ("::/64",)}, "::/64 is IPv6, which this network has not"),
        (
            {"subnets": ("0.0.0.0/26",), "ipv4": False, "ipv6": True},
            "0.0.0.0/26 is IPv4, which this network has not",
        ),
        ({"subnets": ("0.0.0.0/40",)}, "'0.0.0.0/40': the size is a prefix length, 1 to 32"),
        ({"subnets": ("auto/00",)}, "'auto/00': the size is a prefix length, 1 to 128"),
        ({"subnets": ("auto/-4",)}, "the size is a prefix length"),
        ({"subnets": ("auto/26",), "ipv4": False, "ipv6": True}, "as large as /26"),
        ({"subnets": (*NET, *NET)}, "subnets 10.0.0.0/24 and 10.0.0.0/24 overlap"),
        ({"ipv4": False}, "needs a family"),
        (
            {"gateways": ("172.17.0.1",)},
            "gateway 172.17.0.1 is outside of the subnets (none given)",
        ),
        ({"subnets": ("auto/24",), "gateways": ("172.17.0.1",)}, "(none given)"),
        ({"subnets": NET, "gateways": ("10.0.0.1/24",)}, "'10.0.0.1/24' is not an IP address"),
        ({"subnets": NET, "gateways": ("10.0.0.01",)}, "is not an IP address"),
        ({"subnets": NET, "gateways": ("fe80::1%eth0",)}, "is not an IP address"),
        (
            {"subnets": NET, "gateways": ("::ffff:10.0.0.1",)},
            "outside of the subnets (10.0.0.0/24)",
        ),
        (
            {"subnets": ("fd00::/64",), "ipv6": True, "gateways": ("fd00::",)},
            "gateway fd00:: is the subnet-router anycast address of fd00::/64",
        ),
        ({"subnets": NET, "gateways": ("10.0.0.9", "10.0.0.9")}, "two gateways"),
        ({"ip_ranges": ("172.17.1.0/24",)}, "172.17.1.0/24 is not within a subnet (none given)"),
        ({"subnets": NET, "ip_ranges": ("10.0.0.0/23",)}, "10.0.0.0/23 is not within"),
        ({"subnets": NET, "ip_ranges": ("fd00::/80",)}, "fd00::/80 is not within"),
        ({"subnets": NET, "ip_ranges": ("10.0.1.0/25",)}, "10.0.1.0/25 is not within"),
        ({"subnets": NET, "ip_ranges": ("10.0.0.3/31",)}, "it should be 10.0.0.2/31"),
        ({"subnets": NET, "ip_ranges": ("auto/26",)}, "IP range 'auto/26' is not CIDR"),
        ({"subnets": NET, "ip_ranges": ("10.0.0.0/32",)}, "only the network or broadcast"),
        ({"subnets": NET, "ip_ranges": ("10.0.0.255/32",)}, "only the network or broadcast"),
        ({"aux": {"r": "172.17.0.9"}}, "auxiliary address r 172.17.0.9 is outside"),
        ({"subnets": NET, "aux": {"r": "10.0.0.0"}}, "is the network or broadcast address"),
        ({"subnets": NET, "aux": {"r": "10.0.0.9", "s": "10.0.0.9"}}, "twice, as r and as s"),
    ],
)
def test_what_is_refused(changes: dict[str, object], words: str) -> None:
    request = replace(REQUEST, **changes)  # type: ignore[arg-type]
    error = refused(InvalidInput, words, lambda: DEFAULT.pools(request, NOWHERE))
    assert error.exit_code == 2
    assert len(error.message) < 200


def test_the_hint_names_the_switch_of_the_family() -> None:
    six = replace(REQUEST, subnets=("fd00::/64",))
    assert refused(InvalidInput, "IPv6", lambda: DEFAULT.pools(six, NOWHERE)).hint == "add --ipv6"
    four = replace(REQUEST, subnets=NET, ipv4=False, ipv6=True)
    hint = refused(InvalidInput, "IPv4", lambda: DEFAULT.pools(four, NOWHERE)).hint
    assert hint == "leave out --no-ipv4"


def test_several_subnets_each_with_their_own() -> None:
    request = replace(
        REQUEST,
        ipv6=True,
        subnets=("fd00:0:0:0::/64", "10.0.1.0/24", "10.0.0.0/24"),
        gateways=("fd00:0::9", "10.0.0.9"),
        ip_ranges=("10.0.1.128/25",),
        aux={"router": "10.0.1.128", "printer": "fd00::1"},
    )
    assert DEFAULT.pools(request, NOWHERE) == (
        Pool(
            subnet="10.0.1.0/24",
            ip_range="10.0.1.128/25",
            gateway="10.0.1.129",
            aux={"router": "10.0.1.128"},
        ),
        Pool(subnet="10.0.0.0/24", gateway="10.0.0.9"),
        Pool(subnet="fd00::/64", gateway="fd00::9", aux={"printer": "fd00::1"}),
    )


def test_several_automatic_subnets_keep_apart() -> None:
    request = replace(REQUEST, subnets=("auto/24", "auto/25", "172.17.0.0/24", "0.0.0.0/24"))
    subnets = [pool.subnet for pool in DEFAULT.pools(request, NOWHERE)]
    assert subnets == ["172.17.0.0/24", "172.17.1.0/24", "172.17.2.0/25", "172.17.3.0/24"]


def test_a_range_may_be_the_whole_subnet() -> None:
    request = replace(REQUEST, subnets=NET, ip_ranges=NET)
    [pool] = DEFAULT.pools(request, NOWHERE)
    assert (pool.ip_range, pool.gateway) == ("10.0.0.0/24", "10.0.0.1")


def test_no_gateway_where_none_is_needed() -> None:
    request = replace(REQUEST, subnets=NET, needs_gateway=False)
    assert DEFAULT.pools(request, NOWHERE) == (Pool(subnet="10.0.0.0/24"),)
    request = replace(request, gateways=("10.0.0.3",))
    assert DEFAULT.pools(request, NOWHERE) == (Pool(subnet="10.0.0.0/24", gateway="10.0.0.3"),)


def test_no_room_for_a_gateway() -> None:
    request = replace(REQUEST, subnets=("10.0.0.7/32",), aux={"r": "10.0.0.7"})
    error = refused(
        Exhausted, "in 10.0.0.7/32 for a gateway", lambda: DEFAULT.pools(request, NOWHERE)
    )
    assert error.exit_code == 5


@pytest.mark.parametrize(
    ("machine_id", "base"),
    [
        # Vectors of moby's own test (libnetwork/ipamutils).
        ("", "fd42:98fc:1c14::/48"),
        ("499d4bc0-b0b3-416f-b1ee-cf6486315593", "fd62:fb69:18af::/48"),
    ],
)
def test_the_private_ipv6_pool_is_mobys(machine_id: str, base: str) -> None:
    assert choice.unique_local(machine_id) == AddressPool(base=base, size=64)


def test_each_family_has_its_own_defaults() -> None:
    request = replace(REQUEST, ipv6=True, address_pools=(AddressPool(base="fd12::/48", size=56),))
    assert [pool.subnet for pool in DEFAULT.pools(request, NOWHERE)] == [
        "172.17.0.0/16",
        "fd12::/56",
    ]
    request = replace(request, address_pools=(AddressPool(base="10.0.0.0/8", size=24),))
    four, six = (pool.subnet for pool in DEFAULT.pools(request, NOWHERE))
    assert (four, six[:2]) == ("10.0.0.0/24", "fd")


# Who is in the way.


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


# Addresses.


class Ledger:
    """Who holds which address, and how often that was asked."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.asked = 0

    def __call__(self, address: str) -> str | None:
        self.asked += 1
        return self.held.get(address)


@given(
    st.sampled_from(["10.0.0.0/28", "10.0.0.0/31", "fd00::/124", "fd00::/127", "10.0.0.0/24"]),
    st.booleans(),
    st.lists(st.integers(0, 7), max_size=80),
)
def test_any_life_of_a_pool(subnet: str, ranged: bool, moves: list[int]) -> None:
    """Allocations with a release now and then: nothing twice, reserved, outside or reused early."""
    parent = ip_network(subnet)
    pool = Pool(subnet=subnet, gateway=str(parent[1]))
    if ranged and parent.num_addresses > 4:
        part = f"{parent[4]}/{parent.max_prefixlen - 2}"
        pool = replace(pool, ip_range=part, aux={"r": str(parent[5])})
    low, high = allocate.bounds(pool)
    room = {address_text(n, pool.version) for n in range(low, high + 1)}
    room -= {pool.gateway, *pool.aux.values()}
    ledger, cursor = Ledger(), ""
    fresh = set(room)
    for move in moves:
        if move == 0 and ledger.held:
            ledger.held.pop(min(ledger.held))
            continue
        if not room - set(ledger.held):
            with pytest.raises(Exhausted, match="no free address"):
                DEFAULT.address(network(pool), pool, cursor, ledger, None)
            continue
        cursor = DEFAULT.address(network(pool), pool, cursor, ledger, None)
        assert cursor in room - set(ledger.held)
        # Until the search came round once, nothing that was freed is handed out again.
        assert not fresh or cursor in fresh
        fresh.discard(cursor)
        ledger.held[cursor] = "endpoint x"


def test_ten_thousand_endpoints_one_after_the_other() -> None:
    pool = Pool(subnet="10.0.0.0/16", gateway="10.0.0.1", aux={"r": "10.0.0.9"})
    ledger, cursor = Ledger(), ""
    for number in range(10_000):
        cursor = DEFAULT.address(network(pool), pool, cursor, ledger, None)
        ledger.held[cursor] = f"endpoint {number}"
    assert len(ledger.held) == ledger.asked == 10_000
    ledger.asked = 0
    del ledger.held["10.0.0.77"]
    assert DEFAULT.address(network(pool), pool, cursor, ledger, None) not in ledger.held
    assert ledger.asked == 1


def test_reserved_addresses_are_not_even_asked_for() -> None:
    pool = Pool(subnet="10.0.0.0/29", gateway="10.0.0.1", aux={"r": "10.0.0.2"})
    ledger = Ledger()
    assert DEFAULT.address(network(pool), pool, "", ledger, None) == "10.0.0.3"
    assert ledger.asked == 1


def test_a_search_has_an_end_and_says_so() -> None:
    pool = Pool(subnet="fd00::/64", gateway="fd00::1")
    asked: list[str] = []

    def everybody(address: str) -> str:
        asked.append(address)
        return "endpoint x"

    error = refused(
        Exhausted,
        "none of the 131072 addresses looked at in fd00::/64 is free (network web)",
        lambda: DEFAULT.address(network(pool), pool, "fd00::ffff", everybody, None),
    )
    assert "--ip6" in (error.hint or "")
    assert len(asked) == allocate.SCAN_LIMIT
    assert asked[0] == "fd00::1:0"


def test_a_full_range_says_which_and_that_there_is_more_outside() -> None:
    pool = Pool(subnet="10.0.0.0/24", ip_range="10.0.0.8/32", gateway="10.0.0.1")
    error = refused(
        Exhausted,
        "no free address is left in 10.0.0.8/32 of 10.0.0.0/24 (network web)",
        lambda: DEFAULT.address(network(pool), pool, "10.0.0.8", lambda a: "x", None),
    )
    assert "outside of the range with --ip" in (error.hint or "")


def test_the_range_is_a_round_of_its_own() -> None:
    pool = Pool(subnet="10.0.0.0/24", ip_range="10.0.0.252/30", gateway="10.0.0.1")
    for cursor, following in (
        ("", "10.0.0.252"),
        ("10.0.0.9", "10.0.0.252"),
        ("10.0.0.252", "10.0.0.253"),
        ("10.0.0.254", "10.0.0.252"),
        ("fd00::9", "10.0.0.252"),
    ):
        assert DEFAULT.address(network(pool), pool, cursor, nobody, None) == following


FOUR = Pool(
    subnet="10.0.0.0/24", ip_range="10.0.0.64/26", gateway="10.0.0.1", aux={"r": "10.0.0.9"}
)
SIX = Pool(subnet="fd00::/64", gateway="fd00::1")


@pytest.mark.parametrize(
    ("preferred", "error", "words"),
    [
        ("fd00::5", InvalidInput, "fd00::5 is of fd00::/64, but one of 10.0.0.0/24 is wanted"),
        ("fd01::5", InvalidInput, "outside of the subnets (10.0.0.0/24, fd00::/64)"),
        ("10.0.0.5/24", InvalidInput, "'10.0.0.5/24' is not an IP address"),
        ("fe80::1%eth0", InvalidInput, "is not an IP address"),
        ("::ffff:10.0.0.5", InvalidInput, "outside of the subnets"),
        ("10.0.0.0", InvalidInput, "is the network or broadcast address of 10.0.0.0/24"),
        ("10.0.0.1", Conflict, "10.0.0.1 is the gateway of network web"),
        ("10.0.0.9", Conflict, "of network web is reserved as auxiliary address r"),
        ("10.0.0.7", Conflict, "10.0.0.7 of network web is held by endpoint ID12"),
    ],
)
def test_a_certain_address(preferred: str, error: type[NetctlError], words: str) -> None:
    held = {"10.0.0.7": "endpoint ID12"}
    refused(
        error, words, lambda: DEFAULT.address(network(FOUR, SIX), FOUR, "", held.get, preferred)
    )


def test_a_certain_address_comes_back_in_its_shortest_form() -> None:
    web = network(FOUR, SIX)
    assert DEFAULT.address(web, FOUR, "10.0.0.70", nobody, "10.0.0.200") == "10.0.0.200"
    assert DEFAULT.address(web, SIX, "", nobody, "FD00:0:0::00ab") == "fd00::ab"


# Drivers.


def test_null_hands_out_nothing() -> None:
    null = ipam.load("null")
    assert null.address(network(), Pool(subnet="10.0.0.0/24"), "", nobody, "10.0.0.9") == ""
    for changes in (
        {"subnets": ("auto/24",)},
        {"gateways": ("10.0.0.1",)},
        {"ip_ranges": ("10.0.0.0/25",)},
        {"aux": {"r": "10.0.0.9"}},
    ):
        request = replace(REQUEST, **changes)
        refused(InvalidInput, "has no place", partial(null.pools, request, NOWHERE))


@pytest.mark.parametrize("name", ["default", "null"])
def test_an_unknown_option_is_named(name: str) -> None:
    driver = ipam.load(name)
    assert driver.name == name
    driver.validate_options({})
    refused(
        InvalidInput,
        f"IPAM driver {name} has no option 'x'",
        lambda: driver.validate_options({"x": "y"}),
    )


def test_an_installed_driver_is_found_and_a_built_in_one_is_not_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    def entry_points(*, group: str, name: str) -> list[importlib.metadata.EntryPoint]:
        looked.append(f"{group} {name}")
        target = "netctl.backends.ipam.null:NullIpam"
        known = name == "foreign"
        return [importlib.metadata.EntryPoint(name, target, group)] if known else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert ipam.load("default").name == "default"
    assert looked == []
    assert ipam.load("foreign").name == "null"
    refused(InvalidInput, "unknown IPAM driver 'other'", lambda: ipam.load("other"))
    assert looked == ["netctl.ipam foreign", "netctl.ipam other"]


def test_loading_imports_only_what_the_driver_needs() -> None:
    code = (
        "import sys; from netctl.backends import ipam; ipam.load('null');"
        "assert 'netctl.backends.ipam.default' not in sys.modules; ipam.load('default');"
        "print(*sorted({'hashlib', 'pyroute2', 'netctl.store', 'importlib.metadata'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""
