"""What a network driver is. A driver looks and plans; it never touches the store.

``design`` chooses every name and value of a network before anything is changed and keeps them in
``Network.facts``; the plans are pure functions of the documents, so that the same plan that
built something takes it down, even by a newer netctl.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol, runtime_checkable

from netctl.backends.options import Option
from netctl.kernel import Kernel
from netctl.models import Attachment, Endpoint, HostState, Network, Port
from netctl.plan import Plan
from netctl.record import Record


class Site(Record):
    """The host around a network while it is made or removed."""

    kernel: Kernel
    others: tuple[Network, ...]
    """Every network of the host but this one."""
    host: HostState
    ip_forward: str = "auto"
    """``auto``, ``no-drop`` or ``off``: see the configuration key of that name."""
    spared: tuple[str, ...] = ()
    """Interfaces between which and others forwarding is not netctl's to restrict."""
    removing: bool = False
    """Whether the network is there and about to go, rather than about to come."""


class Occasion(Enum):
    """What makes ports come to be published, or read backwards not to be."""

    JOIN = "the endpoint comes into a sandbox"
    MOVE = "the endpoint, which is in a sandbox, becomes its way out"
    PUBLISH = "the endpoint, which is in a sandbox, gets the ports"


class Publishing(Record):
    """What of an endpoint comes to be published."""

    endpoint: Endpoint
    """It with those of its ports that are concerned."""
    versions: tuple[int, ...]
    """The families (4, 6) in which it comes to be its sandbox's way out, or is for new ports."""
    rest: tuple[Port, ...] = ()
    """Others of its ports, which are and stay published."""
    staying: tuple[int, ...] = ()
    """Families in which the ports are and stay published."""
    occasion: Occasion = Occasion.PUBLISH
    ending: bool = False
    """Whether it is read backwards, and the ports come to be published no more."""
    beside: bool = False
    """Whether the host's loopback leads to a port of another endpoint of the network that stays;
    asked for where it is ``ending``."""


class NetworkPlan(Record):
    """How a network comes into being; its inverse is how it goes.

    ``host`` is what netctl will have changed on the host afterwards, be it coming or going.
    """

    plan: Plan
    host: HostState


@runtime_checkable
class Driver(Protocol):
    """One kind of network."""

    name: str
    scope: str
    options: Mapping[str, Option]
    """Full label of every option it knows, to what people are told of it."""
    has_pools: bool
    """Whether its networks have subnets, and its endpoints addresses and interfaces."""
    host_stack: bool
    """Whether its endpoints belong into host sandboxes, and only there."""
    single: bool
    """Whether a host has at most one network of this kind, which is never removed by prune."""

    def design(self, network: Network, kernel: Kernel) -> Network:
        """Check the options and return the network with ``facts`` chosen; its pools are not yet.

        Raises ``InvalidInput`` for an option's value, ``Conflict`` for something in the way.
        """
        ...

    def settle_pools(self, network: Network, kernel: Kernel) -> Network:
        """Check the pools that IPAM chose and return the network with the facts they lead to."""
        ...

    def plan_network(self, network: Network, site: Site) -> NetworkPlan:
        """Return how the network is made. Taking it down is the inverse."""
        ...

    def stands(self, network: Network, kernel: Kernel) -> bool:
        """Whether what the network itself made is there."""
        ...

    def check_there(self, network: Network, kernel: Kernel) -> None:
        """Raise ``Conflict`` where what endpoints are joined to is gone, or not the network's."""
        ...

    def plan_join(self, network: Network, endpoint: Endpoint, attachment: Attachment) -> Plan:
        """Return how the endpoint's interface comes into its sandbox, all but the default route."""
        ...

    def plan_announce(self, network: Network, attachment: Attachment) -> Plan:
        """Return how the others on the network are told of a joined endpoint."""
        ...

    def plan_limits(self, network: Network, before: Endpoint, after: Endpoint) -> Plan:
        """Return how the limits of a joined endpoint become others."""
        ...

    def plan_publish(self, network: Network, change: Publishing, kernel: Kernel) -> Plan:
        """Return how ports of an endpoint are published, be it in its sandbox's place at the host
        or on its own address."""
        ...

    def settings(self, network: Network) -> tuple[str, ...]:
        """Return the host's sysctls that are 1 while the host's loopback leads to a port of the
        network, and 0 otherwise."""
        ...

    def gateway_versions(self, network: Network) -> tuple[int, ...]:
        """Return the families (4, 6) in which the network's subnets need a gateway."""
        ...

    def spare_gateways(self, network: Network) -> tuple[int, ...]:
        """Return those of these families in which no interface has the gateway's address: a subnet
        of two addresses has no gateway there, unless one is asked for."""
        ...

    def ifname_prefix(self, network: Network) -> str:
        """Return what interface names in a sandbox begin with; a number follows."""
        ...

    def gateway(self, network: Network, version: int) -> str | None:
        """Return the address that default routes of a family (4, 6) go through; None for none."""
        ...
