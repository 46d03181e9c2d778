"""Objects at a glance: what people want to know of one, and what is joined to it as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netctl.names import short

if TYPE_CHECKING:
    from netctl.columns import Column, Row

Facts = Mapping[str, Any]


def network(row: Row, style: str) -> None:
    """Show a network: its driver and subnets, and its endpoints below."""
    facts = {
        "NETWORK": _title(row),
        "DRIVER": f"{row['driver']}, {row['scope']}",
        "SUBNETS": [_pool(pool) for pool in row["ipam"]["pools"]],
        "INTERNAL": "yes" if row["internal"] else "",
        "BRIDGE": row["bridge"],
        "MTU": row["mtu"],
        "OPTIONS": row["options"],
        **_life(row),
    }
    _show(row, style, facts, row["endpoints"], ("name", "sandbox", *_ADDRESSES))


def sandbox(row: Row, style: str) -> None:
    """Show a sandbox: its state, names and files, and its endpoints below."""
    facts = {
        "SANDBOX": _title(row),
        "TYPE": row["type"],
        "STATE": row["state"],
        "NAMESPACE": row["key"],
        "HOST NAME": ".".join(filter(None, (row["hostname"], row["domainname"]))),
        "DNS": row["dns"],
        "SEARCH": row["dns_search"],
        "HOSTS": row["hosts_path"],
        "RESOLV.CONF": row["resolv_conf_path"],
        **_life(row),
    }
    _show(row, style, facts, row["endpoints"], ("network", "name", "ifname", *_ADDRESSES))


def endpoint(row: Row, style: str) -> None:
    """Show an endpoint: where it is, its addresses, and who reaches its ports."""
    facts = {
        "ENDPOINT": _title(row),
        "NETWORK": row["network"],
        "SANDBOX": row["sandbox"],
        "INTERFACE": row["ifname"],
        "IPV4": _by_way(row["ipv4"], row["gateway"]),
        "IPV6": _by_way(row["ipv6"], row["gateway6"]),
        "MAC": row["mac"],
        "ALIASES": row["aliases"],
        "PORTS": _ports(row),
        "RATE IN": row["rate_in"],
        "RATE OUT": row["rate_out"],
        **_life(row),
    }
    _show(row, style, facts, (), ())


_ADDRESSES = ("ipv4", "ipv6", "mac", "ports", "reached_from")


def _show(row: Row, style: str, facts: Facts, rows: Sequence[Row], keys: Sequence[str]) -> None:
    from netctl import render

    if style == "table":
        render.at_a_glance(facts, rows, [_column(key) for key in keys])
    else:
        render.described(row, style)


def _column(key: str) -> Column:
    from netctl.columns import Column, is_exposed, is_never

    words = {"name": "ENDPOINT", "ifname": "INTERFACE", "reached_from": "REACHED FROM"}
    alarming = is_exposed if key == "reached_from" else is_never
    return Column(words.get(key, key.upper()), key, alarming, shown=None)


def _title(row: Row) -> str:
    return f"{row['name']} ({short(row['id'])})"


def _life(row: Row) -> Facts:
    return {
        "LABELS": row["labels"],
        "CREATED": row["created"],
        "EXPIRES": row.get("expires"),
        "OWNER PID": row.get("owner_pid"),
    }


def _pool(pool: Row) -> str:
    gateway = f", gateway {pool['gateway']}" if pool["gateway"] else ""
    return f"{pool['subnet']}{gateway}, {pool['addresses_in_use']} addresses in use"


def _ports(row: Row) -> list[str]:
    """Return each published port with who reaches it, and then what is reached unpublished."""
    ports, reached = row["ports"], row["reached_from"]
    pairs = zip(ports, reached, strict=False)
    return [*(f"{port}  {reach}" for port, reach in pairs), *reached[len(ports) :]]


def _by_way(address: str | None, gateway: str | None) -> str:
    return f"{address}, gateway {gateway}" if address and gateway else address or ""
