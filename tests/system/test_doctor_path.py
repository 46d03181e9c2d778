"""One packet from a sandbox, followed to where it ends, on the real kernel."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from netctl.controller import Controller
from netctl.doctor import path
from netctl.errors import NetctlError, Unsupported
from tests.kernel.host import ANSWER, Host
from tests.system.doctor_cases import ELSEWHERE, UNPROVED
from tests.system.library import act, controller
from tests.system.trace_cases import ENDS, FIREWALLS, HOSTS, INSIDE, ROUTES, Trace
from tests.waiting import until

GATEWAY = "192.0.2.254"


def furnish(c: Controller) -> None:
    c.networks.create("web", ipv6=True)
    c.networks.create("db", options={"bridge.enable_icc": "false"})
    c.networks.create("inner", internal=True)
    for network, name in (
        ("web", "c1"),
        ("web", "c2"),
        ("db", "d1"),
        ("db", "d2"),
        ("inner", "i1"),
    ):
        c.sandboxes.create(name)
        c.endpoints.connect(network, name)
    c.sandboxes.create("empty")
    c.sandboxes.create("me", host=True)
    c.endpoints.create("web", "idle")
    c.endpoints.publish("web/c2", ["8080:80"])


Stations = list[dict[str, Any]]
_WAITS = (0.4, 3.2, ANSWER)
"""Seconds that an answer is waited for, one after the other, until what is found is right."""


def follow(sandbox: str, destination: str | None, seconds: float = _WAITS[0]) -> Stations:
    path._SECONDS = seconds
    with controller() as c:
        return [
            {
                "where": s.where,
                "what": s.what,
                "passes": s.passes,
                "evidence": s.evidence,
                "remedy": s.remedy,
                "code": s.code,
            }
            for s in c.follow(sandbox, destination)
        ]


class Way:
    """A host with sandboxes, from which packets are sent."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.sh(
            "for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do test ! -e $f || echo 0 >$f; done"
        )
        host.call(act, furnish)
        # That nobody has an address is found out in a sixth of a second, not in three.
        quick = (f"net.ipv{version}.neigh.eth0.retrans_time_ms=50" for version in (4, 6))
        host.sh(f"ip netns exec c1 sysctl -qw {' '.join(quick)}")

    def arrives(self, sandbox: str, destination: str | None, *words: str) -> None:
        def right(stations: Stations) -> bool:
            return all(each["passes"] for each in stations) and _says(stations, words)

        self.followed(sandbox, destination, right)

    def ends(self, sandbox: str, destination: str | None, *words: str) -> None:
        def right(stations: Stations) -> bool:
            passes = [each["passes"] for each in stations]
            return passes == [True] * (len(stations) - 1) + [False] and _says(stations[-1:], words)

        self.followed(sandbox, destination, right)

    def followed(
        self, sandbox: str, destination: str | None, right: Callable[[Stations], bool]
    ) -> Stations:
        """Return what is found, which has to be right, if need be after a longer wait."""
        for seconds in _WAITS:
            stations = self.host.call(follow, sandbox, destination, seconds)
            if right(stations):
                return stations
        raise AssertionError(f"{sandbox} {destination}: {stations}")


def _says(stations: Stations, words: tuple[str, ...]) -> bool:
    text = "\n".join(f"{s['where']}: {s['what']} ({s['evidence']})" for s in stations)
    return all(word in text for word in words)


@pytest.fixture
def way(host: Host) -> Way:
    return Way(host)


def test_packets_that_arrive(way: Way) -> None:
    before = way.host.sh("nft list tables")
    way.arrives(
        "c1",
        None,
        "leaves by eth0 for the gateway 172.17.0.1",
        "comes in as endpoint web/c1",
        "forwards it by uplink, as 192.0.2.1",
        "inet netctl forward",
        f"{GATEWAY}: answers",
    )
    way.arrives("c1", "2001:db8::fe", "as 2001:db8::1", "2001:db8::fe: answers")
    way.arrives("c1", "c2", "network web: reaches web/c2, on the same bridge", "answers")
    way.arrives("c1", "web/c1", "it is for the sandbox itself")
    way.arrives("c1", "172.17.0.1", "network web: reaches the host, on the same bridge", "answers")
    way.arrives("d1", "192.0.2.1", "host: it is for the host itself", "answers")
    with way.host.server("/run/netns/c2", "0.0.0.0", 80):
        way.arrives("c1", "web/c2:80", "172.17.0.3:80/tcp: answers")
        way.arrives(
            "d1",
            "192.0.2.1:8080",
            "translates the destination 192.0.2.1:8080/tcp to 172.17.0.3:80",
            "192.0.2.1:8080/tcp: answers",
        )
    assert way.host.sh("nft list tables") == before


