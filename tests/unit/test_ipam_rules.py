"""IPAM: what is refused and why, and which pools come of what is asked for."""

from __future__ import annotations

import pytest

from netctl.backends.ipam import AddressPool, choice
from netctl.errors import Exhausted, InvalidInput
from netctl.models import Pool
from netctl.record import replace
from tests.unit.ipam_cases import DEFAULT, NET, NOWHERE, REQUEST, refused


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
        ({"subnets": ("auto",)}, "'auto' has no size"),
        ({"subnets": ("auto/0",)}, "'auto/0' has no size, a prefix length from 1 to 128"),
        ({"subnets": ("10.1.0.0/0",)}, "subnet 0.0.0.0/0 is not for hosts"),
        ({"subnets": ("10.1.0.0/1",)}, "subnet 0.0.0.0/1 is not for hosts"),
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
        *(
            ({"subnets": (text,), "ipv6": True}, "is link-local")
            for text in ("fe80::/65", "fe80::/63", "fe80::/10", "fe80:0:0:1::/80")
        ),
        ({"subnets": ("ff02::/64",), "ipv6": True}, "is multicast"),
        ({"subnets": ("fd00::/64",)}, "fd00::/64 is IPv6, which this network does not have"),
        ({"subnets": ("auto/64",)}, "auto/64 is IPv6, which this network does not have"),
        ({"subnets": ("::/64",)}, "::/64 is IPv6, which this network does not have"),
        (
            {"subnets": ("0.0.0.0/26",), "ipv4": False, "ipv6": True},
            "0.0.0.0/26 is IPv4, which this network does not have",
        ),
        ({"subnets": ("0.0.0.0/40",)}, "'0.0.0.0/40' has no size, a prefix length from 1 to 32"),
        ({"subnets": ("auto/00",)}, "'auto/00' has no size, a prefix length from 1 to 128"),
        ({"subnets": ("auto/-4",)}, "has no size, a prefix length"),
        ({"subnets": ("auto/26",), "ipv4": False, "ipv6": True}, "as large as /26"),
        ({"subnets": (*NET, *NET)}, "subnets 10.0.0.0/24 and 10.0.0.0/24 overlap"),
        ({"ipv4": False}, "needs IPv4 or IPv6"),
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
    assert (
        refused(InvalidInput, "IPv6", lambda: DEFAULT.pools(six, NOWHERE)).hint == "add ipv6=True"
    )
    four = replace(REQUEST, subnets=NET, ipv4=False, ipv6=True)
    hint = refused(InvalidInput, "IPv4", lambda: DEFAULT.pools(four, NOWHERE)).command_hint
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
    request = replace(REQUEST, subnets=NET, gateway_versions=())
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
