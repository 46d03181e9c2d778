"""The doctor names what is wrong on real, broken hosts; its own lines mend it; and a healthy host
has nothing."""

from __future__ import annotations

import shutil
import sys
from functools import partial

import pytest

from netctl.controller import Controller
from netctl.doctor.examination import examine
from netctl.doctor.finding import Finding
from tests.kernel.host import Host
from tests.system.library import act, controller, die_at, skip_where_nobody_can_read

LATER = "00000000-0000-4000-8000-000000000002"
_NOT_BRIDGED = (
    "for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do test ! -e $f || echo 0 >$f; done"
)
_SHELL = f'netctl() {{ {sys.executable} -m netctl "$@"; }}\n'


def furnish(c: Controller) -> None:
    c.networks.create("web", ipv6=True)
    c.networks.create("db", options={"bridge.enable_icc": "false"})
    for name in ("c1", "c2"):
        c.sandboxes.create(name)
        c.endpoints.connect("web", name)
    c.sandboxes.create("db1")
    c.endpoints.connect("db", "db1")
    c.endpoints.publish("web/c1", ["8080:80", "127.0.0.1:8081:81"])


def look(*, probe: bool = False, boot_id: str | None = None) -> list[Finding]:
    with controller(boot_id) as c:
        # No server runs in these sandboxes: see test_doctor_services.
        return [found for found in examine(c, probe=probe) if found.code != "port-not-served"]


