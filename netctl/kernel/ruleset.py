"""Chains of nftables and of legacy iptables, of whatever table."""

from __future__ import annotations

from netctl.record import Record


class Chain(Record):
    """A chain of nftables, in any table."""

    family: str
    """``ip``, ``ip6``, ``inet``, ``bridge``, ``arp``, ``netdev``, or a number."""
    table: str
    name: str
    type: str = ""
    """``filter``, ``nat`` or ``route``; empty for one that only others lead to."""
    hook: str = ""
    """``prerouting``, ``input``, ``forward``, ``output``, ``postrouting``, ...; empty likewise."""
    priority: int = 0
    policy: str = ""
    """``accept`` or ``drop``, of one with a hook."""

    @property
    def place(self) -> str:
        """The words by which nft names it: ``ip filter FORWARD``."""
        return f"{self.family} {self.table} {self.name}"


class LegacyChain(Record):
    """A built-in chain of legacy iptables, whose rules are not read."""

    policy: str
    """``accept`` or ``drop``."""
    empty: bool
