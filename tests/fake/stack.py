"""A network stack in memory, and what the kernel refuses of it."""

from __future__ import annotations

import copy
import errno
import ipaddress
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from netctl.errors import KernelError
from netctl.kernel.interface import Address, Link, Route, Shape
from netctl.record import replace

_SETTINGS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/forwarding": "0",
    "net/ipv4/conf/all/accept_redirects": "1",
    "net/ipv4/conf/default/forwarding": "0",
    "net/ipv6/conf/all/forwarding": "0",
    "net/ipv6/conf/default/forwarding": "0",
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
}
FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
_LINK_SETTING = re.compile(r"net/ipv[46]/(?:conf|neigh)/(.+)/[a-z0-9_]+")
_RA = "net/ipv6/conf/"
IPV6_METRIC = 1024


@dataclass
class Stack:
    """A network stack: the host's, or that of a namespace."""

    inode: int
    kept: bool = False
    """Whether it lives on without a pin: the host's, or one that somebody else's process holds."""
    links: dict[str, Link] = field(default_factory=dict)
    peers: dict[str, tuple[int, str]] = field(default_factory=dict)
    ports: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    """Of a bridge's port: isolated, hairpin."""
    shapers: dict[str, Shape] = field(default_factory=dict)
    ingresses: dict[str, str | Shape] = field(default_factory=dict)
    """Of a link: what comes in goes to another, or is limited."""
    addresses: list[Address] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=lambda: dict(_SETTINGS))

    def drop(self, name: str) -> None:
        """Take a link out with all that hangs on it."""
        index = self.links.pop(name).index
        self.addresses = [a for a in self.addresses if a.link != name]
        self.routes = [r for r in self.routes if r.link != name]
        self.settings = {k: v for k, v in self.settings.items() if setting_of(k) != name}
        self.peers.pop(name, None)
        for facts in (self.ports, self.shapers, self.ingresses):
            facts.pop(name, None)
        for port, link in self.links.items():
            if link.master == index:
                self.links[port] = replace(link, master=0)

    def drop_ipv6(self, name: str) -> None:
        self.addresses = [a for a in self.addresses if a.link != name or ":" not in a.address]
        self.routes = [r for r in self.routes if r.link != name or ":" not in r.destination]

    def connected(self) -> Iterator[Route]:
        for item in self.addresses:
            net = ipaddress.ip_interface(item.address).network
            if self.links[item.link].up and item.link != "lo":
                metric = 256 if net.version == 6 else 0
                yield Route(destination=str(net), gateway="", link=item.link, metric=metric)


def setting_of(key: str) -> str:
    match = _LINK_SETTING.fullmatch(key)
    return match[1] if match and match[1] not in ("all", "default") else ""


def turn_forwarding(stack: Stack, key: str, value: str) -> None:
    """Change what the kernel changes with the host's forwarding."""
    family = key.split("/")[1]
    for name in ("all", "default"):
        stack.settings[f"net/{family}/conf/{name}/forwarding"] = value
    for name in stack.links:
        # What is not there is the default: see FakeFirewall.sysctl_get.
        stack.settings.pop(f"net/{family}/conf/{name}/forwarding", None)
    if family == "ipv4":
        stack.settings["net/ipv4/conf/all/accept_redirects"] = "0" if value == "1" else "1"
    elif value == "1":
        heeding = {n for n in stack.links if stack.settings.get(f"{_RA}{n}/accept_ra") == "2"}
        stack.routes = [r for r in stack.routes if not r.advertised or r.link in heeding]


def stack_state(stack: Stack, titles: dict[int, str]) -> object:
    masters = {link.index: name for name, link in stack.links.items()}
    links = {
        name: (replace(link, index=0, master=0, counters={}), masters.get(link.master, ""))
        for name, link in stack.links.items()
    }
    peers = {name: (titles.get(inode), far) for name, (inode, far) in stack.peers.items()}
    facts = (stack.ports, stack.settings, stack.shapers, stack.ingresses)
    kept = copy.deepcopy((links, peers, *facts))
    by_text = sorted(map(repr, stack.addresses)), sorted(map(repr, stack.routes))
    return (*kept, *by_text)


def with_metric(route: Route) -> Route:
    if ":" in route.destination and not route.metric:
        return replace(route, metric=IPV6_METRIC)
    return route


def on_link(stack: Stack, route: Route) -> bool:
    gateway = ipaddress.ip_address(route.gateway)
    return gateway.is_link_local or any(
        gateway in ipaddress.ip_network(r.destination)
        for r in (*stack.connected(), *stack.routes)
        if r.link == route.link and not r.gateway
    )


def need(stack: Stack, link: str, what: str) -> None:
    if link not in stack.links:
        raise refused(errno.ENODEV, f"{what}: find interface {link}")


def refused(number: int, what: str) -> KernelError:
    return KernelError(f"{what}: {os.strerror(number)}", errno=number)
