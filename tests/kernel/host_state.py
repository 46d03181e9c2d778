"""What a host looks like, in a form that can be compared."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

STATE = "/var/lib/netctl"
_SETTINGS = Path("/proc/sys/net")
_HEEDED = ("ipv4/conf/all/accept_redirects", "ipv6/conf/uplink/accept_ra")
_NOT_STATE = (f"{STATE}/schema.json", f"{STATE}/journal", "/run/netctl/lock")
_HOSTS = [
    ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32", "127.0.0.0/8", "::1")
]
"""Addresses of the host and of the outside."""


def link_facts(link: dict[str, Any]) -> dict[str, Any]:
    keys = ("ifname", "ifindex", "mtu", "address", "master", "ifalias")
    facts = {key: link.get(key) for key in keys}
    kind = link.get("linkinfo", {}).get("info_kind")
    return {**facts, "kind": kind, "up": "UP" in link.get("flags", ())}


def address_facts(link: dict[str, Any]) -> list[str]:
    return [
        f"{link['ifname']} {item['local']}/{item['prefixlen']}"
        for item in link.get("addr_info", ())
    ]


def route_facts(route: dict[str, Any]) -> list[str]:
    keys = ("type", "dst", "gateway", "dev", "table", "metric", "scope")
    return [" ".join(f"{key} {route[key]}" for key in keys if key in route)]


def qdisc_facts(qdisc: dict[str, Any]) -> str:
    where = "root" if qdisc.get("root") else qdisc.get("parent", "")
    return f"{qdisc.get('dev')} {where} {qdisc['kind']} {qdisc.get('options', {})}"


def without_handles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_handles(item) for key, item in value.items() if key != "handle"}
    if isinstance(value, list):
        kept = [item for item in value if not (isinstance(item, dict) and "metainfo" in item)]
        return [without_handles(item) for item in kept]
    return value


def files_and_settings() -> dict[str, Any]:
    settings = {
        str(path.relative_to(_SETTINGS)): path.read_text().strip()
        for pattern in ("ipv4/ip_forward", "ipv[46]/conf/*/forwarding", *_HEEDED)
        for path in _SETTINGS.glob(pattern)
    }
    places = ("/run", "/etc/netns", STATE)
    return {
        "netns": sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else [],
        "files": sorted(path for place in places for path in _tree(place)),
        "sysctl": settings,
        "flows": sorted(_flows()),
    }


def _flows() -> Iterator[str]:
    """Yield the tracked connections of whoever is neither the host nor the outside.

    Theirs end when they do; what one of a sandbox left behind would go to the next of its address.
    """
    tracked = Path("/proc/thread-self/net/nf_conntrack")
    for line in tracked.read_text().splitlines() if tracked.exists() else ():
        ends = [word for word in line.split() if word.startswith(("src=", "dst="))]
        found = [ip_address(word[4:]) for word in ends]
        if any(address.is_multicast or address.is_link_local for address in found):
            continue  # Routers and neighbours that look for each other.
        if not all(map(_is_of_the_host, found)):
            yield " ".join([line.split()[2], *ends])


def _is_of_the_host(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is the host's, the outside's, or (the first of a subnet) a bridge's."""
    return any(address in known for known in _HOSTS) or address.packed[-2:] == b"\0\1"


def _tree(top: str) -> Iterator[str]:
    """Yield files below a directory, and directories that hold nothing.

    Directories that are always the same (``/run/netns``, the store's own) may stay, so of
    directories only those below /etc/netns and of sandboxes count: these bear names of objects.
    """
    for directory, names, files in os.walk(top):
        for name in files:
            if f"{directory}/{name}" not in _NOT_STATE:
                yield f"{directory}/{name}"
        if directory == "/etc/netns":
            yield from (f"{directory}/{name}/" for name in names)


def printed(state: dict[str, Any]) -> str:
    return json.dumps(state, indent=1, sort_keys=True, default=str)
