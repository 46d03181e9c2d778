"""Somebody else's firewall in the forward path: whether there is one at all.

Hardly anything is read to find that out, for it is asked beside many commands; what the chains do
with a network's packets is in ``netctl.backends.obstacles``.
"""

from __future__ import annotations

from contextlib import suppress

from netctl.backends.firewall import TABLES
from netctl.errors import NetctlError, Unsupported
from netctl.kernel import Kernel
from netctl.kernel.ruleset import Chain, LegacyChain
from netctl.record import Record, field

OUTSIDE = {4: "198.41.0.4", 6: "2001:503:ba3e::2:30"}
"""Some host of the internet, for the look-up of the way there: a.root-servers.net."""

FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6), "bridge": (4, 6)}
"""The versions of IP that pass a family's chains."""


class Foreign(Record):
    """What there is of somebody else's."""

    chains: tuple[Chain, ...] = ()
    """All chains of nftables."""
    legacy: dict[Chain, LegacyChain] = field(default_factory=dict)
    """Legacy iptables' chains FORWARD that drop by policy; their rules are not known."""

    @property
    def bases(self) -> tuple[Chain, ...]:
        """Those that each forwarded packet passes."""
        return (*(c for c in self.chains if c.hook == "forward"), *self.legacy)


def look(kernel: Kernel) -> Foreign:
    """Return the foreign chains. Raises ``NetctlError`` where they cannot be read."""
    found = tuple(c for c in _chains(kernel) if c.family in FAMILIES and not _ours(c))
    return Foreign(chains=found, legacy=_legacy(kernel))


def _chains(kernel: Kernel) -> list[Chain]:
    with suppress(Unsupported):
        return kernel.nft_chains()
    return []


def _ours(chain: Chain) -> bool:
    return f"{chain.family} {chain.table}" in TABLES


def _legacy(kernel: Kernel) -> dict[Chain, LegacyChain]:
    """Return legacy iptables' chains FORWARD that drop by policy; their rules are not known."""
    found: dict[Chain, LegacyChain] = {}
    for version, family in ((4, "ip"), (6, "ip6")):
        with suppress(NetctlError):
            chain = kernel.legacy_chain(version, "forward")
            if chain and chain.policy == "drop":
                place = Chain(
                    family=family, table="filter", name="FORWARD", type="legacy", hook="forward"
                )
                found[place] = chain
    return found
