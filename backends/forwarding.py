"""IP forwarding of the host, which every network with a way out needs.

moby (2026, iptables) turns it on where it is off and then sets the policy of the forward chain to
drop, so that the host does not become an open router. A policy is one for the whole host; netctl
instead guards: see ``netctl.backends.guard``. When the last network goes and no interface of
another owner has come meanwhile, forwarding goes too.

IPv4 asks the interface that a packet came in by whether it forwards, IPv6 (before Linux 6.17) only
the host as a whole. Both are turned on for the whole host all the same: an uplink that comes later,
as at boot, takes the setting over. What the kernel resets when forwarding is turned off is put back
afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from netctl.backends.driver import Site
from netctl.errors import KernelError
from netctl.kernel.interface import Kernel, Link
from netctl.models import HostState, Network
from netctl.names import MARK
from netctl.plan import Plan, Step
from netctl.record import Record, replace
from netctl.steps.settings import PutBack, Sysctl

SYSCTLS = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_CONF = {SYSCTLS[4]: "net/ipv4/conf", SYSCTLS[6]: "net/ipv6/conf"}
_REDIRECTS = "net/ipv4/conf/all/accept_redirects"
HEED = "2"
"""A router's advertisements are heeded although the host forwards (ip-sysctl, accept_ra)."""
_PLAIN = r"[!#-)+-\[\]-~]+"
"""What nft takes between quotes: printable ASCII without the quote, the star and the backslash."""


_NAMED = 3
"""Interfaces that a notice names."""


class Forwarding(Record):
    """The sysctl steps of a network, and the host's state without and with them."""

    plan: Plan = ()
    without: HostState
    with_it: HostState


def plan(network: Network, site: Site) -> Forwarding:
    """Return what a network that comes needs, or what one that goes leaves behind.

    Raises ``KernelError`` where forwarding is off and the configuration forbids to turn it on.
    """
    return _release(site) if site.removing else _acquire(network, site)


def _acquire(network: Network, site: Site) -> Forwarding:
    keys = [key for key in wanted(network) if site.kernel.sysctl_get("", key) == "0"]
    if not keys:
        return Forwarding(without=site.host, with_it=site.host)
    if site.ip_forward == "off":
        dotted = keys[0].replace("/", ".")
        raise KernelError(
            f"forwarding is off ({dotted} = 0) and the configuration says ip_forward: off",
            hint=f"check the host's firewall, then: sysctl -w {dotted}=1; or use --internal",
        )
    site = replace(site, host=_standing(site))
    changed = _turned_on(site, keys)
    if site.ip_forward == "no-drop":
        # Everybody may use it from now on, so it is not ours to turn off again.
        return Forwarding(plan=steps(changed), without=site.host, with_it=site.host)
    host = site.host
    with_it = replace(
        host,
        forwarding={**host.forwarding, **changed.forwarding},
        uplinks=host.uplinks or tuple(link.name for link in _plain(_foreign(site))),
        reset={**changed.reset, **host.reset},
        advertised=_merged(host.advertised, changed.advertised),
        heard=_merged(host.heard, changed.advertised),
    )
    return Forwarding(plan=steps(changed), without=host, with_it=with_it)


def _standing(site: Site) -> HostState:
    """Return the host's state as it counts for a network that comes: where no other one needs
    forwarding and it was turned off since, what came before is over."""
    host = site.host
    if is_on(host, site.kernel) or any(map(wanted, site.others)):
        return host
    return HostState(boot_id=host.boot_id, heard=host.heard)


def is_on(host: HostState, kernel: Kernel) -> bool:
    """Whether some of the forwarding that netctl turned on is still on."""
    return any(kernel.sysctl_get("", key) != "0" for key in host.forwarding)


def _turned_on(site: Site, keys: list[str]) -> HostState:
    """Return what is changed on the host when forwarding by ``keys`` is turned on."""
    return HostState(
        boot_id=site.host.boot_id,
        forwarding=dict.fromkeys(keys, "0"),
        reset=dict(_reset(site, keys)),
        advertised=tuple(_advertised(site)) if SYSCTLS[6] in keys else (),
    )


