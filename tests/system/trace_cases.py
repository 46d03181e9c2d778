"""States of a host in which a packet of a sandbox ends, each with the station that names it.

The lines of that station are carried out, word for word, until the packet arrives: see
``doctor_cases``, whose lists of proofs and of reasons hold for these codes too.
"""

from __future__ import annotations

from typing import NamedTuple

OUTSIDE, OUTSIDE6 = "192.0.2.254", "2001:db8::fe"


class Trace(NamedTuple):
    """One state of the host of ``test_doctor_path``."""

    script: str
    code: str
    destination: str
    words: str
    """What the station says, or what was found."""
    undo: str = ""
    """What takes away the rest; where the lines prove nothing, what ends the state."""
    sandbox: str = "c1"


def _chain(table: str, name: str, hook: str) -> str:
    return (
        f"nft add table {table}; nft 'add chain {table} {name}"
        f" {{ type filter hook {hook} priority 5; policy drop; }}'"
    )


def _own(sandbox: str, hook: str) -> str:
    within = f"ip netns exec {sandbox} nft"
    return _chain("inet own", "c", hook).replace("nft ", f"{within} ") + (
        f"; ip -n {sandbox} neigh flush all"
    )


_NO_OWN = "for s in c1 c2; do ip netns exec $s nft delete table inet own 2>/dev/null || :; done"
_FORGED = "lladdr 02:00:00:00:00:99 nud permanent"

