"""Published ports: every kind of them from everywhere, and the source address that the server sees.

One host, one endpoint with all publications at once; every cell is asked with a real socket.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from netctl.controller import Controller
from tests.kernel.host import Host, Outside
from tests.kernel.probes import Question, compare, posts
from tests.system.library import act, addresses, bridge_filter, clear, two_networks

HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
ONE = {4: "192.0.2.77", 6: "2001:db8::77"}
OUTSIDE = {4: Outside.IPV4, 6: Outside.IPV6}
PLACES = {
    "host": "",
    "outside": "outside",
    "same network": "/run/netns/c2",
    "other network": "/run/netns/c3",
    "self": "/run/netns/c1",
}
BINDS = {"": (4, 6), ONE[4]: (4,), f"[{ONE[6]}]": (6,), "127.0.0.1": (4,), "[::1]": (6,)}
"""What a port is published on, and the families that it is reached in."""


class Published(NamedTuple):
    """A publication, and one port of it."""

    bind: str
    protocol: str
    outer: str
    inner: str
    asked: int
    answers: int

    @property
    def spec(self) -> str:
        return f"{self.bind and self.bind + ':'}{self.outer}:{self.inner}/{self.protocol}"


def publications() -> Iterator[Published]:
    for number, bind in enumerate(BINDS):
        base = 8000 + 100 * number
        for protocol in ("tcp", "udp"):
            same, other = f"{base}", f"{base + 1}"
            yield Published(bind, protocol, same, same, base, base)
            yield Published(bind, protocol, other, f"{base + 51}", base + 1, base + 51)
            span, shifted = f"{base + 10}-{base + 13}", f"{base + 20}-{base + 23}"
            yield Published(bind, protocol, span, span, base + 12, base + 12)
            inner = f"{base + 60}-{base + 63}"
            yield Published(bind, protocol, shifted, inner, base + 22, base + 62)


ALL = tuple(publications())


def prepare(c: Controller) -> None:
    two_networks(c)
    c.endpoints.publish("web/c1", [item.spec for item in ALL])


class Scene(NamedTuple):
    """The addresses of everybody, by family."""

    c1: dict[int, str]
    c2: dict[int, str]
    c3: dict[int, str]
    gateway: dict[int, str]
    translating: bool
    """Whether the bridge itself translates, and the answer to a neighbour goes that way too."""

    def source(self, place: str, target: str, version: int) -> str:
        """Return the address that the server sees: the client's own, unless the answer would go
        past the host or to nowhere."""
        # The host's own is the first of its addresses there.
        own = {
            "host": HOST[4] if version == 4 else target,
            "outside": OUTSIDE[version],
            "other network": self.c3[version],
        }
        if self.translating:
            own["same network"] = self.c2[version]
        return (
            self.gateway[version]
            if target in ("127.0.0.1", "::1")
            else own.get(place, self.gateway[version])
        )

    def expected(self) -> dict[str, dict[Question, str | None]]:
        return {place: dict(self._cells(place)) for place in PLACES}

    def _cells(self, place: str) -> Iterator[tuple[Question, str | None]]:
        for item in ALL:
            for version in (4, 6):
                targets = [HOST[version], ONE[version], "127.0.0.1" if version == 4 else "::1"]
                for target in targets:
                    seen = self._seen(place, item, target, version)
                    yield Question(target, item.asked, item.protocol), seen
                if place in ("outside", "other network"):
                    for port in (item.asked, item.answers):
                        yield Question(self.c1[version], port, item.protocol), None

    def _seen(self, place: str, item: Published, target: str, version: int) -> str | None:
        if version not in BINDS[item.bind]:
            return None
        if target in ("127.0.0.1", "::1"):
            reached = place == "host" and item.bind in ("", target, f"[{target}]")
        else:
            reached = item.bind in ("", target, f"[{target}]")
        return self.source(place, target, version) if reached else None


def scene(host: Host, *, translating: bool) -> Scene:
    bridge = host.netctl("network", "inspect", "web", "--format", "{bridge}").stdout.strip()
    sandboxes = [dict(zip((4, 6), host.call(addresses, f"c{n}"), strict=True)) for n in (1, 2, 3)]
    gateway = {
        version: host.json(f"ip -j -{version} address show dev {bridge} scope global")[0][
            "addr_info"
        ][0]["local"]
        for version in (4, 6)
    }
    return Scene(sandboxes[0], sandboxes[1], sandboxes[2], gateway, translating)


@pytest.mark.parametrize("filtering", [False, True], ids=["", "br_netfilter"])
def test_the_matrix(host: Host, filtering: bool) -> None:
    bridge_filter(host, filtering)
    host.sh(f"ip address add {ONE[4]}/24 dev uplink; ip address add {ONE[6]}/64 dev uplink nodad")
    before = host.snapshot()
    host.call(act, prepare)
    seen = scene(host, translating=filtering)
    for version, address in seen.c1.items():
        host.outside.sh(f"ip -{version} route add {address} via {HOST[version]}")
    with posts(host, PLACES) as there:
        ports = {(item.answers, item.protocol) for item in ALL}
        there["self"].serve(ports, list(seen.c1.values()))
        assert compare(there, seen.expected()) == []
        host.sh("nft flush ruleset")
        # What is sent to ::1 needs no rule.
        asked = seen.expected()["host"].items()
        loopback = {question: source for question, source in asked if question.address == "::1"}
        assert compare(there, {"host": loopback}) == []
        through = [q for q in seen.expected()["outside"] if q.address not in seen.c1.values()]
        assert compare(there, {"outside": dict.fromkeys(through)}) == []
        host.call(act, lambda c: c.reload())
        assert compare(there, seen.expected()) == []
    host.call(act, clear)
    host.assert_unchanged(before)
