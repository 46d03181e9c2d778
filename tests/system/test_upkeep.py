"""What is changed behind netctl's back on a real kernel: found, repaired, restored, collected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netctl.controller import Controller
from tests.kernel.host import Host
from tests.system.library import act, addresses, clear, controller, die_at
from tests.waiting import PATIENCE

C1, C2, DB = "/run/netns/c1", "/run/netns/c2", "/run/netns/db1"


def furnish(c: Controller) -> None:
    c.networks.create("web", ipv6=True)
    c.networks.create("db", options={"bridge.enable_icc": "false"})
    for name in ("c1", "c2"):
        c.sandboxes.create(name)
        c.endpoints.connect("web", name)
    c.sandboxes.create("db1")
    c.endpoints.connect("db", "db1")
    c.endpoints.publish("web/c1", ["8080:80"])
    c.endpoints.publish("db/db1", ["8081:80"])


def check(host: Host) -> list[dict[str, Any]]:
    done = host.netctl("check", "--format", "json")
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == (9 if rows else 0), done.stderr
    return rows


def facts(name: str) -> dict[str, str]:
    """Return the names of the interfaces that belong to an endpoint of a sandbox."""
    with controller() as c:
        sandbox = c.sandboxes.get(name).doc
        endpoint = c.endpoints.get(sandbox.endpoints[0].endpoint_id).doc
        network = c.networks.get(endpoint.network_id).doc
        assert endpoint.attachment
        return {
            "veth": endpoint.attachment.host_ifname,
            "bridge": network.facts["bridge"],
            "ipv4": endpoint.ipv4,
            "ipv6": endpoint.ipv6,
        }


BREAKS = {
    "veth deleted": "ip link delete {veth}",
    "veth renamed": "ip link set {veth} down; ip link set {veth} name other0",
    "veth elsewhere": "ip link set {veth} netns c2",
    "veth down": "ip link set {veth} down",
    "veth mtu": "ip link set {veth} mtu 1400",
    "veth out of its bridge": "ip link set {veth} nomaster",
    "port isolated": "bridge link set dev {veth} isolated on",
    "closed port": "bridge link set dev {closed} isolated on",
    "port of bridge table gone": "nft delete element bridge netctl ports '{{ \"{closed}\" }}'",
    "bridge table deleted": "nft delete table bridge netctl",
    "no hairpin": "bridge link set dev {veth} hairpin off",
    "peer deleted": "ip -n c1 link delete eth0",
    "peer renamed": "ip -n c1 link set eth0 down; ip -n c1 link set eth0 name other",
    "peer down": "ip -n c1 link set eth0 down",
    "peer's mac": "ip -n c1 link set eth0 address 02:00:00:00:00:77",
    "address gone": "ip -n c1 address delete {ipv4} dev eth0",
    "IPv6 address gone": "ip -n c1 address delete {ipv6} dev eth0",
    "default route gone": "ip -n c1 route delete default",
    "IPv6 default route gone": "ip -n c1 -6 route delete default",
    "connected route gone": "ip -n c1 route flush table main",
    "IPv6 connected route gone": "ip -n c1 -6 route flush table main",
    "loopback down": "ip -n c1 link set lo down",
    "ruleset of the sandbox flushed": "ip netns exec c1 nft flush ruleset",
    "bridge's connected route gone": "ip route flush dev {bridge}",
    "bridge's IPv6 connected route gone": "ip -6 route flush dev {bridge}",
    "bridge deleted": "ip link delete {bridge}",
    "bridge renamed": (
        "ip link set {bridge} down; ip link set {bridge} name other0; ip link set other0 up"
    ),
    "bridge down": "ip link set {bridge} down",
    "bridge address gone": "ip address flush dev {bridge}",
    "bridge mtu": "ip link set {bridge} mtu 1400",
    "localnet off": "sysctl -qw net.ipv4.conf.{bridge}.route_localnet=0",
    "ruleset flushed": "nft flush ruleset",
    "table deleted": "nft delete table inet netctl",
    "element gone": "nft delete element inet netctl networks '{{ \"{bridge}\" }}'",
    "element too many": "nft add element inet netctl networks '{{ \"uplink\" }}'",
    "rule added": "nft insert rule inet netctl forward accept",
    "rules gone": "nft flush chain inet netctl forward",
    "hosts file gone": "rm /var/lib/netctl/files/*/hosts",
    "link of files gone": "rm /etc/netns/c1/hosts",
    "namespace gone": "ip netns delete c1",
    "forwarding off": "sysctl -qw net.ipv4.ip_forward=0",
}


def test_every_change_is_found_and_repaired(host: Host) -> None:
    clean = host.snapshot()
    host.call(act, furnish)
    names = host.call(facts, "c1") | {"closed": host.call(facts, "db1")["veth"]}
    inside4, inside6 = host.call(addresses, "c1")
    assert check(host) == []
    for name, script in BREAKS.items():
        host.sh(script.format(**names))
        found = check(host)
        assert found and all(row["repairable"] for row in found), (name, found)
        repaired = host.netctl("repair")
        assert repaired.returncode == 0 and repaired.stdout, (name, repaired.stderr)
        assert check(host) == [], name
        assert host.netctl("repair").stdout == "", name
        assert "other0" not in host.sh("ip link"), name
        assert host.ping(C2, inside4) and host.ping(C2, inside6), name
        assert host.ping(C1, "192.0.2.254") and host.ping(C1, "2001:db8::fe"), name
        assert inside4 in host.sh("ip netns exec c1 getent ahostsv4 c1.web"), name
        with host.server(C1, inside4, 80):
            assert host.ask("outside", "192.0.2.1", 8080), name
    host.call(act, clear)
    host.assert_unchanged(clean)


def test_a_stream_through_an_untouched_endpoint_goes_on(host: Host) -> None:
    host.call(act, furnish)
    names = host.call(facts, "c2")
    inside, _ = host.call(addresses, "c1")
    listening = "import socket; s=socket.create_server(('', 99)); c,_=s.accept(); print(len(c.recv(9, socket.MSG_WAITALL)))"
    talking = (
        "import socket,sys,time; s=socket.create_connection(('192.0.2.1', 8099), 60);"
        "print('connected', flush=True);"
        "[(s.send(b'x'), time.sleep(float(sys.stdin.readline() or 0))) for _ in range(9)]"
    )
    host.netctl("endpoint", "publish", "web/c1", "8099:99", check=True)
    server = host.start("nsenter", f"--net={C1}", "python3", "-c", listening, stdout=-1)
    host.until(f"nsenter --net={C1} ss -Hltn sport = :99 | grep -q .")
    client = host.start("python3", "-c", talking, stack="outside", stdin=-1, stdout=-1)
    assert client.stdin and client.stdout and client.stdout.readline() == "connected\n"
    for line in range(9):
        if line == 4:
            host.sh(f"ip link delete {names['veth']}")
            assert host.netctl("repair").returncode == 0
        client.stdin.write("0.02\n")
        client.stdin.flush()
    assert server.communicate(timeout=PATIENCE)[0].strip() == "9"
    client.communicate(timeout=PATIENCE)
    assert host.ping(C2, inside)


def test_repair_dry_run_prints_the_commands_and_changes_nothing(host: Host) -> None:
    host.call(act, furnish)
    names = host.call(facts, "c1")
    host.sh(f"ip link set {names['veth']} mtu 1400")
    before = host.snapshot()
    shown = host.netctl("repair", "--dry-run")
    assert shown.stdout.count(f"ip link set {names['veth']} mtu 1500") == 1
    host.assert_unchanged(before)
    host.sh(shown.stdout)
    assert check(host) == []


def test_what_netctl_did_not_make_is_reported_and_left(host: Host) -> None:
    host.call(act, furnish)
    names = host.call(facts, "c1")
    bridge = names["bridge"]
    host.sh(f"ip link delete {bridge}; ip link add {bridge} type bridge")
    found = check(host)
    assert [
        row["repairable"] for row in found if "somebody" in row["found"] or row["found"] == "bridge"
    ] == [False]
    # What hangs on it is not touched either: it would be somebody else's.
    before = host.snapshot()
    for dry in ((), ("--dry-run",)):
        repaired = host.netctl("repair", *dry)
        assert (repaired.returncode, repaired.stdout) == (10, "")
        left, hint = repaired.stderr.splitlines()[1:]
        assert left.startswith(f"  network web: interface {bridge}: expected bridge, netctl:")
        assert hint == f"hint: ip link delete {bridge} (or rename it); then: netctl repair"
    host.assert_unchanged(before)
    host.sh(f"ip link delete {bridge}")
    assert host.netctl("repair").returncode == 0
    assert check(host) == []


def test_a_bridge_of_the_operators_that_is_gone_is_named(host: Host) -> None:
    host.sh("ip link add br0 type bridge; ip link set br0 up; ip address add 10.9.0.1/24 dev br0")
    create = "network create lan -o bridge.name=br0 --subnet 10.9.0.0/24 --gateway 10.9.0.1 --ipv6"
    for words in (create, "sandbox create c1", "network connect lan c1 -p 8080:80"):
        host.netctl(*words.split(), check=True)
    host.sh("ip link delete br0")
    own = [row for row in check(host) if row["because"] is None]
    assert [(row["what"], row["repairable"]) for row in own] == [("bridge br0", False)]
    repaired = host.netctl("repair")
    assert (repaired.returncode, repaired.stdout) == (10, "")
    assert "bridge br0: expected there" in repaired.stderr
    assert "hint: make br0 again, with its addresses" in repaired.stderr
    assert "mend:  ip link add br0 type bridge" in host.netctl("doctor").stdout
    host.sh("ip link add br0 type bridge; ip link set br0 up; ip address add 10.9.0.1/24 dev br0")
    assert host.netctl("repair").returncode == 0
    assert check(host) == []
    assert host.ping(C1, "192.0.2.254")


def test_what_follows_from_a_missing_interface_is_told_apart(host: Host) -> None:
    host.call(act, furnish)
    names = host.call(facts, "c1")
    host.sh(f"ip link delete {names['bridge']}; ip link delete {names['veth']}")
    rows = check(host)
    own = [row["what"] for row in rows if row["because"] is None]
    assert own == [f"bridge {names['bridge']}", f"veth {names['veth']}"]
    causes = {f"network web: bridge {names['bridge']}", f"sandbox c1: veth {names['veth']}"}
    assert {row["because"] for row in rows} == {None, *causes}
    table = host.netctl("check")
    assert table.stdout.count("\n") == 3
    assert f"{len(rows) - 2} more follow from these" in table.stderr
    assert host.netctl("repair").returncode == 0
    assert check(host) == []


def test_restore_in_the_same_boot_brings_back_all_that_is_gone(host: Host) -> None:
    host.call(act, furnish)
    names = host.call(facts, "c1")
    host.sh(f"ip link delete {names['bridge']}; ip netns delete c1")
    shown = host.netctl("restore", "--dry-run")
    assert shown.stdout.count(f"ip link add {names['bridge']} ") == 1
    restored = host.netctl("restore")
    assert (restored.returncode, restored.stderr) == (0, "")
    assert check(host) == []
    assert host.ping(C1, "192.0.2.254")


def test_a_reboot_is_restored(host: Host) -> None:
    clean = host.snapshot()
    host.call(act, furnish)
    before = host.call(facts, "c1")
    inside, inside6 = host.call(addresses, "c1")
    # What a reboot takes: interfaces, rules, namespaces, /run. Its new number comes last.
    host.sh(
        "for n in $(ip netns); do case $n in c1|c2|db1) ip netns delete $n;; esac; done;"
        "for l in $(ip -o link | awk -F'[ :@]+' '/netctl|br-|nc/ {print $2}'); do"
        " ip link delete $l 2>/dev/null || true; done; nft flush ruleset;"
        " sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0;"
        " kill -9 $(cat /run/netctl/resolver.pid); rm -rf /run/netctl"
    )
    host.call(_restored)
    assert host.ping(C2, inside) and host.ping(C2, inside6)
    assert host.ping(C1, "192.0.2.254")
    with host.server(C1, inside, 80):
        assert host.ask("outside", "192.0.2.1", 8080)
    assert host.call(facts, "c1") == before
    host.call(_cleared)
    host.assert_unchanged(clean)


NEW_BOOT = "99999999-9999-4999-8999-999999999999"


def _restored() -> None:
    with controller(NEW_BOOT) as c:
        assert {finding.lost for finding in c.check()} == {True}
        repaired = c.restore()
        assert repaired.left == () and len(repaired.done) == 5, repaired
        assert c.check() == []


def _cleared() -> None:
    with controller(NEW_BOOT) as c:
        clear(c)


def test_leftovers_of_a_lost_store_are_collected(host: Host) -> None:
    clean = host.snapshot()
    host.call(act, furnish)
    host.sh("ip link add their0 type bridge; ip netns add theirs")
    host.sh("find /var/lib/netctl -mindepth 1 -delete")
    listed = host.netctl("gc")
    assert listed.returncode == 0 and listed.stdout.count("interface ") == 5, listed
    assert host.netctl("gc").stdout == listed.stdout
    collected = host.netctl("gc", "--yes")
    assert collected.returncode == 0 and collected.stdout == listed.stdout.replace(
        "would remove", "removed"
    )
    assert host.netctl("gc").stdout == ""
    host.sh("ip link delete their0; ip netns delete theirs")
    # What forwarding was before is lost with the store.
    host.sh("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
    host.assert_unchanged(clean)


@pytest.mark.parametrize("number", [2, 4])
def test_an_operation_that_was_never_finished_is_named(host: Host, number: int) -> None:
    host.call(act, furnish)
    assert host.call(die_at, number, lambda c: c.networks.create("more"))
    (row,) = check(host)
    assert (row["object"], row["what"]) == ("operation", "network create more")
    assert host.netctl("repair").stdout.startswith("undid 'network create more'")
    assert check(host) == []


def test_a_lost_bridge_is_named_and_blocks_nothing(host: Host) -> None:
    clean = host.snapshot()
    host.call(act, furnish)
    names = host.call(facts, "c1")
    host.sh(f"ip link delete {names['bridge']}")
    for command in ("network connect web db1", "sandbox refresh c1", "endpoint publish web/c1 99"):
        refused = host.netctl(*command.split())
        assert refused.returncode == 4, (command, refused.stderr)
        assert "is gone" in refused.stderr and "netctl repair" in refused.stderr
    host.netctl("network", "create", "more", check=True)
    host.netctl("endpoint", "leave", "web/c2", check=True)
    host.netctl("repair", check=True)
    assert check(host) == []
    assert host.ping(C1, "192.0.2.254")
    host.call(act, clear)
    host.assert_unchanged(clean)


def test_an_operation_that_cannot_be_settled_is_given_up(host: Host) -> None:
    host.call(act, furnish)
    names = host.call(facts, "c1")
    assert host.call(die_at, 6, lambda c: c.sandboxes.refresh("c1"))
    host.sh(f"ip link delete {names['bridge']}")
    made = host.netctl("network", "create", "more")
    assert made.returncode == 0 and "could not be settled wholly" in made.stderr
    assert host.netctl("repair").returncode == 0
    assert check(host) == []
    assert host.ping(C1, "192.0.2.254")
