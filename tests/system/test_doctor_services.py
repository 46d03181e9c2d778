"""Published ports without a server are named, with what listens instead, and the lines mend it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from netctl.controller import Controller
from tests.kernel.host import Host
from tests.system.library import act, addresses

C1 = "/run/netns/c1"
CODE = "port-not-served"
_SHELL = f'netctl() {{ {sys.executable} -m netctl "$@"; }}\n'


def furnish(c: Controller) -> None:
    c.networks.create("web", ipv6=True)
    for name in ("c1", "c2"):
        c.sandboxes.create(name)
        c.endpoints.connect("web", name)


@pytest.fixture
def furnished(host: Host) -> Iterator[Host]:
    host.sh("for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do test ! -e $f || echo 0 >$f; done")
    host.call(act, furnish)
    yield host


def found(host: Host) -> list[dict[str, Any]]:
    done = host.netctl("doctor", "--format", "json")
    rows = list(json.loads(done.stdout))
    assert done.returncode == (9 if any(row["severity"] == "problem" for row in rows) else 0)
    return rows


def only(host: Host) -> dict[str, Any]:
    [row] = found(host)
    assert row["code"] == CODE
    return row


def publish(host: Host, *specs: str) -> None:
    assert host.netctl("endpoint", "publish", "web/c1", *specs).returncode == 0


@pytest.mark.parametrize(
    ("specs", "servers", "words", "left"),
    [
        # What is published, who listens where, what is said, and what is published afterwards.
        (["8080:80"], [], "is the server running?", []),
        (["8080:80"], [("127.0.0.1", 80, "tcp")], "listens on 127.0.0.1 alone", []),
        (["8080:80"], [("::1", 80, "tcp")], "listens on ::1 alone", []),
        (
            ["127.0.0.1:8080:80"],
            [("0.0.0.0", 8000, "tcp")],
            "listen on other ports, such as 8000",
            ["127.0.0.1:8080->8000/tcp"],
        ),
        (
            ["8080:80"],
            [("0.0.0.0", 81, "tcp"), ("0.0.0.0", 82, "tcp"), ("::", 83, "tcp")],
            "such as 81",
            [],
        ),
        (["8080:80"], [("0.0.0.0", 80, "udp")], "is the server running?", []),
        (["5353:53/udp"], [("127.0.0.1", 53, "udp")], "listens on 127.0.0.1 alone", []),
        (["0.0.0.0:8080:80"], [("::", 80, "tcp")], "listens on IPv6 alone", []),
        (["[::]:8080:80"], [("0.0.0.0", 80, "tcp")], "listens on IPv4 alone", []),
        (["9000-9009:9000-9009"], [("127.0.0.1", 9003, "tcp")], "listens on 127.0.0.1 alone", []),
    ],
)
def test_it_is_named_and_mended(
    furnished: Host, specs: list[str], servers: list[Any], words: str, left: list[str]
) -> None:
    host = furnished
    publish(host, *specs)
    with ExitStack() as stack:
        for address, port, protocol in servers:
            stack.enter_context(host.server(C1, address, port, protocol))
        row = only(host)
        assert row["severity"] == "problem"
        assert "sandbox c1" in row["what"] and "endpoint web/c1" in row["what"]
        assert words in row["what"], row
        for address, port, protocol in servers:
            if specs[0].endswith(f"/{protocol}") or protocol == "tcp":
                shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
                assert shown in row["evidence"], row
        host.sh(_SHELL + "\n".join(row["remedy"]))
        shown = host.netctl("endpoint", "ls", "--format", "{name} {ports}").stdout.split("\n")[0]
        assert [*filter(None, shown.removeprefix("c1").strip().split(","))] == left
        if not left:
            assert found(host) == []
        else:
            assert [row["severity"] for row in found(host)] in ([], ["note"])


def test_what_is_served_is_not_named(furnished: Host) -> None:
    host = furnished
    inside, inside6 = host.call(addresses, "c1")
    publish(host, "8080:80", "8053:53/udp", "9000-9300:9000-9300")
    assert [row["code"] for row in found(host)] == [CODE] * 3
    with ExitStack() as stack:
        for address in ("0.0.0.0", "::"):
            stack.enter_context(host.server(C1, address, 53, "udp"))
            stack.enter_context(host.server(C1, address, 9299))
        for address in (inside, inside6):
            stack.enter_context(host.server(C1, address, 80))
        assert found(host) == []
    # One family is enough for clients, which go on to the other.
    with host.server(C1, "0.0.0.0", 80):
        notes = [row for row in found(host) if row["severity"] == "note"]
        assert len(notes) == 1 and "80/tcp by IPv6" in notes[0]["what"]
        assert "IPv4 alone" in notes[0]["what"]
    # Nor is what a sandbox leads on by itself.
    host.sh(
        "ip netns exec c1 nft 'add table ip n; add chain ip n p { type nat hook prerouting priority"
        " -100; }; add rule ip n p tcp dport 80 dnat to 10.9.9.9'"
    )
    assert found(host) == []


def test_nobody_inside_decides_how_long_it_takes(furnished: Host) -> None:
    """Of thousands of sockets no more than a few are read."""
    host = furnished
    publish(host, "8080:80")
    code = (
        "import socket, sys, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9000, 9000));"
        "kept = [socket.create_server(('127.0.0.1', 10000 + n)) for n in range(4000)];"
        "print('ready', flush=True); sys.stdin.read()"
    )
    crowd = host.start("ip", "netns", "exec", "c1", "python3", "-c", code, stdin=-1, stdout=-1)
    try:
        assert crowd.stdout and crowd.stdout.readline() == "ready\n"
        row = only(host)
        assert len(row["evidence"].split(", ")) == 8 and "127.0.0.1:1" in row["evidence"]
    finally:
        crowd.kill()
        crowd.communicate()