def _release(site: Site) -> Forwarding:
    """Keep forwarding while another network needs it, or where interfaces of another owner have
    come since: the owner may rely on it by now."""
    host = site.host
    needed = any(wanted(other) for other in site.others)
    if not host.forwarding or needed or (_newcomers(site) and is_on(host, site.kernel)):
        return Forwarding(without=host, with_it=host)
    # What is different from what was found, or set, is a later decision of the operator's.
    look = partial(site.kernel.sysctl_get, "")
    still = {k: v for k, v in host.reset.items() if look(k) == v}
    heeding_still = tuple(n for n in host.advertised if look(advertisements(n)) == HEED)
    return Forwarding(
        plan=steps(replace(host, reset=still, advertised=heeding_still)),
        without=HostState(boot_id=host.boot_id),
        with_it=host,
    )


def _newcomers(site: Site) -> list[str]:
    """Return the interfaces of another owner that came after netctl turned forwarding on."""
    names = {link.name for link in _plain(_foreign(site))}
    return sorted(names.difference(site.host.uplinks))


def kept(network: Network, site: Site) -> Iterator[str]:
    """Yield the notice of forwarding that stays on when the last network that needs it goes."""
    if not wanted(network) or not is_on(site.host, site.kernel) or any(map(wanted, site.others)):
        return
    if found := _newcomers(site):
        names, more = ", ".join(found[:_NAMED]), " and others" if found[_NAMED:] else ""
        keys = [key.replace("/", ".") for key in site.host.forwarding]
        yield (
            f"IP forwarding stays on ({', '.join(keys)}): netctl turned it on, and {names}{more}"
            " came since, which may need it\n"
            f"hint: if not: sysctl -w {' '.join(f'{key}=0' for key in keys)}; netctl gc"
        )


def steps(host: HostState) -> Plan:
    """Return how the host came into a state: read backwards, forwarding is turned off first."""
    found: list[Step] = [heeding(link) for link in host.advertised]
    found += (PutBack(key=key, value=value) for key, value in host.reset.items())
    found += (Sysctl(netns="", key=k, value="1", previous=v) for k, v in host.forwarding.items())
    return tuple(found)


def heeding(link: str) -> Sysctl:
    """Return how an interface heeds a router's advertisements although the host forwards."""
    return Sysctl(netns="", key=advertisements(link), value=HEED, previous="1")


def advertisements(link: str) -> str:
    """Return the sysctl that says whether an interface heeds a router's advertisements."""
    return f"net/ipv6/conf/{link}/accept_ra"


def wanted(network: Network) -> list[str]:
    """Return the sysctls that have to be on for a network."""
    if network.internal or "bridge" not in network.facts:
        return []
    return [SYSCTLS[version] for version in (4, 6) if network.routed_pool(version)]


def settings(host: HostState) -> Mapping[str, str]:
    """Return what has to hold while netctl has forwarding turned on, in the order to set it."""
    heeded = {advertisements(link): HEED for link in host.advertised}
    return {**heeded, **dict.fromkeys(host.forwarding, "1")}


def _reset(site: Site, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the settings that the kernel gives another value when forwarding is turned off
    (inet_forward_change, addrconf_forward_change), with the value that they have now."""
    names = ["default", "lo", *(link.name for link in _plain(_foreign(site)))]
    for key in keys:
        present = {f"{_CONF[key]}/{name}/forwarding": "1" for name in names}
        present |= {_REDIRECTS: "0"} if key == SYSCTLS[4] else {}
        for setting, value in present.items():
            if site.kernel.sysctl_get("", setting) == value:
                yield setting, value


def _advertised(site: Site) -> Iterator[str]:
    """Yield the interfaces that have routes or addresses of a router's advertisements, or had when
    netctl turned forwarding on before: default routes go when it is turned on, and addresses when
    their time is over, for no more advertisements are taken."""
    routes = site.kernel.routes("")
    learned = {route.link for route in routes if route.advertised}
    for link in _plain(_foreign(site)):
        heard = link.name in learned or link.name in site.host.heard
        if heard and site.kernel.sysctl_get("", advertisements(link.name)) == "1":
            yield link.name


def _merged(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _foreign(site: Site) -> Iterator[Link]:
    """Yield the interfaces of another owner; a bridge of theirs stays theirs when a network uses
    it."""
    for link in site.kernel.links(""):
        if link.name != "lo" and not link.alias.startswith(MARK):
            yield link


def _plain(links: Iterable[Link]) -> Iterator[Link]:
    """Yield those whose names can be written down."""
    return (link for link in links if re.fullmatch(_PLAIN, link.name))
