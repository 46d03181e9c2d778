"""An endpoint as it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict

from netctl.definitions import labels, rates, routes, sysctls
from netctl.definitions.checks import check_address, check_alike, check_mac, check_texts
from netctl.errors import InvalidInput
from netctl.models import Endpoint, Limits, Network, Port, StaticRoute
from netctl.names import (
    check_askable,
    check_ifname,
    check_name,
    several,
    short,
    unaskable,
)
from netctl.ports import exposed, means, parse_all
from netctl.record import Record, field, replace


class EndpointOptions(TypedDict, total=False):
    """What may be asked for of an endpoint; None and what is left out are the default."""

    ip: str | None
    """IPv4 address in the network's subnet; by default a free one."""
    ip6: str | None
    """IPv6 address in the network's subnet; by default a free one."""
    mac: str | None
    """Unicast MAC address; by default netctl chooses one."""
    ifname: str | None
    """Interface name in the sandbox, at most 15 bytes."""
    options: Mapping[str, str] | None
    """libnetwork's labels: ``endpoint.ifname``, and ``endpoint.sysctls`` with commas between."""
    labels: Mapping[str, str] | None
    """Labels, key to value."""
    ports: Iterable[str]
    """Ports to publish, as docker writes them: ``8080:80``."""
    aliases: Iterable[str]
    """More names in its network."""
    anonymous: bool
    """Hide its name; only its aliases resolve."""
    no_dns: bool
    """Give its sandbox no name server."""
    exposed: Iterable[str]
    """Ports that it documents, ``80/tcp``; nothing is opened."""

    sysctls: Mapping[str, str] | None
    """Sysctls of the interface: ``net.ipv4.conf.IFNAME.rp_filter`` (with the word IFNAME)."""
    routes: Iterable[str]
    """Static routes ``DST[,GATEWAY][,METRIC]`` or ``DST,blackhole|unreachable|prohibit``."""
    no_default_route: bool
    """Never give the sandbox its default route."""
    rate_in: str | None
    """Rate limit toward the sandbox, as tc writes it: ``10mbit``."""
    rate_out: str | None
    """Rate limit from the sandbox, as tc writes it."""
    burst: str | None
    """Burst size in bytes, ``64k``; by default chosen from the rate."""


_AS_ASKED = (
    *("labels", "anonymous", "no_dns", "exposed", "sysctls", "routes", "no_default_route"),
    "limits",
)
_OF_INTERFACE = {
    "ip": "--ip",
    "ip6": "--ip6",
    "mac": "--mac",
    "ifname": "--ifname",
    "sysctls": "--sysctl",
    "routes": "--route",
    "no_default_route": "--no-default-route",
    "aliases": "--alias",
}
_OF_LIMITS = {"rate_in": "--rate-in", "rate_out": "--rate-out", "burst": "--burst"}
_OF_NAMES = {"anonymous": "--anonymous", "no_dns": "--no-dns", "exposed": "--expose"}
"""What says something of an endpoint that may have no interface."""


