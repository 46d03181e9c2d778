"""IP forwarding of the host, which every network with a way out needs.

moby (2026, iptables) turns it on where it is off and then sets the policy of the forward chain to
drop, so that the host does not become an open router. A policy hits networks of other tools that
come later; netctl instead keeps dropping between the interfaces that were there when it turned
forwarding on. When the last network goes and nobody else has come meanwhile, forwarding goes too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from netctl.backends.driver import Site
from netctl.errors import KernelError
from netctl.models import HostState, Network
from netctl.names import MARK
from netctl.plan import Plan
from netctl.record import Record, replace
from netctl.steps.settings import Sysctl

SYSCTLS = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_PLAIN = re.compile(r"[!#-)+-\[\]-~]+")
"""What nft takes between quotes: printable ASCII without the quote, the star and the backslash."""


class Forwarding(Record):
    """The sysctl steps of a network, and the host's state without and with them."""

    plan: Plan = ()
    without: HostState
    with_it: HostState


def plan(network: Network, site: Site) -> Forwarding:
    """Return what a network that comes needs, or what one that goes leaves behind.

    Raises ``KernelError`` where forwarding is off and the configuration forbids to turn it on.
    """
    return _release(network, site) if site.removing else _acquire(network, site)


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
    if site.ip_forward == "no-drop":
        # Everybody may use it from now on, so it is not ours to turn off again.
        return Forwarding(plan=_steps(keys), without=site.host, with_it=site.host)
    changed = replace(
        site.host,
        forwarding={**site.host.forwarding, **dict.fromkeys(keys, "0")},
        uplinks=site.host.uplinks or tuple(_foreign(site)),
    )
    return Forwarding(plan=_steps(keys), without=site.host, with_it=changed)


def _release(network: Network, site: Site) -> Forwarding:
    """Keep forwarding while another network needs it, or where interfaces of somebody else have
    come since: their owner may rely on it by now."""
    needed = any(wanted(other) for other in site.others)
    newcomers = set(_foreign(site)).difference(site.host.uplinks)
    if not site.host.forwarding or needed or newcomers:
        return Forwarding(without=site.host, with_it=site.host)
    return Forwarding(
        plan=_steps(site.host.forwarding),
        without=HostState(boot_id=site.host.boot_id),
        with_it=site.host,
    )


def _steps(keys: Iterable[str]) -> Plan:
    return tuple(Sysctl(netns="", key=key, value="1", previous="0") for key in keys)


def wanted(network: Network) -> list[str]:
    """Return the sysctls that have to be on for a network."""
    if network.internal or "bridge" not in network.facts:
        return []
    return [SYSCTLS[version] for version in (4, 6) if network.pool(version)]


def _foreign(site: Site) -> Iterable[str]:
    """Yield the interfaces of somebody else whose names can be written down; a bridge of theirs
    stays theirs when a network uses it."""
    for link in site.kernel.links(""):
        if link.name != "lo" and not link.alias.startswith(MARK) and _PLAIN.fullmatch(link.name):
            yield link.name
