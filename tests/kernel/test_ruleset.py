"""Rulesets of all kinds as the kernel holds them: read, and followed with a packet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.backends.evaluation import Evaluation, Packet
from netctl.kernel import decoding, nftables
from netctl.kernel.linux import LinuxKernel
from netctl.kernel.netlink import attribute
from netctl.kernel.ruleset import Chain
from netctl.record import replace
from tests.kernel.host import Host
from tests.kernel.with_kernel import with_kernel

OUT = Packet(version=4, iif="br-web", oif="uplink", source="172.17.0.2", protocol="tcp", port=443)
SIX = replace(OUT, version=6, source="fd00::2")
BACK = Packet(version=4, iif="uplink", oif="br-web", destination="172.17.0.2", state="established")
DNAT = replace(BACK, state="new", translated=True, protocol="tcp", port=80)

# Each rule, and what becomes of OUT, SIX, BACK and DNAT where the policy is to drop: A(ccepted),
# D(ropped), or d(ropped, unless the rule makes an exception).
RULES = {
    "accept": "AAAA",
    "iifname br-web accept": "AADD",
    'iifname "br-*" accept': "AADD",
    'oifname "up*" accept': "AADD",
    "iifname != uplink accept": "AADD",
    "iifname { br-web, br-db } accept": "AADD",
    "iifname { br-db, br-x } accept": "DDDD",
    "iifname . oifname { br-web . uplink, a . b } accept": "AADD",
    "iifname vmap { br-web : accept, uplink : drop }": "AADD",
    "iifname br-web jump more": "AADD",
    "iifname br-web goto back": "DDDD",
    "ct state established,related accept": "DDAD",
    "ct state { established, related } accept": "DDAD",
    "ct state new accept": "AADA",
    "ct state vmap { new : accept, invalid : drop }": "AADA",
    "ct status dnat accept": "DDDA",
    "ct state invalid accept": "DDDD",
    "meta nfproto ipv4 accept": "ADAA",
    "ip saddr 172.17.0.0/16 accept": "ADdd",
    "ip saddr 172.16.0.0/12 accept": "ADdd",
    "ip saddr != 172.17.0.0/16 accept": "DDdd",
    "ip saddr 172.17.0.1-172.17.0.9 accept": "ADdd",
    "ip saddr { 10.0.0.0/8, 172.16.0.0/12 } accept": "ADdd",
    "ip saddr @mine accept": "ADdd",
    "ip saddr . tcp dport { 172.17.0.0/16 . 400-500 } accept": "ADdd",
    "ip6 saddr fd00::/8 accept": "DADD",
    "ip daddr 8.8.8.8 accept": "dDDD",
    "tcp dport 443 accept": "AAdD",
    "tcp dport { 22, 80 } accept": "DDdA",
    "tcp dport 400-500 accept": "AAdD",
    "meta l4proto udp accept": "DDdD",
    "meta mark 7 accept": "DDDD",
    "meta mark & 0xff == 0 accept": "AAAA",
    "limit rate 5/second accept": "dddd",
    "fib daddr type local accept": "DDDD",
    "counter log accept": "AAAA",
    "iifname br-web return": "DDDD",
    "iifname br-web reject": "DDDD",
    "numgen random mod 2 0 accept": "dddd",
}
_SETUP = """
table inet t {
  set mine { type ipv4_addr; flags interval; elements = { 172.17.0.0/24, 10.1.1.1 }; }
  chain more { iifname br-x drop; oifname uplink accept; }
  chain back { return; }
}
"""


def _followed(kernel: LinuxKernel) -> dict[str, str]:
    """Return for each chain with a hook what becomes of the four packets."""
    chains = kernel.nft_chains()
    evaluation = Evaluation(kernel, chains, limit=1000)
    result = {}
    for chain in (chain for chain in chains if chain.hook):
        found = [evaluation.outcome(chain, packet) for packet in (OUT, SIX, BACK, DNAT)]
        letters = {"accept": "A", "drop": "D", "other": "o"}
        words = [
            "d" if each.word == "drop" and each.exceptions else letters[each.word] for each in found
        ]
        result[chain.name] = "".join(words)
    return result


def test_rules_are_followed_as_the_kernel_follows_them(host: Host) -> None:
    chains = "".join(
        f"add chain inet t c{number} {{ type filter hook forward priority 0; policy drop; }}\n"
        f"add rule inet t c{number} {rule}\n"
        for number, rule in enumerate(RULES)
    )
    host.sh("nft -f -", input=_SETUP + chains)
    found = with_kernel(host, _followed)
    assert {rule: found[f"c{number}"] for number, rule in enumerate(RULES)} == RULES


IPTABLES = {
    "-i br-web -j ACCEPT": "A DD",
    "-i br-+ -j ACCEPT": "A DD",
    "! -i br-web -j ACCEPT": "D AA",
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT": "D AD",
    "-m conntrack ! --ctstate RELATED,ESTABLISHED -j ACCEPT": "A DA",
    "-m conntrack --ctstate DNAT -j ACCEPT": "D DA",
    "-m conntrack --ctstate NEW --ctproto 6 -j ACCEPT": "d Dd",
    "-m state --state NEW -m comment --comment words -j ACCEPT": "A DA",
    "-m addrtype --dst-type LOCAL -j ACCEPT": "D DD",
    "-m addrtype ! --dst-type LOCAL -j ACCEPT": "A AA",
    "-s 172.17.0.0/16 -j ACCEPT": "A dd",
    "-p tcp -m multiport --dports 80,443 -j ACCEPT": "d dd",
    "-p tcp --dport 443 -j ACCEPT": "A dD",
    "-m statistic --mode random --probability 0.5 -j ACCEPT": "d dd",
    "-j LOG": "D DD",
    "-j REJECT": "D DD",
    "-m mark --mark 3 -j ACCEPT": "D DD",
}


def test_rules_of_iptables_are_followed(host: Host) -> None:
    if host.run("iptables-nft", "-P", "FORWARD", "DROP").returncode:
        pytest.skip("needs iptables-nft")
    found = {}
    for rule in IPTABLES:
        host.sh(f"iptables-nft -F FORWARD; iptables-nft -A FORWARD {rule}")
        letters = with_kernel(host, _followed)["FORWARD"]
        found[rule] = f"{letters[0]} {letters[2:]}"
    assert found == IPTABLES


def test_legacy_iptables_is_read_where_it_is_in_use(host: Host) -> None:
    def read(kernel: LinuxKernel) -> list[str]:
        found = [kernel.legacy_chain(version, "forward") for version in (4, 6)]
        return [f"{chain.policy} {chain.empty}" if chain else "none" for chain in found]

    assert with_kernel(host, read) == ["none", "none"]
    if host.run("iptables-legacy", "-P", "FORWARD", "DROP").returncode:
        pytest.skip("needs iptables-legacy and the kernel's ip_tables")
    assert with_kernel(host, read) == ["drop True", "none"]
    host.sh("iptables-legacy -A FORWARD -j ACCEPT; ip6tables-legacy -A INPUT -j ACCEPT")
    assert with_kernel(host, read) == ["drop False", "accept True"]


def test_a_kernel_that_was_closed_opens_again(host: Host) -> None:
    def twice(kernel: LinuxKernel) -> list[object]:
        kernel.nft("add table inet other")
        looks: list[object] = []
        for _ in range(2):
            looks += [kernel.links("")[0].name, kernel.nft_chains(), kernel.nft_list("list tables")]
            kernel.close()
        return looks

    looks = with_kernel(host, twice)
    assert looks[:3] == looks[3:]


@given(st.binary(max_size=60), st.sampled_from(sorted(decoding.READERS)))
def test_no_rule_is_too_strange_to_be_read(data: bytes, name: str) -> None:
    expression = attribute(1, name.encode() + b"\0") + attribute(2, data)
    rule = decoding.rule(bytes(4) + attribute(4, attribute(1, expression) + data))
    assert list(rule.instructions)
    list(decoding.rule(data).instructions)


def _text_of(netns: str) -> dict[int, str]:
    return nftables.text_in(netns, Chain(family="inet", table="many", name="forward"))


def test_the_text_of_a_long_chain_of_a_sandbox_is_not_read(host: Host) -> None:
    """Whoever is inside decides how many rules there are."""
    host.sh("ip netns add c1")
    for number, is_read in ((3, True), (nftables._MOST_RULES + 1, False)):
        rules = "add rule inet many forward accept\n" * number
        text = f"add table inet many\nflush table inet many\nadd chain inet many forward\n{rules}"
        host.sh(f"ip netns exec c1 nft -f - <<'END'\n{text}END")
        assert bool(host.call(_text_of, "/run/netns/c1")) is is_read