def test_an_address_of_a_link_is_reached_by_its_interface(way: Way) -> None:
    shown = "-o -6 address show scope link | grep -o 'fe80[^/]*'"
    [own] = way.host.sh(f"ip -n c2 {shown}").split()
    bridges = {line.split()[1] for line in way.host.sh("ip -o -6 address").splitlines()}
    gateways = [
        way.host.sh(f"ip {shown.replace('show', f'show dev {name}', 1)}").strip()
        for name in sorted(bridges)
        if name.startswith("br-")
    ]
    way.arrives(
        "c1", f"{own}%eth0", "leaves by eth0", "reaches a neighbour", f"{own}%eth0: answers"
    )
    way.arrives("c1", own, "leaves by eth0", f"{own}%eth0: answers")
    assert gateways
    reached = [
        way.host.call(follow, "c1", f"{each}%eth0", _WAITS[1])[-1]["passes"] for each in gateways
    ]
    assert reached.count(True) == 1
    with way.host.server("/run/netns/c2", "::", 80):
        way.arrives("c1", f"[{own}%eth0]:80", f"[{own}%eth0]:80/tcp: answers")
    way.ends("c1", f"[{own}%eth0]:80", "is reached, and no process listens on that port")
    way.ends("c1", "fe80::dead%eth0", "no host has the address fe80::dead")
    way.arrives("c2", f"{own}%eth0", "it is for the sandbox itself")
    done = way.host.netctl("doctor", "c1", "fe80::1%eth9")
    assert done.returncode == 2 and "sandbox c1 has no interface eth9" in done.stderr


def test_a_port_without_a_server(way: Way) -> None:
    nobody = "is reached, and no process listens on that port"
    for destination, words in (
        (f"{GATEWAY}:80", f"{GATEWAY}:80/tcp: {nobody} (connect to {GATEWAY}:80/tcp: refused)"),
        (f"{GATEWAY}:80/udp", nobody),
        ("[2001:db8::fe]:80", f"[2001:db8::fe]:80/tcp: {nobody}"),
        ("web/c2:80", "172.17.0.3:80/tcp: refused; no socket listens there"),
        ("[::1]:80", f"[::1]:80/tcp: {nobody} (no socket listens there)"),
        ("127.0.0.1:80/udp", nobody),
        ("c1:80", nobody),
    ):
        way.ends("c1", destination, words)
    way.ends("d1", "192.0.2.1:8080", "192.0.2.1:8080/tcp: refused; no socket listens there")
    done = way.host.netctl("doctor", "c1", "web/c2:80")
    assert done.returncode == 9 and "  mend:  netctl doctor  # names published" in done.stdout
    with way.host.server("/run/netns/c2", "127.0.0.1", 80):
        way.ends("c1", "web/c2:80", "refused; sockets that listen: 127.0.0.1:80")
        way.arrives("c2", "127.0.0.1:80", "it is for the sandbox itself")
    for address, destination in (("::1", "[::1]:80"), ("0.0.0.0", "c1:80")):
        with way.host.server("/run/netns/c1", address, 80):
            way.arrives("c1", destination)
    with way.host.server("/run/netns/c2", "0.0.0.0", 80, "udp"):
        way.arrives("c1", "web/c2:80/udp")


