"""The driver ``bridge``: a Linux bridge per network, a veth pair per endpoint, NAT to the outside.

Labels and defaults are libnetwork's (com.docker.network.bridge.*); isolation and NAT are in
``netctl.backends.firewall``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Interface, IPv6Interface

from netctl.backends import access, firewall, wire
from netctl.backends.driver import NetworkPlan, Publishing, Site
from netctl.backends.options import (
    PREFIX,
    Option,
    address,
    boolean,
    integer,
    normalise,
    switch,
)
from netctl.backends.settings import ipv6_switch
from netctl.errors import Conflict, InvalidInput
from netctl.kernel import Kernel
from netctl.models import Attachment, Endpoint, Network, Pool
from netctl.names import MARK, alias_of, bridge_ifname, check_ifname, mac_of
from netctl.plan import Assembly, Plan, Step
from netctl.record import replace
from netctl.steps.addresses import AddressAdd
from netctl.steps.links import BridgeAdd, LinkUp
from netctl.steps.settings import FlowsForgotten, Sysctl

NAME = PREFIX + "bridge.name"
ICC = PREFIX + "bridge.enable_icc"
MASQUERADE = PREFIX + "bridge.enable_ip_masquerade"
INHIBIT_IPV4 = PREFIX + "bridge.inhibit_ipv4"
MTU = PREFIX + "driver.mtu"
IFACE_PREFIX = PREFIX + "container_iface_prefix"
SNAT = {4: PREFIX + "host_ipv4", 6: PREFIX + "host_ipv6"}
_INHIBITS = (
    "Do not give the bridge the IPv4 gateway address. Until you add one, the host does not route"
    " for the network, and published ports do not work."
)

DEFAULT_MTU = 1500
_MTU_LOW = {4: 68, 6: 1280}
"""Smallest MTU of a family, bytes: RFC 791 and RFC 8200 section 5."""
_MTU_HIGH = 65535
_IPV6 = "net/ipv6/conf/all/disable_ipv6"
_DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")


class BridgeDriver:
    """A Linux bridge per network."""

    name = "bridge"
    scope = "local"
    has_pools = True
    host_stack = False
    single = False
    options: Mapping[str, Option] = {
        NAME: Option(
            form="NAME",
            help="Name of the bridge; an existing bridge is used, and never deleted.",
            default="br-ID",
        ),
        ICC: switch("Let endpoints of the network reach each other.", default=True),
        MASQUERADE: switch("Hide endpoints behind the host's address.", default=True),
        INHIBIT_IPV4: switch(_INHIBITS, default=False),
        MTU: Option(
            form=f"{_MTU_LOW[4]}-{_MTU_HIGH}",
            help=f"MTU in bytes; at least {_MTU_LOW[6]} with IPv6.",
            default="that of the route to the outside, or of an existing bridge",
        ),
        IFACE_PREFIX: Option(
            form="PREFIX", help="Prefix of interface names in a sandbox.", default="eth"
        ),
        SNAT[4]: Option(form="IP", help="IPv4 source address outside, in place of the host's."),
        SNAT[6]: Option(form="IP", help="IPv6 source address outside, in place of the host's."),
        **wire.OPTIONS,
        **access.OPTIONS,
    }

    def design(self, network: Network, kernel: Kernel) -> Network:
        options = normalise(self.name, network.options, self.options)
        bridge = check_ifname("bridge name", options.get(NAME) or bridge_ifname(network.id))
        made = not _adopted(bridge, kernel, wanted=NAME in options)
        mtu = _mtu(network, options, kernel, "" if made else bridge)
        # A link of a smaller MTU gets no IPv6, nor its settings (net/ipv6/addrconf.c).
        ipv6 = mtu >= _MTU_LOW[6] and kernel.sysctl_get("", _IPV6) is not None
        facts = {
            "bridge": bridge,
            "prefix": _prefix(options),
            "icc": _flag(boolean(options, ICC, default=True)),
            "mtu": str(mtu),
            "made": _flag(made),
            "ipv6_stack": _flag(ipv6),
            **wire.facts(options),
            **access.facts(network, options, bridge),
        }
        facts |= _source_nat(network, options, facts)
        return replace(network, options=options, facts=facts)

    def settle_pools(self, network: Network, kernel: Kernel) -> Network:
        for version in (4, 6):
            if sum(pool.version == version for pool in network.pools) > 1:
                raise InvalidInput(
                    f"driver bridge takes one IPv{version} subnet for a network, not several",
                    hint="make a network for each, and join a sandbox to all of them",
                )
            _check_gateway(network, version)
        made = network.facts["made"] == "true"
        present = set() if made else _present(network, kernel)
        wanted = [address for address in _bridge_addresses(network) if address not in present]
        link = None if made else kernel.link("", network.facts["bridge"])
        set_already = not made and kernel.sysctl_get("", access.loopback_key(network)) == "1"
        facts = {
            **network.facts,
            "addresses": " ".join(wanted),
            "up": _flag(not (link and link.up)),
            "localnet": _flag(bool(_lending(network)) and not set_already),
        }
        if facts["icc"] != "true":
            from netctl.backends import apart  # of no use to other networks

            facts |= apart.facts(network, kernel)
        return replace(network, facts=facts)

    def plan_network(self, network: Network, site: Site) -> NetworkPlan:
        from netctl.backends import forwarding  # of no use to endpoints

        forward = forwarding.plan(network, site)
        others = any("bridge" in other.facts for other in site.others)
        rules = firewall.plan(
            network,
            forward.without,
            forward.with_it,
            alone=not (others or forward.without.forwarding),
            spared=site.spared,
        )
        if access.is_filtered(network):
            from netctl.backends import apart

            rules = apart.with_network(rules, network, site.others)
        return NetworkPlan(
            plan=(*_bridge_steps(network), rules, *forward.plan),
            host=forward.without if site.removing else forward.with_it,
        )

    def stands(self, network: Network, kernel: Kernel) -> bool:
        link = kernel.link("", network.facts["bridge"])
        return link is not None and link.alias == alias_of("network", network.id)

    def check_there(self, network: Network, kernel: Kernel) -> None:
        bridge = network.facts["bridge"]
        link = kernel.link("", bridge)
        if link is None:
            raise Conflict(
                f"bridge {bridge} of network {network.name} is gone",
                hint="netctl repair brings it back",
            )
        if network.facts["made"] == "true" and link.alias != alias_of("network", network.id):
            raise Conflict(
                f"interface {bridge} is not the bridge of network {network.name}",
                hint="remove or rename it, then: netctl repair",
            )

    def plan_join(self, network: Network, endpoint: Endpoint, attachment: Attachment) -> Plan:
        # Whoever gets the addresses next is not to get the packets of flows that were begun before.
        addresses = tuple(access.addresses(endpoint).values())
        flows = FlowsForgotten(addresses=addresses, coming=False)
        isolated = access.is_port_isolated(network, endpoint)
        pair = wire.veth(network, endpoint, attachment, isolated=isolated)
        if access.is_filtered(network):
            from netctl.backends import apart

            return (flows, apart.port(network, attachment), *pair)
        return (flows, *pair)

    def plan_announce(self, network: Network, attachment: Attachment) -> Plan:
        return wire.announcement(network, attachment)

    def plan_limits(self, network: Network, before: Endpoint, after: Endpoint) -> Plan:
        from netctl.backends import limits  # for a change alone

        return limits.change(network, before, after)

    def plan_publish(self, network: Network, change: Publishing, kernel: Kernel) -> Plan:
        from netctl.backends import publication  # for ports alone

        return publication.plan(network, change, kernel)

    def settings(self, network: Network) -> tuple[str, ...]:
        own = network.facts.get("localnet") == "true"
        return (access.loopback_key(network),) if own else ()

    def gateway_versions(self, network: Network) -> tuple[int, ...]:
        return tuple(v for v in (4, 6) if not _isolated(network, v))

    def spare_gateways(self, network: Network) -> tuple[int, ...]:
        return (4,) if boolean(network.options, INHIBIT_IPV4, default=False) else ()

    def ifname_prefix(self, network: Network) -> str:
        return network.facts["prefix"]

    def gateway(self, network: Network, version: int) -> str | None:
        pool = network.routed_pool(version)
        return pool.gateway if pool and not network.internal else None


def _bridge_steps(network: Network) -> Plan:
    facts, bridge = network.facts, network.facts["bridge"]
    if facts["made"] != "true":
        return tuple(_bridge_settings(network))
    made = BridgeAdd(
        name=bridge,
        alias=alias_of("network", network.id),
        mac=mac_of(network.id),
        mtu=int(facts["mtu"]),
    )
    switch = ipv6_switch(network, "", bridge, _host_pool(network, 6))
    return (
        Assembly(
            steps=(
                made,
                *_own_routes(network),
                *switch,
                *_bridge_settings(network),
            )
        ),
    )


def _isolated(network: Network, version: int) -> bool:
    return access.mode(network, version) == access.ISOLATED


def _host_pool(network: Network, version: int) -> Pool | None:
    """Return the pool of a family in which the host has a part on the bridge."""
    return None if _isolated(network, version) else network.pool(version)


def _check_gateway(network: Network, version: int) -> None:
    pool = network.pool(version)
    if pool and pool.gateway and _isolated(network, version):
        raise InvalidInput(
            f"an isolated network has no IPv{version} gateway",
            hint=f"leave out --gateway {pool.gateway}",
        )


def _lending(network: Network) -> Pool | None:
    """Return the pool of a network that ports of the host's loopback may lead to."""
    return None if network.internal else network.pool(4)


