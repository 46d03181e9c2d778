"""The settings of interfaces: our own, and those that the user asks for."""

from __future__ import annotations

from collections.abc import Iterable

from netctl.models import Endpoint, Network, Pool
from netctl.names import sysctl_path
from netctl.steps.settings import Sysctl


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


def asked(endpoint: Endpoint, netns: str, link: str) -> tuple[list[Sysctl], list[Sysctl]]:
    """Return how the settings that the user asked for are made: those before the interface is up,
    and the IPv6 MTU, which the kernel sets anew when it goes up."""
    first: list[Sysctl] = []
    last: list[Sysctl] = []
    for name, value in endpoint.sysctls.items():
        step = Sysctl(netns=netns, key=sysctl_path(name, link), value=value)
        (last if name.endswith(".mtu") else first).append(step)
    return first, last
