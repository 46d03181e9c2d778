"""What a user asks for, checked before anything is touched, and compared by ``--if-not-exists``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

import netctl.backends.ipam as ipam
from netctl.backends.driver import Driver
from netctl.backends.options import PREFIX, boolean, full_label
from netctl.errors import Conflict, InvalidInput
from netctl.machine import machine_id
from netctl.models import Endpoint, Network, Port, Sandbox, SandboxKind
from netctl.names import check_hostname, check_id, check_ifname, check_name
from netctl.ports import means
from netctl.record import field_names, record

if TYPE_CHECKING:
    from netctl.config import Config

_FLAGS = {
    PREFIX + "enable_ipv4": "ipv4",
    PREFIX + "enable_ipv6": "ipv6",
    PREFIX + "internal": "internal",
}
"""libnetwork's labels that are options of every driver."""
TEXT_LIMIT = 4096
"""Characters of a label, an option or a path."""


@record
class NetworkDefinition:
    """A network as it is asked for."""

    name: str
    driver: str
    subnets: tuple[str, ...] = ()
    ip_ranges: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    aux: dict[str, str] = field(default_factory=dict)
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] = field(default_factory=dict)
    id: str = ""

    def checked(self, defaults: Mapping[str, str]) -> NetworkDefinition:
        """Return the definition with the driver's configured default options filled in."""
        check_name("network", self.name)
        if self.id:
            check_id("network", self.id)
        _check_texts(self.labels, self.options, self.ipam_options)
        options = {full_label(key): value for key, value in {**defaults, **self.options}.items()}
        flags = {
            name: boolean(options, label, default=getattr(self, name))
            for label, name in _FLAGS.items()
        }
        plain = {label: value for label, value in options.items() if label not in _FLAGS}
        return replace(
            self,
            options=plain,
            ipv4=flags["ipv4"],
            ipv6=flags["ipv6"],
            internal=flags["internal"],
        )

    def network(self, network_id: str, created: str, scope: str) -> Network:
        """Return the document, without pools and facts."""
        return Network(
            id=network_id,
            name=self.name,
            driver=self.driver,
            created=created,
            scope=scope,
            internal=self.internal,
            enable_ipv4=self.ipv4,
            enable_ipv6=self.ipv6,
            labels=self.labels,
            options=self.options,
            ipam_driver=self.ipam_driver,
            ipam_options=self.ipam_options,
        )

    def pool_request(self, config: Config, driver: Driver) -> ipam.PoolRequest:
        """Return what the IPAM driver is asked for."""
        return ipam.PoolRequest(
            subnets=self.subnets,
            ip_ranges=self.ip_ranges,
            gateways=self.gateways,
            aux=self.aux,
            ipv4=self.ipv4,
            ipv6=self.ipv6,
            needs_gateway=driver.has_pools,
            machine_id=machine_id(),
            address_pools=tuple(
                ipam.AddressPool(base=pool.base, size=pool.size) for pool in config.address_pools
            ),
        )

    def check_same(self, existing: Network) -> None:
        """Raise ``Conflict`` where ``existing`` was defined in another way.

        A subnet that was not asked for may be any.
        """
        wanted = self.network(existing.id, existing.created, existing.scope)
        same = replace(existing, pools=(), facts={}, boot_id="")
        differing = [
            name for name in field_names(Network) if getattr(wanted, name) != getattr(same, name)
        ]
        pools = existing.pools
        differing += _missing("subnet", self.subnets, {pool.subnet for pool in pools})
        differing += _missing("ip_range", self.ip_ranges, {pool.ip_range for pool in pools})
        differing += _missing("gateway", self.gateways, {pool.gateway for pool in pools})
        aux = {name: address for pool in pools for name, address in pool.aux.items()}
        differing += ["aux_address"] if self.aux and self.aux != aux else []
        differing += ["id"] if self.id and self.id != existing.id else []
        _refuse("network", self.name, differing)


