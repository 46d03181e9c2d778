"""Where a packet is to go, as it is typed: an address, an endpoint or a sandbox, with a port."""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address

from netctl import references
from netctl.errors import InvalidInput, NotFound
from netctl.models import Endpoint
from netctl.names import is_ifname
from netctl.record import Record
from netctl.store import Reader

_PORT = re.compile(r"(.+):(\d{1,5})(?:/(tcp|udp))?")
_HIGHEST = 65535
_FORMS = "for instance 192.0.2.1, fe80::1%eth0, [2001:db8::1]:443, web1:80 or c2:53/udp"


class Destination(Record):
    """Where a packet goes."""

    address: str
    protocol: str
    """``icmp`` where there is no port, else ``tcp`` or ``udp``."""
    port: int = 0
    zone: str = ""
    """The sandbox's interface, where an address of a link is meant there: ``fe80::1%eth0``."""

    @property
    def text(self) -> str:
        where = f"{self.address}%{self.zone}" if self.zone else self.address
        if not self.port:
            return where
        address = f"[{where}]" if ":" in where else where
        return f"{address}:{self.port}/{self.protocol}"


def parse(text: str, reader: Reader, near: Collection[str] = ()) -> Destination:
    """Read ``ADDRESS[:PORT[/tcp|udp]]``, where the address may be an endpoint or a sandbox: of that
    the endpoint counts that is in one of the networks ``near``, by id, if there is one.

    IPv6 with a port is in brackets. Raises ``InvalidInput`` or ``NotFound``.
    """
    if there := _address(text):
        return Destination(address=there[0], zone=there[1], protocol="icmp")
    match = _PORT.fullmatch(text)
    host, port, protocol = match.groups() if match else (text, "0", None)
    if not 0 <= int(port) <= _HIGHEST or (match and not int(port)):
        raise InvalidInput(
            f"port {port} is not from 1 to {_HIGHEST}", hint="for instance 443, or 53/udp"
        )
    address, zone = _address(host) or (_address_of(host, reader, near), "")
    return Destination(
        address=address,
        zone=zone,
        protocol=(protocol or "tcp") if match else "icmp",
        port=int(port),
    )


def _address(text: str) -> tuple[str, str] | None:
    """Return the address and its zone, None for another thing. Raises ``InvalidInput``."""
    bracketed = text.startswith("[") and text.endswith("]")
    host, sign, zone = (text[1:-1] if bracketed else text).partition("%")
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if sign and (address.version == 4 or not is_ifname(zone)):
        raise InvalidInput(
            f"{text[:60]!r} is no address: {'IPv4 has no zones' if address.version == 4 else ''}"
            f"{'' if address.version == 4 else 'its zone is no name of an interface'}",
            hint=f"give {address}, or one of an interface as fe80::1%eth0",
        )
    return str(address), zone


def _address_of(name: str, reader: Reader, near: Collection[str]) -> str:
    """Return the address of a sandbox, or of an endpoint."""
    sandbox = references.find_sandbox(reader, name)
    refs = sorted(sandbox.endpoints, key=lambda r: r.network_id not in near) if sandbox else ()
    for ref in refs:
        if address := _first(reader.get(Endpoint, ref.endpoint_id, ref.network_id)):
            return address
    # Not before: a sandbox in several networks often has an endpoint of its name in each.
    if address := _first(references.find_endpoint(reader, name)):
        return address
    if "." in name:
        raise InvalidInput(
            f"{name[:60]!r} is the name of no endpoint or sandbox, and names of hosts are not"
            " resolved here",
            hint="give the address, as 'netctl sandbox exec SANDBOX getent hosts NAME' prints it:"
            f" {_FORMS}",
        )
    raise NotFound(
        f"{name[:60]!r} is neither an address, nor an endpoint or a sandbox that has one",
        hint=_FORMS,
    )


def _first(endpoint: Endpoint | None) -> str:
    there = endpoint.routed_addresses if endpoint else ()
    return there[0].partition("/")[0] if there else ""
