"""What an IPAM driver is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from netctl.models import Network, Pool
from netctl.record import Record, field

if TYPE_CHECKING:
    from netctl.backends.ipam.surroundings import Surroundings

AUTO: dict[str, int | None] = {"auto": None, "0.0.0.0": 4, "::": 6}
"""How a free subnet of a size is asked for, with the family that this means."""
Taken = Callable[[str], str | None]
"""Tells who holds an address, None for nobody. It costs the same however many are held."""


class AddressPool(Record):
    """Where subnets are taken from on their own: ``base`` (CIDR) in pieces of prefix ``size``."""

    base: str
    size: int


class PoolRequest(Record):
    """What a network asks for."""

    subnets: tuple[str, ...] = ()
    """CIDR, or ``auto/N`` (libnetwork: ``0.0.0.0/N``, ``::/N``) for a free one of that size."""
    ip_ranges: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    aux: dict[str, str] = field(default_factory=dict)
    ipv4: bool = True
    ipv6: bool = False
    gateway_versions: tuple[int, ...] = (4, 6)
    """The families whose subnets need a gateway."""
    spare_gateways: tuple[int, ...] = ()
    """Those in which a subnet of two addresses has none, unless one is asked for."""
    machine_id: str = ""
    """Private IPv6 subnets derive from it."""
    address_pools: tuple[AddressPool, ...] = ()
    """Empty for libnetwork's defaults."""


@runtime_checkable
class IpamDriver(Protocol):
    name: str

    def validate_options(self, options: Mapping[str, str]) -> None:
        """Raise ``InvalidInput`` for an option that the driver does not know."""
        ...

    def pools(self, request: PoolRequest, around: Surroundings) -> tuple[Pool, ...]:
        """Return a network's pools with their gateways.

        Raises ``InvalidInput`` for a wrong value, ``Conflict`` for a subnet of another network,
        ``Exhausted`` where no subnet is left, naming who is in the way.
        """
        ...

    def address(
        self, network: Network, pool: Pool, cursor: str, taken: Taken, preferred: str | None
    ) -> str:
        """Return a free address of a pool, without prefix length.

        The search begins after ``cursor``, the address handed out last, so that one that was
        freed is not handed out again at once. Raises ``InvalidInput``, ``Conflict``, ``Exhausted``.
        """
        ...