def test_where_packets_end(way: Way) -> None:
    sh = way.host.sh
    way.ends("empty", GATEWAY, "has no endpoint, so no route", "none")
    way.ends("i1", GATEWAY, "none of its networks (inner) leads outside by IPv4")
    way.ends("d1", "2001:db8::fe", "none of its networks (db) leads outside by IPv6")
    way.ends("c1", "172.17.7.7", "network web: no host has the address 172.17.7.7", "failed")
    way.ends("c1", "web/idle", "web/idle, which has 172.17.0.4, does not answer")
    way.ends("d1", "db/d2", "forbids its endpoints to reach each other", "enable_icc is false")
    apart = "chain inet netctl forward: dropped by netctl's own rules, which keep network db apart"
    way.ends("c1", "db/d1", apart, "@networks")
    sh("nft add rule inet netctl user-pre tcp dport 443 reject")
    way.ends("c1", f"{GATEWAY}:443", "user-pre: dropped by a rule of yours", "tcp dport 443 reject")
    sh("nft flush chain inet netctl user-pre")
    way.ends("c1", "192.0.2.77", "uplink: no host answers for 192.0.2.77", "incomplete")
    sh("ip route add blackhole 198.51.100.0/24; ip route add prohibit 203.0.113.0/24")
    way.ends("c1", "198.51.100.1", "host: has a route that refuses it (blackhole)")
    way.ends("c1", "203.0.113.1", "host: has a route that refuses it (prohibit)")
    sh("ip -n c1 route add 198.51.100.9 via 172.17.0.99")
    way.ends("c1", "198.51.100.9", "the gateway 172.17.0.99 does not answer on the bridge")
    sh("sysctl -qw net.ipv4.ip_forward=0")
    way.ends("c1", None, "host: does not forward IPv4", "net.ipv4.ip_forward = 0")
    sh("sysctl -qw net.ipv4.ip_forward=1")
    way.host.outside.sh("ip link set world down")
    way.ends("c1", None, "uplink: has no carrier")
    way.host.outside.sh("ip link set world up")
    sh(
        "ip -n c1 link set eth0 down; ip -n c1 route add 192.0.2.0/24 dev lo; ip -n c1 link set lo up"
    )
    way.ends("c1", "web/c2", "has no route there")
    sh("ip netns delete c2; ip netns add c2")
    way.ends("c2", None, "another namespace stands in the place of that of sandbox c2")


_SHELL = f'netctl() {{ {sys.executable} -m netctl "$@"; }}\n'


def names() -> dict[str, str]:
    """Return what the scripts of cases name in braces."""
    with controller() as c:
        found = {"web": c.networks.get("web").doc.facts["bridge"]}
        for name in ("c1", "c2"):
            endpoint = c.endpoints.get(f"web/{name}").doc
            assert endpoint.attachment
            found[f"{name}_port"] = endpoint.attachment.host_ifname
            found[f"{name}_ip"] = endpoint.ipv4.partition("/")[0]
            found[f"{name}_ip6"] = endpoint.ipv6.partition("/")[0]
        return found


def _filled(text: str, known: dict[str, str]) -> str:
    """Return a text with the names in it; other braces are nft's."""
    for key, value in known.items():
        text = text.replace(f"{{{key}}}", value)
    return text


@pytest.mark.parametrize(
    "cases",
    [ROUTES, HOSTS, FIREWALLS, INSIDE],
    ids=["routes", "hosts", "firewalls", "inside"],
)
def test_what_ends_a_way_is_named_and_mended(way: Way, cases: list[Trace]) -> None:
    for case in cases:
        known = way.host.call(names)
        way.host.sh(f"{_SHELL}set -e\n{_filled(case.script, known)}")
        to = _filled(case.destination, known)
        way.followed(case.sandbox, to, _is_named(case, known))
        _mended(way, case, to)
        way.host.sh(f"{_SHELL}set -e\n{_filled(case.undo, known)}\nnetctl check")


def _is_named(case: Trace, known: dict[str, str]) -> Callable[[Stations], bool]:
    words = _filled(case.words, known)
    return lambda found: found[-1]["code"] == case.code and _says(found[-1:], (words,))


def _mended(way: Way, case: Trace, to: str) -> None:
    """Carry out the lines of the station where it ends, until it arrives."""

    def right(stations: Stations) -> bool:
        lines = stations[-1]["remedy"]
        ours = [line for line in lines if line.startswith("netctl doctor")]
        return _arrived(stations) or bool(lines and not ours)

    for _ in range(4):
        stations = way.followed(case.sandbox, to, right)
        if _arrived(stations):
            return
        way.host.sh(f"{_SHELL}set -e\n" + "\n".join(stations[-1]["remedy"]))
    raise AssertionError((case, stations))


