"""Published ports as text, docker's: ``[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp]``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from netctl.backends.options import is_nobodys
from netctl.errors import InvalidInput, Unsupported
from netctl.models import LOOPBACK6, RELAYED, Port
from netctl.names import several

PROTOCOLS = ("tcp", "udp", "sctp")
_SPEC = (
    r"(?:(?P<host>\[[^\]]*\]|[^:\[\]]*):(?=[^:]*:))?"
    r"(?:(?P<outer>[0-9]*(?:-[0-9]+)?):)?"
    r"(?P<inner>[0-9]+(?:-[0-9]+)?)"
    r"(?:/(?P<protocol>[A-Za-z]+))?"
)
_FORM = "[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp]"


def parse(text: str) -> Port:
    """Return the port that ``text`` says; raise ``InvalidInput``.

    A range of the host for one port means any free one of it; without a host port any of the
    kernel's ephemeral ones is taken.
    """
    match = re.fullmatch(_SPEC, text)
    if match is None:
        raise InvalidInput(
            f"port {text[:60]!r} does not have the form {_FORM}", hint="for instance 8080:80"
        )
    protocol = (match["protocol"] or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise InvalidInput(
            f"port {text[:60]!r}: no protocol {protocol[:20]!r}", hint="tcp, udp, sctp"
        )
    first, last = _range(text, match["inner"])
    host_ip = _address(text, match["host"] or "")
    check_relayed(text[:60], protocol, host_ip)
    # docker takes 0 for any free port, as bind(2) does.
    given = match["outer"] if match["outer"] != "0" else ""
    outer, outer_end = _range(text, given) if given else (0, 0)
    if outer and first != last and outer_end - outer != last - first:
        raise InvalidInput(
            f"port {text[:60]!r}: the ranges differ in length",
            hint=f"{last - first + 1} ports of the host, or one to begin with left out",
        )
    return Port(
        protocol=protocol,
        first=first,
        last=last,
        host_ip=host_ip,
        host_first=outer,
        host_last=outer_end,
    )


def parse_all(texts: Iterable[str]) -> tuple[Port, ...]:
    """Return the ports that several texts say, each once."""
    return tuple(dict.fromkeys(parse(text) for text in several(texts)))


def check_relayed(text: str, protocol: str, host_ip: str) -> None:
    """Raise ``Unsupported`` for what nobody brings from ::1 to an endpoint."""
    if host_ip == LOOPBACK6 and protocol not in RELAYED:
        raise Unsupported(
            f"port {text!r}: the kernel translates nothing that is sent to ::1, and only TCP and"
            " UDP are relayed from there",
            hint="publish on 127.0.0.1, or on another address of the host",
        )


def exposed(text: str) -> str:
    """Return a port that is served, ``PORT[-END][/tcp|udp|sctp]``, in its full form."""
    port = parse(text)
    if port.host_ip or port.host_first:
        raise InvalidInput(
            f"port {text[:60]!r} does not have the form PORT[-END][/tcp|udp|sctp]",
            hint="--expose only says what is served; --publish publishes it on the host",
        )
    return f"{_text(port.first, port.last)}/{port.protocol}"


def spec(port: Port) -> str:
    """Return a published port in docker's form, by which it is found again."""
    host = f"[{port.host_ip}]:" if ":" in port.host_ip else port.host_ip and f"{port.host_ip}:"
    outer = f"{outside(port)}:" if port.host_first else ""
    return f"{host}{outer}{_text(port.first, port.last)}/{port.protocol}"


def means(wanted: Port, port: Port) -> bool:
    """Whether ``wanted``, which may say less, is the publication ``port``."""
    same = (wanted.protocol, wanted.first, wanted.last) == (port.protocol, port.first, port.last)
    address = not wanted.host_ip or wanted.host_ip == port.host_ip
    # One that is open where it is has no port of the host, whatever was asked for.
    outer = not wanted.host_first or wanted.host_first <= port.host_first <= wanted.host_last
    return same and (not port.host_first or (address and outer))


def shown(port: Port) -> str:
    """Return a published port as docker shows it, ``0.0.0.0:8080->80/tcp``; one for which the host
    lends none is ``80/tcp``."""
    there = f"{inside(port)}/{port.protocol}"
    if not port.host_first:
        return there
    host = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip or "*"
    return f"{host}:{outside(port)}->{there}"


def inside(port: Port) -> str:
    """Return the numbers in the sandbox, ``80`` or ``80-89``."""
    return _text(port.first, port.last)


def outside(port: Port) -> str:
    """Return those of the host, where it has chosen any."""
    return _text(port.host_first, port.host_first + port.size - 1)


def _text(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}-{last}"


def _range(text: str, part: str) -> tuple[int, int]:
    first, _, last = part.partition("-")
    numbers = int(first or 0), int(last or first or 0)
    if not 1 <= numbers[0] <= numbers[1] <= 65535:
        raise InvalidInput(
            f"port {text[:60]!r}: {part[:20]} is not a port or a range",
            hint="numbers from 1 to 65535, the smaller first",
        )
    return numbers


def _address(text: str, host: str) -> str:
    if not host:
        return ""
    try:
        if "%" in host:
            raise ValueError
        found = ip_address(host.removeprefix("[").removesuffix("]"))
        if is_nobodys(found):
            raise ValueError
    except ValueError:
        raise InvalidInput(
            f"port {text[:60]!r}: {host[:40]} is not an address of a host",
            hint="an IPv4 address, or an IPv6 address in brackets: [fd00::1]:8080:80",
        ) from None
    return str(found)
