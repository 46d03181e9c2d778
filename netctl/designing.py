"""What a network that is asked for becomes: addresses, interface names and pools, chosen before
anything is changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from netctl.backends import ipam, registry
from netctl.backends.ipam.surroundings import Surroundings, surroundings
from netctl.definitions.network import NetworkDefinition
from netctl.errors import Conflict, InvalidInput
from netctl.kernel import Kernel
from netctl.models import Network, now
from netctl.names import new_id, unaskable
from netctl.operation import Operation
from netctl.record import replace

if TYPE_CHECKING:
    from netctl.controller import Controller

_USERS_SHOWN = 4


def design(op: Operation, wanted: NetworkDefinition, controller: Controller) -> Network:
    """Return the network with every value that was left open.

    Raises ``InvalidInput``, ``Conflict`` (what another network or the host uses) or ``Exhausted``.
    """
    kernel = controller.kernel
    driver = registry.load(wanted.driver)
    others = op.reader.all(Network)
    _check_free(wanted, others, single=driver.single)
    draft = driver.design(wanted.network(wanted.id or new_id(), now(), driver.scope), kernel)
    _check_own(draft, others)
    if any("bridge" in other.facts for other in others):
        controller.guard(op, others)
    allocator = ipam.load(wanted.ipam_driver if driver.has_pools else "null")
    allocator.validate_options(wanted.ipam_options)
    request = wanted.pool_request(
        controller.config, driver.gateway_versions(draft), driver.spare_gateways(draft)
    )
    around = surroundings_of(others, kernel)
    draft = replace(draft, pools=allocator.pools(request, around))
    if wanted.subnets:
        controller.notices += _beside_host(draft, around, kernel)
    return replace(driver.settle_pools(draft, kernel), boot_id=kernel.boot_id())


def surroundings_of(others: Iterable[Network], kernel: Any) -> Surroundings:
    """Return what new pools have to keep clear of."""
    from netctl.resolv import host_resolv_conf

    return surroundings(
        networks=others,
        routes=kernel.routes(""),
        addresses=kernel.addresses(""),
        resolv_conf=host_resolv_conf(kernel),
    )


def _beside_host(network: Network, around: Surroundings, kernel: Kernel) -> list[str]:
    """Return a notice of each pool that overlaps what the host uses, but for a bridge of its own
    that the network adopts. Raises ``Conflict`` for a gateway that is the host's elsewhere."""
    notices, own = [], network.facts.get("bridge", "")
    for pool in (pool for pool in network.pools if not pool.link_local):
        for item in around.host:
            if pool.gateway and item.address == pool.gateway and item.link != own:
                there = kernel.link("", item.link)
                adopt = f", or -o bridge.name={item.link}"
                raise Conflict(
                    f"the gateway {pool.gateway} of network {network.name} is an address of this"
                    f" host already, on {item.link}",
                    hint="another --gateway or --subnet"
                    + (adopt if there and there.type == "bridge" else ""),
                )
        if users := around.host_users(pool.subnet, but=own):
            notices.append(
                f"subnet {pool.subnet} of network {network.name} overlaps what the host uses"
                f" ({', '.join(users[:_USERS_SHOWN])}): one of the two will not be reached"
            )
    return notices


def _check_own(network: Network, others: Iterable[Network]) -> None:
    bridge = network.facts.get("bridge")
    for other in others:
        if bridge and other.facts.get("bridge") == bridge:
            raise Conflict(
                f"bridge {bridge} is that of network {other.name} already",
                hint=f"another -o bridge.name, or use the network {other.name}",
            )


def check_told_apart(name: str, driver: str, others: Iterable[Network]) -> None:
    """Raise ``InvalidInput`` for a name that DNS cannot be asked for, behind that of an endpoint,
    ``Conflict`` where it does not tell it from another network's."""
    if not registry.load(driver).has_pools:
        return
    if reason := unaskable(f"x.{name}"):
        raise InvalidInput(
            f"network name {name!r} cannot stand behind an endpoint's name: {reason}",
            hint="leave out the dot at its end, and one of two dots together",
        )
    for other in others:
        same = other.name.lower() == name.lower() and other.name != name
        if same and registry.load(other.driver).has_pools:
            raise Conflict(
                f"network {other.name} exists already, and DNS does not tell {name} from it",
                hint="choose another name",
            )


def _check_free(wanted: NetworkDefinition, others: Iterable[Network], *, single: bool) -> None:
    check_told_apart(wanted.name, wanted.driver, others)
    for other in others:
        if wanted.id and other.id == wanted.id:
            raise Conflict(
                f"network {other.name} has the id {wanted.id[:12]} already",
                hint="leave out --id to get a random one",
            )
        if single and other.driver == wanted.driver:
            raise Conflict(
                f"network {other.name} is of driver {wanted.driver} already, and one is enough",
                hint=f"use the network {other.name}",
            )
