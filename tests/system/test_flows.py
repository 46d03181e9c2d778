"""Flows through published ports: they end with what let them in, and no others do."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from netctl.controller import Controller
from tests.kernel.host import Host
from tests.kernel.programs import Talk, assert_ended
from tests.system.library import HOST, MODES, OUTSIDE, ROUTED, act, clear, inside, pair

WEB1 = "/run/netns/web1"
KINDS: dict[str, tuple[dict[str, str], str]] = {
    "nat": ({}, "8080:80"),
    "nat, the same port": ({}, "80:80"),
    "no masquerade": ({"bridge.enable_ip_masquerade": "false"}, "80:80"),
    "direct": ({"bridge.allow_direct_routing": "true"}, "8080:80"),
    "direct, no masquerade": (
        {"bridge.allow_direct_routing": "true", "bridge.enable_ip_masquerade": "false"},
        "8080:80",
    ),
    "trusted": (
        {
            "bridge.trusted_host_interfaces": "uplink",
            "bridge.enable_ip_masquerade": "false",
        },
        "8080:80",
    ),
    "routed": (ROUTED, "80"),
    "open": (dict.fromkeys(MODES, "nat-unprotected"), "80:80"),
}
"""Networks, and what their endpoint publishes of port 80."""
ENDINGS = {
    "leave": "endpoint leave web/web1",
    "rm": "sandbox rm --force web1",
    "network rm": "network rm --force web",
}
"""Beside ``endpoint unpublish``."""


@pytest.mark.parametrize("kind", list(KINDS))
def test_flows_end_when_their_port_is_unpublished(host: Host, kind: str) -> None:
    with ExitStack() as stack:
        talks = _talks(host, stack, *KINDS[kind])
        for protocol in ("tcp", "udp"):
            host.netctl("endpoint", "unpublish", "web/web1", f"80/{protocol}", check=True)
            assert_ended([talk for talk in talks if talk.protocol == protocol])
            if protocol == "tcp":
                for talk in talks[1::2]:
                    talk.goes_on()
    host.call(act, clear)


@pytest.mark.parametrize("kind", ["nat", "routed"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_flows_end_with_their_endpoint(host: Host, kind: str, ending: str) -> None:
    with ExitStack() as stack:
        talks = _talks(host, stack, *KINDS[kind])
        host.netctl(*ENDINGS[ending].split(), check=True)
        assert_ended(talks)
    host.call(act, clear)


def _talks(host: Host, stack: ExitStack, options: dict[str, str], spec: str) -> list[Talk]:
    """Publish a port, and begin to talk through it from outside, by both protocols and families."""

    def prepare(c: Controller) -> None:
        pair(c, "web", options=options)
        c.endpoints.publish("web/web1", [f"{spec}/tcp", f"{spec}/udp"])

    host.call(act, prepare)
    direct = "direct" in str(options) or "trusted" in str(options) or spec == "80"
    talks = []
    for version, own in inside(host, "web1").items():
        host.outside.sh(f"ip -{version} route replace {own} via {HOST[version]}")
        target, port = (own, "80") if direct else (HOST[version], spec.partition(":")[0])
        for protocol in ("tcp", "udp"):
            talk = Talk(host, protocol, WEB1, own, "outside", target, port)
            talks.append(stack.enter_context(talk.begun()))
    for talk in talks:
        talk.goes_on()
    return talks


def _outside_knows(host: Host) -> str:
    """Let the outside know the way to web1, whose IPv4 address is returned."""
    own = inside(host, "web1")[4]
    host.outside.sh(f"ip route add {own} via {HOST[4]}")
    return own


def test_a_flow_to_an_open_address_outlives_the_port_beside_it(host: Host) -> None:
    """In mode nat-unprotected the endpoint's own address stays open."""

    def prepare(c: Controller) -> None:
        pair(c, "web", options=dict.fromkeys(MODES, "nat-unprotected"))
        c.endpoints.publish("web/web1", ["80:80"])

    host.call(act, prepare)
    own = _outside_knows(host)
    with Talk(host, "tcp", WEB1, own, "outside", own, "80").begun() as talk:
        talk.goes_on()
        host.netctl("endpoint", "unpublish", "web/web1", "80", check=True)
        talk.goes_on()


def test_a_stream_that_the_endpoint_began_outlives_its_ports(host: Host) -> None:
    def prepare(c: Controller) -> None:
        pair(c, "web", options=ROUTED)
        c.endpoints.publish("web/web1", ["80"])

    host.call(act, prepare)
    _outside_knows(host)
    with Talk(host, "tcp", "outside", OUTSIDE[4], WEB1, OUTSIDE[4], "80").begun() as talk:
        talk.goes_on()
        host.netctl("endpoint", "unpublish", "web/web1", "80", check=True)
        talk.goes_on()
        assert host.netctl("check").returncode == 0
