"""Removing many at once on a real kernel: it leaves what removing one by one leaves, with netctl's
tables there and after ``nft flush ruleset``, and the rules of a network go after its interfaces."""

from __future__ import annotations

import os
import random
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import unified_diff
from typing import Any

import pytest

from netctl.controller import Controller
from netctl.errors import NetctlError
from netctl.plan import Step
from tests.kernel.host import Host
from tests.kernel.host_state import printed
from tests.system.library import MODES, ROUTED, act, controller

Make = Callable[[Controller], None]
CLOSED = {"bridge.enable_icc": "false"}
NETWORKS = ("one", "two")
"""What is removed of each set of documents; the network ``kept`` stays, with its endpoint."""


def _families(c: Controller) -> None:
    c.networks.create("one", subnets=["10.71.0.0/24"])
    c.networks.create("two", ipv4=False, ipv6=True, subnets=["fd71::/64"])
    _join(c, "s1", {"one": ["8081:80", "9000-9003:9000-9003/udp"], "two": ["[::]:8082:80"]})
    _join(c, "s2", {"one": ["192.0.2.1:8083:80/udp"]})
    _join(c, "s3", {"two": []})


def _closed(c: Controller) -> None:
    c.networks.create("one", options=CLOSED, subnets=["10.71.0.0/24"])
    c.networks.create("two", options={**CLOSED, **ROUTED}, ipv6=True, subnets=["fd71::/64"])
    _join(c, "s1", {"one": ["8081:80"]})
    _join(c, "s2", {"one": [], "two": ["8082:80"]})
    _join(c, "s3", {"two": ["8083:80/udp"], "kept": ["8084:80"]})


def _modes(c: Controller) -> None:
    isolated = dict.fromkeys(MODES, "isolated")
    unprotected = dict.fromkeys(MODES, "nat-unprotected")
    c.networks.create("one", options=isolated, internal=True, subnets=["10.71.0.0/24"])
    c.networks.create("two", options=unprotected, ipv6=True, subnets=["fd71::/64"])
    _join(c, "s1", {"one": ["8081:80"], "two": ["8082:80"], "kept": ["8083:80"]})
    _join(c, "s2", {"two": ["127.0.0.1:8084:80", "8085:80/udp"]})
    _join(c, "s3", {"one": []})


def _mixed(c: Controller) -> None:
    c.networks.create("one", options=CLOSED, ipv6=True, subnets=["10.71.0.0/24", "fd71::/64"])
    c.networks.create("two", options=ROUTED, ipv6=True, subnets=["10.72.0.0/24", "fd72::/64"])
    _join(c, "s1", {"one": ["8081:80"], "two": ["8082:80"]})
    _join(c, "s2", {"two": ["8083:80"]})
    _join(c, "s3", {"one": ["8084:80"]}, rate_in="10mbit", rate_out="10mbit")


def _join(c: Controller, sandbox: str, networks: dict[str, list[str]], **options: Any) -> None:
    c.sandboxes.create(sandbox)
    for network, ports in networks.items():
        c.endpoints.connect(network, sandbox, ports=ports, **options)


DOCUMENTS: dict[str, tuple[Make, dict[str, str]]] = {
    "families": (_families, {}),
    "closed": (_closed, {}),
    "closed, one of which stays": (_closed, CLOSED),
    "modes": (_modes, {}),
    "closed and routed": (_mixed, {}),
}


def _raised(name: str, error: NetctlError | None) -> None:
    if error:
        raise error


def _of(c: Controller, network: str) -> list[str]:
    return [f"{network}/{endpoint.name}" for endpoint in c.endpoints.list(network)]


def _networks_at_once(c: Controller) -> None:
    c.networks.remove_each(NETWORKS, _raised, force=True)


def _networks_singly(c: Controller) -> None:
    for network in NETWORKS:
        for reference in _of(c, network):
            c.endpoints.remove(reference, force=True)
        c.networks.remove(network)


def _sandboxes_at_once(c: Controller) -> None:
    names = [sandbox.name for sandbox in c.sandboxes.list() if sandbox.name != "kept"]
    c.sandboxes.remove_each(names, _raised, force=True)


