"""The keys of the configuration: what each is for, and what it may be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from netctl.config import AddressPool
from netctl.errors import InvalidInput
from netctl.names import IFNAME_LIMIT, check_hostname, check_name
from netctl.record import Record

_INTERFACE = re.compile(r"[!#-)+-.0-9;-\[\]-~]+\*?")
"""What nft takes between quotes; a star stands at the end alone."""


class Key(Record):
    """One key: its help, and how its value is read from YAML's types and from text."""

    help: str
    example: str
    """A value in YAML."""
    check: Callable[[Any], Any]
    parse: Callable[[str], Any] = lambda text: text
    text: str = ""
    """A value as text, where that is not what is in YAML."""


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise InvalidInput("a text is expected")
    return str(value)


def _name_of(what: str) -> Callable[[Any], str]:
    return lambda value: check_name(what, _text(value))


def _directory(value: Any) -> str:
    path = _text(value)
    if not path.startswith("/") or not path.isprintable():
        raise InvalidInput("an absolute path is expected")
    return os.path.normpath(path)


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if isinstance(value, bool) or not 0 <= seconds <= 86400:
        raise InvalidInput("a number of seconds from 0 to 86400 is expected")
    return seconds


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        # YAML 1.1 reads off, without quotes, as false.
        value = "off" if value is False else value
        if value not in words:
            raise InvalidInput(f"one of {', '.join(words)} is expected")
        return str(value)

    return check


def _list_of(check: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def each(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise InvalidInput("a list is expected")
        return tuple(check(item) for item in value)

    return each


def _servers(value: Any) -> tuple[str, ...]:
    from netctl.nameservers import check_servers

    return check_servers("name server", _list_of(_text)(value))


def _domain(value: Any) -> str:
    return "." if value == "." else check_hostname("search domain", _text(value))


def _interface(value: Any) -> str:
    """Return an interface's name, or with ``*`` after it what names begin with."""
    text = _text(value)
    if not _INTERFACE.fullmatch(text) or len(text) > IFNAME_LIMIT + text.endswith("*"):
        raise InvalidInput(
            f"{text[:40]!r} is not an interface: a name of at most {IFNAME_LIMIT} characters, or"
            " the beginning of one with * after it"
        )
    return text


def _option(value: Any) -> str:
    from netctl.nameservers import check_option

    return check_option("option", _text(value))


def _pool(value: Any) -> AddressPool:
    from ipaddress import ip_network

    if not isinstance(value, dict) or set(value) != {"base", "size"}:
        raise InvalidInput("an address pool is {base: CIDR, size: PREFIX LENGTH}")
    try:
        base = ip_network(_text(value["base"]))
        size = int(value["size"])
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"address pool: {error}") from None
    if not base.prefixlen <= size <= base.max_prefixlen:
        raise InvalidInput(
            f"address pool {base}: size is from {base.prefixlen} to {base.max_prefixlen}"
        )
    return AddressPool(base=str(base), size=size)


def _pools(value: Any) -> tuple[AddressPool, ...]:
    from ipaddress import ip_network

    pools: tuple[AddressPool, ...] = _list_of(_pool)(value)
    bases = [ip_network(pool.base) for pool in pools]
    for number, base in enumerate(bases):
        if pools[number] in pools[:number]:
            raise InvalidInput(f"address pool {base}, size {pools[number].size}, is given twice")
        for other in bases[:number]:
            # One base in several sizes is for large and small networks, each tried in its turn.
            if base != other and base.version == other.version and base.overlaps(other):
                raise InvalidInput(f"the address pools {other} and {base} overlap")
    return pools


def _options_by_driver(value: Any) -> dict[str, dict[str, str]]:
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise InvalidInput("a mapping DRIVER: {OPTION: VALUE} is expected")
    found = {}
    for driver, options in value.items():
        given = {_text(key): _switch(item) for key, item in options.items()}
        found[check_name("driver", _text(driver))] = given
    return found


def _switch(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else _text(value)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _pools_of_text(text: str) -> list[dict[str, str]]:
    return [_pairs(item) for item in text.split(";") if item.strip()]


def _drivers_of_text(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for item in filter(str.strip, text.split(";")):
        driver, colon, options = item.partition(":")
        if not colon:
            raise InvalidInput(f"{item.strip()[:60]!r} is not DRIVER:OPTION=VALUE")
        found[driver.strip()] = {**found.get(driver.strip(), {}), **_pairs(options)}
    return found


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in filter(str.strip, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise InvalidInput(f"{item.strip()[:60]!r} is not KEY=VALUE")
        found[key.strip()] = value.strip()
    return found


KEYS: dict[str, Key] = {
    "default_network": Key(
        help="network that is used if none is named", example="bridge", check=_name_of("network")
    ),
    "default_driver": Key(
        help="driver of a network that is created without -d",
        example="bridge",
        check=_name_of("driver"),
    ),
    "address_pools": Key(
        help="list of {base: CIDR, size: PREFIX LENGTH} that subnets are taken from",
        example="[{base: 10.64.0.0/12, size: 24}]",
        text="base=10.64.0.0/12,size=24;base=fd00:1::/48,size=64",
        check=_pools,
        parse=_pools_of_text,
    ),
    "driver_options": Key(
        help="default options of each driver, DRIVER: {OPTION: VALUE}",
        example='{bridge: {driver.mtu: "1400"}}',
        text="bridge:driver.mtu=1400,bridge.enable_icc=false",
        check=_options_by_driver,
        parse=_drivers_of_text,
    ),
    "dns": Key(
        help="name servers of sandboxes, instead of the host's",
        example="[192.0.2.53]",
        text="192.0.2.53,2001:db8::53",
        check=_servers,
        parse=_words,
    ),
    "dns_search": Key(
        help="search domains of sandboxes, instead of the host's",
        example="[example.org]",
        text="example.org,example.net",
        check=_list_of(_domain),
        parse=_words,
    ),
    "dns_options": Key(
        help="resolv.conf options of sandboxes, instead of the host's",
        example='["ndots:2"]',
        text="ndots:2,timeout:1",
        check=_list_of(_option),
        parse=_words,
    ),
    "lock_timeout": Key(help="seconds to wait for another netctl", example="30", check=_seconds),
    "ip_forward": Key(
        example="auto",
        help="whether netctl turns on forwarding if it is off. auto: until the last network is"
        " removed, and packets between two interfaces that are not netctl's are dropped. no-drop:"
        " for good, and nothing is dropped. off: never",
        check=_one_of("auto", "no-drop", "off"),
    ),
    "ip_forward_interfaces": Key(
        help="interfaces of other tools and routers, to and from which ip_forward: auto drops"
        " nothing; br-* means all names with that prefix; run netctl reload after a change",
        example='[docker0, "br-*"]',
        text="docker0,br-*",
        check=_list_of(_interface),
        parse=_words,
    ),
    "state_dir": Key(help="directory of the store", example="/var/lib/netctl", check=_directory),
    "run_dir": Key(help="directory of the lock", example="/run/netctl", check=_directory),
    "color": Key(
        help="colours and tables for people: auto, always or never",
        example="auto",
        check=_one_of("auto", "always", "never"),
    ),
}
