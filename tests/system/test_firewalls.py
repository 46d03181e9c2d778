"""Beside somebody else's firewall: what it drops is named, with the lines that mend it."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.kernel.host import Host, Outside
from tests.system.firewalld import firewalld
from tests.system.library import act, clear, controller, two_networks
from tests.waiting import QUIET, equal

C1 = "/run/netns/c1"
HOST4 = "192.0.2.1"


def notices(*actions: str) -> list[str]:
    """Carry out actions by their names below; return the notices that they give."""
    with controller() as c:
        for action in actions:
            ACTIONS[action](c)
        return c.notices


ACTIONS = {
    "web": lambda c: c.networks.create("web", ipv6=True),
    "v4": lambda c: c.networks.create("web"),
    "c1": lambda c: c.sandboxes.create("c1"),
    "connect": lambda c: c.endpoints.connect("web", "c1"),
    "publish": lambda c: c.endpoints.publish("web/c1", ["8080:80"]),
    "more": lambda c: c.endpoints.publish("web/c1", ["80"]),
    "internal": lambda c: c.networks.create("inner", internal=True),
}


def hints(lines: list[str]) -> list[str]:
    return [line.removeprefix("hint: ") for text in lines for line in text.splitlines()[1:]]


def not_bridged(host: Host) -> None:
    """Keep br_netfilter, where the kernel has it, from showing bridged packets to the firewall."""
    host.sh(
        "for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do test ! -e $f || echo 0 > $f; done"
    )


def reachable(host: Host) -> tuple[bool, bool]:
    """Whether c1 reaches the outside, and the outside its published port."""
    with host.server(C1, "0.0.0.0", 80):
        asked = host.ask("outside", HOST4, 8080, seconds=QUIET) == Outside.IPV4
    return host.ping(C1, Outside.IPV4, seconds=QUIET), asked


def foreign_rules(host: Host) -> str:
    """Return the ruleset without our table and without counters."""
    text = re.sub(r"table inet netctl \{.*?\n\}\n", "", host.sh("nft list ruleset"), flags=re.S)
    return re.sub(r"packets \d+ bytes \d+", "", text)


DOCKER = """
iptables-nft -P FORWARD DROP
iptables-nft -N DOCKER-USER
iptables-nft -N DOCKER-FORWARD
iptables-nft -A FORWARD -j DOCKER-USER
iptables-nft -A FORWARD -j DOCKER-FORWARD
iptables-nft -A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-nft -A DOCKER-FORWARD -i docker0 -j ACCEPT
iptables-nft -A DOCKER-FORWARD -o docker0 -m addrtype ! --dst-type LOCAL -j DROP
"""
UFW = """
iptables-nft -P FORWARD DROP
iptables-nft -N ufw-before-forward
iptables-nft -A FORWARD -j ufw-before-forward
iptables-nft -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
"""
OWN = """nft -f - <<'EOF'
table inet filter {
  set friends { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
  chain forward {
    type filter hook forward priority 10; policy drop;
    iifname "vpn*" accept
    ip daddr 198.51.100.7 accept
  }
}
EOF
"""
LAST_RULE = """nft -f - <<'EOF'
table inet strict {
  chain checks { ct state invalid drop; }
  chain guard {
    type filter hook forward priority -5;
    jump checks
    counter reject with icmpx type admin-prohibited
  }
}
EOF
"""


@pytest.mark.parametrize(
    ("rules", "place", "first"),
    [
        (DOCKER, "policy of chain ip filter FORWARD", "iptables -I DOCKER-USER -i "),
        (UFW, "policy of chain ip filter FORWARD", "ufw route allow in on "),
        (OWN, "policy of chain inet filter forward", "nft insert rule inet filter forward iif"),
        (
            LAST_RULE,
            "of chain inet strict guard (reject with icmpx admin-prohibited)",
            "nft insert rule inet strict guard iif",
        ),
    ],
    ids=["docker", "ufw", "own", "reject"],
)
def test_a_foreign_drop_is_named_and_its_lines_mend_it(
    host: Host, rules: str, place: str, first: str
) -> None:
    not_bridged(host)
    if "iptables" in rules and host.run("iptables-nft", "-L").returncode:
        pytest.skip("needs iptables-nft")
    before = host.snapshot()
    host.sh(rules)
    theirs = foreign_rules(host)
    [said] = host.call(notices, "v4")
    assert place in said and said.startswith("network web")
    assert hints([said])[0].startswith(first)
    host.call(notices, "c1")
    assert host.call(notices, "connect") == []
    [said] = host.call(notices, "publish")
    assert "connections to its published ports" in said.splitlines()[0]
    assert reachable(host) == (False, False)
    assert host.call(notices, "more") == []
    assert foreign_rules(host) == theirs
    lines = "\n".join(hints([said]))
    # What ufw does with these lines.
    lines = lines.replace("ufw route allow in on", "iptables-nft -I FORWARD -j ACCEPT -i")
    lines = lines.replace("ufw route allow out on", "iptables-nft -I FORWARD -j ACCEPT -o")
    host.sh(lines)
    equal(partial(reachable, host), (True, True))
    assert host.call(notices, "more", "internal") == []
    assert "told" not in host.sh("ls /run/netctl")
    host.call(act, clear)
    host.sh("nft flush ruleset")
    host.assert_unchanged(before)


def test_a_notice_comes_again_when_it_was_mended_meanwhile(host: Host) -> None:
    not_bridged(host)
    host.sh(OWN)
    first = host.call(notices, "v4")
    host.call(notices, "c1")
    assert host.call(notices, "connect") == []
    host.sh("nft delete table inet filter")
    assert host.call(notices, "publish") == []
    host.sh(OWN)
    [said] = host.call(notices, "more")
    assert said.splitlines()[0] != first[0].splitlines()[0]
    done = host.netctl("network", "create", "db", "--dry-run")
    again = host.netctl("network", "create", "db")
    assert (
        done.stderr.replace("db", "").split("hint")[0]
        == again.stderr.replace("db", "").split("hint")[0]
    )
    assert done.returncode == again.returncode == 0 and "netctl: network" in again.stderr
    assert len(again.stdout.split()) == 1


HARMLESS = """
iptables-nft -A FORWARD -o virbr0 -j REJECT 2>/dev/null
iptables-nft -A FORWARD -m conntrack --ctstate INVALID -j DROP 2>/dev/null
nft -f - <<'EOF'
table inet theirs {
  set blocked { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 } }
  map ways { type ifname : verdict; elements = { "tun0" : drop, "docker0" : accept } }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state invalid drop
    ip daddr @blocked drop
    iifname vmap @ways
    meta l4proto udp th dport 5353 drop
    limit rate over 10000/second drop
    ip daddr . tcp dport { 203.0.113.1 . 25 } drop
  }
  chain input { type filter hook input priority 0; policy drop; ct state established accept; }
  chain forward6 { type filter hook forward priority 0; policy drop; meta nfproto ipv4 accept; }
}
table arp theirs { chain input { type filter hook input priority 0; policy accept; }; }
EOF
"""


def test_what_lets_the_traffic_through_is_not_named(host: Host) -> None:
    not_bridged(host)
    host.sh(HARMLESS)
    assert host.call(notices, "v4", "c1", "connect", "publish") == []
    equal(partial(reachable, host), (True, True))
    # Of the other family it is.
    host.call(act, clear)
    [said] = host.call(notices, "web")
    assert said.startswith("network web (IPv6)") and "forward6" in said


def test_legacy_iptables_is_named_and_where_to_look(host: Host) -> None:
    not_bridged(host)
    if host.run("iptables-legacy", "-P", "FORWARD", "DROP").returncode:
        pytest.skip("needs iptables-legacy and the kernel's ip_tables")
    [said] = host.call(notices, "v4", "c1", "connect")
    assert "policy of chain FORWARD of iptables-legacy" in said and "unless" not in said
    assert not host.ping(C1, Outside.IPV4, seconds=QUIET)
    host.sh("\n".join(hints([said])))
    assert host.ping(C1, Outside.IPV4)


def test_firewalld(host: Host) -> None:
    not_bridged(host)
    with firewalld(host):
        [said] = host.call(notices, "web", "c1", "connect")
        assert "chain inet firewalld" in said and "admin-prohibited" in said
        assert not host.ping(C1, Outside.IPV4, seconds=QUIET)
        [mend] = hints([said])
        assert mend.startswith("firewall-cmd --zone=trusted --add-interface=br-")
        host.sh(mend)
        assert host.call(notices, "publish") == []
        equal(partial(reachable, host), (True, True))
        assert host.ping(C1, Outside.IPV6)
        # Neither its reload nor its restart takes anything of ours.
        ours = host.sh("nft list table inet netctl")
        host.sh("firewall-cmd --reload")
        assert host.sh("nft list table inet netctl") == ours
        equal(partial(reachable, host), (True, True))
        host.sh("nft delete table inet netctl; firewall-cmd --complete-reload")
        host.netctl("reload", check=True)
        equal(partial(reachable, host), (True, True))


def test_what_adds_rules_puts_all_back_that_were_flushed(host: Host) -> None:
    """A table with the new rules alone would protect nobody else."""
    host.call(act, two_networks)
    for command in (
        "endpoint publish web/c1 8080:80",
        "network connect db c1",
        "network create more",
    ):
        host.sh("nft flush ruleset")
        done = host.netctl(*command.split())
        assert done.returncode == 0 and "rules were gone" in done.stderr, command
        assert host.netctl("check").returncode == 0, command
    assert "were gone" not in host.netctl("endpoint", "publish", "web/c1", "8081:80").stderr


def test_reload_puts_the_settings_back_that_rules_rely_on(host: Host) -> None:
    host.call(act, two_networks, lambda c: c.endpoints.publish("web/c1", ["127.0.0.1:8080:80"]))
    bridge = host.netctl("network", "inspect", "web", "--format", "{bridge}").stdout.strip()
    settings = f"net.ipv4.ip_forward=0 net.ipv4.conf.{bridge}.route_localnet=0"
    with host.server(C1, "0.0.0.0", 80):
        host.sh(f"sysctl -qw {settings} net.ipv6.conf.all.forwarding=0; nft flush ruleset")
        assert host.ask("", "127.0.0.1", 8080, seconds=QUIET) is None
        host.netctl("reload", check=True)
        assert host.ask("", "127.0.0.1", 8080)
    assert host.ping(C1, Outside.IPV4) and host.ping(C1, Outside.IPV6)
    db = host.netctl("network", "inspect", "db", "--format", "{bridge}").stdout.strip()
    host.sh(f"ip link delete {db}")
    assert host.netctl("reload").returncode == 0
