"""Pools and addresses: every rule, and the arithmetic."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.backends import ipam
from netctl.backends.ipam import AddressPool, PoolRequest, choice
from netctl.backends.ipam.surroundings import Surroundings, surroundings
from netctl.errors import Conflict, Exhausted, InvalidInput, NetctlError
from netctl.kernel import Address, Route
from netctl.models import Network, Pool
from netctl.record import replace

DEFAULT = ipam.load("default")
REQUEST = PoolRequest(machine_id="0123456789abcdef0123456789abcdef")
NOWHERE = Surroundings()


def network(*pools: Pool) -> Network:
    return Network(id="n" * 64, name="web", driver="bridge", created="", pools=pools)


def around(
    *subnets: str, routes: tuple[str, ...] = (), addresses: tuple[str, ...] = (), resolv: str = ""
) -> Surroundings:
    return surroundings(
        networks=[network(*(Pool(subnet=subnet) for subnet in subnets))],
        routes=[Route(destination=r, gateway="", link="tun0", metric=0) for r in routes],
        addresses=[Address(link="eth0", address=a) for a in addresses],
        resolv_conf=resolv,
    )


def test_the_defaults_are_libnetworks() -> None:
    assert DEFAULT.pools(REQUEST, NOWHERE) == (Pool(subnet="172.17.0.0/16", gateway="172.17.0.1"),)
    used = [f"172.{number}.0.0/16" for number in range(17, 32)]
    assert DEFAULT.pools(REQUEST, around(*used))[0].subnet == "192.168.0.0/20"
    used += [f"192.168.{number * 16}.0/20" for number in range(15)]
    assert DEFAULT.pools(REQUEST, around(*used))[0].subnet == "192.168.240.0/20"


@pytest.mark.parametrize(
    "surrounding",
    [
        around("172.17.0.0/16"),
        around("172.17.5.0/24"),
        around(routes=("172.17.0.0/16",)),
        around(routes=("172.17.200.0/24",)),
        around(addresses=("172.17.0.9/24",)),
        around(resolv="nameserver 172.17.3.3\n"),
    ],
)
def test_whatever_is_used_is_avoided(surrounding: Surroundings) -> None:
    assert DEFAULT.pools(REQUEST, surrounding)[0].subnet == "172.18.0.0/16"


def test_ways_out_are_not_in_the_way() -> None:
    wide = ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "fe80::/64")
    assert DEFAULT.pools(REQUEST, around(routes=wide))[0].subnet == "172.17.0.0/16"


def test_when_none_is_left_the_error_names_who_is_in_the_way() -> None:
    surrounding = around("192.168.0.0/16", routes=("172.16.0.0/12",), addresses=("10.0.0.1/8",))
    with pytest.raises(Exhausted) as caught:
        DEFAULT.pools(REQUEST, surrounding)
    assert "route 172.16.0.0/12 dev tun0" in caught.value.message
    assert "network web (192.168.0.0/16)" in caught.value.message
    assert "10.0.0.1" not in caught.value.message
    assert "--subnet" in (caught.value.command_hint or "")


def test_configured_pools_take_the_place_of_the_defaults() -> None:
    request = replace(REQUEST, address_pools=(AddressPool(base="10.64.0.0/12", size=24),))
    assert DEFAULT.pools(request, NOWHERE)[0].subnet == "10.64.0.0/24"
    assert DEFAULT.pools(request, around("10.64.0.0/24"))[0].subnet == "10.64.1.0/24"


def test_a_free_subnet_of_a_size() -> None:
    for text in ("auto/26", "0.0.0.0/26"):
        request = replace(REQUEST, subnets=(text,))
        assert DEFAULT.pools(request, NOWHERE)[0].subnet == "172.17.0.0/26"
    taken = around("172.17.0.0/26", "172.17.0.128/25")
    request = replace(REQUEST, subnets=("auto/26",))
    assert DEFAULT.pools(request, taken)[0].subnet == "172.17.0.64/26"


def test_ipv6_derives_from_the_machine() -> None:
    request = replace(REQUEST, ipv6=True)
    four, six = DEFAULT.pools(request, NOWHERE)
    assert ip_network(six.subnet).prefixlen == 64
    assert six.subnet.startswith("fd")
    assert six.gateway == str(ip_network(six.subnet).network_address + 1)
    assert DEFAULT.pools(request, NOWHERE) == (four, six)
    other = DEFAULT.pools(replace(request, machine_id="other"), NOWHERE)[1]
    assert other.subnet != six.subnet
    following = DEFAULT.pools(request, around(six.subnet))[1].subnet
    assert ip_network(following).network_address == ip_network(six.subnet).broadcast_address + 1


def test_the_gateway_is_the_first_free_address_of_the_range() -> None:
    request = replace(
        REQUEST, subnets=("10.0.0.0/24",), ip_ranges=("10.0.0.128/25",), aux={"r": "10.0.0.129"}
    )
    [pool] = DEFAULT.pools(request, NOWHERE)
    assert (pool.gateway, pool.ip_range, pool.aux) == (
        "10.0.0.128",
        "10.0.0.128/25",
        {"r": "10.0.0.129"},
    )


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"subnets": ("10.0.0.1/24",)}, InvalidInput, "should be 10.0.0.0/24"),
        ({"subnets": ("10.0.0.0",)}, InvalidInput, "not CIDR"),
        ({"subnets": ("10.0.0.0/33",)}, InvalidInput, "not CIDR"),
        ({"subnets": ("nonsense",)}, InvalidInput, "not CIDR"),
        ({"subnets": ("010.0.0.0/24",)}, InvalidInput, "not CIDR"),
        ({"subnets": ("fe80::%1/64",)}, InvalidInput, "not CIDR"),
        ({"subnets": ("224.0.0.0/24",)}, InvalidInput, "not for hosts"),
        ({"subnets": ("127.0.0.0/24",)}, InvalidInput, "not for hosts"),
        ({"subnets": ("169.254.0.0/24",)}, InvalidInput, "not for hosts"),
        ({"subnets": ("0.0.0.0/0",)}, InvalidInput, "not for hosts"),
        ({"subnets": ("fd00::/64",)}, InvalidInput, "IPv6"),
        ({"subnets": ("10.0.0.0/24",), "ipv4": False, "ipv6": True}, InvalidInput, "IPv4"),
        ({"subnets": ("10.0.0.0/24", "10.0.0.128/25")}, InvalidInput, "overlap"),
        ({"subnets": ("auto/8",)}, InvalidInput, "no address pool is as large"),
        ({"subnets": ("auto/x",)}, InvalidInput, "prefix length"),
        ({"subnets": ("auto/129",)}, InvalidInput, "prefix length"),
        ({"subnets": ("10.9.0.0/24",)}, Conflict, "network web"),
        ({"ipv4": False}, InvalidInput, "needs IPv4 or IPv6"),
        ({"gateways": ("10.0.0.1",)}, InvalidInput, "outside of the subnets"),
        ({"gateways": ("10.0.0",)}, InvalidInput, "not an IP address"),
        ({"subnets": ("10.0.0.0/24",), "gateways": ("10.0.1.1",)}, InvalidInput, "outside"),
        ({"subnets": ("10.0.0.0/24",), "gateways": ("10.0.0.0",)}, InvalidInput, "network or"),
        ({"subnets": ("10.0.0.0/24",), "gateways": ("10.0.0.255",)}, InvalidInput, "broadcast"),
        (
            {"subnets": ("10.0.0.0/24",), "gateways": ("10.0.0.1", "10.0.0.2")},
            InvalidInput,
            "two gateways",
        ),
        ({"ip_ranges": ("10.0.0.0/25",)}, InvalidInput, "not within a subnet"),
        ({"subnets": ("10.0.0.0/24",), "ip_ranges": ("10.0.0.0/23",)}, InvalidInput, "not within"),
        ({"subnets": ("10.0.0.0/24",), "ip_ranges": ("10.0.0.1/25",)}, InvalidInput, "should be"),
        (
            {"subnets": ("10.0.0.0/24",), "ip_ranges": ("10.0.0.0/25", "10.0.0.128/25")},
            InvalidInput,
            "two IP ranges",
        ),
        ({"subnets": ("10.0.0.0/24",), "aux": {"r": "10.1.0.1"}}, InvalidInput, "outside"),
        ({"subnets": ("10.0.0.0/24",), "aux": {"r": "x"}}, InvalidInput, "not an IP address"),
        (
            {"subnets": ("10.0.0.0/24",), "aux": {"r": "10.0.0.9", "s": "10.0.0.9"}},
            InvalidInput,
            "given twice",
        ),
        (
            {"subnets": ("10.0.0.0/24",), "gateways": ("10.0.0.9",), "aux": {"r": "10.0.0.9"}},
            InvalidInput,
            "both the gateway",
        ),
    ],
)
def test_wrong_pools(changes: dict[str, object], error: type[NetctlError], words: str) -> None:
    request = replace(REQUEST, **changes)  # type: ignore[arg-type]
    with pytest.raises(error, match=words):
        DEFAULT.pools(request, around("10.9.0.0/16"))


def test_an_explicit_subnet_may_overlap_what_the_host_uses() -> None:
    request = replace(REQUEST, subnets=("10.0.0.0/24",))
    assert DEFAULT.pools(request, around(routes=("10.0.0.0/8",)))


@pytest.mark.parametrize(
    ("subnet", "gateway", "hosts"),
    [
        ("10.0.0.0/30", "10.0.0.1", ["10.0.0.2"]),
        ("10.0.0.0/31", "10.0.0.0", ["10.0.0.1"]),
        ("fd00::/126", "fd00::1", ["fd00::2", "fd00::3"]),
        ("fd00::/127", "fd00::", ["fd00::1"]),
    ],
)
def test_the_smallest_subnets(subnet: str, gateway: str, hosts: list[str]) -> None:
    request = replace(REQUEST, subnets=(subnet,), ipv4=":" not in subnet, ipv6=":" in subnet)
    [pool] = DEFAULT.pools(request, NOWHERE)
    assert pool.gateway == gateway
    assert drained(pool, {gateway}) == hosts


@pytest.mark.parametrize(
    ("subnet", "gateways", "hosts"),
    [
        ("10.0.0.0/31", (), ["10.0.0.0", "10.0.0.1"]),
        ("10.0.0.0/31", ("10.0.0.1",), ["10.0.0.0"]),
        ("10.0.0.0/30", (), ["10.0.0.2"]),
    ],
)
def test_two_addresses_are_not_spent_on_a_gateway_that_no_interface_has(
    subnet: str, gateways: tuple[str, ...], hosts: list[str]
) -> None:
    request = replace(REQUEST, subnets=(subnet,), gateways=gateways, spare_gateways=(4,))
    [pool] = DEFAULT.pools(request, NOWHERE)
    assert drained(pool, {pool.gateway} if pool.gateway else set()) == hosts


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({"subnets": ("10.0.0.7/32",)}, "10.0.0.7 (gateway)"),
        ({"subnets": ("fd00::7/128",), "ipv6": True}, "fd00::7 (gateway)"),
        (
            {"subnets": ("10.0.0.0/31",), "aux": {"x": "10.0.0.1"}},
            "10.0.0.0 (gateway), 10.0.0.1 (x)",
        ),
        (
            {"subnets": ("10.0.0.8/30",), "aux": {"gateway": "10.0.0.10"}},
            "10.0.0.9 (gateway), 10.0.0.10 (gateway)",
        ),
    ],
)
def test_a_subnet_in_which_no_endpoint_fits_is_refused(changes: Any, taken: str) -> None:
    with pytest.raises(InvalidInput, match="has no address for an endpoint") as caught:
        DEFAULT.pools(replace(REQUEST, **changes), NOWHERE)
    assert caught.value.message.endswith(f" beside {taken}")
    # Where no gateway takes it, it is one address for one endpoint.
    if "aux" not in changes:
        DEFAULT.pools(replace(REQUEST, **changes, gateway_versions=()), NOWHERE)


def drained(pool: Pool, taken: set[str]) -> list[str]:
    """Return every address of a pool, in the order in which it is handed out."""
    handed: list[str] = []
    with pytest.raises(Exhausted, match="no free address"):
        while True:
            held = dict.fromkeys(taken | set(handed), "somebody")
            cursor = handed[-1] if handed else ""
            handed.append(DEFAULT.address(network(pool), pool, cursor, held.get, None))
            assert len(handed) < 1000
    return handed


@given(st.integers(24, 30), st.data())
def test_each_address_is_handed_out_once(size: int, data: st.DataObject) -> None:
    subnet = ip_network(f"10.1.2.0/{size}")
    every = [str(host) for host in subnet.hosts()]
    taken = data.draw(st.sets(st.sampled_from(every), max_size=5))
    handed = drained(Pool(subnet=str(subnet)), taken)
    assert sorted(handed) == sorted(set(every) - taken)


def test_a_freed_address_is_not_handed_out_at_once() -> None:
    pool = Pool(subnet="10.0.0.0/29")
    nobody = lambda address: None  # noqa: E731  # four uses of one line
    assert DEFAULT.address(network(pool), pool, "", nobody, None) == "10.0.0.1"
    assert DEFAULT.address(network(pool), pool, "10.0.0.1", nobody, None) == "10.0.0.2"
    assert DEFAULT.address(network(pool), pool, "10.0.0.6", nobody, None) == "10.0.0.1"
    assert DEFAULT.address(network(pool), pool, "10.9.9.9", nobody, None) == "10.0.0.1"


def test_addresses_come_from_the_range_and_static_ones_from_the_whole_subnet() -> None:
    pool = Pool(subnet="10.0.0.0/24", ip_range="10.0.0.64/30", gateway="10.0.0.1")
    assert drained(pool, set()) == [f"10.0.0.{number}" for number in range(64, 68)]
    assert DEFAULT.address(network(pool), pool, "", lambda a: None, "10.0.0.9") == "10.0.0.9"


@pytest.mark.parametrize(
    ("preferred", "error", "words"),
    [
        ("10.0.1.9", InvalidInput, "outside"),
        ("10.0.0.0", InvalidInput, "network or broadcast"),
        ("10.0.0.255", InvalidInput, "network or broadcast"),
        ("10.0.0.1", Conflict, "gateway"),
        ("10.0.0.7", Conflict, "held by endpoint web7"),
        ("x", InvalidInput, "not an IP"),
    ],
)
def test_wrong_static_addresses(preferred: str, error: type[NetctlError], words: str) -> None:
    pool = Pool(subnet="10.0.0.0/24", gateway="10.0.0.1")
    holder = {"10.0.0.7": "endpoint web7"}
    with pytest.raises(error, match=words):
        DEFAULT.address(network(pool), pool, "", holder.get, preferred)


def test_ten_thousand_endpoints_cost_one_question() -> None:
    pool = Pool(subnet="10.0.0.0/16", gateway="10.0.0.1")
    base = ip_address("10.0.0.1")
    held = {str(base + number) for number in range(10_001)}
    asked: list[str] = []

    def taken(address: str) -> str | None:
        asked.append(address)
        return address if address in held else None

    cursor = str(base + 10_000)
    assert DEFAULT.address(network(pool), pool, cursor, taken, None) == str(base + 10_001)
    assert len(asked) == 1


subnets4 = st.builds(
    lambda number, size: ip_network((number, size), strict=False),
    st.integers(0x0A000000, 0x0AFFFFFF),
    st.integers(9, 32),
)


@given(st.lists(subnets4, max_size=30), st.integers(9, 30))
def test_an_automatic_subnet_overlaps_nothing(used: list[IPv4Network], size: int) -> None:
    pool = AddressPool(base="10.0.0.0/8", size=size)
    surrounding = around(routes=tuple(map(str, used)))
    try:
        found = choice.choose([pool], None, surrounding)
    except Exhausted:
        return
    assert found.prefixlen == size
    assert not any(found.overlaps(other) for other in used if other.version == 4)


def test_the_null_driver_has_nothing() -> None:
    null = ipam.load("null")
    assert null.pools(REQUEST, NOWHERE) == ()
    with pytest.raises(InvalidInput, match="has no place"):
        null.pools(replace(REQUEST, subnets=("10.0.0.0/24",)), NOWHERE)


def test_unknown_drivers_and_options() -> None:
    with pytest.raises(InvalidInput, match="unknown IPAM driver") as caught:
        ipam.load("nonsense")
    assert "default, null" in (caught.value.hint or "")
    for name in ("default", "null"):
        with pytest.raises(InvalidInput, match="no option"):
            ipam.load(name).validate_options({"x": "y"})
