"""States of a host that the doctor names, each with what proves its remedy.

A remedy is proved by being carried out, word for word: afterwards the finding is gone. For a code
whose remedy nothing here can prove ``UNPROVED`` says why.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """One state. ``{web}`` and the like stand for what the host has: see ``Patient``."""

    script: str
    """What is done to a host in good health."""
    code: str
    evidence: str
    undo: str = ""
    """What takes away the rest of the state after the remedy; where the remedy proves nothing, what
    ends the state in its place."""
    known: tuple[tuple[str, str], ...] = ()
    """What the operator writes for words in capitals."""


RULES: list[Case] = [
    Case("sysctl -qw net.ipv4.ip_forward=0", "forwarding-off", "net.ipv4.ip_forward = 0"),
    Case(
        "sysctl -qw net.ipv6.conf.all.forwarding=0",
        "forwarding-off",
        "net.ipv6.conf.all.forwarding = 0",
    ),
    Case(
        "sysctl -qw net.ipv4.conf.uplink.forwarding=0",
        "forwarding-off",
        "net.ipv4.conf.uplink.forwarding = 0",
    ),
    Case("nft flush ruleset", "table-missing", "list table inet netctl: no such table"),
    Case("nft flush chain inet netctl forward", "table-changed", "chain forward"),
    Case(
        "sysctl -qw net.ipv4.conf.{web}.route_localnet=0",
        "localnet-lost",
        "net.ipv4.conf.{web}.route_localnet = 0",
    ),
    Case(
        "nft add table inet x; nft 'add chain inet x f {{ type filter hook forward priority 5; policy"
        " drop; }}'; nft add rule inet x f oifname {db} accept; nft add rule inet x f iifname {db}"
        " accept",
        "foreign-drop",
        "chain inet x f: policy drop",
    ),
    Case(
        "nft delete table inet x; nft add table ip y; nft 'add chain ip y f {{ type filter hook"
        " forward priority 5; }}'; nft add rule ip y f iifname {web} counter reject",
        "foreign-drop",
        'chain ip y f: iifname "{web}" ',
    ),
    Case(
        "nft delete table ip y; nft add table ip n; nft 'add chain ip n p {{ type nat hook prerouting"
        " priority -100; }}'; nft add rule ip n p tcp dport 8080 counter redirect to :9",
        "foreign-dnat",
        "chain ip n p: tcp dport 8080 redirect to :9 # handle",
    ),
    Case(
        "nft delete table ip n; nft add table ip filter; nft 'add chain ip filter FORWARD {{ type"
        " filter hook forward priority 0; policy drop; }}'; nft add chain ip filter DOCKER-USER;"
        "nft add rule ip filter FORWARD jump DOCKER-USER",
        "foreign-drop",
        "chain ip filter FORWARD: policy drop",
        "nft delete table ip filter",
    ),
]
_TAKEN_INSIDE = "ip -n c1 link delete eth0; ip -n c1 link add eth0 type veth peer name far"
LINKS: list[Case] = [
    Case("ip link set {web} down", "bridge-down", "{web}: state DOWN"),
    Case("ip link delete {web}", "bridge-missing", "{web}: no such interface"),
    Case(
        "ip link delete {web}; ip link add {web} type veth peer name other",
        "bridge-foreign",
        "{web}: veth, alias ''",
    ),
    Case("ip address delete 172.17.0.1/16 dev {web}", "gateway-missing", "show {web}: "),
    Case("ip link delete {c1_port}", "port-missing", "{c1_port}: no such interface"),
    Case("ip link set {c1_port} nomaster", "port-detached", "{c1_port}: no master, not {web}"),
    Case("ip link set {c1_port} master {db}", "port-detached", "{c1_port}: master {db}, not {web}"),
    Case("ip link set {c1_port} down", "port-down", "{c1_port}: state DOWN"),
    Case(
        "ip link set {web} type bridge stp_state 1 forward_delay 3000;"
        "ip link set {c1_port} nomaster; ip link set {c1_port} master {web}",
        "port-blocked",
        "{c1_port}: state listening",
    ),
    Case("bridge link set dev {c1_port} isolated on", "port-isolated", "{c1_port}: isolated on"),
    Case(
        "bridge link set dev {db1_port} isolated off",
        "port-not-isolated",
        "{db1_port}: isolated off",
    ),
    Case(
        f"{_TAKEN_INSIDE}",
        "port-missing",
        "{c1_port}: no such interface; interface eth0 in /run/netns/c1: somebody else's (veth)",
    ),
    Case(
        "ip -n c1 link set eth0 down name old; ip -n c1 link add eth0 type bridge",
        "port-missing",
        "interface eth0 in /run/netns/c1: somebody else's (bridge)",
    ),
    Case(
        "ip link delete {c1_port}; ip link add {c1_port} type veth peer name far",
        "port-missing",
        "interface {c1_port}: veth",
    ),
    Case(
        "ip link set {web} down; " + _TAKEN_INSIDE,
        "in-the-way",
        "sandbox c1: interface eth0 in /run/netns/c1 is somebody else's (veth)",
    ),
    Case(
        "netctl network connect db c1 >&2; ip -n c1 link set eth0 down name x;"
        " ip -n c1 link set eth1 down name eth0; ip -n c1 link set x name eth1",
        "port-missing",
        "interface eth0 in /run/netns/c1: that of another endpoint",
        "netctl network disconnect db c1 >&2",
    ),
    Case("ip link set br0 down", "bridge-down", "br0: state DOWN"),
    Case("ip link delete br0", "bridge-missing", "br0: no such interface"),
    Case("ip -n c1 link set lo down", "names-cut-off", "lo in /run/netns/c1: state DOWN"),
    Case(
        "ip netns exec c1 nft flush ruleset",
        "names-cut-off",
        "/run/netns/c1: no table inet netctl-dns",
    ),
    Case(
        "p=$(cat /run/netctl/resolver.pid); kill -9 $p; while test -e /proc/$p/exe; do sleep 0.05; done",
        "resolver-gone",
        "resolver.sock: nothing",
    ),
    Case("ip link set {web} mtu 1300", "mtu-mismatch", "mtu 1300 of {web}, network 1500"),
    Case("ip link set {c1_port} mtu 1300", "mtu-mismatch", "mtu 1300 of {c1_port}"),
    Case("ip -n c1 link set eth0 mtu 1300", "mtu-mismatch", "of eth0 in /run/netns/c1"),
    Case(
        "sysctl -qw net.ipv6.conf.{web}.disable_ipv6=1",
        "ipv6-disabled",
        "{web}.disable_ipv6 = 1",
    ),
    Case(
        "ip netns exec c1 sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1",
        "ipv6-disabled",
        "eth0.disable_ipv6 = 1 in /run/netns/c1",
    ),
]
WAYS: list[Case] = [
    Case(
        "ip link set uplink mtu 1400",
        "mtu-too-large",
        "mtu 1400 of uplink, network 1500",
        "ip link set uplink mtu 1500",
    ),
    Case(
        "ip route add 172.17.0.0/25 via 192.0.2.254",
        "route-elsewhere",
        "ip route get {c1_ip}: dev uplink, not dev {web}",
    ),
    Case("ip route add blackhole 172.17.0.0/25", "route-elsewhere", "blackhole, not dev {web}"),
    Case(
        # As WireGuard does it, in a table of its own.
        "ip route add 172.16.0.0/12 via 192.0.2.254 table 51820; ip rule add table 51820 pref 99",
        "route-elsewhere",
        "dev uplink, not dev {web}; ip rule: 99: lookup 51820",
    ),
    Case(
        # As Tailscale does it, where the table has a default route; here for answers alone.
        "ip route add default via 192.0.2.254 table 52; ip rule add iif uplink pref 90 lookup 52",
        "route-elsewhere",
        "ip route get {c1_ip} from 198.41.0.4 iif uplink: dev uplink, not dev {web}; ip rule: 90:",
    ),
    Case(
        "ip -6 route add default via 2001:db8::fe table 52; ip -6 rule add pref 70 lookup 52",
        "route-elsewhere",
        "dev uplink, not dev {web}; ip -6 rule: 70: lookup 52",
    ),
    Case(
        "ip rule add pref 60 to 172.16.0.0/12 prohibit",
        "route-elsewhere",
        "ip route get {c1_ip}: prohibit, not dev {web}; ip rule: 60: a refusal",
    ),
    Case(
        # Tailscale's rules, of which the first is for its own packets: they are marked.
        "ip rule add pref 50 fwmark 0x80000/0xff0000 lookup main;"
        "ip rule add pref 51 from 192.0.2.77 lookup main; ip rule add pref 52 lookup 52",
        "route-elsewhere",
        "ip route get {c1_ip}: dev uplink, not dev {web}; ip rule: 52: lookup 52",
        "ip rule delete pref 52",
    ),
    Case(
        "ip route delete 172.17.0.0/16 dev {web}",
        "route-elsewhere",
        "ip route get {c1_ip}: dev uplink, not dev {web}",
    ),
    Case(
        "ip route add 172.16.0.0/12 via 192.0.2.254",
        "subnet-overlap",
        "route 172.16.0.0/12 dev uplink; network web is 172.17.0.0/16",
    ),
    Case(
        "ip address add 172.17.9.9/24 dev uplink",
        "subnet-overlap",
        "address 172.17.9.9/24 on uplink",
    ),
    Case(
        "echo nameserver 172.17.0.53 >/etc/resolv.conf",
        "resolver-hidden",
        "name server 172.17.0.53 in resolv.conf",
        "echo nameserver 192.0.2.254 >/etc/resolv.conf",
    ),
    Case(
        "echo nameserver 127.0.0.53 >/etc/resolv.conf",
        "no-name-server",
        "resolv.conf: 127.0.0.53",
        "echo nameserver 192.0.2.254 >/etc/resolv.conf; rm /etc/netctl/netctl.yaml",
        (("ADDRESS", "192.0.2.254"),),
    ),
    Case(
        "mkdir -p /etc/netctl; echo 'address_pools: [{{base: 172.17.0.0/16, size: 16}}]'"
        " >/etc/netctl/netctl.yaml",
        "pools-used-up",
        "network web (172.17.0.0/16)",
        "netctl network create another >&2; netctl network rm another >&2;"
        " rm /etc/netctl/netctl.yaml",
    ),
    Case("ip rule add prohibit pref 5", "rule-refuses", "ip rule: 5: a refusal"),
    Case("ip rule add from {c1_ip}/16 prohibit pref 5", "rule-refuses", "ip rule: 5: a refusal"),
    Case("ip -n c1 -6 rule add prohibit pref 5", "rule-refuses", "ip -n c1 -6 rule: 5: a refusal"),
    Case(
        "ip -n c1 neigh replace 172.17.0.1 dev eth0 lladdr 02:00:00:00:00:99 nud permanent",
        "neighbour-forged",
        "ip -n c1 neighbour show 172.17.0.1: 02:00:00:00:00:99 permanent, not ",
    ),
    Case(
        "ip neigh replace {c1_ip} dev {web} lladdr 02:00:00:00:00:99 nud permanent",
        "neighbour-forged",
        "ip neighbour show {c1_ip}: 02:00:00:00:00:99 permanent, not ",
    ),
    Case(
        "ip -6 route replace default via fe80::1 dev uplink",
        "accept-ra",
        "net.ipv6.conf.uplink.accept_ra = 1; default via fe80::1 dev uplink",
    ),
    Case(
        "ip link add lan type veth peer name lan2; ip link set lan up; ip link set lan2 up;"
        "ip address add 198.51.100.1/24 dev lan; sysctl -qw net.ipv4.conf.lan.rp_filter=1",
        "rp-filter",
        "net.ipv4.conf.lan.rp_filter = 1",
        "ip link delete lan",
    ),
    Case(
        "ip route delete default",
        "no-way-out",
        "ip -4 route show default: nothing; a look-up says none",
        known=(("GATEWAY", "192.0.2.254"),),
    ),
]


_PROGRAM = (
    "mkdir -p /run/bin; cp $(which sleep) /run/bin/{0}; /run/bin/{0} 300 >/dev/null 2>&1 &"
    " echo $! >/run/program.pid; while ! grep -q {1} /proc/$!/comm; do sleep 0.05; done"
)
_ENDED = "p=$(cat /run/program.pid); kill -9 $p; while test -e /proc/$p/exe; do sleep 0.05; done"
_SERVER = (
    'python3 -c \'import socket, time; s = socket.create_server(("0.0.0.0", 8080));'
    " time.sleep(300)' >/dev/null 2>&1 & echo $! >/run/program.pid;"
    " until ss -Hltn sport = 8080 | grep -q .; do sleep 0.05; done"
)
_AT_ANOTHER_BOOT = (
    "for n in c1 c2 db1; do ip netns delete $n; done; ip link delete {web}; ip link delete {db};"
    "nft flush ruleset; echo 00000000-0000-4000-8000-000000000002 >/run/boot_id;"
    "mount --bind /run/boot_id /proc/sys/kernel/random/boot_id"
)


def _over(key: str, value: str) -> str:
    """Return what puts a value in the place of one of the machine's own, for this host alone."""
    file = f"/run/{key.replace('/', '-')}"
    return f"echo {value} >{file}; mount --bind {file} /proc/sys/net/{key};"


