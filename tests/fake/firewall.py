"""Settings and firewalls in memory."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from netctl.kernel.instructions import Rule, Verdict
from netctl.kernel.interface import NAMES_CHAIN, NAMES_TABLE
from netctl.kernel.ruleset import Chain, LegacyChain
from tests.fake.base import mutating
from tests.fake.resolver import FakeResolver
from tests.fake.stack import FORWARDING, refused, setting_of, turn_forwarding
from tests.fake_nft import FakeNft

_LINK_DEFAULTS = {"accept_ra": "1"}


class FakeFirewall(FakeResolver):
    """Sysctls, nftables and conntrack; in the namespaces that the resolver serves there is its
    table."""

    def __init__(self) -> None:
        super().__init__()
        self.bound: dict[tuple[str, int], str] = {}
        self.foreign: dict[Chain, list[Rule]] = {}
        """Somebody else's chains of nftables."""
        self.elements: dict[tuple[str, str], dict[bytes, Verdict | bytes | None]] = {}
        """Of foreign sets and maps, by table and name."""
        self.legacy: dict[tuple[int, str], LegacyChain] = {}

    def start(self) -> None:
        super().start()
        self.firewall = FakeNft()

    def sysctl_get(self, netns: str, key: str) -> str | None:
        stack = self._stack(netns)
        link = setting_of(key)
        if (link and link not in stack.links) or key.endswith("/nothing"):
            return None
        default = _LINK_DEFAULTS.get(key.rpartition("/")[2], "0") if link else None
        if link and key.endswith("/forwarding"):
            default = stack.settings[f"net/{key.split('/')[1]}/conf/default/forwarding"]
        return stack.settings.get(key, default)

    @mutating
    def sysctl_set(self, netns: str, key: str, value: str) -> None:
        before = self.sysctl_get(netns, key)
        if before is None:
            raise refused(errno.ENOENT, f"set sysctl {key}")
        if before == value:
            return
        stack = self._stack(netns)
        stack.settings[key] = value
        if setting_of(key) and value == _LINK_DEFAULTS.get(key.rpartition("/")[2], "0"):
            # As if it had never been set.
            del stack.settings[key]
        if key in FORWARDING:
            turn_forwarding(stack, key, value)
        if key.endswith("/disable_ipv6") and value == "1" and (link := setting_of(key)):
            stack.drop_ipv6(link)

    @mutating
    def conntrack_forget(
        self,
        addresses: Sequence[str],
        ports: Sequence[tuple[str, int]],
        *,
        spared: Sequence[str] = (),
        barred: str = "",
    ) -> None:
        pass

    def port_holder(self, protocol: str, address: str, port: int) -> str | None:
        return self.bound.get((protocol, port))

    @mutating
    def nft(self, commands: str) -> None:
        self.firewall.run(commands)

    def nft_list(self, command: str) -> list[dict[str, Any]]:
        self._check_alive()
        return self.firewall.find(command)

    def nft_chains(self) -> list[Chain]:
        return list(self.foreign)

    def nft_has_chain(self, netns: str, chain: Chain) -> bool:
        if not netns:
            ours = self.firewall.tables.get(f"{chain.family} {chain.table}")
            return ours is not None and chain.name in ours.chains
        family, table = NAMES_TABLE
        served = {each["netns"] for each in (self.names or {}).values() if "netns" in each}
        names = Chain(family=family, table=table, name=NAMES_CHAIN)
        return chain == names and netns in served - self.astray

    def nft_rules(self, chain: Chain) -> list[Rule]:
        return self.foreign[chain]

    def nft_key_size(self, chain: Chain, name: str) -> int:
        ours = self.firewall.tables.get(f"{chain.family} {chain.table}")
        if ours and name in ours.sets:
            return 16
        return len(next(iter(self.elements.get((chain.table, name), {b"": None}))))

    def nft_element(self, chain: Chain, name: str, key: bytes) -> Verdict | bytes | None:
        return self.elements[chain.table, name].get(key)

    def nft_text(self, chain: Chain, netns: str = "") -> dict[int, str]:
        return {rule.handle: "the rule's text" for rule in self.foreign[chain]}

    def legacy_chain(self, version: int, hook: str) -> LegacyChain | None:
        return self.legacy.get((version, hook))

    def nft_preview(self, commands: str, command: str) -> list[dict[str, Any]]:
        preview = FakeNft(self.firewall.lacking)
        preview.run(commands)
        return preview.find(command)
