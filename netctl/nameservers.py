"""What may stand in a resolv.conf(5): the address of a name server, and an option.

What libc or the resolver could never use is refused where it is given, by option or configuration,
and passed over in a file of the host's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from netctl.errors import InvalidInput
from netctl.names import check_ifname, is_ifname

RESOLVER = "127.0.0.11"
"""Where the resolver answers in a sandbox (libnetwork's address)."""
MOST_SERVERS = 16
"""How many the resolver asks in turn."""
_BROADCAST = "255.255.255.255"
_NUMBERS = {"ndots": (0, 15), "timeout": (1, 30), "attempts": (1, 5)}
"""Options with a number, from and to: glibc cuts others silently (resolv.h, RES_MAX...)."""
_WORDS = (
    *("debug", "edns0", "inet6", "ip6-bytestring", "ip6-dotint", "no-aaaa", "no-check-names"),
    *("no-ip6-dotint", "no-reload", "no-tld-query", "rotate", "single-request"),
    *("single-request-reopen", "trust-ad", "use-vc"),
)
"""The other options of resolv.conf(5)."""


def check_servers(what: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses of name servers in their shortest form; raise ``InvalidInput``."""
    found = tuple(check_server(what, text) for text in texts)
    if len(found) > MOST_SERVERS:
        raise InvalidInput(
            f"{what}: {len(found)} name servers are given",
            hint=f"give at most {MOST_SERVERS}: they are asked one after the other",
        )
    return found


def check_server(what: str, text: str) -> str:
    """Return the address of a name server in its shortest form, or raise ``InvalidInput``.

    An address of a link has the sandbox's interface with it: ``fe80::1%eth0``.
    """
    host, sign, zone = text.partition("%")
    address = _address(what, host)
    if reason := _unfit(address):
        raise InvalidInput(
            f"{what} {text[:60]!r} cannot be a name server ({reason})",
            hint="give the address of a host, for instance 192.0.2.53 or 2001:db8::53",
        )
    of_link = address.version == 6 and address.is_link_local
    if sign and not of_link:
        raise InvalidInput(
            f"{what} {text[:60]!r}: only an address in fe80::/10 has an interface",
            hint=f"use {address}",
        )
    if of_link and not sign:
        raise InvalidInput(
            f"{what} {text[:60]!r}: an address in fe80::/10 needs the sandbox's interface",
            hint=f"for instance {address}%eth0",
        )
    return f"{address}%{check_ifname(what, zone)}" if sign else str(address)


def _address(what: str, text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidInput(
            f"{what} {text[:60]!r} is not an IP address",
            hint="for instance 192.0.2.53 or 2001:db8::53, without a prefix length",
        ) from None


def _unfit(address: IPv4Address | IPv6Address) -> str:
    """Return why nothing at an address can be asked, ``""`` where something can."""
    meant = (address.version == 6 and address.ipv4_mapped) or address
    if str(meant) == RESOLVER:
        return "the resolver itself answers there"
    if meant.is_unspecified or (meant.version == 4 and meant.packed[0] == 0):
        return "unspecified"
    if meant.is_multicast:
        return "multicast"
    return "broadcast" if str(meant) == _BROADCAST else ""


def lines_of(text: str) -> list[list[str]]:
    """Return the lines of a resolv.conf(5) as words, without comments."""
    return [line.split() for line in text.splitlines() if line.strip() and line[0] not in "#;"]


def servers_in(found: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the addresses of the name servers that lines name, each once."""
    named = (words[1] for words in found if len(words) > 1 and words[0] == "nameserver")
    return tuple(dict.fromkeys(filter(_is_address, named)))


def _is_address(text: str) -> bool:
    host, sign, zone = text.partition("%")
    try:
        ip_address(host)
    except ValueError:
        return False
    return not sign or (":" in host and is_ifname(zone))


def check_option(what: str, text: str) -> str:
    """Return an option of resolv.conf(5), or raise ``InvalidInput``."""
    word, colon, number = text.partition(":")
    if word in _NUMBERS:
        low, high = _NUMBERS[word]
        plain = number.isascii() and number.isdigit() and len(number) < 4
        if not (plain and low <= int(number) <= high):
            raise InvalidInput(
                f"{what} {text[:60]!r}: {word} takes a number from {low} to {high}",
                hint=f"for instance {word}:{max(low, 1)}",
            )
    elif colon or word not in _WORDS:
        raise InvalidInput(
            f"{what} {text[:60]!r} is not an option of resolv.conf",
            hint=f"known: {', '.join(f'{name}:N' for name in _NUMBERS)}, {', '.join(_WORDS)}",
        )
    return text