def _own_routes(network: Network) -> Iterable[Step]:
    # What comes from inside a network must not change the host's routes. Where the host forwards
    # IPv4, the setting of the bridge alone decides on redirects; the firewall drops those of an
    # internal network. The host sends none where no other interface's setting demands it.
    bridge = network.facts["bridge"]
    for name in ("accept_redirects", "send_redirects"):
        yield Sysctl(netns="", key=f"net/ipv4/conf/{bridge}/{name}", value="0")
    if network.facts["ipv6_stack"] == "true":
        for name in ("accept_ra", "accept_redirects"):
            yield Sysctl(netns="", key=f"net/ipv6/conf/{bridge}/{name}", value="0")


def _bridge_settings(network: Network) -> Iterable[Step]:
    # Up before the addresses: a link that goes down loses its IPv6 addresses, so the other order
    # could not be taken back step by step.
    bridge = network.facts["bridge"]
    if network.facts["up"] == "true":
        yield LinkUp(netns="", name=bridge)
    for item in network.facts["addresses"].split():
        yield AddressAdd(netns="", link=bridge, address=item)


def _bridge_addresses(network: Network) -> list[str]:
    inhibit = boolean(network.options, INHIBIT_IPV4, default=False)
    return [
        pool.with_prefix(pool.gateway)
        for pool in network.pools
        if pool.gateway and not (inhibit and pool.version == 4)
    ]


