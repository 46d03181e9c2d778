"""The IPAM driver ``null``: no pools and no addresses."""

from __future__ import annotations

from collections.abc import Mapping

from netctl.backends.ipam.base import PoolRequest, Taken
from netctl.backends.ipam.surroundings import Surroundings
from netctl.errors import InvalidInput
from netctl.models import Network, Pool


class NullIpam:
    """Nothing to hand out."""

    name = "null"

    def validate_options(self, options: Mapping[str, str]) -> None:
        if options:
            raise InvalidInput(
                f"IPAM driver null has no option {next(iter(options))!r}",
                hint="this driver takes no options",
            )

    def pools(self, request: PoolRequest, around: Surroundings) -> tuple[Pool, ...]:
        given = (*request.subnets, *request.ip_ranges, *request.gateways, *request.aux)
        if given:
            raise InvalidInput(
                f"this network has no addresses, so {given[0]!r} has no place in it",
                hint="leave out --subnet, --ip-range, --gateway and --aux-address",
            )
        return ()

    def address(
        self, network: Network, pool: Pool, cursor: str, taken: Taken, preferred: str | None
    ) -> str:
        return ""
