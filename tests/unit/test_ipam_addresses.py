"""IPAM: addresses, and what finding one may cost."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.backends.ipam import allocate
from netctl.backends.ipam.parsing import address_text
from netctl.errors import Conflict, Exhausted, InvalidInput, NetctlError
from netctl.models import Pool
from netctl.record import replace
from tests.unit.ipam_cases import DEFAULT, network, nobody, refused


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
    assert "--ip6" in (error.command_hint or "")
    assert len(asked) == allocate.SCAN_LIMIT
    assert asked[0] == "fd00::1:0"


def test_a_full_range_says_which_and_that_there_is_more_outside() -> None:
    pool = Pool(subnet="10.0.0.0/24", ip_range="10.0.0.8/32", gateway="10.0.0.1")
    error = refused(
        Exhausted,
        "no free address is left in 10.0.0.8/32 of 10.0.0.0/24 (network web)",
        lambda: DEFAULT.address(network(pool), pool, "10.0.0.8", lambda a: "x", None),
    )
    assert "outside of the range with --ip" in (error.command_hint or "")


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