def _present(network: Network, kernel: Kernel) -> set[str]:
    """Return the addresses of an adopted bridge; one in a pool must be that pool's gateway."""
    from ipaddress import ip_interface, ip_network

    bridge = network.facts["bridge"]
    present = {a.address for a in kernel.addresses("") if a.link == bridge}
    _check_fits(network, [a for a in map(ip_interface, present) if a.version == 4])
    pools = [pool for pool in network.pools if not pool.link_local]
    for found in map(ip_interface, present):
        for pool in pools:
            if found.ip in ip_network(pool.subnet) and str(found.ip) != pool.gateway:
                raise Conflict(
                    f"bridge {bridge} has the address {found}, not the gateway {pool.gateway}",
                    hint=f"--gateway {found.ip}, or remove the address from the bridge",
                )
    return present


def _check_fits(network: Network, present: list[IPv4Interface | IPv6Interface]) -> None:
    """Raise ``Conflict`` where an adopted bridge has IPv4 addresses, and none of the subnet: as in
    moby one of the two is a mistake. Where the host has no part in the subnet any will do."""
    pool = _host_pool(network, 4)
    own = [found for found in present if not found.is_link_local]
    if not pool or not own or boolean(network.options, INHIBIT_IPV4, default=False):
        return
    if all(str(found.network) != pool.subnet for found in own):
        bridge, there = network.facts["bridge"], ", ".join(map(str, own))
        raise Conflict(
            f"subnet {pool.subnet} of network {network.name} does not fit bridge {bridge}, which"
            f" has {there}",
            hint=f"--subnet {own[0].network} --gateway {own[0].ip}, or another bridge",
        )


