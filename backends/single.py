"""The drivers ``host`` and ``null``: a network that makes nothing in the kernel.

``host`` is the host's own stack, ``null`` a stack with only loopback. One network of each kind is
enough (libnetwork: "only one instance of host network is allowed").
"""

from __future__ import annotations

from collections.abc import Mapping

from netctl.backends.driver import NetworkPlan, Publishing, Site
from netctl.backends.options import Option, normalise
from netctl.errors import InvalidInput
from netctl.kernel import Kernel
from netctl.models import Attachment, Endpoint, Network
from netctl.plan import Plan
from netctl.record import replace


class _Bare:
    name = ""
    scope = "local"
    options: Mapping[str, Option] = {}
    has_pools = False
    host_stack = False
    single = True

    def design(self, network: Network, kernel: Kernel) -> Network:
        if network.internal or network.enable_ipv6:
            raise InvalidInput(
                f"driver {self.name} supports neither --internal nor --ipv6",
                hint="leave them out: it makes no interface of its own",
            )
        return replace(network, options=normalise(self.name, network.options, self.options))

    def settle_pools(self, network: Network, kernel: Kernel) -> Network:
        return network

    def plan_network(self, network: Network, site: Site) -> NetworkPlan:
        return NetworkPlan(plan=(), host=site.host)

    def stands(self, network: Network, kernel: Kernel) -> bool:
        return True

    def check_there(self, network: Network, kernel: Kernel) -> None:
        pass

    def plan_join(self, network: Network, endpoint: Endpoint, attachment: Attachment) -> Plan:
        return ()

    def plan_announce(self, network: Network, attachment: Attachment) -> Plan:
        return ()

    def plan_limits(self, network: Network, before: Endpoint, after: Endpoint) -> Plan:
        return ()

    def plan_publish(self, network: Network, change: Publishing, kernel: Kernel) -> Plan:
        return ()

    def settings(self, network: Network) -> tuple[str, ...]:
        return ()

    def gateway_versions(self, network: Network) -> tuple[int, ...]:
        return ()

    def spare_gateways(self, network: Network) -> tuple[int, ...]:
        return ()

    def ifname_prefix(self, network: Network) -> str:
        return ""

    def gateway(self, network: Network, version: int) -> str | None:
        return None


class HostDriver(_Bare):
    """The host's own stack."""

    name = "host"
    host_stack = True


class NullDriver(_Bare):
    """Nothing but loopback."""

    name = "null"
