"""Subnets and addresses as people write them, and which of them a host may bear."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from netctl.errors import InvalidInput

Subnet = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address

_SHOWN = 60
"""Characters of a wrong value that an error repeats."""
# IANA's special-purpose registries; the unspecified, mapped and broadcast addresses bear no host.
_SPECIAL = {
    4: {
        "0.0.0.0/8": "unspecified",
        "127.0.0.0/8": "loopback",
        "169.254.0.0/16": "link-local",
        "224.0.0.0/4": "multicast",
        "255.255.255.255/32": "broadcast",
    },
    6: {
        "::/128": "unspecified",
        "::1/128": "loopback",
        "::ffff:0:0/96": "IPv4-mapped",
        "fe80::/10": "link-local",
        "ff00::/8": "multicast",
    },
}


def parse_subnet(what: str, text: str) -> Subnet:
    """Return a subnet given as CIDR with host bits zero; raise ``InvalidInput``.

    ``what`` names it in the error: ``"subnet"``, ``"IP range"``.
    """
    base, _, length = text.partition("/")
    try:
        # ip_network alone would take 10.0.0.0/255.0.0.0, a lone address and a zone as well.
        if not (length.isascii() and length.isdigit()) or "%" in base:
            raise ValueError
        loose = ip_network(text, strict=False)
    except ValueError:
        raise InvalidInput(
            f"{what} {text[:_SHOWN]!r} is not CIDR", hint="for instance 10.0.0.0/24 or fd00:1::/64"
        ) from None
    if loose.network_address != ip_address(base):
        check_for_hosts(loose, link_local=True)
        raise InvalidInput(f"invalid {what} {text}: it should be {loose}", hint=f"use {loose}")
    return loose


def parse_address(what: str, text: str) -> IpAddress:
    """Return an address without prefix length and zone; raise ``InvalidInput``."""
    try:
        if "%" in text:
            raise ValueError
        return ip_address(text)
    except ValueError:
        raise InvalidInput(
            f"{what} {text[:_SHOWN]!r} is not an IP address",
            hint="for instance 10.0.0.9 or fd00:1::9, without a prefix length",
        ) from None


def check_for_hosts(subnet: Subnet, *, link_local: bool = False) -> None:
    """Raise ``InvalidInput`` for a subnet with addresses that no host may bear.

    With ``link_local`` a whole /64 of fe80::/10 may be one, as in moby.
    """
    if subnet.version == 6 and subnet.is_link_local and subnet.prefixlen == 64 and link_local:
        return
    for text, kind in _SPECIAL[subnet.version].items():
        if ip_network(text).overlaps(subnet):
            raise InvalidInput(
                f"subnet {subnet} is not for hosts ({text} is {kind})",
                hint="use a private one such as 10.0.0.0/24 or fd00:1::/64",
            )


def usable(subnet: Subnet) -> tuple[int, int]:
    """Return the first and last address of a subnet that a host may bear.

    IPv4 keeps the network and broadcast address, except in /31 (RFC 3021) and /32; IPv6 the
    subnet-router anycast address (RFC 4291 section 2.6.1), except in /127 (RFC 6164) and /128.
    """
    low, high = int(subnet.network_address), int(subnet.broadcast_address)
    if subnet.prefixlen >= subnet.max_prefixlen - 1:
        return low, high
    return low + 1, high - (subnet.version == 4)


def address_text(number: int, version: int) -> str:
    """Return an address in its shortest form."""
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))


def home(what: str, address: IpAddress, subnets: list[Subnet]) -> Subnet:
    """Return the subnet of an address that a host of it may bear; raise ``InvalidInput``."""
    for subnet in subnets:
        if address in subnet:
            _check_usable(what, address, subnet)
            return subnet
    shown = ", ".join(map(str, subnets)) or "none given"
    raise InvalidInput(
        f"{what} {address} is outside of the subnets ({shown})",
        hint="use one inside" if subnets else "give its subnet with --subnet",
    )


def _check_usable(what: str, address: IpAddress, subnet: Subnet) -> None:
    low, high = usable(subnet)
    if not low <= int(address) <= high:
        kind = "network or broadcast" if subnet.version == 4 else "subnet-router anycast"
        first, last = (address_text(number, subnet.version) for number in (low, high))
        raise InvalidInput(
            f"{what} {address} is the {kind} address of {subnet}",
            hint=f"use one from {first} to {last}",
        )
