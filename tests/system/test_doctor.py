"""The doctor names what is wrong on real, broken hosts; its own lines mend it; and a healthy host
has nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from functools import partial

import pytest

from netctl.controller import Controller
from netctl.doctor.examination import examine
from netctl.doctor.finding import Finding
from tests.kernel.host import Host
from tests.system.doctor_cases import LINKS, RULES, STATES, UNPROVED, WAYS, Case
from tests.system.library import act, controller, die_at, skip_where_nobody_can_read
from tests.waiting import QUIET

LATER = "00000000-0000-4000-8000-000000000002"
_NOT_BRIDGED = (
    "for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do test ! -e $f || echo 0 >$f; done"
)
_OTHERS = 4
"""Findings that one state may bring beside its own."""
_SHELL = "PATH=/run/bin:$PATH\n"
_FURNISH = f"""set -e
# Remedies write there: this is a link to the machine's own.
rm -f /etc/dhcpcd.conf
mkdir -p /etc/systemd /etc/NetworkManager /run/bin
ip link add br0 type bridge; ip link set br0 up
printf '#!/bin/sh\\nexec {sys.executable} -m netctl "$@"\\n' >/run/bin/netctl
chmod +x /run/bin/netctl
{_NOT_BRIDGED}
"""


def furnish(c: Controller) -> None:
    c.networks.create("web", ipv6=True)
    c.networks.create("db", options={"bridge.enable_icc": "false"})
    for name in ("c1", "c2"):
        c.sandboxes.create(name)
        c.endpoints.connect("web", name)
    c.sandboxes.create("db1")
    c.endpoints.connect("db", "db1")
    c.endpoints.publish("web/c1", ["8080:80", "127.0.0.1:8081:81"])
    c.networks.create("lan", options={"bridge.name": "br0"}, subnets=["10.9.9.0/24"])


def look(*, probe: bool = False, boot_id: str | None = None) -> list[Finding]:
    with controller(boot_id) as c:
        # No server runs in these sandboxes: see test_doctor_services.
        return [found for found in examine(c, probe=probe) if found.code != "port-not-served"]


class Patient:
    """A furnished host, and the names of what is in it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.sh(_FURNISH)
        host.call(act, furnish)
        self.names: dict[str, str] = host.call(names)
        assert self.findings() == []

    def findings(self, **options: bool | str) -> list[Finding]:
        return self.host.call(partial(look, **options))  # type: ignore[arg-type]

    def sh(self, script: str) -> str:
        return self.host.sh(_SHELL + script.format(**self.names))

    def mend(self, finding: Finding, known: Sequence[tuple[str, str]] = ()) -> None:
        """Carry out what a finding says, word for word; each line has to work. ``known`` is what
        the operator writes for words in capitals."""
        lines = "\n".join(finding.remedy)
        for word, value in known:
            assert word in lines
            lines = lines.replace(word, value)
        self.host.sh(f"{_SHELL}set -e\n{lines}")

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


@pytest.mark.parametrize(
    "cases", [RULES, LINKS, WAYS, STATES], ids=["rules", "links", "ways", "states"]
)
def test_what_is_broken_is_named_and_mended(patient: Patient, cases: list[Case]) -> None:
    for case in cases:
        patient.sh(case.script)
        finding = patient.named(case.code, case.evidence)
        if case.code not in UNPROVED:
            patient.mend(finding, case.known)
            same = [f for f in patient.findings() if (f.code, f.what) == (case.code, finding.what)]
            assert not same, (case.script, finding, same)
        patient.sh(case.undo)
        # Others are mended one after the other, as an operator would do it.
        left = patient.findings()
        for _ in range(_OTHERS if left else 0):
            patient.mend(left[0])
            if not (left := patient.findings()):
                break
        assert left == [], case.script


@pytest.mark.parametrize(
    ("script", "code", "evidence"),
    [
        ("ip link set {web} down", "bridge-down", ""),
        ("ip link delete {web}", "bridge-missing", ""),
        ("ip link set {c1_port} nomaster", "port-detached", ""),
        ("ip link delete {c1_port}", "port-missing", ""),
        ("ip -n c1 link delete eth0; ip -n c1 link add eth0 type bridge", "port-missing", "eth0"),
        (
            "ip link set {c1_port} mtu 1300; ip -n c1 link set eth0 mtu 1300",
            "mtu-mismatch",
            "mtu 1300 of {c1_port}, network 1500; mtu 1300 of eth0 in /run/netns/c1, network 1500",
        ),
        ("nft flush ruleset", "table-missing", ""),
    ],
)
def test_one_cause_is_one_finding(patient: Patient, script: str, code: str, evidence: str) -> None:
    patient.sh(script)
    [finding] = patient.findings()
    assert finding.code == code and evidence.format(**patient.names) in finding.evidence
    patient.mend(finding)
    assert patient.findings() == []


