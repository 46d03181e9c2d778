"""The settings of interfaces: our own, and those that the user asks for."""

from __future__ import annotations

from collections.abc import Iterable

from netctl.models import Endpoint, Network, Pool
from netctl.names import sysctl_path
from netctl.steps.settings import Sysctl

_DISABLE_IPV6 = "net.ipv6.conf.IFNAME.disable_ipv6"


def ipv6_switch(
    network: Network, netns: str, link: str, wanted: str | Pool | None
) -> Iterable[Sysctl]:
    """Return how a link's IPv6 is turned on where an address of it is ``wanted``, else off."""
    # Without IPv6 on the network its link-local addresses would still be a way past the firewall.
    if network.facts["ipv6_stack"] == "true":
        value = "0" if wanted else "1"
        yield Sysctl(netns=netns, key=f"net/ipv6/conf/{link}/disable_ipv6", value=value)
        # All addresses are ours to give. Detecting duplicates keeps the link-local one, which the
        # kernel asks its neighbours from, unusable for two seconds.
        if wanted:
            yield Sysctl(netns=netns, key=f"net/ipv6/conf/{link}/accept_dad", value="0")


def own_routes(network: Network, endpoint: Endpoint, netns: str, link: str) -> Iterable[Sysctl]:
    """Return how an endpoint's interface keeps to the routes that netctl gives it: no router's
    advertisement and no redirect, which every neighbour can send, adds another.

    The kernel takes an IPv4 redirect where the interface or ``all`` says so (ip-sysctl.rst), so a
    namespace of netctl's has it off in ``all`` too: see ``netctl.moving``.
    """
    if endpoint.ipv4:
        yield Sysctl(netns=netns, key=f"net/ipv4/conf/{link}/accept_redirects", value="0")
    # Without an address the interface has IPv6 only where the user asked for it.
    switched = _DISABLE_IPV6 in endpoint.sysctls
    if network.facts["ipv6_stack"] == "true" and (endpoint.ipv6 or switched):
        for name in ("accept_ra", "accept_redirects"):
            yield Sysctl(netns=netns, key=f"net/ipv6/conf/{link}/{name}", value="0")


def asked(endpoint: Endpoint, netns: str, link: str) -> tuple[list[Sysctl], list[Sysctl]]:
    """Return how the settings that the user asked for are made: those before the interface is up,
    and the IPv6 MTU, which the kernel sets anew when it goes up."""
    first: list[Sysctl] = []
    last: list[Sysctl] = []
    for name, value in endpoint.sysctls.items():
        step = Sysctl(netns=netns, key=sysctl_path(name, link), value=value)
        (last if name.endswith(".mtu") else first).append(step)
    return first, last