def _freed(key: str) -> str:
    return f"umount /proc/sys/net/{key};"


def _runs(program: str) -> str:
    return _PROGRAM.format(program, program[:15])


STATES: list[Case] = [
    Case(
        _over("netfilter/nf_conntrack_max", "100") + _over("netfilter/nf_conntrack_count", "100"),
        "conntrack-full",
        "net.netfilter.nf_conntrack_count = 100, nf_conntrack_max = 100",
        _freed("netfilter/nf_conntrack_max") + _freed("netfilter/nf_conntrack_count"),
    ),
    Case(
        "for i in $(seq 480); do echo link add p$i type veth peer name q$i; echo link set p$i master"
        " {web}; echo link set q$i master {web}; done | ip -batch -",
        "bridge-full",
        "interfaces with master {web}",
        "for i in $(seq 480); do echo link delete p$i; done | ip -batch -",
    ),
    Case(
        "cp -a /var/lib/netctl /run/kept; mount -t tmpfs -o size=17m,mode=700 small /var/lib/netctl;"
        "cp -a /run/kept/. /var/lib/netctl; head -c 2M /dev/zero > /var/lib/netctl/fill",
        "disk-full",
        "/var/lib/netctl: ",
        "umount /var/lib/netctl; rm -r /run/kept",
    ),
    Case(
        "mount -t tmpfs none /proc/sys/net/ipv6",
        "kernel-feature",
        "/proc/sys/net/ipv6: no such directory",
        "umount /proc/sys/net/ipv6",
    ),
    Case("ip netns delete c1", "sandbox-gone", "/run/netns/c1: no namespace"),
    Case("ip netns delete c1; ip netns add c1", "sandbox-replaced", "/run/netns/c1: "),
    Case("chmod 755 /var/lib/netctl", "state-permissions", "/var/lib/netctl: mode 0755, owner 0"),
    Case(
        "cp -a /var/lib/netctl /run/kept; mount -t tmpfs -o mode=700 kept /var/lib/netctl;"
        "cp -a /run/kept/. /var/lib/netctl; mount -o remount,ro /var/lib/netctl",
        "state-read-only",
        "/var/lib/netctl: read-only file system",
        "umount /var/lib/netctl",
    ),
    Case(
        "ip address add 192.0.2.77/24 dev uplink noprefixroute;"
        "netctl endpoint publish c1 192.0.2.77:9000:90 >&2;"
        "ip address del 192.0.2.77/24 dev uplink",
        "published-address-gone",
        "ip route get 192.0.2.77: unicast",
    ),
    Case("ip -n c1 route replace default via 172.17.0.99", "gateway-foreign", "via 172.17.0.99"),
    Case("ip -n c1 route delete default", "differs", ""),
    Case(
        "netctl network create small --subnet 10.9.0.0/29 >&2;"
        "for i in 1 2 3; do netctl endpoint create small e$i >&2; done;"
        "for i in 4 5; do netctl sandbox create t$i --ttl 1s >&2;"
        " netctl network connect small t$i >&2; done; sleep 1",
        "addresses-used-up",
        "6 of 10.9.0.0/29 are held",
        "netctl network rm --force small",
    ),
    Case(
        _SERVER,
        "port-served-twice",
        "has a socket at port 8080/tcp",
        f"{_ENDED}; netctl endpoint publish c1 8080:80 >&2",
    ),
    Case(_runs("dhcpcd"), "dhcpcd", "no denyinterfaces in /etc/dhcpcd.conf", _ENDED),
    Case(
        _runs("NetworkManager"),
        "network-manager",
        "no /etc/NetworkManager/conf.d/netctl.conf",
        _ENDED,
    ),
    Case(
        "mkdir -p /run/systemd/network; printf '[Match]\\nName=br-* eth*\\n' >"
        " /run/systemd/network/10-all.network;" + _runs("systemd-network"),
        "networkd",
        "/run/systemd/network/10-all.network: Name=br-*",
        f"{_ENDED}; rm /run/systemd/network/10-all.network",
    ),
    Case(
        "ip netns add cni; netctl sandbox create pod --netns /run/netns/cni >&2;"
        "ip netns delete cni; ip netns add cni",
        "sandbox-left",
        "",
        "netctl sandbox rm pod --force; ip netns delete cni",
    ),
    Case(
        "ip netns add cni; netctl sandbox create pod --netns /run/netns/cni >&2;"
        "ip netns delete cni",
        "sandbox-left",
        "",
    ),
    Case(
        "printf 'search example.org\nnameserver 192.0.2.254\n' >/etc/resolv.conf",
        "resolv-conf-outdated",
        "",
    ),
    Case(_AT_ANOTHER_BOOT, "another-boot", "networks "),
]