class EndpointDefinition(Record):
    """An endpoint as it is asked for."""

    name: str
    ip: str = ""
    ip6: str = ""
    mac: str = ""
    ifname: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    aliases: tuple[str, ...] = ()
    anonymous: bool = False
    no_dns: bool = False
    exposed: tuple[str, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    routes: tuple[StaticRoute, ...] = ()
    no_default_route: bool = False
    limits: Limits = Limits()

    def checked(self) -> EndpointDefinition:
        check_name("endpoint", self.name)
        if self.ifname:
            check_ifname("interface name", self.ifname)
        check_texts(self.labels)
        for key, value in self.sysctls.items():
            sysctls.check_sysctl(key, value)
        if self.ip6 and self.without_ipv6:
            raise InvalidInput(
                f"--ip6 {self.ip6[:60]}, and a --sysctl that turns IPv6 off",
                hint=f"leave out the one or the other ({sysctls.DISABLE_IPV6})",
            )
        return replace(
            self,
            ip=check_address("--ip", self.ip, 4) if self.ip else "",
            ip6=check_address("--ip6", self.ip6, 6) if self.ip6 else "",
            mac=check_mac(self.mac) if self.mac else "",
            aliases=_each_once(check_askable("--alias", alias) for alias in self.aliases),
            exposed=_each_once(exposed(port) for port in self.exposed),
        )

    def check_bare(self, network: Network) -> None:
        """Raise ``InvalidInput`` for what needs an interface, which the network's driver does not
        make."""
        if given := self.of_interface:
            raise InvalidInput(
                f"endpoints of network {network.name} (driver {network.driver}) have no interface,"
                " and no names",
                hint=f"leave out {', '.join(given)}",
            )

    @property
    def of_interface(self) -> list[str]:
        """The options of what is asked for that need an interface."""
        return [*_given(self, _OF_INTERFACE), *_given(self.limits, _OF_LIMITS)]

    @property
    def of_endpoint(self) -> list[str]:
        """The options of what is asked for that need an endpoint."""
        return [*self.of_interface, *_given(self, _OF_NAMES)]

    @property
    def without_ipv6(self) -> bool:
        """Whether it gets no IPv6 address, although its network has them."""
        return sysctls.without_ipv6(self.sysctls)

    def check_same(self, existing: Endpoint) -> None:
        """Raise ``Conflict`` where ``existing`` was defined in another way."""
        pairs = {
            "ip": (self.ip, existing.ipv4.partition("/")[0]),
            "ip6": (self.ip6, existing.ipv6.partition("/")[0]),
            "mac": (self.mac, existing.mac),
            "ifname": (self.ifname, existing.ifname),
        }
        differing = [name for name, (new, old) in pairs.items() if new and new != old]
        differing += ["ports"] if not _same_ports(self.ports, existing.ports) else []
        differing += ["aliases"] if _folded(self.aliases) != _folded(existing.aliases) else []
        differing += [n for n in _AS_ASKED if getattr(self, n) != getattr(existing, n)]
        check_alike("endpoint", self.name, differing, short(existing.id))


def check_known(given: EndpointOptions) -> None:
    """Raise ``TypeError`` for an option that no endpoint has, as Python does for a keyword."""
    for key in given:
        if key not in EndpointOptions.__annotations__:
            raise TypeError(f"an endpoint has no option {key!r}")


def asked(name: str, given: EndpointOptions) -> EndpointDefinition:
    """Return the checked definition of what was asked for. Raises ``InvalidInput``."""
    check_known(given)
    for key in ("ip", "ip6", "mac", "ifname"):
        if given.get(key) == "":
            # As from a script's unset variable, whose writer meant something else than "any".
            raise InvalidInput(f"--{key} is empty", hint="leave it out, and one is chosen")
    labelled = labels.checked(given.get("options") or {})
    return EndpointDefinition(
        name=name,
        ip=given.get("ip") or "",
        ip6=given.get("ip6") or "",
        mac=given.get("mac") or "",
        ifname=labels.ifname(given.get("ifname") or "", labelled),
        labels=dict(given.get("labels") or {}),
        ports=parse_all(given.get("ports") or ()),
        aliases=several(given.get("aliases") or ()),
        anonymous=given.get("anonymous", False),
        no_dns=given.get("no_dns", False),
        exposed=several(given.get("exposed") or ()),
        sysctls=labels.settings(given.get("sysctls") or {}, labelled),
        routes=routes.parse_all(given.get("routes") or ()),
        no_default_route=given.get("no_default_route", False),
        limits=rates.limits(
            {
                "rate_in": given.get("rate_in"),
                "rate_out": given.get("rate_out"),
                "burst": given.get("burst"),
            }
        ),
    ).checked()


def check_called(name: str) -> None:
    """Raise ``InvalidInput`` for a name by which nothing can ask for an endpoint."""
    if reason := unaskable(name):
        raise InvalidInput(
            f"endpoint name {name!r} cannot be asked for: {reason}",
            hint="choose another, for instance with a letter; or --anonymous, with an --alias",
        )


def uncalled(network: Network, name: str, remedy: str) -> Iterator[str]:
    """Yield the notice of an endpoint that has such a name from its sandbox, and what gives it
    another."""
    if reason := unaskable(name):
        yield (
            f"endpoint {network.name}/{name} cannot be asked for by its name: {reason};"
            f" {remedy} gives another"
        )


def _given(wanted: EndpointDefinition | Limits, options: Mapping[str, str]) -> list[str]:
    return [option for name, option in options.items() if getattr(wanted, name)]


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(text.lower(), text)
    return tuple(found.values())


def _folded(aliases: Iterable[str]) -> set[str]:
    return {alias.lower() for alias in aliases}


def _same_ports(wanted: tuple[Port, ...], existing: tuple[Port, ...]) -> bool:
    # One that was asked for may have become two, of a family each.
    return all(any(means(port, there) for there in existing) for port in wanted) and all(
        any(means(port, there) for port in wanted) for there in existing
    )