def test_a_network_that_a_rule_of_routing_takes_is_noticed_at_once(host: Host) -> None:
    host.sh(_NOT_BRIDGED)
    host.sh(
        "ip route add default via 192.0.2.254 table 52; ip rule add pref 5270 lookup 52;"
        "ip -6 route add default via 2001:db8::fe table 52; ip -6 rule add pref 5271 lookup 52;"
        # Tailscale's own packets are marked.
        "for v in -4 -6; do ip $v rule add pref 5210 fwmark 0x80000/0xff0000 lookup main; done"
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


def test_a_bridge_in_a_bond(patient: Patient) -> None:
    if patient.host.run("ip", "link", "add", "bond9", "type", "bond").returncode:
        pytest.skip("needs the kernel's bonding")
    patient.sh("ip link set {web} down; ip link set {web} master bond9; ip link set {web} up")
    patient.mend(patient.named("bridge-enslaved", "show {web}: master bond9"))
    patient.sh("ip link delete bond9; netctl repair")
    assert patient.findings() == []


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
    patient.mend(finding)
    assert patient.findings() == []


def test_isolated_ports_and_br_netfilter(patient: Patient) -> None:
    key = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    if patient.host.run("test", "-e", key).returncode:
        pytest.skip("needs br_netfilter")
    patient.sh(
        "ip link add closed0 type bridge; ip link set closed0 up;"
        "netctl network create closed -o bridge.enable_icc=false,bridge.name=closed0;"
        "for i in 1 2; do netctl sandbox create i$i; done; netctl network connect closed i2;"
        f"netctl network connect closed i1 -p 8088:80; echo 1 > {key}"
    )
    finding = patient.named("icc-bridged", "bridge.enable_icc=false")
    asked = partial(patient.host.ask, "/run/netns/i2", "192.0.2.1", 8088)
    with patient.host.server("/run/netns/i1", "0.0.0.0", 80):
        assert asked(seconds=QUIET) is None
        patient.mend(finding)
        assert asked()
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
    patient.mend(finding)
    assert patient.findings() == []
    patient.sh("ip netns delete c1; ip netns add c1")
    finding = patient.named("sandbox-replaced", "/run/netns/c1: ")
    patient.mend(finding)
    assert patient.findings() == []
    finding = patient.named("another-boot", f"this boot is {LATER}", boot_id=LATER)
    assert finding.remedy[0] == "netctl restore"
    patient.sh("ip netns delete c2")
    finding = patient.named("sandbox-gone", "/run/netns/c2: no namespace", boot_id=LATER)
    assert finding.remedy == ("netctl restore",)


def _killed() -> None:
    assert die_at(2, lambda c: c.networks.create("half"))


def test_the_store(patient: Patient) -> None:
    host = patient.host
    host.call(_killed)
    finding = patient.named("unsettled", "'network create half', left by process ")
    patient.mend(finding)
    assert patient.findings() == []
    patient.sh(
        "f=$(ls /var/lib/netctl/networks/*.json | head -1); cp $f /run/copy; truncate -s 100 $f"
    )
    finding = patient.named("store-damaged", " is damaged (")
    assert str(finding.severity) == "problem" and finding.remedy
    patient.sh("cp /run/copy $(ls /var/lib/netctl/networks/*.json | head -1)")
    assert patient.findings() == []
    patient.sh("f=$(ls /var/lib/netctl/networks/*.json | head -1); cp $f $f.bak; echo x >$f")
    patient.mend(patient.named("store-damaged", " is damaged ("))
    assert patient.findings() == []
    patient.sh("chmod 755 /var/lib/netctl")
    finding = patient.named("state-permissions", "/var/lib/netctl: mode 0755, owner 0")
    patient.mend(finding)
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


def test_a_missing_library(patient: Patient) -> None:
    found = patient.host.run("sh", "-c", "PATH=$PATH:/sbin ldconfig -p | grep libnftables.so.1")
    path = found.stdout.rpartition("=> ")[2].strip()
    if not path:
        pytest.skip("needs libnftables where ldconfig lists it")
    patient.sh(f"mount --bind /dev/null {path}")
    done = patient.host.netctl("doctor")
    assert done.returncode == 9 and "[libnftables]" in done.stdout
    assert "  mend:  apt-get install libnftables1" in done.stdout
    patient.sh(f"umount {path}")
    assert patient.findings() == []


def _mend_drops(patient: Patient) -> None:
    """Carry out the lines of each network."""
    for each in patient.findings():
        if (each.code, str(each.severity)) == ("foreign-drop", "problem"):
            patient.mend(each)


_LEGACY = "iptables-legacy -A FORWARD -j ACCEPT && ip6tables-legacy -A FORWARD -j ACCEPT"


def test_legacy_iptables(patient: Patient) -> None:
    if patient.host.run("sh", "-c", _LEGACY).returncode:
        pytest.skip("needs iptables-legacy and the kernel's ip_tables")
    patient.named("legacy-rules", "iptables-legacy has rules in chain FORWARD")
    patient.named("legacy-rules", "ip6tables-legacy has rules in chain FORWARD")
    for tool, address in (("iptables", "192.0.2.254"), ("ip6tables", "2001:db8::fe")):
        patient.sh(f"{tool}-legacy -F FORWARD; {tool}-legacy -P FORWARD DROP")
        assert not patient.host.ping("/run/netns/c1", address, seconds=1)
        patient.named("foreign-drop", f"{tool}-legacy -S FORWARD: -P FORWARD DROP")
        _mend_drops(patient)
        # The rules that let it through are not read: it is a warning from now on.
        assert patient.host.ping("/run/netns/c1", address)
    left = {(each.code, str(each.severity)) for each in patient.findings()}
    assert left == {("foreign-drop", "warning")}


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_iptables_lines_are_carried_out(patient: Patient, family: str) -> None:
    tool, address = f"{family}tables", "192.0.2.254" if family == "ip" else "2001:db8::fe"
    if patient.host.run(tool, "-L").returncode:
        pytest.skip("needs iptables")
    patient.sh(f"{tool} -P FORWARD DROP")
    finding = patient.named("foreign-drop", f"chain {family} filter FORWARD: policy drop")
    assert all(line.startswith(f"{tool} -I FORWARD ") for line in finding.remedy)
    _mend_drops(patient)
    assert patient.findings() == []
    assert patient.host.ping("/run/netns/c1", address)


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