CASES = (*RULES, *LINKS, *WAYS, *STATES)

ELSEWHERE = {
    "answers-astray": "test_own_route.py::test_answers_that_go_astray_are_told_of_with_a_remedy",
    "bridge-enslaved": "test_doctor.py::test_a_bridge_in_a_bond",
    "br-netfilter": "test_doctor.py::test_br_netfilter",
    "guarded": "test_forwarding.py::test_the_doctor_names_it_and_its_remedy_helps",
    "store-damaged": "test_doctor.py::test_the_store",
    "icc-forbidden": (
        "test_doctor_path.py::test_endpoints_that_may_not_reach_each_other_get_another_network"
    ),
    "icc-bridged": "test_doctor.py::test_isolated_ports_and_br_netfilter",
    "port-not-served": "test_doctor_services.py::test_it_is_named_and_mended",
    "unsettled": "test_doctor.py::test_the_store",
}
"""Codes whose remedy a test of its own carries out, since a script cannot make the state."""

UNPROVED = {
    "neighbours-full": "the table is the machine's own: no test may fill it, nor change its size",
    "address-unheld": "the line shows who has which address; the user knows whom he meant",
    "answer-lost": "the line shows what else is wrong with the host, where a check knows it",
    "bridge-full": "another network is needed, whose subnet the operator chooses",
    "endpoint-silent": "the line shows the endpoint, which is in no sandbox, or whose server is gone",
    "disk-full": "the lines show what fills the disk; what may be deleted the operator knows",
    "kernel-feature": "another kernel, or its modules, would have to be loaded",
    "legacy-rules": "a note: the line shows rules that netctl does not read",
    "libnftables": "a package would have to be installed",
    "lost-on-bridge": "the line shows filters of traffic control, which are the operator's",
    "mtu-too-large": "the MTU of a network is set when it is created: another one is needed",
    "name-server-silent": "the line asks the server again, which is not this host's to mend",
    "next-hop-silent": "whoever should answer beyond the host is not this host's to mend",
    "no-answer": "the destination is not netctl's: no line mends it",
    "not-looked-at": "a note: what could not be read has its own error, with its hint",
    "own-drop": "netctl's rules do what they are for",
    "privileges": "a note: the command has to be run as root",
    "resolver-hidden": "the network needs another subnet, which is chosen when it is created",
    "unreachable": "somebody beyond the host says so: no line here mends it",
    "uplink-down": "the line shows the state of a link whose other end is not this host's",
}

SHOWN = {
    "answer-lost": "test_doctor_path.py::test_an_answer_that_the_host_loses",
    "legacy-rules": "test_doctor.py::test_legacy_iptables",
    "libnftables": "test_doctor.py::test_a_missing_library",
    "lost-on-bridge": "test_doctor_path.py::test_a_filter_that_nobody_sees",
    "name-server-silent": "test_doctor.py::test_name_servers_are_asked_on_demand",
    "neighbours-full": "../unit/test_doctor.py::test_what_is_wrong_is_named",
    "no-answer": "test_doctor_path.py::test_the_firewall_that_drops_it_is_named",
    "not-looked-at": "test_doctor.py::test_without_rights_it_says_what_it_cannot_see",
    "own-drop": "test_doctor_path.py::test_netctls_own_rules",
    "privileges": "test_doctor.py::test_without_rights_it_says_what_it_cannot_see",
    "unreachable": "test_doctor_path.py::test_what_somebody_beyond_refuses",
    "uplink-down": "test_doctor.py::test_the_uplink",
}
"""Codes whose state a test of its own makes, and whose remedy nothing here can prove."""
