"""Who reaches a port: in words, and in all combinations as the rules have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, product

import pytest

from netctl.allotment import Place, allot
from netctl.backends import access, exposure, publication
from netctl.backends.exposure import ANYWHERE, HOST, Exposure, Presence
from netctl.errors import NetctlError
from netctl.models import Endpoint, HostState, Network, Port
from netctl.ports import parse
from netctl.record import replace
from tests.unit.test_access import network

OWN = {4: "10.0.0.2", 6: "fd00::2"}
BOTH = (4, 6)


def endpoint(where: Network, *specs: str, versions: Sequence[int] = BOTH) -> Endpoint:
    """Return an endpoint that publishes what becomes of the ports on such a network."""
    wanted = Place(network=where, endpoint="e", versions=tuple(versions))
    parts, _ = allot(wanted, [parse(spec) for spec in specs])
    plain = Endpoint(id="e" * 64, name="e", network_id="a" * 64, created="")
    return replace(
        plain,
        ipv4=f"{OWN[4]}/24" if 4 in versions else "",
        ipv6=f"{OWN[6]}/64" if 6 in versions else "",
        ports=tuple(part.port for part in parts),
    )


def words(
    where: Network,
    spec: str,
    *,
    presence: Presence = Presence.JOINED,
    ways: Sequence[int] = BOTH,
    versions: Sequence[int] = BOTH,
    guarded: bool = True,
) -> list[str]:
    item = endpoint(where, spec, versions=versions)
    return exposure.words(item, exposure.of(where, item, presence, ways, guarded=guarded))


def modes(four: str, six: str, **options: str) -> Network:
    return network(
        internal="isolated" in (four, six),
        options={"gateway_mode_ipv4": four, "gateway_mode_ipv6": six, **options},
    )


NAT, OPEN, ROUTED = (modes(m, m) for m in ("nat", "nat-unprotected", "routed"))
DIRECT = network(options={"allow_direct_routing": "true"})
TRUSTING = network(options={"trusted_host_interfaces": "eth1:wg0"})
MIXED, HALF = modes("nat", "routed"), modes("nat", "nat-unprotected")


@pytest.mark.parametrize(
    ("where", "spec", "expected"),
    [
        (NAT, "8080:80", ["anywhere"]),
        (NAT, "0.0.0.0:8080:80", ["ipv4=anywhere"]),
        (NAT, "192.0.2.5:8080:80", ["via:192.0.2.5"]),
        (NAT, "[2001:db8::5]:8080:80", ["via:2001:db8::5"]),
        (NAT, "169.254.0.5:8080:80", ["link:169.254.0.5"]),
        (TRUSTING, "169.254.0.5:8080:80", ["link:169.254.0.5+trusted:eth1:wg0"]),
        (NAT, "127.0.0.1:8080:80", ["host"]),
        (NAT, "[::1]:8080:80", ["host"]),
        (DIRECT, "8080:80", ["anywhere"]),
        (DIRECT, "192.0.2.5:8080:80", ["anywhere"]),
        (DIRECT, "127.0.0.1:8080:80", ["host"]),
        (TRUSTING, "8080:80", ["anywhere"]),
        (TRUSTING, "192.0.2.5:8080:80", ["via:192.0.2.5+trusted:eth1:wg0"]),
        (TRUSTING, "127.0.0.1:8080:80", ["host"]),
        (OPEN, "127.0.0.1:8080:80", ["host", "unpublished=anywhere"]),
        (HALF, "8080:80", ["anywhere", "unpublished=ipv6=anywhere"]),
        (ROUTED, "80", ["anywhere"]),
        (MIXED, "8080:80", ["ipv6=anywhere", "ipv4=anywhere"]),
        (network(internal=True), "8080:80", ["nobody:internal"]),
        (modes("isolated", "isolated"), "8080:80", ["nobody:internal"]),
    ],
)
def test_the_words(where: Network, spec: str, expected: list[str]) -> None:
    assert words(where, spec) == expected


def test_who_is_not_there_is_not_reached() -> None:
    assert words(OPEN, "8080:80", presence=Presence.NOWHERE) == ["nobody:not-joined"]
    assert words(OPEN, "8080:80", presence=Presence.BEFORE) == ["nobody:earlier-boot"]
    assert words(NAT, "8080:80", ways=()) == ["nobody:not-gateway"]
    assert words(NAT, "8080:80", ways=(4,)) == ["ipv4=anywhere/ipv6=nobody:not-gateway"]
    assert words(NAT, "8080:80", ways=(4,), versions=(4,)) == ["anywhere"]
    # What is open on its own address needs no way out.
    assert words(DIRECT, "8080:80", ways=()) == ["anywhere"]
    assert words(TRUSTING, "8080:80", ways=(6,)) == ["ipv4=trusted:eth1:wg0/ipv6=anywhere"]
    assert words(OPEN, "8080:80", ways=()) == ["nobody:not-gateway", "unpublished=anywhere"]


def test_what_went_behind_netctls_back_is_not_there_either() -> None:
    assert words(OPEN, "8080:80", presence=Presence.GONE) == ["nobody:sandbox-gone"]
    assert words(OPEN, "8080:80", presence=Presence.CUT_OFF) == ["nobody:interface-gone"]
    bare = "unpublished=anywhere"
    assert words(NAT, "8080:80", guarded=False) == ["nobody:rules-gone", bare]
    assert words(NAT, "127.0.0.1:8080:80", guarded=False) == ["nobody:rules-gone", bare]
    # Relayed without rules.
    assert words(NAT, "[::1]:8080:80", guarded=False) == ["host", bare]
    assert words(network(internal=True), "8080:80", guarded=False) == ["nobody:internal", bare]
    gone = words(NAT, "8080:80", guarded=False, presence=Presence.NOWHERE)
    assert gone == ["nobody:not-joined"]


def test_no_router_leads_to_a_link_local_address() -> None:
    item = replace(endpoint(ROUTED, "80"), ipv6="fe80::2/64")
    found = exposure.of(ROUTED, item, Presence.JOINED, BOTH)
    assert exposure.words(item, found) == ["ipv4=anywhere/ipv6=nobody:link-local"]
    item = replace(endpoint(OPEN, "8080:80"), ipv6="fe80::2/64")
    found = exposure.of(OPEN, item, Presence.JOINED, BOTH)
    assert exposure.words(item, found)[-1] == "unpublished=ipv4=anywhere"


def test_other_drivers_say_nothing() -> None:
    plain = replace(NAT, facts={})
    assert exposure.of(plain, endpoint(NAT, "8080:80"), Presence.JOINED, BOTH) == ()


SPECS = ("8080:80", "0.0.0.0:8080:80", "192.0.2.5:8080:80", "127.0.0.1:8080:80", "[::]:8080:80")
SUBSETS = tuple(chain.from_iterable(combinations(BOTH, n) for n in (0, 1, 2)))


def combined() -> Iterator[tuple[Network, Endpoint, tuple[int, ...]]]:
    """Yield every network, endpoint and way out that there may be."""
    for four, six, internal, direct, trusted in product(
        access.MODES, access.MODES, (False, True), ("false", "true"), ("", "eth1:wg0")
    ):
        options = {"gateway_mode_ipv4": four, "gateway_mode_ipv6": six}
        options |= {"allow_direct_routing": direct, "trusted_host_interfaces": trusted}
        if access.ISOLATED in (four, six) and not internal:
            continue
        where = network(internal=internal, options=options)
        for spec, versions, ways in product(SPECS, SUBSETS[1:], SUBSETS):
            try:
                item = endpoint(where, spec, versions=versions)
            except NetctlError:
                continue
            yield where, item, () if internal else tuple(v for v in ways if v in versions)


def test_what_is_said_is_what_the_rules_do() -> None:
    count = 0
    for where, item, ways in combined():
        count += 1
        standing = publication.Standing(network=where, endpoint=item, versions=ways)
        rules = publication.reload([where], HostState(), [standing]).do
        there = exposure.of(where, item, Presence.JOINED, ways)
        assert {e.version for e in there if e.address and e.port} >= _opened(rules)
        assert {e.version for e in there if e.host_address} >= _lent(item, rules)
        for each in there:
            assert _sources(where, each, rules) == set(each.reach.sources), (
                where.facts,
                each,
                ways,
            )
        for presence in (Presence.NOWHERE, Presence.BEFORE):
            found = exposure.of(where, item, presence, ())
            assert not any(each.reach.sources or each.port is None for each in found)
            assert len(exposure.words(item, found)) == len(item.ports)
    assert count > 1000


def _sources(where: Network, each: Exposure, rules: str) -> set[str]:
    """Return who comes through by the rules."""
    v, port = each.version, each.port
    if port is None:
        return {ANYWHERE} if f'inward{v} {{ "br0" : accept' in rules else set()
    if each.host_address:
        lent = any(f"add element inet netctl {at}" in rules for at in _elements(v, port))
        host = each.host_address.startswith("127.")
        return {HOST if host else ANYWHERE} if lent else set()
    if v not in _opened(rules):
        return set()
    inward = (f'inward{v} {{ "br0" : jump open', f'inward{v} {{ "br0" : jump routed')
    if any(element in rules for element in inward):
        return {ANYWHERE}
    trusted = (name for name in ("eth1", "wg0") if f'pairs {{ "{name}" . "br0"' in rules)
    return {f"interface {name}" for name in trusted}


def _opened(rules: str) -> set[int]:
    return {v for v in BOTH if f"add rule inet netctl open{v}-eeeeeeeeeeee tcp dport" in rules}


def _lent(item: Endpoint, rules: str) -> set[int]:
    keys = {(v, at) for v in BOTH for port in item.ports for at in _elements(v, port)}
    return {v for v, at in keys if f"add element inet netctl {at}" in rules}


def _elements(version: int, port: Port) -> tuple[str, str]:
    address = {4: OWN[4], 6: OWN[6]}[version]
    to = f"tcp . 8080 : {address} . 80"
    return f"any{version} {{ {to}", f"at{version} {{ {port.host_ip} . {to}"
