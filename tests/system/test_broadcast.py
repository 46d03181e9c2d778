"""What is sent to many, to a link or to anycast: who hears it of internal and isolated networks.

Destinations that are not unicast are no cells of ``test_matrix``, which asks and is answered: here
each way is one of its own.
"""

from __future__ import annotations

import select
from contextlib import ExitStack
from ipaddress import ip_interface

import pytest

from tests.kernel.host import Host
from tests.kernel.raw import datagram, listener
from tests.system.library import (
    ISOLATED,
    MODES,
    act,
    bridge_filter,
    bridge_of,
    inside,
    local_address,
    pair,
)
from tests.waiting import PATIENCE, QUIET

MANY = ("255.255.255.255", "{broadcast}", "224.0.0.1", "239.1.2.3", "ff02::1", "ff05::17")
SIX = {each for each in MANY if ":" in each}
PORT = 5000
Stack = tuple[str, str]
"""A path, and the name of the interface there."""


def heard_of_many(host: Host, source: Stack, target: Stack, expected: set[str]) -> set[str]:
    """Return which destinations of ``MANY`` reach a listener in a stack. To be called in the host.

    It is over some time after all that are expected have come.
    """
    first, second = inside(host, "net1")[4].split(".")[:2]
    wanted = [item.format(broadcast=f"{first}.{second}.255.255") for item in MANY]
    found: set[str] = set()
    with ExitStack() as stack:
        poll = select.epoll()
        names = {}
        for number, each in enumerate(wanted):
            groups = [each] if each.startswith(("ff", "2")) and each != "255.255.255.255" else []
            heard = listener(host, target[0], PORT + number, groups, target[1])
            stack.enter_context(heard)
            poll.register(heard.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
            names[heard.fileno()] = MANY[number]
        for number, each in enumerate(wanted):
            datagram(host, source[0], source[1], each, PORT + number)
        while ready := poll.poll(QUIET if found >= expected else PATIENCE):
            found |= {names[number] for number, _ in ready}
    return found


@pytest.mark.parametrize("filtering", [False, True], ids=["", "br_netfilter"])
@pytest.mark.parametrize(
    ("options", "internal", "host_hears", "sandbox_hears"),
    [
        ({}, False, set(MANY), set(MANY)),
        ({}, True, set(), set(MANY)),
        (ISOLATED, True, set(), set()),
        ({MODES[0]: "isolated"}, True, set(), SIX),
    ],
    ids=["nat", "internal", "isolated", "isolated by IPv4"],
)
def test_what_is_sent_to_many(
    host: Host,
    filtering: bool,
    options: dict[str, str],
    internal: bool,
    host_hears: set[str],
    sandbox_hears: set[str],
) -> None:
    bridge_filter(host, filtering)
    host.call(act, lambda c: pair(c, "net", internal=internal, options=options))
    bridge = bridge_of(host, "net")
    one, two = ("/run/netns/net1", "eth0"), ("/run/netns/net2", "eth0")
    # Endpoints hear each other, whatever the host does.
    # The host sends by a route, which for the subnet's broadcast it needs an address there for.
    for source, target, hears in (
        (one, two, set(MANY)),
        (one, ("", bridge), host_hears),
        (("", bridge), two, sandbox_hears),
    ):
        assert host.call(heard_of_many, host, source, target, hears) == hears, (source, target)
    peer = inside(host, "net2")
    for version in (4, 6):
        assert host.ping(one[0], peer[version])
        if options.get(MODES[version == 6]) != "isolated":
            shown = f"ip -j -{version} address show dev {bridge} scope global"
            host.sh("ip netns exec net1 ip neigh flush all; ip neigh flush all")
            assert host.ping(one[0], local_address(host, shown))
            assert host.ping("", peer[version])
    assert host.netctl("check").returncode == 0


def test_an_isolated_network_on_a_bridge_of_the_operators_own(host: Host) -> None:
    """The bridge has a link-local address, which is no way to the host either, nor back."""
    host.sh("ip link add br0 type bridge; ip link set br0 up")
    options = {"bridge.name": "br0"}
    host.call(act, lambda c: pair(c, "net", internal=True, options={**ISOLATED, **options}))
    host.until("ip -6 address show dev br0 scope link -tentative | grep -q fe80")
    host.sh("ip netns exec net1 sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0")
    local = local_address(host, "ip -j -6 address show dev br0 scope link")
    far = local_address(host, "ip -n net1 -j -6 address show dev eth0 scope link")
    assert not host.ping("/run/netns/net1", f"{local}%eth0", seconds=QUIET)
    assert not host.ping("", f"{far}%br0", seconds=QUIET)
    host.sh("nft flush ruleset")
    assert host.ping("/run/netns/net1", f"{local}%eth0")
    host.call(act, lambda c: c.reload())
    assert not host.ping("/run/netns/net1", f"{local}%eth0", seconds=QUIET)


def test_anycast_of_other_networks_is_not_reached_from_an_internal_one(host: Host) -> None:
    host.call(act, lambda c: pair(c, "net", internal=True))
    host.call(act, lambda c: c.networks.create("web", ipv6=True))
    web = local_address(host, f"ip -j -6 address show scope global dev {bridge_of(host, 'web')}")
    anycast = str(ip_interface(f"{web}/64").network.network_address)
    shown = "ip -j -6 address show scope global dev"
    via = local_address(host, f"{shown} {bridge_of(host, 'net')}")
    host.sh(f"ip -n net1 -6 route add {anycast} via {via}")
    assert not host.ping("/run/netns/net1", anycast, seconds=QUIET)
