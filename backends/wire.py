"""The wire of an endpoint on a bridge: a veth pair, and what its end in the sandbox is like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netctl.backends.options import PREFIX, Option, integer
from netctl.backends.settings import asked, ipv6_switch, own_routes
from netctl.models import Attachment, Endpoint, Network
from netctl.names import alias_of
from netctl.plan import Assembly, Plan, Step
from netctl.steps.addresses import AddressAdd
from netctl.steps.links import LinkUp, VethAdd
from netctl.steps.neighbours import Announced, NeighboursForgotten
from netctl.steps.settings import Sysctl

COUNT = PREFIX + "advertise_addr_nmsgs"
GAP = PREFIX + "advertise_addr_ms"
OPTIONS: Mapping[str, Option] = {
    COUNT: Option(
        form="0-3", help="How many times a join announces the endpoint's addresses.", default="1"
    ),
    GAP: Option(
        form="100-2000",
        help="Milliseconds between two announcements; the join waits for them.",
        default="1000",
    ),
}
"""libnetwork tells them three times, in the background; here nothing stays to do that."""


def facts(options: Mapping[str, str]) -> dict[str, str]:
    """Return what the options say, for the network's facts."""
    return {
        "announcements": str(integer(options, COUNT, default=1, low=0, high=3)),
        "announcement_gap": str(integer(options, GAP, default=1000, low=100, high=2000)),
    }


def veth(network: Network, endpoint: Endpoint, place: Attachment, *, isolated: bool) -> Plan:
    """Return how an endpoint's pair comes into being; taking it away takes all of it."""
    netns, ifname = place.netns, place.ifname
    pair = VethAdd(
        name=place.host_ifname,
        alias=alias_of("endpoint", endpoint.id),
        master=network.facts["bridge"],
        isolated=isolated,
        mtu=place.mtu,
        netns=netns,
        peer=ifname,
        peer_mac=place.mac,
    )
    early, late = asked(endpoint, netns, ifname)
    # The bridge takes all that comes in at its port: an address there would only make noise.
    port = ipv6_switch(network, "", pair.name, None)
    own = (
        *ipv6_switch(network, netns, ifname, endpoint.ipv6),
        *own_routes(network, endpoint, netns, ifname),
        *_telling(network, endpoint, place),
    )
    beside, limited = _limits(network, endpoint, place)
    # What the user asks for takes the place of our own.
    settings = {step.key: step for step in (*own, *early)}
    steps: list[Step] = [pair, *port, *settings.values(), *limited]
    steps += (LinkUp(netns="", name=pair.name), LinkUp(netns=netns, name=ifname))
    steps += (AddressAdd(netns=netns, link=ifname, address=a) for a in endpoint.addresses)
    addresses = tuple(address.partition("/")[0] for address in endpoint.addresses)
    forgotten = NeighboursForgotten(link=network.facts["bridge"], addresses=addresses)
    first = (forgotten,) if addresses else ()
    whole = Assembly(steps=(*steps, *late))
    return (*first, *beside, whole)


def _limits(network: Network, endpoint: Endpoint, place: Attachment) -> tuple[Plan, Plan]:
    """Return what limits an endpoint beside its veth pair, and at the pair."""
    if not (endpoint.limits or place.ifb):
        return (), ()
    from netctl.backends import limits

    return limits.beside(network, endpoint, place), tuple(limits.at_port(endpoint, place))


def _announcements(network: Network) -> int:
    return int(network.facts.get("announcements", "1"))


def _telling(network: Network, endpoint: Endpoint, place: Attachment) -> Iterable[Sysctl]:
    if _announcements(network):
        if endpoint.ipv4:
            key = f"net/ipv4/conf/{place.ifname}/arp_notify"
            yield Sysctl(netns=place.netns, key=key, value="1")
        if endpoint.ipv6:
            key = f"net/ipv6/conf/{place.ifname}/ndisc_notify"
            yield Sysctl(netns=place.netns, key=key, value="1")


def announcement(network: Network, place: Attachment) -> Plan:
    """Return how the network is told an endpoint's addresses, once they can be reached."""
    told = Announced(
        netns=place.netns,
        link=place.ifname,
        port=place.host_ifname,
        mac=place.mac,
        count=_announcements(network),
        gap=int(network.facts.get("announcement_gap", "1000")),
    )
    return (told,) if told.count else ()