class Patient:
    """A furnished host, and the names of what is in it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.sh(_NOT_BRIDGED)
        host.call(act, furnish)
        self.names: dict[str, str] = host.call(names)
        assert self.findings() == []

    def findings(self, **options: bool | str) -> list[Finding]:
        return self.host.call(partial(look, **options))  # type: ignore[arg-type]

    def sh(self, script: str) -> str:
        return self.host.sh(_SHELL + script.format(**self.names))

    def named(self, code: str, evidence: str, **options: bool | str) -> Finding:
        """Return the finding of a code, which bears the evidence, and which may be the cause of
        others."""
        found = self.findings(**options)
        having = [finding for finding in found if finding.code == code]
        assert having, found
        matching = [f for f in having if evidence.format(**self.names) in f.evidence]
        assert matching, having
        assert all(finding.what and finding.evidence for finding in found)
        return matching[0]


def names() -> dict[str, str]:
    with controller() as c:
        found = {}
        for name in ("web", "db"):
            found[name] = c.networks.get(name).doc.facts["bridge"]
        for name in ("c1", "db1"):
            sandbox = c.sandboxes.get(name).doc
            endpoint = c.endpoints.get(sandbox.endpoints[0].endpoint_id).doc
            assert endpoint.attachment
            found[f"{name}_port"] = endpoint.attachment.host_ifname
            found[f"{name}_ip"] = endpoint.ipv4.partition("/")[0]
        return found


@pytest.fixture
def patient(host: Host) -> Patient:
    return Patient(host)


# What is done, the code, the evidence, and how it is undone: by the remedy where there is nothing.
Case = tuple[str, str, str, str]

RULES: list[Case] = [
    ("sysctl -qw net.ipv4.ip_forward=0", "forwarding-off", "net.ipv4.ip_forward = 0", ""),
    (
        "sysctl -qw net.ipv6.conf.all.forwarding=0",
        "forwarding-off",
        "net.ipv6.conf.all.forwarding = 0",
        "",
    ),
    (
        "sysctl -qw net.ipv4.conf.uplink.forwarding=0",
        "forwarding-off",
        "net.ipv4.conf.uplink.forwarding = 0",
        "",
    ),
    ("nft flush ruleset", "table-missing", "list table inet netctl: no such table", ""),
    ("nft flush chain inet netctl forward", "table-changed", "chain forward", ""),
    (
        "sysctl -qw net.ipv4.conf.{web}.route_localnet=0",
        "localnet-lost",
        "net.ipv4.conf.{web}.route_localnet = 0",
        "",
    ),
    (
        "nft add table inet x; nft 'add chain inet x f {{ type filter hook forward priority 5; policy"
        " drop; }}'; nft add rule inet x f oifname {db} accept; nft add rule inet x f iifname {db}"
        " accept",
        "foreign-drop",
        "chain inet x f: policy drop",
        "",
    ),
    (
        "nft delete table inet x; nft add table ip y; nft 'add chain ip y f {{ type filter hook"
        " forward priority 5; }}'; nft add rule ip y f iifname {web} counter reject",
        "foreign-drop",
        'chain ip y f: iifname "{web}" ',
        "",
    ),
    (
        "nft delete table ip y; nft add table ip n; nft 'add chain ip n p {{ type nat hook prerouting"
        " priority -100; }}'; nft add rule ip n p tcp dport 8080 counter redirect to :9",
        "foreign-dnat",
        "chain ip n p: tcp dport 8080 redirect to :9 # handle",
        "",
    ),
]
LINKS: list[Case] = [
    ("ip link set {web} down", "bridge-down", "{web}: state DOWN", ""),
    ("ip link delete {web}", "bridge-missing", "{web}: no such interface", ""),
    (
        "ip link delete {web}; ip link add {web} type veth peer name other",
        "bridge-foreign",
        "{web}: veth, alias ''",
        "",
    ),
    ("ip address delete 172.17.0.1/16 dev {web}", "gateway-missing", "show {web}: ", ""),
    ("ip link delete {c1_port}", "port-missing", "{c1_port}: no such interface", ""),
    ("ip link set {c1_port} nomaster", "port-detached", "{c1_port}: no master, not {web}", ""),
    ("ip link set {c1_port} master {db}", "port-detached", "{c1_port}: master {db}, not {web}", ""),
    ("ip link set {c1_port} down", "port-down", "{c1_port}: state DOWN", ""),
    (
        "ip link set {web} type bridge stp_state 1 forward_delay 3000;"
        "ip link set {c1_port} nomaster; ip link set {c1_port} master {web}",
        "port-blocked",
        "{c1_port}: state listening",
        "",
    ),
    ("bridge link set dev {c1_port} isolated on", "port-isolated", "{c1_port}: isolated on", ""),
    (
        "bridge link set dev {db1_port} isolated off",
        "port-not-isolated",
        "{db1_port}: isolated off",
        "",
    ),
    ("ip -n c1 link set lo down", "names-cut-off", "lo in /run/netns/c1: state DOWN", ""),
    (
        "ip netns exec c1 nft flush ruleset",
        "names-cut-off",
        "/run/netns/c1: no table inet netctl-dns",
        "",
    ),
    (
        "p=$(cat /run/netctl/resolver.pid); kill -9 $p; while test -e /proc/$p/exe; do sleep 0.05; done",
        "resolver-gone",
        "resolver.sock: nothing",
        "",
    ),
    ("ip link set {web} mtu 1300", "mtu-mismatch", "mtu 1300 of {web}, network 1500", ""),
    ("ip link set {c1_port} mtu 1300", "mtu-mismatch", "mtu 1300 of {c1_port}", ""),
    ("ip -n c1 link set eth0 mtu 1300", "mtu-mismatch", "of eth0 in /run/netns/c1", ""),
    (
        "sysctl -qw net.ipv6.conf.{web}.disable_ipv6=1",
        "ipv6-disabled",
        "{web}.disable_ipv6 = 1",
        "",
    ),
    (
        "ip netns exec c1 sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1",
        "ipv6-disabled",
        "eth0.disable_ipv6 = 1 in /run/netns/c1",
        "",
    ),
]
WAYS: list[Case] = [
    (
        "ip link set uplink mtu 1400",
        "mtu-too-large",
        "mtu 1400 of uplink, network 1500",
        "ip link set uplink mtu 1500",
    ),
    (
        "ip route add 172.17.0.0/25 via 192.0.2.254",
        "route-elsewhere",
        "ip route get {c1_ip}: dev uplink, not dev {web}",
        "",
    ),
    ("ip route add blackhole 172.17.0.0/25", "route-elsewhere", "blackhole, not dev {web}", ""),
    (
        # As WireGuard does it, in a table of its own.
        "ip route add 172.16.0.0/12 via 192.0.2.254 table 51820; ip rule add table 51820 pref 99",
        "route-elsewhere",
        "dev uplink, not dev {web}; ip rule: 99: lookup 51820",
        "",
    ),
    (
        # As Tailscale does it, where the table has a default route; here for answers alone.
        "ip route add default via 192.0.2.254 table 52; ip rule add iif uplink pref 90 lookup 52",
        "route-elsewhere",
        "ip route get {c1_ip} from 198.41.0.4 iif uplink: dev uplink, not dev {web}; ip rule: 90:",
        "",
    ),
    (
        "ip -6 route add default via 2001:db8::fe table 52; ip -6 rule add pref 70 lookup 52",
        "route-elsewhere",
        "dev uplink, not dev {web}; ip -6 rule: 70: lookup 52",
        "",
    ),
    (
        "ip rule add pref 60 to 172.16.0.0/12 prohibit",
        "route-elsewhere",
        "ip route get {c1_ip}: prohibit, not dev {web}; ip rule: 60: a refusal",
        "",
    ),
    (
        "ip route add 172.16.0.0/12 via 192.0.2.254",
        "subnet-overlap",
        "route 172.16.0.0/12 dev uplink; network web is 172.17.0.0/16",
        "ip route delete 172.16.0.0/12",
    ),
    (
        "ip address add 172.17.9.9/24 dev uplink",
        "subnet-overlap",
        "address 172.17.9.9/24 on uplink",
        "ip address delete 172.17.9.9/24 dev uplink",
    ),
    (
        "echo nameserver 172.17.0.53 >/etc/resolv.conf",
        "resolver-hidden",
        "name server 172.17.0.53 in resolv.conf",
        "echo nameserver 192.0.2.254 >/etc/resolv.conf",
    ),
    (
        "echo nameserver 127.0.0.53 >/etc/resolv.conf",
        "no-name-server",
        "resolv.conf: 127.0.0.53",
        "echo nameserver 192.0.2.254 >/etc/resolv.conf",
    ),
    (
        "ip -6 route replace default via fe80::1 dev uplink",
        "accept-ra",
        "net.ipv6.conf.uplink.accept_ra = 1; default via fe80::1 dev uplink",
        "",
    ),
    (
        "ip link add lan type veth peer name lan2; ip link set lan up; ip link set lan2 up;"
        "ip address add 198.51.100.1/24 dev lan; sysctl -qw net.ipv4.conf.lan.rp_filter=1",
        "rp-filter",
        "net.ipv4.conf.lan.rp_filter = 1",
        "ip link delete lan",
    ),
    (
        "ip route delete default",
        "no-way-out",
        "ip -4 route show default: nothing; a look-up says none",
        "ip route add default via 192.0.2.254",
    ),
]


@pytest.mark.parametrize("cases", [RULES, LINKS, WAYS], ids=["rules", "links", "ways"])
def test_what_is_broken_is_named_and_mended(patient: Patient, cases: list[Case]) -> None:
    for script, code, evidence, undo in cases:
        patient.sh(script)
        finding = patient.named(code, evidence)
        # Findings are mended one after the other, as an operator would do it.
        patient.sh(undo or "\n".join(finding.remedy))
        left = patient.findings()
        if left and not undo:
            patient.sh("\n".join(line for each in left for line in each.remedy))
            left = patient.findings()
        assert left == [], script


def test_a_network_that_a_rule_of_routing_takes_is_noticed_at_once(host: Host) -> None:
    host.sh(_NOT_BRIDGED)
    host.sh(
        "ip route add default via 192.0.2.254 table 52; ip rule add pref 5270 lookup 52;"
        "ip -6 route add default via 2001:db8::fe table 52; ip -6 rule add pref 5271 lookup 52"
    )
    done = host.netctl("network", "create", "web", "--subnet", "10.70.0.0/24", "--ipv6")
    assert done.returncode == 0 and "a rule of routing" in done.stderr
    hints = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    assert hints[0] == "hint: ip rule add pref 5269 to 10.70.0.0/24 lookup main"
    assert hints[1].startswith("hint: ip -6 rule add pref 5270 to fd")
    host.sh("\n".join(line.removeprefix("hint: ") for line in hints))
    done = host.netctl("doctor", "--format", "json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]")
    # wg-quick's rules leave the networks alone: it is not noticed.
    host.sh(
        "for v in -4 -6; do for p in 5270 5271 5269; do ip $v rule delete pref $p || :; done;"
        "ip $v rule add pref 32700 lookup main suppress_prefixlength 0;"
        "ip $v rule add pref 32701 lookup 52; done"
    )
    done = host.netctl("network", "create", "db", "--subnet", "10.71.0.0/24", "--ipv6")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.call(look) == []


def test_the_uplink(patient: Patient) -> None:
    patient.host.outside.sh("ip link set world down")
    patient.named("uplink-down", "ip link show uplink: no carrier")
    patient.host.outside.sh("ip link set world up")
    patient.sh("ip link set uplink down")
    patient.named("no-way-out", "a look-up says none")


def test_br_netfilter(patient: Patient) -> None:
    key = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    if patient.host.run("test", "-e", key).returncode:
        pytest.skip("needs br_netfilter")
    patient.sh(f"echo 1 > {key}")
    finding = patient.named("br-netfilter", "net.bridge.bridge-nf-call-iptables = 1")
    assert [str(each.severity) for each in patient.findings()] == ["note"]
    patient.sh(
        "nft add table ip x; nft 'add chain ip x f {{ type filter hook forward priority 0; policy"
        " drop; }}'; nft add rule ip x f oifname uplink accept; nft add rule ip x f iifname uplink accept"
    )
    drop = patient.named("foreign-drop", "chain ip x f: policy drop")
    assert "packets between its endpoints are dropped" in drop.what
    patient.sh("\n".join(finding.remedy))
    assert patient.findings() == []


def test_isolated_ports_and_br_netfilter(patient: Patient) -> None:
    key = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    if patient.host.run("test", "-e", key).returncode:
        pytest.skip("needs br_netfilter")
    patient.sh(
        "netctl network create closed -o bridge.enable_icc=false;"
        "for i in 1 2; do netctl sandbox create i$i; done; netctl network connect closed i2;"
        f"netctl network connect closed i1 -p 8088:80; echo 1 > {key}"
    )
    finding = patient.named("icc-bridged", "bridge.enable_icc=false")
    try_it = ["timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/192.0.2.1/8088"]
    with patient.host.server("/run/netns/i1", "0.0.0.0", 80):
        inside = ["ip", "netns", "exec", "i2", *try_it]
        assert patient.host.run(*inside).returncode == 124
        patient.sh("\n".join(finding.remedy))
        assert patient.host.run(*inside).returncode == 0
    assert patient.findings() == []


def test_addresses_and_pools(patient: Patient) -> None:
    patient.sh(
        "netctl network create small --subnet 10.9.0.0/29;"
        "for i in 1 2 3 4; do netctl endpoint create small e$i; done"
    )
    assert (
        str(patient.named("addresses-used-up", "5 of 10.9.0.0/29 are held").severity) == "warning"
    )
    patient.sh("netctl endpoint create small e5")
    assert (
        str(patient.named("addresses-used-up", "6 of 10.9.0.0/29 are held").severity) == "problem"
    )
    patient.sh("netctl network rm --force small; netctl endpoint unpublish c1 80 81")
    patient.sh(
        "mkdir -p /etc/netctl;"
        "echo 'address_pools: [{{base: 172.17.0.0/16, size: 16}}]' > /etc/netctl/netctl.yaml"
    )
    done = patient.host.netctl("doctor")
    assert "[pools-used-up]" in done.stdout and "network web (172.17.0.0/16)" in done.stdout
    assert done.returncode == 0


def test_an_address_that_ports_are_published_on_goes(patient: Patient) -> None:
    patient.sh("ip address add 192.0.2.77/24 dev uplink noprefixroute")
    patient.sh("netctl endpoint publish c1 192.0.2.77:9000:90 127.0.0.9:9001:90")
    assert patient.findings() == []
    patient.sh("ip address del 192.0.2.77/24 dev uplink")
    found = patient.named("published-address-gone", "ip route get 192.0.2.77: unicast")
    assert "9000/tcp of web/c1" in found.what
    patient.sh("netctl endpoint unpublish c1 9000:90 9001:90")
    assert patient.findings() == []


def test_processes_of_the_host(patient: Patient) -> None:
    sleep = shutil.which("sleep")
    started = []
    try:
        with patient.host.server("", "0.0.0.0", 8080):
            patient.named("port-served-twice", "has a socket at port 8080/tcp")
        assert patient.findings() == []
        for program, code, evidence in (
            ("NetworkManager", "network-manager", "no /etc/NetworkManager/conf.d/netctl.conf"),
            ("systemd-network", "networkd", "/run/systemd/network/10-all.network: Name=br-*"),
            ("dhcpcd", "dhcpcd", "no denyinterfaces in /etc/dhcpcd.conf"),
        ):
            patient.sh(
                f"mkdir -p /run/bin /run/systemd/network; cp {sleep} /run/bin/{program};"
                "printf '[Match]\\nName=br-* eth*\\n[Network]\\nDHCP=yes\\n'"
                " > /run/systemd/network/10-all.network"
            )
            started.append(patient.host.start(f"/run/bin/{program}", "60"))
            patient.named(code, evidence)
            started[-1].kill()
            started[-1].wait()
        assert patient.findings() == []
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_name_servers_are_asked_on_demand(patient: Patient) -> None:
    assert patient.findings() == []
    finding = patient.named("name-server-silent", "asked 192.0.2.254 on port 53", probe=True)
    assert str(finding.severity) == "problem"
    with patient.host.server("outside", "192.0.2.254", 53, "udp"):
        assert patient.findings(probe=True) == []


def test_sandboxes(patient: Patient) -> None:
    patient.sh("ip netns delete c1")
    finding = patient.named("sandbox-gone", "/run/netns/c1: no namespace")
    patient.sh("\n".join(finding.remedy))
    assert patient.findings() == []
    patient.sh("ip netns delete c1; ip netns add c1")
    finding = patient.named("sandbox-replaced", "/run/netns/c1: ")
    patient.sh("\n".join(finding.remedy))
    assert patient.findings() == []
    finding = patient.named("another-boot", f"this boot is {LATER}", boot_id=LATER)
    assert finding.remedy[0] == "netctl restore"
    patient.named("sandbox-gone", "/run/netns/c2: no namespace", boot_id=LATER)


def _killed() -> None:
    assert die_at(2, lambda c: c.networks.create("half"))


def test_the_store(patient: Patient) -> None:
    host = patient.host
    host.call(_killed)
    finding = patient.named("unsettled", "'network create half', left by process ")
    patient.sh("\n".join(finding.remedy))
    assert patient.findings() == []
    patient.sh(
        "f=$(ls /var/lib/netctl/networks/*.json | head -1); cp $f /run/copy; truncate -s 100 $f"
    )
    finding = patient.named("store-damaged", " is damaged (")
    assert str(finding.severity) == "problem" and finding.remedy
    patient.sh("cp /run/copy $(ls /var/lib/netctl/networks/*.json | head -1)")
    assert patient.findings() == []
    patient.sh("chmod 755 /var/lib/netctl")
    finding = patient.named("state-permissions", "/var/lib/netctl: mode 0755, owner 0")
    patient.sh("\n".join(finding.remedy))
    assert patient.findings() == []
    patient.sh(
        "mount --bind /var/lib/netctl /var/lib/netctl; mount -o remount,bind,ro /var/lib/netctl"
    )
    finding = patient.named("state-read-only", "/var/lib/netctl: read-only file system")
    patient.sh("umount /var/lib/netctl")
    assert patient.findings() == []
    patient.sh(
        "cp -a /var/lib/netctl /run/kept; mount -t tmpfs -o size=17m,mode=700 small /var/lib/netctl;"
        "cp -a /run/kept/. /var/lib/netctl; head -c 2M /dev/zero > /var/lib/netctl/fill"
    )
    patient.named("disk-full", "/var/lib/netctl: ")


def test_without_rights_it_says_what_it_cannot_see(patient: Patient) -> None:
    skip_where_nobody_can_read(patient.host)
    done = patient.host.run(
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        sys.executable,
        "-m",
        "netctl",
        "--state-dir",
        "/var/lib/netctl",
        "doctor",
        env={"HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/tmp"},
    )
    assert done.returncode == 0, done.stderr
    assert "[privileges]" in done.stdout and "CAP_NET_ADMIN" in done.stdout
    assert "[not-looked-at]" in done.stdout and "problem" not in done.stdout


def test_legacy_iptables(patient: Patient) -> None:
    if patient.host.run("iptables-legacy", "-A", "FORWARD", "-j", "ACCEPT").returncode:
        pytest.skip("needs iptables-legacy and the kernel's ip_tables")
    patient.named("legacy-rules", "iptables-legacy has rules in chain FORWARD")
    patient.sh("iptables-legacy -F FORWARD; iptables-legacy -P FORWARD DROP")
    finding = patient.named("foreign-drop", "iptables-legacy -S FORWARD: -P FORWARD DROP")
    patient.sh("\n".join(finding.remedy))
    # The rules that let it through are not read.
    left = {(each.code, str(each.severity)) for each in patient.findings()}
    assert left == {("foreign-drop", "warning")}


def test_the_command_prints_and_exits(patient: Patient) -> None:
    patient.sh("netctl endpoint unpublish c1 80 81")
    looks = "nft list ruleset; ip -o link; ls -laR /var/lib/netctl /run/netctl /run/netns"
    before = patient.host.sh(looks)
    assert (lambda done: (done.returncode, done.stdout))(patient.host.netctl("doctor")) == (0, "")
    assert patient.host.netctl("doctor", "--format", "json").stdout == "[]\n"
    assert patient.host.sh(looks) == before
    patient.sh("sysctl -qw net.ipv4.ip_forward=0")
    done = patient.host.netctl("doctor")
    assert done.returncode == 9 and done.stderr == ""
    assert "problem: the host forwards no IPv4 packets" in done.stdout
    assert "  mend:  sysctl -w net.ipv4.ip_forward=1" in done.stdout
    rows = patient.host.json(f"{sys.executable} -m netctl doctor --format json || true")
    assert set(rows[0]) == {"severity", "code", "name", "what", "evidence", "remedy"}
    done = patient.host.netctl("doctor", "--format", "{code}: {evidence}")
    assert "forwarding-off: net.ipv4.ip_forward = 0" in done.stdout.splitlines()