def _arrived(stations: Stations) -> bool:
    return all(each["passes"] for each in stations)


def test_what_lines_cannot_mend_is_named(way: Way) -> None:
    for case in ENDS:
        assert case.code in {**UNPROVED, **ELSEWHERE}
        way.followed(case.sandbox, case.destination, _is_named(case, {}))


def test_endpoints_that_may_not_reach_each_other_get_another_network(way: Way) -> None:
    def right(stations: Stations) -> bool:
        return bool(stations[-1]["code"] == "icc-forbidden")

    last = way.followed("d1", "db/d2", right)[-1]
    way.host.sh(f"{_SHELL}set -e\n" + "\n".join(last["remedy"]))
    way.arrives("d1", "db-open/d2", "reaches db-open/d2, on the same bridge")


def test_the_firewall_that_drops_it_is_named(way: Way) -> None:
    sh = way.host.sh
    chain = "{ type filter hook forward priority 5; policy drop; }"
    sh(f"nft add table inet x; nft 'add chain inet x f {chain}'")
    way.ends("c1", None, "chain inet x f: dropped by another firewall", "policy drop")
    sh("nft add rule inet x f oifname uplink accept")
    way.ends("c1", None, "chain inet x f: its answer came, and is dropped by another firewall")
    sh(
        "nft add rule inet x f ct state established accept; nft insert rule inet x f tcp dport 25 reject"
    )
    way.arrives("c1", None, "inet x f")
    way.ends("c1", f"{GATEWAY}:25", "chain inet x f: dropped by another", "tcp dport 25 reject #")
    sh(
        "nft delete table inet x; ip netns exec c1 nft -f -",
        input=(
            "add table ip own\nadd chain ip own out { type filter hook output priority 0; policy drop; }\n"
        ),
    )
    for destination in (f"{GATEWAY}:25", None):
        way.ends("c1", destination, "sandbox c1: its own firewall drops it (chain ip own out: p")
    sh("ip netns exec c1 nft flush ruleset")
    way.host.outside.sh(
        "nft add table ip o; nft 'add chain ip o i { type filter hook input priority 0; policy drop; }'"
    )
    way.ends("c1", None, f"{GATEWAY}: does not answer", "silent")
    way.followed("c1", None, _ends_with("no-answer"))
    way.arrives("c1", f"{GATEWAY}:53/udp", "does not answer, which UDP need not")
    sh("sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route add 172.17.0.0/25 via 192.0.2.254")
    way.ends("c1", None, "does not believe its source")


_RIGHT = (
    "ip -n c1 neigh replace 172.17.0.1 dev eth0 nud permanent lladdr"
    " $(ip -o link show {web} | grep -o 'ether [^ ]*' | cut -c7-)"
)


def _ends_with(code: str) -> Callable[[Stations], bool]:
    return lambda found: bool(found[-1]["code"] == code and not found[-1]["passes"])


def test_an_answer_that_the_host_loses(way: Way) -> None:
    known = way.host.call(names)
    mac = "$(ip -n c1 -o link show eth0 | grep -o 'ether [^ ]*' | cut -c7-)"
    fdb = f"bridge fdb replace {mac} dev {{c2_port}} master static sticky"
    way.host.sh(_filled(f"{_RIGHT}; ip neigh flush all; {fdb}", known))
    way.host.sh(_filled(f"ip neigh replace {{c1_ip}} dev {{web}} lladdr {mac}", known))
    way.followed("c1", GATEWAY, _ends_with("answer-lost"))


def test_a_filter_that_nobody_sees(way: Way) -> None:
    known = way.host.call(names)
    hook = "{ type filter hook ingress device {c1_port} priority 0; policy drop; }"
    script = _filled(f"nft add table netdev x; nft 'add chain netdev x f {hook}'", known)
    if way.host.run("sh", "-ec", script).returncode:
        pytest.skip("needs the kernel's nf_tables for family netdev")
    way.host.sh(_filled(_RIGHT, known))
    last = way.followed("c1", GATEWAY, _ends_with("lost-on-bridge"))[-1]
    way.host.sh("\n".join(last["remedy"]))


