"""Names, ids and the interface names that derive from them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TypeVar

from netctl.errors import InvalidInput

_T = TypeVar("_T")
NAME_LIMIT = 63
ID_DIGITS = 64
SHORT_ID_DIGITS = 12
IFNAME_LIMIT = 15
"""Bytes of an interface name: IFNAMSIZ less the final NUL (linux/if.h)."""

# Patterns are text: re compiles each at its first use, and keeps it.
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_ID = rf"[0-9a-f]{{{ID_DIGITS}}}"
_ID_PREFIX = rf"[0-9a-f]{{1,{ID_DIGITS}}}"
_IFNAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HOSTNAME = r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*"
_ASKABLE = "use a name with a letter in it, for instance web1; no dot at its end, nor two together"
MARK = "netctl:"
"""Every interface of ours has an alias that begins with this word; nothing else is removed."""


def new_id() -> str:
    """Return a fresh id: 64 hexadecimal digits from the system's random source."""
    return os.urandom(ID_DIGITS // 2).hex()


def short(object_id: str) -> str:
    """Return the 12 digits of an id that people are shown."""
    return object_id[:SHORT_ID_DIGITS]


def check_name(what: str, name: str) -> str:
    """Return ``name`` if it may name a ``what`` (``"network"``), else raise ``InvalidInput``."""
    if not re.fullmatch(_NAME, name):
        raise InvalidInput(
            f"{what} name {name[:80]!r} is not allowed",
            hint="letters, digits, '_', '.' and '-', beginning with a letter or digit",
        )
    if len(name) > NAME_LIMIT:
        raise InvalidInput(
            f"{what} name {name[:20]!r}... has {len(name)} characters",
            hint=f"use at most {NAME_LIMIT} characters",
        )
    return name


def several(texts: Iterable[_T]) -> tuple[_T, ...]:
    """Return texts as a tuple; one alone, which would be taken for its letters, is refused."""
    if isinstance(texts, str):
        raise InvalidInput(
            f"{texts[:60]!r} is one text, where several are expected", hint=f"give [{texts[:60]!r}]"
        )
    return tuple(texts)


def check_id(what: str, object_id: str) -> str:
    """Return ``object_id`` if it is a full id, else raise ``InvalidInput``."""
    if not is_id(object_id):
        raise InvalidInput(
            f"{what} id {object_id[:80]!r} is not an id",
            hint=f"an id has {ID_DIGITS} digits 0-9a-f; leave it out to get a random one",
        )
    return object_id


def check_ifname(what: str, name: str) -> str:
    """Return ``name`` if the kernel takes it as an interface name, else raise ``InvalidInput``.

    The kernel forbids ``/``, white space, ``.`` and ``..`` (net/core/dev.c, dev_valid_name);
    netctl allows only what needs no quoting in a shell, in nft and in sysctl paths.
    """
    if not re.fullmatch(_IFNAME, name) or name in ("lo", "all", "default"):
        raise InvalidInput(
            f"{what} {name[:40]!r} is not allowed as an interface name",
            hint="letters, digits, '_', '.' and '-'; not lo, all or default",
        )
    if len(name) > IFNAME_LIMIT:
        raise InvalidInput(
            f"{what} {name[:40]!r} has {len(name)} bytes",
            hint=f"the kernel takes interface names of at most {IFNAME_LIMIT} bytes",
        )
    return name


def is_ifname(text: str) -> bool:
    """Whether ``text`` has the form of an interface's name, or is an interface's number."""
    return len(text) <= IFNAME_LIMIT and re.fullmatch(_IFNAME, text) is not None


def check_hostname(what: str, name: str) -> str:
    """Return ``name`` if it has the form of RFC 1123, with '_' and at most 253 characters."""
    if not is_hostname(name):
        raise InvalidInput(
            f"{what} {name[:80]!r} is not a host name",
            hint="labels of at most 63 letters, digits, '-' or '_', joined by dots (RFC 1123)",
        )
    return name


def check_askable(what: str, name: str) -> str:
    """Return ``name`` if it is a host name that can be asked for: libc never asks for one that it
    reads as an address. Else raise ``InvalidInput``."""
    if reason := unaskable(check_hostname(what, name)):
        raise InvalidInput(f"{what} {name[:80]!r} cannot be asked for: {reason}", hint=_ASKABLE)
    return name


def unaskable(name: str) -> str:
    """Return why no resolver can be asked for a name of an object, ``""`` where one can."""
    if name.endswith("."):
        return "DNS drops the dot at its end"
    if not all(name.split(".")):
        return "DNS has no empty labels"
    if name[:1].isdigit() and (address := _as_libc_reads(name)):
        return f"libc reads it as the IPv4 address {address}"
    return ""


def _as_libc_reads(text: str) -> str:
    """Return the address that inet_aton(3) makes of a text: of ``1234``, ``1.2``, ``0x7f.1``."""
    from socket import inet_aton, inet_ntoa

    try:
        return inet_ntoa(inet_aton(text))
    except OSError:
        return ""


def is_hostname(text: str) -> bool:
    """Whether ``text`` has the form that ``check_hostname`` wants."""
    short_labels = len(text) <= 253 and all(len(label) <= 63 for label in text.split("."))
    return short_labels and re.fullmatch(_HOSTNAME, text) is not None


def is_id(text: str) -> bool:
    """Whether ``text`` has the form of a full id."""
    return re.fullmatch(_ID, text) is not None


def is_id_prefix(text: str) -> bool:
    """Whether ``text`` could be the beginning of an id."""
    return re.fullmatch(_ID_PREFIX, text) is not None


def bridge_ifname(network_id: str) -> str:
    """Return the bridge's interface name of a network: 15 bytes, as libnetwork's ``br-`` names."""
    return "br-" + short(network_id)


def veth_ifname(endpoint_id: str) -> str:
    """Return the host end's interface name of an endpoint: ``nc`` and 13 digits of the id."""
    return "nc" + endpoint_id[: IFNAME_LIMIT - 2]


def ifb_ifname(endpoint_id: str) -> str:
    """Return the interface's name through which goes what an endpoint sends: ``ni`` and digits."""
    return "ni" + endpoint_id[: IFNAME_LIMIT - 2]


def mac_of(endpoint_id: str) -> str:
    """Return an endpoint's MAC address: locally administered unicast (``02:...``), from its id."""
    return ":".join(["02", *(endpoint_id[i : i + 2] for i in range(0, 10, 2))])


def sysctl_path(key: str, ifname: str) -> str:
    """Return a setting of an interface below /proc/sys, of ``net.ipv4.conf.IFNAME.rp_filter``."""
    # Interface names may hold dots, so that only slashes tell the parts from each other.
    return "/".join(ifname if part == "IFNAME" else part for part in key.split("."))


def alias_of(kind: str, object_id: str) -> str:
    """Return the alias that marks the interfaces of an object, a network or endpoint."""
    return f"{MARK}{kind}:{object_id}"


def same_setting(one: str, other: str) -> bool:
    """Whether two values of a sysctl are the same to the kernel: numbers may be hexadecimal or
    octal, and any white space parts them."""
    return list(map(_number, one.split())) == list(map(_number, other.split()))


def _number(word: str) -> int | str:
    digits = word.lstrip("+-").lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    try:
        return int(word, base)
    except ValueError:
        return word


def quote(word: str) -> str:
    """Return a word as a shell takes it."""
    from shlex import quote as quoted  # for what is shown alone

    return quoted(word)