ROUTES = [
    Trace(
        "ip -n c1 route replace default via 172.17.0.99", "gateway-silent", OUTSIDE, "172.17.0.99"
    ),
    Trace("ip -n c1 route replace blackhole default", "no-route", OUTSIDE, "blackhole"),
    Trace("ip -n c1 route add unreachable 192.0.2.0/24", "no-route", OUTSIDE, "unreachable"),
    Trace("ip -n c1 -6 route add prohibit 2001:db8::/64", "no-route", OUTSIDE6, "prohibit"),
    Trace("ip -n c1 rule add prohibit pref 5", "no-route", OUTSIDE, "prohibit"),
    Trace("ip -n c1 -6 rule add prohibit pref 5", "no-route", OUTSIDE6, "prohibit"),
    Trace("ip -n c1 rule add from 172.17.0.2 blackhole pref 5", "no-route", OUTSIDE, "blackhole"),
    Trace("ip -n c1 rule add not fwmark 9 prohibit pref 5", "no-route", OUTSIDE, "prohibit"),
    Trace(
        # The rule is for others: it is left alone.
        "ip -n c1 rule add fwmark 9 prohibit pref 5; ip -n c1 rule add uidrange 9-9 prohibit pref 6;"
        " ip -n c1 route replace blackhole default",
        "no-route",
        OUTSIDE,
        "blackhole",
        "ip -n c1 rule del pref 5 && ip -n c1 rule del pref 6",
    ),
    Trace(
        "ip -n c1 rule add lookup 77 pref 5; ip -n c1 route add unreachable default table 77",
        "no-route",
        OUTSIDE,
        "unreachable",
    ),
    Trace(
        "ip -n c1 rule add lookup 78 pref 5;"
        " ip -n c1 route add default via 172.17.0.99 dev eth0 table 78",
        "gateway-silent",
        OUTSIDE,
        "172.17.0.99",
    ),
    Trace(
        "ip -n c1 link add own type veth peer name far; ip -n c1 link set own up;"
        "ip -n c1 link set far up; ip -n c1 address add 10.77.0.2/24 dev own;"
        "ip -n c1 route replace default via 10.77.0.1 dev own",
        "neighbour-silent",
        OUTSIDE,
        "no host answers for 10.77.0.1",
        "ip -n c1 link delete own",
    ),
    Trace("", "no-endpoint", OUTSIDE, "no endpoint", sandbox="empty"),
    Trace("", "no-way-out", OUTSIDE, "(inner) leads outside by IPv4", sandbox="i1"),
    Trace("", "no-way-out", OUTSIDE6, "(db) leads outside by IPv6", sandbox="d1"),
]
HOSTS = [
    Trace("ip route add blackhole 192.0.2.254/32", "route-refuses", OUTSIDE, "blackhole"),
    Trace("ip -6 route add prohibit 2001:db8::fe/128", "route-refuses", OUTSIDE6, "prohibit"),
    Trace("ip rule add prohibit pref 5", "rule-refuses", OUTSIDE, "prohibit"),
    Trace("ip rule add from 172.17.0.0/16 prohibit pref 5", "rule-refuses", OUTSIDE, "prohibit"),
    Trace("ip -6 rule add iif {web} unreachable pref 5", "rule-refuses", OUTSIDE6, "none"),
    Trace("sysctl -qw net.ipv4.ip_forward=0", "forwarding-off", OUTSIDE, "does not forward IPv4"),
    Trace(
        "sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route add 172.17.0.0/25 via 192.0.2.254;"
        " ip -n c1 neigh replace 172.17.0.1 dev eth0 nud permanent lladdr"
        " $(ip -o link show {web} | grep -o 'ether [^ ]*' | cut -c7-)",
        "source-martian",
        OUTSIDE,
        "does not believe its source",
        "sysctl -qw net.ipv4.conf.all.rp_filter=0; ip -n c1 neigh del 172.17.0.1 dev eth0",
    ),
    Trace(
        "sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route add 172.17.0.0/25 via 192.0.2.254;"
        " ip -n c1 neigh flush all",
        "route-elsewhere",
        OUTSIDE,
        "dev uplink, not dev {web}",
        "sysctl -qw net.ipv4.conf.all.rp_filter=0",
    ),
    Trace("ip netns delete c1", "sandbox-gone", OUTSIDE, "/run/netns/c1: no namespace"),
    Trace("ip netns delete c1; ip netns add c1", "sandbox-replaced", OUTSIDE, "/run/netns/c1: "),
    Trace("ip link set {c1_port} nomaster", "port-detached", OUTSIDE, "{c1_port}: no master"),
    Trace("ip link set {c1_port} down", "port-down", OUTSIDE, "{c1_port}: state DOWN"),
    Trace("ip link set {web} down", "bridge-down", "c2", "{web}: state DOWN"),
    Trace("ip link delete {web}", "bridge-missing", "c2", "{web}: no such interface"),
    Trace(
        "ip -n c1 link set eth0 down;"
        " ip -n c1 route replace table local 172.17.0.3 dev eth0 || :;"
        " ip -n c1 link set eth0 up; ip -n c1 link set eth0 down",
        "no-route",
        "c2",
        "none",
    ),
]
FIREWALLS = [
    Trace("nft flush ruleset", "table-missing", OUTSIDE, "no such table"),
    Trace("nft flush chain inet netctl postrouting", "table-changed", OUTSIDE, "chain postrouting"),
    Trace(
        "nft insert rule inet netctl forward ip daddr 192.0.2.254 drop",
        "foreign-rule",
        OUTSIDE,
        "which was added to its table",
    ),
    Trace(
        "nft add rule inet netctl user-pre ip daddr 192.0.2.254 reject",
        "user-drop",
        OUTSIDE,
        "dropped by a rule of yours",
    ),
    Trace(
        "netctl network create other >&2; netctl sandbox create o1 >&2;"
        "netctl network connect other o1 >&2",
        "kept-apart",
        "other/o1",
        "which keep network other apart",
        "netctl network rm --force other >&2; netctl sandbox rm o1 --force >&2",
    ),
    Trace(_chain("inet x", "f", "forward"), "foreign-drop", OUTSIDE, "", "nft delete table inet x"),
    Trace(
        _chain("inet x", "p", "prerouting"), "foreign-drop", OUTSIDE, "", "nft delete table inet x"
    ),
    Trace(_chain("ip6 x", "f", "forward"), "foreign-drop", OUTSIDE6, "", "nft delete table ip6 x"),
    Trace(
        _chain("ip filter", "FORWARD", "forward")
        + "; nft add chain ip filter DOCKER-USER; nft add rule ip filter FORWARD jump DOCKER-USER",
        "foreign-drop",
        OUTSIDE,
        "",
        "nft delete table ip filter",
    ),
]
INSIDE = [
    *(
        Trace(_own("c1", hook), "own-firewall", to, "chain inet own c: policy drop", _NO_OWN)
        for hook in ("input", "output")
        for to in (OUTSIDE, OUTSIDE6, "{c2_ip}")
    ),
    Trace(_own("c2", "input"), "own-firewall", "{c2_ip}", "policy drop", _NO_OWN),
    Trace(_own("c2", "output"), "own-firewall", "{c2_ip6}", "policy drop", _NO_OWN),
    Trace(
        _own("c1", "output").replace("policy drop", "policy accept")
        + "; ip netns exec c1 nft add rule inet own c icmp type echo-request counter drop",
        "own-firewall",
        OUTSIDE,
        "icmp type echo-request drop # handle",
        _NO_OWN,
    ),
    Trace(
        f"ip -n c1 neigh replace 172.17.0.1 dev eth0 {_FORGED}",
        "neighbour-forged",
        OUTSIDE,
        "ip -n c1 neighbour show 172.17.0.1: 02:00:00:00:00:99 permanent, not ",
    ),
    Trace(
        "ip -n c1 neigh replace $(ip -n c1 -6 route show default | cut -d' ' -f3) dev eth0"
        f" {_FORGED}",
        "neighbour-forged",
        OUTSIDE6,
        "02:00:00:00:00:99 permanent, not ",
    ),
    Trace(
        f"ip neigh replace {{c1_ip}} dev {{web}} {_FORGED}",
        "neighbour-forged",
        OUTSIDE,
        "ip neighbour show {c1_ip}: 02:00:00:00:00:99 permanent, not ",
    ),
    Trace(
        f"ip -n c2 neigh replace {{c1_ip}} dev eth0 {_FORGED}",
        "neighbour-forged",
        "c2",
        "ip -n c2 neighbour show {c1_ip}: ",
    ),
    Trace(
        f"ip -n c1 neigh replace {{c2_ip}} dev eth0 {_FORGED}",
        "neighbour-forged",
        "c2",
        "the address of endpoint web/c2",
    ),
    Trace(
        "ip -n c1 link delete eth0; ip -n c1 link add eth0 type veth peer name far;"
        " ip -n c1 link set far up; ip -n c1 link set eth0 up;"
        " ip -n c1 address add 172.17.0.2/16 dev eth0",
        "port-missing",
        "c2",
        "somebody else's (veth)",
    ),
    Trace(
        "netctl network create wide >&2; netctl sandbox create w1 >&2; netctl network connect wide w1"
        " >&2; netctl network connect wide c1 >&2; ip -n c1 link set eth0 down name x;"
        " ip -n c1 link set eth1 down name eth0; ip -n c1 link set x name eth1;"
        " ip -n c1 link set eth0 up",
        "port-missing",
        "w1",
        "interface eth1 in /run/netns/c1: that of another endpoint",
        "netctl network rm --force wide >&2; netctl sandbox rm w1 --force >&2",
    ),
]
ENDS = [
    Trace("", "address-unheld", "172.17.7.7", "no host has the address 172.17.7.7"),
    Trace("", "endpoint-silent", "web/idle", "web/idle, which has 172.17.0.4, does not answer"),
    Trace("", "port-not-served", f"{OUTSIDE}:80", "no process listens on that port"),
    Trace("", "icc-forbidden", "db/d2", "enable_icc is false", sandbox="d1"),
    Trace("", "next-hop-silent", "192.0.2.77", "uplink: no host answers for 192.0.2.77"),
]

TRACES = (*ROUTES, *HOSTS, *FIREWALLS, *INSIDE, *ENDS)
