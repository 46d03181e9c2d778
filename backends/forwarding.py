"""IP forwarding of the host, which every network with a way out needs.

moby (2026, iptables) turns it on where it is off and then sets the policy of the forward chain to
drop, so that the host does not become an open router. A policy hits networks of other tools that
come later; netctl instead keeps dropping between the interfaces that were there when it turned
forwarding on. When the last network goes and nobody else has come meanwhile, forwarding goes too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from netctl.backends.driver import Site
from netctl.errors import KernelError
from netctl.kernel import Link
from netctl.models import HostState, Network
from netctl.names import MARK
from netctl.plan import Plan
from netctl.record import record
from netctl.steps import Sysctl

SYSCTLS = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_PLAIN = re.compile(r"[!#-)+-\[\]-~]+")
"""What nft takes between quotes: printable ASCII without the quote, the star and the backslash."""


@record
class Forwarding:
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
        uplinks=_uplinks(network, site),
    )
    return Forwarding(plan=_steps(keys), without=site.host, with_it=changed)


def _release(network: Network, site: Site) -> Forwarding:
    """Keep forwarding while another network needs it, or where interfaces of somebody else have
    come since: their owner may rely on it by now."""
    needed = any(wanted(other) for other in site.others)
    if not site.host.forwarding or needed or _newcomers(network, site):
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


def _uplinks(network: Network, site: Site) -> tuple[str, ...]:
    bridges = {item.facts.get("bridge") for item in (network, *site.others)}
    return site.host.uplinks or tuple(
        link.name
        for link in site.kernel.links("")
        if link.name != "lo" and link.name not in bridges and _foreign(link)
    )


def _newcomers(network: Network, site: Site) -> Iterable[str]:
    known = {"lo", network.facts.get("bridge"), *site.host.uplinks}
    links = site.kernel.links("")
    return [link.name for link in links if link.name not in known and _foreign(link)]


def _foreign(link: Link) -> bool:
    """Whether an interface is somebody else's, with a name that can be written down."""
    return not link.alias.startswith(MARK) and _PLAIN.fullmatch(link.name) is not None
