"""The wire of an endpoint on a bridge: a veth pair, and what its end in the sandbox is like."""

from __future__ import annotations

from collections.abc import Iterable

from netctl.models import Attachment, Endpoint, Network, Pool
from netctl.names import alias_of, sysctl_path
from netctl.plan import Assembly, Plan, Step
from netctl.steps import AddressAdd, LinkUp, Sysctl, VethAdd


def veth(network: Network, endpoint: Endpoint, attachment: Attachment) -> Plan:
    """Return how an endpoint's pair comes into being; taking it away takes all of it."""
    netns, ifname = attachment.netns, attachment.ifname
    pair = VethAdd(
        name=attachment.host_ifname,
        alias=alias_of("endpoint", endpoint.id),
        master=network.facts["bridge"],
        isolated=network.facts["icc"] != "true",
        hairpin=False,
        mtu=attachment.mtu,
        netns=netns,
        peer=ifname,
        peer_mac=attachment.mac,
    )
    first, last = _asked_settings(endpoint, netns, ifname)
    # What the user asks for takes the place of our own.
    settings = {s.key: s for s in (*ipv6_switch(network, netns, ifname, endpoint.ipv6), *first)}
    steps: list[Step] = [pair, *settings.values()]
    steps += (LinkUp(netns="", name=pair.name), LinkUp(netns=netns, name=ifname))
    steps += (AddressAdd(netns=netns, link=ifname, address=a) for a in endpoint.addresses)
    return (Assembly(steps=(*steps, *last)),)


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


def _asked_settings(endpoint: Endpoint, netns: str, link: str) -> tuple[list[Sysctl], list[Sysctl]]:
    """Return how the settings that the user asked for are made: those before the interface is up,
    and the IPv6 MTU, which the kernel sets anew when it goes up."""
    first: list[Sysctl] = []
    last: list[Sysctl] = []
    for name, value in endpoint.sysctls.items():
        step = Sysctl(netns=netns, key=sysctl_path(name, link), value=value)
        (last if name.endswith(".mtu") else first).append(step)
    return first, last