def _adopted(bridge: str, kernel: Kernel, *, wanted: bool) -> bool:
    """Whether a bridge is there to be used. One that only bears the name which comes from the id,
    as Docker's of the same id does, is somebody else's."""
    found = kernel.link("", bridge)
    if found and found.type != "bridge":
        raise Conflict(
            f"interface {bridge} is not a bridge" + (f" but a {found.type}" if found.type else ""),
            hint="choose another name with -o bridge.name=NAME",
        )
    if found and not wanted:
        use = f"-o bridge.name={bridge} uses it; another name makes another"
        raise Conflict(
            f"bridge {bridge} exists already and was not requested with -o bridge.name",
            hint="netctl gc removes what a lost store left"
            if found.alias.startswith(MARK)
            else use,
        )
    return found is not None


def _prefix(options: Mapping[str, str]) -> str:
    prefix = options.get(IFACE_PREFIX, "eth")
    # Room for three digits: ten endpoints and more in one sandbox are usual for routers.
    check_ifname(f"option {IFACE_PREFIX}:", prefix + "999")
    return prefix


def _mtu(network: Network, options: Mapping[str, str], kernel: Kernel, adopted: str) -> int:
    """Return the MTU of a network on its own bridge, or on an ``adopted`` one."""
    low = _MTU_LOW[6 if network.enable_ipv6 else 4]
    there = kernel.link("", adopted) if adopted else None
    usual = max(there.mtu if there else _outside_mtu(kernel), low)
    return integer(options, MTU, default=usual, low=low, high=_MTU_HIGH)


def _outside_mtu(kernel: Kernel) -> int:
    """Return the smallest MTU among the default routes' interfaces, bytes."""
    routes = (route for route in kernel.routes("") if route.destination in _DEFAULT_ROUTES)
    ways = {route.link for route in routes}
    links = (kernel.link("", name) for name in ways)
    return min((link.mtu for link in links if link), default=DEFAULT_MTU)


def _source_nat(
    network: Network, options: Mapping[str, str], chosen: Mapping[str, str]
) -> dict[str, str]:
    masquerade = boolean(options, MASQUERADE, default=True) and not network.internal
    facts: dict[str, str] = {}
    for version, enabled in ((4, network.enable_ipv4), (6, network.enable_ipv6)):
        source = address(options, SNAT[version], version)
        if source and not enabled:
            raise InvalidInput(
                f"option {SNAT[version]} is for a network with IPv{version}",
                hint="leave it out, or " + ("add --ipv6" if version == 6 else "--no-ipv4"),
            )
        if enabled and masquerade and chosen[f"mode{version}"] != access.ROUTED:
            facts[f"snat{version}"] = source
            facts[f"masquerade{version}"] = "" if source else "true"
    return facts


def _flag(value: bool) -> str:
    return "true" if value else "false"
