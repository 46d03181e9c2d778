"""Addresses: what came to overlap a network later, and what is used up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network

from netctl.backends import diversion, ipam
from netctl.backends.diversion import Diversion
from netctl.backends.ipam.allocate import bounds
from netctl.backends.ipam.choice import DEFAULT_IPV4
from netctl.backends.ipam.surroundings import (
    Surroundings,
    address_words,
    route_words,
    surroundings,
)
from netctl.definitions.network import NetworkDefinition
from netctl.designing import surroundings_of
from netctl.doctor import ruled
from netctl.doctor.configuring import added
from netctl.doctor.finding import Finding, problem, warning
from netctl.doctor.machine import Machine
from netctl.errors import Exhausted
from netctl.kernel import Address
from netctl.models import Network, Pool

_SCARCE = 10
"""It is said that addresses run out when one of so many is left."""
_BASE, _SIZE = 12, 24
"""Prefix lengths of a pool that is proposed, and of its subnets."""
_COUNTED = 1 << 17
"""Addresses of a pool above which nobody runs out of them."""


def led_elsewhere(machine: Machine) -> Iterator[Finding]:
    """Networks to which the host's routes or rules of routing do not lead any more."""
    for network in machine.networks:
        bridge = machine.found.link("", network.facts["bridge"])
        if bridge is None or not bridge.up:
            continue
        for pool in (pool for pool in network.pools if not pool.link_local):
            if ruled.refuses_all(machine, pool.version):
                continue  # Another check names the rule.
            if found := _diversion(network, pool, machine):
                what, evidence, on = found.what, found.evidence, network.facts["bridge"]
                yield problem("route-elsewhere", what, evidence, *found.remedy, on=on)


def _diversion(network: Network, pool: Pool, machine: Machine) -> Diversion | None:
    there = {a.address.partition("/")[0] for a in machine.found.addresses("")}
    if pool.gateway not in there:
        return None
    address = _some_address(network, pool, machine)
    return diversion.find(network, pool, address, machine.kernel)


def _some_address(network: Network, pool: Pool, machine: Machine) -> str:
    """Return an endpoint's address, or where there is none the first that one could get."""
    endpoints = machine.endpoints.get(network.id, ())
    held = (e.ipv4 if pool.version == 4 else e.ipv6 for e in endpoints)
    taken = next(filter(None, held), "").partition("/")[0]
    return taken or diversion.first_address(pool)


def overlaps(machine: Machine) -> Iterator[Finding]:
    """Addresses, routes and name servers of the host in a network's subnet."""
    ours = {network.facts["bridge"] for network in machine.networks}
    routes = [route for route in (machine.found.routes("") or ()) if route.link not in ours]
    addresses = [a for a in machine.found.addresses("") if a.link not in ours]
    around = surroundings(
        networks=(), routes=routes, addresses=addresses, resolv_conf=machine.resolv_conf
    )
    deletions = {route_words(route): diversion.deletion(route) for route in routes}
    deletions |= {address_words(item): _deletion(item) for item in addresses}
    for network in machine.networks:
        for pool in (pool for pool in network.pools if not pool.link_local):
            another = machine.free_name(f"{network.name}-2")
            yield from _overlapping(network, pool, around, deletions, another)


def _deletion(item: Address) -> str:
    """Return the line that takes an address of somebody else's away."""
    return (
        f"ip address delete {item.address} dev {item.link}"
        "  # if nothing needs it; else give the network another subnet"
    )


def _overlapping(
    network: Network,
    pool: Pool,
    around: Surroundings,
    deletions: Mapping[str, str],
    another: str,
) -> Iterator[Finding]:
    for by in around.host_users(pool.subnet):
        kind = by.partition(" ")[0]
        if kind == "name":
            yield problem(
                "resolver-hidden",
                f"network {network.name} hides a name server of the host, which has an address in"
                " its subnet: names cannot be resolved",
                f"{by}; network {network.name} is {pool.subnet}",
                f"netctl network create {another}"
                f"  # its subnet is another; in the place of {network.name}",
            )
        else:
            yield warning(
                "subnet-overlap",
                f"network {network.name} has addresses in common with what the host reaches"
                " otherwise: one hides the other",
                f"{by}; network {network.name} is {pool.subnet}",
                deletions[by],
            )


def used_up(machine: Machine) -> Iterator[Finding]:
    """Networks that have no address left, or hardly one."""
    for network in machine.all_networks:
        for pool in network.pools:
            low, high = bounds(pool)
            size = high - low + 1
            if not 0 < size <= _COUNTED:
                continue
            taken = sum(low <= int(address) <= high for address in _held(network, pool, machine))
            if machine.endpoints.get(network.id) and size - taken <= max(size // _SCARCE, 1):
                say = problem if taken >= size else warning
                yield say(
                    "addresses-used-up",
                    f"network {network.name} has {size - taken} of {size} addresses left",
                    f"{taken} of {pool.ip_range or pool.subnet} are held; netctl endpoint ls"
                    f" --network {network.name}",
                    "netctl gc --yes  # what has expired",
                    f"# or create another network, larger than {pool.subnet}",
                )


def _held(network: Network, pool: Pool, machine: Machine) -> Iterator[int]:
    texts = {*network.reserved}
    for endpoint in machine.endpoints.get(network.id, ()):
        texts.update(address.partition("/")[0] for address in endpoint.addresses)
    subnet = ip_network(pool.subnet)
    for text in texts:
        address = ip_address(text)
        if address.version == pool.version and address in subnet:
            yield int(address)


def no_subnet_left(machine: Machine) -> Iterator[Finding]:
    """Address pools of which no subnet is free for another network."""
    wanted = NetworkDefinition(name="another", driver=machine.config.default_driver)
    request = wanted.pool_request(machine.config)
    try:
        ipam.load("default").pools(request, surroundings_of(machine.all_networks, machine.kernel))
    except Exhausted as error:
        yield warning(
            "pools-used-up",
            "no subnet is left for another network",
            error.command_message,
            *_another_base(machine),
        )


def _another_base(machine: Machine) -> Iterator[str]:
    """Yield the line that gives networks private addresses which nothing uses (RFC 1918)."""
    around = surroundings_of(machine.all_networks, machine.kernel)
    taken = [pool.base for pool in machine.config.address_pools or DEFAULT_IPV4]
    there = [ip_network(text) for text in taken if ":" not in text]
    for base in ip_network("10.0.0.0/8").subnets(new_prefix=_BASE):
        used = any(item.overlaps(str(base)) for item in around.everything)
        if not used and not any(base.overlaps(other) for other in there):
            known = (_as_yaml(pool.base, pool.size) for pool in DEFAULT_IPV4)
            items = [_as_yaml(str(base), _SIZE)]
            yield added(machine, "address_pools", items, known)
            return


def _as_yaml(base: str, size: int) -> str:
    return f"{{base: {base}, size: {size}}}"
