"""What may stand in a resolv.conf."""

from __future__ import annotations

import pytest

from netctl.errors import InvalidInput
from netctl.nameservers import check_option, check_server, check_servers


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("224.0.0.251", "multicast"),
        ("ff02::fb", "multicast"),
        ("ff02::fb%eth0", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("127.0.0.11", "resolver"),
        ("::ffff:127.0.0.11", "resolver"),
        ("fe80::1", "needs the sandbox's interface"),
        ("fe80::1%", "not allowed as an interface name"),
        ("fe80::1%lo/..", "not allowed as an interface name"),
        ("169.254.1.1%eth0", "only an address in fe80::/10"),
        ("192.0.2.0/24", "not an IP address"),
        ("192.0.2", "not an IP address"),
        ("192.0.2.1:53", "not an IP address"),
        ("dns.example", "not an IP address"),
        ("", "not an IP address"),
    ],
)
def test_what_cannot_be_a_name_server(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        check_server("--dns", text)
    assert "--dns" in caught.value.command_message and caught.value.hint


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("192.0.2.53", "192.0.2.53"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.53", "127.0.0.53"),
        ("::1", "::1"),
        ("2001:DB8:0::53", "2001:db8::53"),
        ("FE80::1%eth0", "fe80::1%eth0"),
        ("240.0.0.1", "240.0.0.1"),
    ],
)
def test_what_can_be_a_name_server(text: str, shortest: str) -> None:
    assert check_server("--dns", text) == shortest


def test_no_more_servers_than_are_asked() -> None:
    many = [f"192.0.2.{number}" for number in range(1, 18)]
    assert len(check_servers("--dns", many[:16])) == 16
    with pytest.raises(InvalidInput, match="17 name servers"):
        check_servers("--dns", many)


@pytest.mark.parametrize(
    "text",
    [
        "ndots:0",
        "ndots:15",
        "timeout:1",
        "timeout:30",
        "attempts:5",
        "rotate",
        "no-check-names",
        "inet6",
        "edns0",
        "trust-ad",
        "single-request",
        "single-request-reopen",
        "no-tld-query",
        "use-vc",
        "no-reload",
        "no-aaaa",
        "debug",
    ],
)
def test_an_option(text: str) -> None:
    assert check_option("--dns-opt", text) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ndots", "from 0 to 15"),
        ("ndots:", "from 0 to 15"),
        ("ndots:x", "from 0 to 15"),
        ("ndots:-1", "from 0 to 15"),
        ("ndots:16", "from 0 to 15"),
        ("ndots:00000000000016", "from 0 to 15"),
        ("ndots:2 rotate", "from 0 to 15"),
        ("ndots:\u0662", "from 0 to 15"),
        ("timeout:0", "from 1 to 30"),
        ("timeout:31", "from 1 to 30"),
        ("attempts:0", "from 1 to 5"),
        ("attempts:9", "from 1 to 5"),
        ("rotate:1", "not an option"),
        ("Rotate", "not an option"),
        ("ndot:2", "not an option"),
        ("options", "not an option"),
        ("edns0\nnameserver 192.0.2.66", "not an option"),
        ("", "not an option"),
    ],
)
def test_what_is_no_option(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        check_option("--dns-opt", text)
    assert "--dns-opt" in caught.value.command_message and caught.value.hint
