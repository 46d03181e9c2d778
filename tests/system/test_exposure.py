"""What ``inspect`` says of who reaches a port is what real sockets find.

One host with an ``outside`` and a second one, ``pc``, both with routes to every sandbox.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from netctl.controller import Controller
from tests.kernel.host import Host
from tests.kernel.probes import Post, Question, answers, posts
from tests.system.library import act, clear
from tests.system.test_gateway_modes import FAMILIES, HOST, MODES, SECOND, TRUSTED, first

NETWORKS: dict[str, dict[str, str]] = {
    "nat": {},
    "half": {MODES[1]: "nat-unprotected"},
    "mixed": {MODES[1]: "routed"},
    "direct": {"bridge.allow_direct_routing": "true"},
    "trusting": {TRUSTED: "lan"},
}
_SERVED = (80, 81, 82, 83, 99)
"""Published on all addresses, on one, on the loopbacks, and not at all."""
_INTERFACE = {"outside": "uplink", "pc": "lan", "host": ""}


def prepare(c: Controller) -> None:
    for number, (name, options) in enumerate(NETWORKS.items()):
        c.networks.create(name, ipv6=True, options=options)
        c.sandboxes.create(f"{name}1")
        base = 8000 + 10 * number
        ports = [f"{base}:80", f"{HOST[4]}:{base + 1}:81", f"127.0.0.1:{base + 2}:82"]
        ports += [f"[::1]:{base + 3}:83"] if name in ("nat", "trusting") else []
        c.endpoints.connect(name, f"{name}1", ports=ports)


def rows(host: Host) -> list[dict[str, Any]]:
    found = host.netctl("endpoint", "inspect", *(f"{name}/{name}1" for name in NETWORKS))
    assert found.returncode == 0, found.stderr
    return list(json.loads(found.stdout))


def cells(host: Host) -> Iterator[tuple[str, Question, bool]]:
    """Yield who asks what, and whether it is reached by the words."""
    for row in rows(host):
        own = dict(zip(FAMILIES, (row[f"ipv{v}"].partition("/")[0] for v in FAMILIES), strict=True))
        for asker, interface in _INTERFACE.items():
            open_: set[tuple[str, int]] = set()
            for item in row["exposure"]:
                version, sources = int(item["family"][-1]), set(item["from"])
                # The host is among everybody.
                reached = bool(sources & {"anywhere", f"interface {interface}"} or not interface)
                reached = reached and bool(sources)
                if item["host_address"]:
                    every = item["host_address"] in ("0.0.0.0", "::")
                    address = HOST[version] if every else item["host_address"]
                    yield asker, Question(address, int(item["host_port"]), "tcp"), reached
                elif reached:
                    ports = [int(item["port"])] if item["port"] else _SERVED
                    open_ |= {(own[version], port) for port in ports}
            # The host reaches whatever is served there.
            for address in own.values():
                for port in _SERVED:
                    reached = not interface or (address, port) in open_
                    yield asker, Question(address, port, "tcp"), reached


def differing(there: Mapping[str, Post], expected: list[tuple[str, Question, bool]]) -> list[str]:
    wanted: dict[str, dict[Question, bool]] = {name: {} for name in _INTERFACE}
    for asker, question, reached in expected:
        wanted[asker][question] = reached or wanted[asker].get(question, False)
    seen = answers(there, wanted)
    return [
        f"{name} -> {q}: said {reached}, found {seen[name][q]}"
        for name, q, reached in expected
        if bool(seen[name][q]) != reached
    ]


def reached_from(host: Host, network: str) -> list[str]:
    done = host.netctl("endpoint", "inspect", f"{network}/{network}1")
    row = json.loads(done.stdout)[0]
    listed = host.netctl("endpoint", "ls", "--network", network, "--format", "{reached_from}")
    assert listed.stdout.strip() == ",".join(row["reached_from"])
    return list(row["reached_from"])


def test_the_words_are_what_sockets_find(host: Host) -> None:
    host.sh(SECOND)
    before = host.snapshot()
    host.call(act, prepare)
    for version in FAMILIES:
        for name in NETWORKS:
            way = f"route add {first(host, name)[version]} via {HOST[version]}"
            host.outside.sh(f"ip -{version} {way}")
    names = {name: f"/run/netns/{name}1" for name in NETWORKS}
    with posts(host, {"host": "", "outside": "outside", "pc": "/run/netns/pc", **names}) as there:
        for name in NETWORKS:
            there[name].serve([(n, "tcp") for n in _SERVED], list(first(host, name).values()))
        python = (sys.executable, "-X", "importtime", "-m", "netctl")
        assert "pyroute2" not in host.run(*python, "endpoint", "ls").stderr
        said = list(cells(host))
        assert len(said) > 100
        assert differing(there, said) == []
        listed = host.netctl(
            "endpoint", "ls", "--format", "{network} {ports} {reached_from}"
        ).stdout
        for line in (
            "nat *:8000->80/tcp,192.0.2.1:8001->81/tcp,127.0.0.1:8002->82/tcp,[::1]:8003->83/tcp"
            " anywhere,via:192.0.2.1,host,host",
            "half *:8010->80/tcp,192.0.2.1:8011->81/tcp,127.0.0.1:8012->82/tcp"
            " anywhere,via:192.0.2.1,host,unpublished=ipv6=anywhere",
            "trusting *:8040->80/tcp,192.0.2.1:8041->81/tcp,127.0.0.1:8042->82/tcp"
            ",[::1]:8043->83/tcp anywhere,via:192.0.2.1+trusted:lan,host,host",
        ):
            assert line in listed.splitlines()
        # Another endpoint becomes the way out: nothing is lent any more, in the words and for real.
        host.call(
            act,
            lambda c: c.networks.create("other", ipv6=True),
            *(
                (lambda c, n=name: c.endpoints.connect("other", f"{n}1", priority=9))
                for name in NETWORKS
            ),
        )
        moved = list(cells(host))
        assert not any(r for asker, q, r in moved if asker == "outside" and q.address == HOST[4])
        assert differing(there, moved) == []
        assert (
            json.loads(host.netctl("network", "inspect", "nat").stdout)[0]["endpoints"][0][
                "reached_from"
            ]
            == ["nobody:not-gateway"] * 4
        )
        host.sh("netctl() { " + sys.executable + ' -m netctl "$@"; }; netctl network rm -f other')
        # What somebody takes away is not said to be there.
        host.sh("nft flush ruleset")
        bare = list(cells(host))
        asked = [(asker, q.port) for asker, q, reached in bare if reached and q.address == "::1"]
        assert asked == [("host", 8003), ("host", 8043)]
        assert ("outside", True) in {(asker, reached) for asker, _, reached in bare}
        assert differing(there, bare) == []
    assert reached_from(host, "nat") == [*["nobody:rules-gone"] * 3, "host", "unpublished=anywhere"]
    assert host.netctl("reload").returncode == 0
    assert reached_from(host, "nat") == ["anywhere", "via:192.0.2.1", "host", "host"]
    host.sh("ip netns delete nat1")
    port = json.loads(host.netctl("endpoint", "inspect", "half/half1").stdout)[0]["attachment"]
    host.sh(f"ip link delete {port['host_ifname']}")
    assert reached_from(host, "nat") == ["nobody:sandbox-gone"] * 4
    assert reached_from(host, "half") == ["nobody:interface-gone"] * 3
    assert host.netctl("restore").returncode == 0
    assert reached_from(host, "nat")[0] == reached_from(host, "half")[0] == "anywhere"
    host.call(act, clear)
    host.assert_unchanged(before)
