"""What the rows of each command have in them, for templates that are checked before there is one.

A ``Fixed`` mapping has these keys and no others. The keys of a plain one, as of labels, are not
known before. A list has one item, which stands for all of them.
"""

from __future__ import annotations

from typing import Any, SupportsIndex


class Fixed(dict[str, Any]):
    """A mapping whose keys are known."""


class Some(list[Any]):
    """A list of a length that is not known: whatever item is asked for is like the first."""

    def __getitem__(self, place: SupportsIndex | slice) -> Any:
        return super().__getitem__(0)


def _texts(*keys: str) -> dict[str, Any]:
    return dict.fromkeys(keys, "")


def _numbers(*keys: str) -> dict[str, Any]:
    return dict.fromkeys(keys, 0)


_LEASE = {"expires": "", "owner_pid": 0}
_BORN: dict[str, Any] = {"created": "", "labels": {}}
_PORTS = {"ports": Some([""]), "reached_from": Some([""])}
_NETWORK = Fixed(
    **_texts("id", "name", "driver", "scope"),
    subnets=Some([""]),
    internal=False,
    ipv6=False,
    ipv4=False,
    **_BORN,
    **_LEASE,
)
_POOL = Fixed(
    **_texts("subnet", "ip_range", "gateway"), aux_addresses={}, **_numbers("addresses_in_use")
)
_NETWORK_DETAIL = Fixed(
    **_NETWORK,
    options={},
    ipam=Fixed(driver="", options={}, pools=Some([_POOL])),
    bridge="",
    mtu=0,
    endpoints=Some([Fixed(**_texts("id", "name", "ipv4", "ipv6", "mac", "sandbox"), **_PORTS)]),
)
_ENDPOINT = Fixed(
    **_texts("id", "name", "network", "sandbox", "ipv4", "ipv6", "mac"), **_PORTS, **_BORN
)
_ATTACHMENT = Fixed(
    **_texts("sandbox_id", "key", "ifname", "host_ifname"),
    **_numbers("mtu", "priority"),
    aliases={},
)
_EXPOSURE = Fixed(
    **_texts("port", "protocol", "family", "host_address", "host_port", "address", "why"),
    **{"from": Some([""])},
)
_ENDPOINT_DETAIL = Fixed(
    **_ENDPOINT,
    **_texts("network_id", "ifname", "gateway", "gateway6"),
    options={},
    sysctls={},
    routes=Some([Fixed(**_texts("destination", "gateway", "type"), metric=0)]),
    **_numbers("rate_in", "rate_out", "burst"),
    **dict.fromkeys(("no_default_route", "transient", "anonymous", "no_dns"), False),
    aliases=Some([""]),
    exposed=Some([""]),
    exposure=Some([_EXPOSURE]),
    attachment=_ATTACHMENT,
)
_LIMIT = Fixed(by="", **_numbers("rate", "burst", "sent_bytes", "dropped_packets"))
_LIMITS = {"limits": Fixed(**{"in": _LIMIT}, out=_LIMIT)}
_SANDBOX = Fixed(
    **_texts("id", "name", "type", "state", "key"), endpoint_count=0, **_BORN, **_LEASE
)
_SANDBOX_DETAIL = Fixed(
    **_SANDBOX,
    **_texts("hostname", "domainname", "hosts_path", "resolv_conf_path"),
    **_texts("origin_hosts_path", "origin_resolv_conf_path"),
    **{name: Some([""]) for name in ("dns", "dns_search", "dns_options")},
    extra_hosts=Some([Fixed(name="", address="")]),
    endpoints=Some([_ENDPOINT_DETAIL]),
)
COUNTERS = [
    f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")
]
_VERSIONS = Fixed(
    _texts("netctl", "python", "click", "rich", "pyroute2", "pyyaml", "tinydb"),
    **_texts("libnftables", "kernel"),
)
_SETTING = Fixed(key="", value={}, source="")

ROWS: dict[str, Fixed] = {
    "network": _NETWORK,
    "network in full": _NETWORK_DETAIL,
    "endpoint": _ENDPOINT,
    "endpoint in full": Fixed(**_ENDPOINT_DETAIL, **_LIMITS),
    "sandbox": _SANDBOX,
    "sandbox in full": _SANDBOX_DETAIL,
    "container": _SANDBOX,
    "service": Fixed(_texts("id", "name", "network", "container", "sandbox_id")),
    "service in full": _ENDPOINT_DETAIL,
    "removed": Fixed(_texts("id", "name")),
    "difference": Fixed(
        **_texts("object", "what", "expected", "found", "because"), repairable=False
    ),
    "explanation": Fixed(
        **_texts("name", "severity", "code", "where", "what", "evidence"),
        passes=False,
        remedy=Some([""]),
    ),
    "process": Fixed(**_numbers("pid", "uid"), **_texts("user", "command")),
    "counters": Fixed(name="", sandbox="", up=False, mtu=0, **_numbers(*COUNTERS)),
    "versions": Fixed(name="", **_VERSIONS),
    "survey": Fixed(name="", configuration=Some([_SETTING]), features={}, versions=_VERSIONS),
}
"""Kind of row to a sample of it."""
