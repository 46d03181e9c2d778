"""Published ports as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.errors import InvalidInput, Unsupported
from netctl.kernel import ports as kernel_ports
from netctl.kernel.diag import Socket
from netctl.models import Port
from netctl.ports import parse, shown
from netctl.record import replace


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", ("tcp", 80, 80, "", 0, 0)),
        ("::80", ("tcp", 80, 80, "", 0, 0)),
        ("8080:80/UDP", ("udp", 80, 80, "", 8080, 8080)),
        ("127.0.0.1::80", ("tcp", 80, 80, "127.0.0.1", 0, 0)),
        ("[FD00:0::1]:8080:80", ("tcp", 80, 80, "fd00::1", 8080, 8080)),
        ("8000-8010:80", ("tcp", 80, 80, "", 8000, 8010)),
        ("8000-8001:90-91/sctp", ("sctp", 90, 91, "", 8000, 8001)),
    ],
)
def test_forms(text: str, expected: tuple[str, int, int, str, int, int]) -> None:
    port = parse(text)
    assert expected == (
        *(port.protocol, port.first, port.last),
        *(port.host_ip, port.host_first, port.host_last),
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "65536", "80:", "-80", "80-", "2-1", "a", "80/icmp", "1.2.3.4:80", "a:80:80"),
        *("8000-8002:80-81", "[::1:80:80", "[fe80::1%eth0]:80:80", "1:2:3:4", " 80", "80\n"),
        *("224.0.0.1:80:80", "255.255.255.255::80", "[ff02::1]:80:80", "[::ffff:192.0.2.1]::80"),
        "[fe80::1]:80:80",
    ],
)
def test_what_is_wrong_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="port ") as caught:
        parse(text)
    assert caught.value.hint


def test_the_loopback_of_ipv6_has_no_sctp() -> None:
    assert parse("[0::1]:8080:80/udp").host_ip == "::1"
    with pytest.raises(Unsupported, match="::1") as caught:
        parse("[::1]:8080:80/sctp")
    assert caught.value.hint


@given(st.text(max_size=30))
def test_any_text_is_a_port_or_an_error(text: str) -> None:
    try:
        port = parse(text)
    except (InvalidInput, Unsupported):
        return
    assert 1 <= port.first <= port.last <= 65535


def test_a_port_is_shown_as_docker_does() -> None:
    port = Port(protocol="tcp", first=80, last=81, host_ip="fd00::1", host_first=8080)
    assert shown(port) == "[fd00::1]:8080-8081->80-81/tcp"
    assert shown(Port(protocol="udp", first=53, last=53, host_first=53)) == "*:53->53/udp"


def test_port_0_of_the_host_is_any_free_one() -> None:
    assert parse("0:80") == parse("80")
    assert parse("127.0.0.1:0:80/udp") == parse("127.0.0.1::80/udp")


@pytest.mark.parametrize(
    ("version", "wanted", "there", "kept"),
    [
        (4, "192.0.2.1", "192.0.2.1", True),
        (4, "192.0.2.1", "192.0.2.2", False),
        (4, "192.0.2.1", "0.0.0.0", True),
        (4, "192.0.2.1", "::", True),
        (4, "192.0.2.1", "::1", False),
        (4, "192.0.2.1", "::ffff:192.0.2.1", True),
        (4, "192.0.2.1", "::ffff:192.0.2.2", False),
        (4, "0.0.0.0", "127.0.0.1", True),
        (4, "0.0.0.0", "fd00::1", False),
        (6, "::", "fd00::1", True),
        (6, "::", "127.0.0.1", False),
        (6, "::", "0.0.0.0", False),
        (6, "fd00::1", "::", True),
        (6, "fd00::1", "fd00::2", False),
    ],
)
def test_which_sockets_keep_a_port(version: int, wanted: str, there: str, kept: bool) -> None:
    family = 6 if ":" in there else 4
    held = Socket(version=family, state="bound", address=there.removeprefix("::ffff:"), port=80)
    assert kernel_ports._in_the_way(version, wanted, held) is kept
    if (version, there) == (4, "::"):
        assert not kernel_ports._in_the_way(version, wanted, replace(held, alone=True))
