"""Packets that connection tracking takes for no part of a flow, or for one of another's."""

from __future__ import annotations

import socket

import pytest

from tests.kernel.host import ANSWER, Host
from tests.kernel.programs import ECHO, program
from tests.kernel.raw import ACK, FIN, PSH, RST, Segment, drained, got_out, send, sniffer, tcp_of
from tests.system.library import HOST, OUTSIDE, ROUTED, act, bridge_of, inside, pair


def test_an_internal_network_sends_nothing_as_part_of_anothers_flow(host: Host) -> None:
    host.call(
        act,
        lambda c: pair(c, "web"),
        lambda c: pair(c, "net", internal=True),
    )
    victim = inside(host, "web1")
    for version in (4, 6):
        with host.server("outside", OUTSIDE[version], 7000, "udp"):
            assert host.ask("/run/netns/web1", OUTSIDE[version], 7000, "udp")
    gateway = host.json(f"ip -j -4 address show dev {bridge_of(host, 'net')}")
    via = gateway[0]["addr_info"][0]["local"]
    host.sh(f"ip -n net1 route add default via {via}; ip -n net1 addr add {victim[4]}/32 dev lo")
    begun = Segment(victim[4], 40000, OUTSIDE[4], 80, 2)
    assert got_out(host, "/run/netns/web1", [begun])
    # The outside's answer, a reset, ended that one; the other goes on.
    spoofed = [Segment(victim[4], 40000, OUTSIDE[4], 80, flags) for flags in (2, ACK, PSH | ACK)]
    assert got_out(host, "/run/netns/net1", spoofed) == []


STRAY = (RST, RST | ACK, FIN | ACK)
"""What connection tracking calls invalid where it knows no connection."""


@pytest.mark.parametrize("masquerade", [True, False])
def test_invalid_packets_do_not_leave_a_hidden_network(host: Host, masquerade: bool) -> None:
    option = {"bridge.enable_ip_masquerade": str(masquerade).lower()}
    host.call(
        act,
        lambda c: pair(c, "web", options=option),
        lambda c: pair(c, "lan", options=ROUTED),
        lambda c: c.networks.create("db", ipv6=True, options={"host_ipv4": HOST[4]}),
        lambda c: c.sandboxes.create("db1"),
        lambda c: c.endpoints.connect("db", "db1"),
    )
    for version in (4, 6):
        # The uplink has no link-local address to ask its neighbours from.
        assert host.ping("", OUTSIDE[version])
        for name in ("web1", "lan1", "db1"):
            own = inside(host, name)[version]
            sent = [Segment(own, 40000 + n, OUTSIDE[version], 80, f) for n, f in enumerate(STRAY)]
            seen = got_out(host, f"/run/netns/{name}", sent)
            hidden = name == "db1" or (name == "web1" and masquerade)
            # Where nothing is translated answers may take another way, and no flow be known.
            assert [item.source for item in seen] == ([] if hidden else [own] * len(STRAY))


def _breaks(host: Host, address: str, port: int, offset: int, protocol: int) -> list[bool]:
    """Return whether a connection from outside breaks after a packet with another sequence, and
    whether a reset was seen meanwhile."""
    host.enter_stack("outside")
    with sniffer(host, "outside", "world") as heard:
        client = socket.create_connection((address, port), ANSWER)
        client.send(b"one")
        client.recv(9)
        mine, last = client.getsockname(), None
        for found in map(tcp_of, drained(heard)):
            if found and found[0].sport == mine[1]:
                last = found[1]
        assert last
        bad = last._replace(sequence=last.sequence + offset, flags=PSH | ACK, payload=b"zz")
        send(host, "outside", [bad])
        try:
            client.send(b"two")
            broken = client.recv(9) != b"two"
        except OSError:
            broken = True
        # What the packet has led to has come before this answer.
        resets = [f for f in map(tcp_of, drained(heard)) if f and f[0].flags & RST]
    return [broken, bool(resets)]


@pytest.mark.parametrize("spec", ["8080:80", "{address}:8080:80", "80-89:80-89"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_packet_out_of_the_window_resets_no_published_connection(
    host: Host, version: int, spec: str
) -> None:
    address = HOST[version]
    text = spec.format(address=address if version == 4 else f"[{address}]")
    host.call(act, lambda c: pair(c, "web"))
    host.call(act, lambda c: c.endpoints.publish("web/web1", [text]))
    port = 80 if text.startswith("80-") else 8080
    # A server of the host's own is left to the host.
    with (
        program(host, "/run/netns/web1", ECHO, inside(host, "web1")[version], "80"),
        program(host, "", ECHO, address, "9080"),
    ):
        for offset in (1 << 29, -(1 << 29)):
            assert host.call(_breaks, host, address, 9080, offset, version)[0] is False
            assert host.call(_breaks, host, address, port, offset, version) == [False, False]