@record
class EndpointDefinition:
    """An endpoint as it is asked for."""

    name: str
    ip: str = ""
    ip6: str = ""
    mac: str = ""
    ifname: str = ""
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()

    def checked(self) -> EndpointDefinition:
        check_name("endpoint", self.name)
        if self.ifname:
            check_ifname("interface name", self.ifname)
        _check_texts(self.labels, self.options)
        if self.options:
            raise InvalidInput(
                f"endpoints have no option {next(iter(self.options))!r}",
                hint="no driver takes options for an endpoint",
            )
        return replace(
            self,
            ip=_address("--ip", self.ip, 4) if self.ip else "",
            ip6=_address("--ip6", self.ip6, 6) if self.ip6 else "",
            mac=check_mac(self.mac) if self.mac else "",
        )

    def check_same(self, existing: Endpoint) -> None:
        """Raise ``Conflict`` where ``existing`` was defined in another way."""
        pairs = {
            "ip": (self.ip, existing.ipv4.partition("/")[0]),
            "ip6": (self.ip6, existing.ipv6.partition("/")[0]),
            "mac": (self.mac, existing.mac),
            "ifname": (self.ifname, existing.ifname),
        }
        differing = [name for name, (new, old) in pairs.items() if new and new != old]
        differing += ["labels"] if self.labels != existing.labels else []
        differing += ["ports"] if not _same_ports(self.ports, existing.ports) else []
        _refuse("endpoint", self.name, differing)


@record
class SandboxDefinition:
    """A sandbox as it is asked for."""

    name: str
    type: SandboxKind = SandboxKind.OWN
    hostname: str = ""
    domainname: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    hosts_path: str = ""
    resolv_conf_path: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def checked(self) -> SandboxDefinition:
        check_name("sandbox", self.name)
        _check_texts(self.labels)
        for what, name in (("host name", self.hostname), ("domain name", self.domainname)):
            if name:
                check_hostname(what, name)
        for domain in self.dns_search:
            if domain != ".":
                check_hostname("search domain", domain)
        for option in self.dns_options:
            if not option.isascii() or not option.isprintable() or option.split() != [option]:
                raise InvalidInput(
                    f"--dns-opt {option[:80]!r} is not an option of resolv.conf",
                    hint="one word each, for instance ndots:2",
                )
        for what, path in (("hosts", self.hosts_path), ("resolv.conf", self.resolv_conf_path)):
            if path:
                check_path(f"{what} path", path)
        extra = tuple(
            (check_hostname("--add-host", name), _address("--add-host", address))
            for name, address in self.extra_hosts
        )
        dns = tuple(_address("--dns", server) for server in self.dns)
        return replace(self, extra_hosts=extra, dns=dns)

    def check_same(self, existing: Sandbox) -> None:
        """Raise ``Conflict`` where ``existing`` was defined in another way."""
        names = field_names(self)
        _refuse(
            "sandbox", self.name, [n for n in names if getattr(self, n) != getattr(existing, n)]
        )


def _same_ports(wanted: tuple[Port, ...], existing: tuple[Port, ...]) -> bool:
    return len(wanted) == len(existing) and all(map(means, wanted, existing))


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


def _address(what: str, text: str, version: int | None = None) -> str:
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


def _check_texts(*mappings: Mapping[str, str]) -> None:
    for mapping in mappings:
        for key, value in mapping.items():
            if not key or not (key + value).isprintable() or len(key + value) > TEXT_LIMIT:
                raise InvalidInput(
                    f"{key[:40]!r}={value[:40]!r} is not allowed",
                    hint=f"a key, and printable text of at most {TEXT_LIMIT} characters",
                )


def _missing(what: str, wanted: tuple[str, ...], existing: set[str] | set[str | None]) -> list[str]:
    fixed = (item for item in wanted if item.partition("/")[0] not in ipam.AUTO)
    return [what for item in fixed if _shortest(item) not in existing]


def _shortest(text: str) -> str:
    try:
        return str(ip_network(text) if "/" in text else ip_address(text))
    except ValueError:
        return text


def _refuse(what: str, name: str, differing: list[str]) -> None:
    if differing:
        raise Conflict(
            f"{what} {name} exists with another definition: {', '.join(dict.fromkeys(differing))}",
            hint=f"netctl {what} inspect {name} shows it",
        )
