"""The IPAM driver ``default``: libnetwork's rules of 2026.

Pools are CIDR. Addresses go by next-fit, so that one that was freed is not handed out again at
once; what that costs does not depend on how many are held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from netctl.backends.ipam import allocate
from netctl.backends.ipam.base import PoolRequest, Taken
from netctl.errors import InvalidInput
from netctl.models import Network, Pool

if TYPE_CHECKING:
    from netctl.backends.ipam.surroundings import Surroundings


class DefaultIpam:
    """Pools of CIDR, addresses by next-fit."""

    name = "default"

    def validate_options(self, options: Mapping[str, str]) -> None:
        if options:
            raise InvalidInput(
                f"IPAM driver default has no option {next(iter(options))!r}",
                hint="this driver takes no options",
            )

    def pools(self, request: PoolRequest, around: Surroundings) -> tuple[Pool, ...]:
        from netctl.backends.ipam.pools import pools  # of no use to addresses

        return pools(request, around)

    def address(
        self, network: Network, pool: Pool, cursor: str, taken: Taken, preferred: str | None
    ) -> str:
        if preferred:
            return allocate.certain(network, pool, preferred, taken)
        found = allocate.next_free(pool, cursor, taken)
        if found is None:
            raise allocate.full(network, pool)
        return found
