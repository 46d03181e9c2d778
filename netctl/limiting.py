"""Changing how fast an endpoint is, joined or not, and how fast it was so far."""

from __future__ import annotations

from collections.abc import Mapping

from netctl.backends import limits, registry
from netctl.definitions import rates
from netctl.errors import InvalidInput
from netctl.kernel import Kernel
from netctl.models import Endpoint, Network
from netctl.plan import Plan
from netctl.record import replace


def limited(
    network: Network, endpoint: Endpoint, given: Mapping[str, str | None], kernel: Kernel
) -> Endpoint:
    """Return the endpoint with other limits: see ``netctl.definitions.rates``."""
    if not registry.load(network.driver).has_pools:
        raise InvalidInput(
            f"endpoints of network {network.name} (driver {network.driver}) have no interface",
            hint="there is nothing to limit",
        )
    wanted = rates.limits(given, endpoint.limits)
    rates.check_on(network, wanted)
    after = replace(endpoint, limits=wanted)
    place = endpoint.attachment
    if place is None:
        return after
    ifb = limits.device(after, kernel, place)
    return replace(after, attachment=replace(place, ifb=ifb))


def plan(network: Network, before: Endpoint, after: Endpoint, kernel: Kernel) -> Plan:
    """Return how the limits change in the kernel, where the endpoint is joined in this boot."""
    if not before.attachment or before.attachment.boot_id != kernel.boot_id():
        return ()
    return registry.load(network.driver).plan_limits(network, before, after)