def _sandboxes_singly(c: Controller) -> None:
    for name in [sandbox.name for sandbox in c.sandboxes.list() if sandbox.name != "kept"]:
        for network in (*NETWORKS, "kept"):
            if f"{network}/{name}" in _of(c, network):
                c.endpoints.remove(f"{network}/{name}", force=True)
        c.sandboxes.remove(name)


def _endpoints_at_once(c: Controller) -> None:
    c.endpoints.remove_each([r for n in NETWORKS for r in _of(c, n)], _raised, force=True)


def _endpoints_singly(c: Controller) -> None:
    for reference in [r for n in NETWORKS for r in _of(c, n)]:
        c.endpoints.remove(reference, force=True)


REMOVALS = {
    "networks": (_networks_at_once, _networks_singly),
    "sandboxes": (_sandboxes_at_once, _sandboxes_singly),
    "endpoints": (_endpoints_at_once, _endpoints_singly),
}


def _build(make: Make, options: dict[str, str]) -> None:
    """Make the documents; their ids, and the names that are derived from them, are always the
    same."""
    os.urandom = random.Random(71).randbytes
    with controller() as c:
        c.networks.create("kept", options=options, ipv6=True, subnets=["10.70.0.0/24", "fd70::/64"])
        _join(c, "kept", {"kept": ["8070:80"]})
        make(c)


def _state(host: Host) -> dict[str, Any]:
    """Return what the kernel holds, without what it chooses at random: MACs, and the addresses
    that are made from them. Elements of a set have no order."""
    found = host.snapshot()
    for link in found["links"]:
        del link["address"]
    for kind in ("addresses", "routes6"):
        found[kind] = [fact for fact in found[kind] if "fe80:" not in fact]
    found["nft"] = sorted(map(_in_order, found["nft"]["nftables"]))
    settings = "cd /proc/sys/net; grep -r . ipv4/conf ipv6/conf ipv4/ip_forward 2>/dev/null || :"
    found["settings"] = sorted(
        line for line in host.sh(settings).splitlines() if "stable_secret" not in line
    )
    return found


def _in_order(value: Any) -> str:
    if isinstance(value, dict):
        return str({key: _in_order(item) for key, item in sorted(value.items())})
    if isinstance(value, list):
        return str(sorted(map(_in_order, value)))
    return str(value)


@contextmanager
def _another() -> Iterator[Host]:
    made = Host()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("flushed", [False, True], ids=["tables there", "flushed"])
@pytest.mark.parametrize("removal", REMOVALS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_at_once_leaves_what_one_by_one_leaves(
    host: Host, name: str, removal: str, flushed: bool
) -> None:
    with _another() as other:
        for each, remove in zip((other, host), REMOVALS[removal], strict=True):
            each.call(_build, *DOCUMENTS[name])
            if flushed:
                each.sh("nft flush ruleset")
            each.call(act, remove)
        singly, at_once = (printed(_state(each)).splitlines() for each in (other, host))
        assert list(unified_diff(singly, at_once, "one by one", "at once", lineterm="")) == []


def _watched(remove: Callable[[Controller], None]) -> list[str]:
    """Remove, and return before which steps a network's rules were gone while an interface of its
    endpoints was there."""
    seen: list[str] = []

    def look(step: Step) -> None:
        if unguarded := _unguarded(places):
            seen.append(f"{', '.join(unguarded)}: {step.describe()[:60]}")

    with controller(observe=look) as c:
        places = {
            endpoint.doc.attachment.host_ifname: c.networks.get(network).doc.facts["bridge"]
            for network in NETWORKS
            for endpoint in c.endpoints.list(network)
            if endpoint.doc.attachment
        }
        assert not _unguarded(places)
        remove(c)
    return seen


def _unguarded(places: dict[str, str]) -> list[str]:
    """Return the interfaces, given with their bridges, that are there without netctl's rules."""
    command = ["nft", "list", "set", "inet", "netctl", "networks"]
    rules = subprocess.run(command, capture_output=True, text=True).stdout
    there = {name for _, name in socket.if_nameindex()}
    return [name for name in there & {*places} if f'"{places[name]}"' not in rules]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_networks_rules_go_after_the_interfaces_of_its_endpoints(host: Host, name: str) -> None:
    host.call(_build, *DOCUMENTS[name])
    assert host.call(_watched, _networks_at_once) == []
