"""Checks that the definitions share."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_interface

from netctl.errors import Conflict, InvalidInput

TEXT_LIMIT = 4096
"""Characters of a label, an option or a path."""


def check_mac(text: str) -> str:
    """Return a unicast MAC address as six lower-case pairs, or raise ``InvalidInput``."""
    parts = text.lower().replace("-", ":").split(":")
    hexadecimal = len(parts) == 6 and all(
        len(p) == 2 and set(p) <= set("0123456789abcdef") for p in parts
    )
    if not hexadecimal or int(parts[0], 16) & 1 or set(parts) == {"00"}:
        raise InvalidInput(
            f"--mac {text[:40]!r} is not a unicast MAC address",
            hint="six pairs of hexadecimal digits, the first one even: 02:00:00:00:00:01",
        )
    return ":".join(parts)


def check_path(what: str, path: str) -> str:
    """Return an absolute path of printable text, or raise ``InvalidInput``."""
    if not path.startswith("/") or not path.isprintable() or len(path) > TEXT_LIMIT:
        raise InvalidInput(
            f"{what} {path[:80]!r} is not an absolute path",
            hint=f"begin with /; printable, at most {TEXT_LIMIT} characters",
        )
    return path


def check_address(what: str, text: str, version: int | None = None) -> str:
    try:
        if "/" in text:
            raise InvalidInput(
                f"{what} {text[:60]!r} has a prefix length", hint=f"use {ip_interface(text).ip}"
            )
        value = ip_address(text)
    except ValueError:
        raise InvalidInput(
            f"{what} {text[:60]!r} is not an IP address", hint="for instance 192.0.2.7 or fd00::7"
        ) from None
    if (version and value.version != version) or "%" in text:
        raise InvalidInput(
            f"{what} {text[:60]!r} is not an IPv{version or 4} address",
            hint="an address of that family, without a zone",
        )
    return str(value)


def check_texts(*mappings: Mapping[str, str]) -> None:
    for mapping in mappings:
        for key, value in mapping.items():
            if not (isinstance(key, str) and isinstance(value, str)):
                raise InvalidInput(
                    f"{key!r:.40}={value!r:.40}: the key and the value must be strings",
                    hint="write 1400 as '1400'",
                )
            if not key or not (key + value).isprintable() or len(key + value) > TEXT_LIMIT:
                shown = "".join(c if c.isprintable() else "?" for c in f"{key[:40]}={value[:40]}")
                raise InvalidInput(
                    f"'{shown}' is not allowed",
                    hint=f"a key, and printable text of at most {TEXT_LIMIT} characters",
                )


def check_alike(what: str, name: str, differing: list[str], reference: str = "") -> None:
    """Raise ``Conflict`` where something differs; ``reference`` says what to look at where the name
    is not unique."""
    if differing:
        raise Conflict(
            f"{what} {name} exists with another definition: {', '.join(dict.fromkeys(differing))}",
            hint=f"netctl {what} inspect {reference or name} shows it",
        )