def test_netctls_own_rules(way: Way) -> None:
    bridge, gateway = way.host.call(_of_inner)
    way.host.sh(
        f"ip address add {gateway}/16 dev {bridge}; ip -n i1 route add default via {gateway}"
    )
    way.followed("i1", GATEWAY, _ends_with("own-drop"))


def _of_inner() -> tuple[str, str]:
    with controller() as c:
        network = c.networks.get("inner").doc
        return network.facts["bridge"], network.pools[0].gateway or ""


def test_what_somebody_beyond_refuses(way: Way) -> None:
    way.host.outside.sh("sysctl -qw net.ipv4.ip_forward=1; ip route add unreachable 203.0.113.0/24")
    way.followed("c1", "203.0.113.5:80", _ends_with("unreachable"))


def test_legacy_iptables_is_not_watched_but_named(way: Way) -> None:
    if way.host.run("iptables-legacy", "-P", "FORWARD", "DROP").returncode:
        pytest.skip("needs iptables-legacy and the kernel's ip_tables")
    way.ends("c1", None, "chain FORWARD: dropped by legacy iptables", "iptables-legacy -P FORWARD")
    way.arrives("c1", "2001:db8::fe")
    way.host.sh("iptables-legacy -A FORWARD -j ACCEPT")
    way.arrives("c1", None)


def test_what_a_foreign_namespace_brings_along(way: Way) -> None:
    sh = way.host.sh
    sh(
        "ip link add own type veth peer name theirs netns c1; ip link set own up;"
        "ip -n c1 link set theirs up; ip -n c1 address add 198.51.100.2/24 dev theirs;"
        "ip address add 198.51.100.1/24 dev own"
    )
    way.arrives("c1", "198.51.100.1", "theirs: is not netctl's", "198.51.100.1: answers")
    way.ends("c1", "198.51.100.7", "theirs: no host answers for 198.51.100.7")


def test_what_cannot_be_followed(way: Way) -> None:
    for sandbox, destination, reason in (
        ("none", None, "not found"),
        ("c1", "nowhere", "neither an address, nor"),
        ("c1", "192.0.2.1:0", "port 0"),
        ("c1", "192.0.2.1:65536", "port 65536"),
        ("c1", "", "neither an address, nor"),
        ("c1", "web/none:80", "neither an address, nor"),
        ("c1", "empty", "neither an address, nor"),
    ):
        with pytest.raises(NetctlError) as caught:
            way.host.call(follow, sandbox, destination)
        assert reason in str(caught.value) or reason == "not found"
    with pytest.raises(Unsupported, match="host's own stack"):
        way.host.call(follow, "me", None)
    way.host.sh("ip route delete default; ip -6 route delete default")
    with pytest.raises(NetctlError, match="no gateway"):
        way.host.call(follow, "c1", None)


def test_a_killed_doctor_leaves_no_rules(way: Way) -> None:
    before = way.host.sh("nft list tables")
    process = way.host.start(
        sys.executable, "-m", "netctl", "doctor", "c1", "192.0.2.77", stdout=-3
    )
    until(lambda: "netctl-trace" in way.host.sh("nft list tables") or process.poll() is not None)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert way.host.sh("nft list tables") == before


def test_the_command_shows_the_way(way: Way) -> None:
    done = way.host.netctl("doctor", "c1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "-> sandbox c1: leaves by eth0 for the gateway 172.17.0.1"
    done = way.host.netctl("doctor", "empty", "192.0.2.1", "--format", "json")
    assert done.returncode == 9 and '"passes": false' in done.stdout
    done = way.host.netctl("doctor", "empty", "192.0.2.1")
    assert "XX sandbox empty: has no endpoint" in done.stdout
    assert "  mend:  netctl network connect db empty" in done.stdout
    assert way.host.netctl("doctor", "c1", "--probe").returncode == 2
    assert way.host.netctl("doctor", "none").returncode == 3
    assert way.host.netctl("doctor", "me").returncode == 6
