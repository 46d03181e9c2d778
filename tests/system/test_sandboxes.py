"""Sandboxes: own, external and the host's; moved, renamed, rebuilt; and the way out of several."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest

from netctl.errors import Conflict, InvalidInput, NotFound
from tests.kernel.host import Host, Outside
from tests.system.library import act, addresses, clear, connect, controller, create, two, web

C1, C2 = "/run/netns/c1", "/run/netns/c2"


def default_route(host: Host, family: str = "-4", netns: str = "c1") -> str:
    return host.sh(f"ip -n {netns} {family} route show default").strip()


def test_an_external_namespace_is_pinned_and_never_deleted(host: Host) -> None:
    host.sh(
        "ip netns add theirs; ip -n theirs link set lo up; ip -n theirs link add d0 type bridge"
    )
    before = host.snapshot()
    host.call(act, web, partial(create, name="c1", netns_path="/run/netns/theirs"))
    host.call(act, partial(connect, network="web", sandbox="c1"))
    assert host.ping("/run/netns/theirs", Outside.IPV4)
    assert host.ping(C1, Outside.IPV6)
    host.call(act, clear)
    host.assert_unchanged(before)
    assert "d0" in host.sh("ip -n theirs link")


def test_a_namespace_under_its_own_name_is_used_where_it_is(host: Host) -> None:
    host.sh("ip netns add c1")
    before = host.snapshot()
    host.call(act, web, partial(create, name="c1", netns_path=C1))
    host.call(act, partial(connect, network="web", sandbox="c1"), clear)
    host.assert_unchanged(before)


def test_the_namespace_of_a_process_outlives_it_while_pinned(host: Host) -> None:
    process = host.start("unshare", "-n", "sleep", "600")
    host.until(f"test $(readlink /proc/{process.pid}/ns/net) != $(readlink /proc/self/ns/net)")
    host.call(act, web, partial(create, name="c1", pid=process.pid))
    host.call(act, partial(connect, network="web", sandbox="c1"))
    process.kill()
    process.wait()
    assert host.ping(C1, Outside.IPV4)


def test_a_foreign_default_route_stays(host: Host) -> None:
    host.sh(
        "ip netns add theirs; ip -n theirs link add d0 type bridge; ip -n theirs link set d0 up"
    )
    host.sh(
        "ip -n theirs addr add 10.99.0.2/24 dev d0; ip -n theirs route add default via 10.99.0.1"
    )
    host.call(act, web, partial(create, name="c1", netns_path="/run/netns/theirs"))
    host.call(act, partial(connect, network="web", sandbox="c1"))
    assert default_route(host) == "default via 10.99.0.1 dev d0"
    assert "dev eth0" in default_route(host, "-6")


def test_set_key_moves_the_endpoints(host: Host) -> None:
    host.call(act, two)
    v4 = host.call(addresses, "c1")[0]
    host.sh("ip netns add other")
    host.call(act, lambda c: c.sandboxes.set_key("c1", "/run/netns/other"))
    assert v4 in host.sh("ip -n other address show eth0")
    assert host.ping("/run/netns/other", Outside.IPV4)
    assert host.ping(C2, v4)
    assert host.sh("stat -Lc %i /run/netns/c1") == host.sh("stat -Lc %i /run/netns/other")


def test_rename_takes_the_namespace_and_the_files_along(host: Host) -> None:
    host.call(act, two)
    v4 = host.call(addresses, "c1")[0]
    host.call(act, lambda c: c.sandboxes.rename("c1", "front"))
    assert host.ping("/run/netns/front", Outside.IPV4)
    assert host.sh("ls /run/netns").split() == ["c2", "front"]
    assert f"{v4}\tfront" in host.sh("ip netns exec front cat /etc/hosts")
    host.call(act, clear)
    assert host.sh("ls -A /etc/netns; ls -A /run/netns") == ""


def test_refresh_rebuilds_what_somebody_destroyed(host: Host) -> None:
    host.call(act, two)
    v4 = host.call(addresses, "c1")[0]
    host.sh("ip netns delete c1")
    with pytest.raises(Conflict, match="gone"):
        host.call(act, partial(connect, network="web", sandbox="c1", name="again"))
    host.call(act, lambda c: c.sandboxes.refresh("c1"))
    assert host.call(addresses, "c1")[0] == v4
    assert host.ping(C1, Outside.IPV4) and host.ping(C2, v4)


def test_a_sandbox_whose_namespace_is_gone_can_be_removed(host: Host) -> None:
    before = host.snapshot()
    host.call(act, two)
    host.sh("ip netns delete c1")
    host.call(act, clear)
    host.assert_unchanged(before)


def test_stats_are_live(host: Host) -> None:
    host.call(act, two)
    host.sh("ip netns exec c1 ping -c3 -i0.2 -q 192.0.2.254")

    def sent() -> int:
        with controller() as c:
            return {link.name: link for link in c.sandboxes.stats("c1")}["eth0"].counters[
                "tx_packets"
            ]

    assert host.call(sent) >= 3


def test_host_sandbox_takes_host_networks_only(host: Host) -> None:
    host.call(act, partial(create, name="me", host=True), web)
    with pytest.raises(Conflict, match="go together"):
        host.call(act, partial(connect, network="web", sandbox="me"))
    host.call(act, lambda c: c.networks.create("host", driver="host"))
    host.call(act, partial(connect, network="host", sandbox="me"), clear)


def test_null_network_leaves_only_loopback(host: Host) -> None:
    host.call(
        act,
        lambda c: c.networks.create("none", driver="null"),
        partial(create, name="c1"),
        partial(connect, network="none", sandbox="c1"),
    )
    assert len(host.sh("ip -n c1 -o link").splitlines()) == 1
    with pytest.raises(Conflict, match="one is enough"):
        host.call(act, lambda c: c.networks.create("none2", driver="null"))


def test_the_gateway_is_elected_and_re_elected(host: Host) -> None:
    host.call(act, web, lambda c: c.networks.create("app"), lambda c: c.networks.create("db"))
    host.call(act, partial(create, name="c1"))
    host.call(act, partial(connect, network="web", sandbox="c1", priority=1))
    assert "dev eth0" in default_route(host)
    host.call(act, partial(connect, network="db", sandbox="c1", priority=1))
    # web has gateways of both families, db of one.
    assert "dev eth0" in default_route(host)
    host.call(act, partial(connect, network="app", sandbox="c1", priority=9))
    assert "dev eth2" in default_route(host)
    assert "dev eth0" in default_route(host, "-6")
    assert host.ping(C1, Outside.IPV4) and host.ping(C1, Outside.IPV6)
    host.call(act, lambda c: c.endpoints.disconnect("app", "c1"))
    assert "dev eth0" in default_route(host)
    host.call(act, lambda c: c.endpoints.disconnect("web", "c1"))
    assert "dev eth1" in default_route(host)
    assert default_route(host, "-6") == ""
    assert host.ping(C1, Outside.IPV4)
    host.call(act, lambda c: c.endpoints.disconnect("db", "c1"))
    assert default_route(host) == ""


def test_a_reboot_is_noticed_and_refresh_brings_all_back(host: Host) -> None:
    host.call(act, two)
    v4, v6 = host.call(addresses, "c1")
    # What a reboot leaves: the files, and none of the kernel's objects.
    host.sh("ip netns delete c1; ip netns delete c2; nft flush ruleset")
    host.sh("ip link delete $(ip -br link show type bridge | awk '{print $1}')")
    host.sh(
        "echo 0 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding"
    )
    boot = "00000000-0000-4000-8000-000000000001"
    with pytest.raises(Conflict, match="gone"):
        host.call(
            partial(act, boot_id=boot), partial(connect, network="web", sandbox="c1", name="x")
        )
    host.call(
        partial(act, boot_id=boot),
        lambda c: c.sandboxes.refresh("c1"),
        lambda c: c.sandboxes.refresh("c2"),
    )
    assert host.call(addresses, "c1") == (v4, v6)
    assert host.ping(C2, v4) and host.ping(C2, v6) and host.ping(C1, Outside.IPV6)
    host.call(partial(act, boot_id=boot), clear)
    assert host.sh("nft list ruleset; ls /run/netns") == ""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"netns_path": "/run/netns/none"}, NotFound),
        ({"netns_path": "/etc/hosts"}, NotFound),
        ({"netns_path": "relative"}, InvalidInput),
        ({"pid": 4194305}, NotFound),
        ({"pid": 0}, InvalidInput),
        ({"pid": 1, "host": True}, InvalidInput),
    ],
)
def test_wrong_namespaces(host: Host, options: dict[str, Any], error: type[Exception]) -> None:
    before = host.snapshot()
    with pytest.raises(error):
        host.call(act, partial(create, name="c1", **options))
    host.assert_unchanged(before)


def test_a_foreign_namespace_of_that_name_is_left_alone(host: Host) -> None:
    host.sh("ip netns add c1")
    before = host.snapshot()
    with pytest.raises(Conflict, match="exists already"):
        host.call(act, partial(create, name="c1"))
    host.assert_unchanged(before)


def test_joining_leaves_neither_thread_nor_process_nor_descriptor(host: Host) -> None:
    def leftovers() -> tuple[int, int]:
        with controller() as c:
            descriptors = len(os.listdir("/proc/self/fd"))
            two(c)
            tasks = len(os.listdir("/proc/self/task"))
        return tasks, len(os.listdir("/proc/self/fd")) - descriptors

    assert host.call(leftovers) == (1, 0)
    # The resolver alone, which goes with the last sandbox.
    assert host.sh("cat /run/netctl/resolver.pid").split() == [str(p) for p in host.processes()]
    host.call(act, clear)
    assert host.processes() == []


def test_the_library_program(host: Host) -> None:
    def program() -> tuple[str, str, str]:
        with controller() as c:
            net = c.networks.create("network1", driver="bridge")
            ep = net.endpoints.create("Endpoint1")
            sb = c.sandboxes.create("container1", hostname="test", domainname="example.org")
            ep.join(sb)
            return ep.mac_address, sb.key, ep.ipv4.partition("/")[0]

    mac, key, address = host.call(program)
    assert key == "/run/netns/container1"
    assert mac in host.sh("ip -n container1 link show eth0")
    assert host.ping("", address)


def test_a_route_of_an_external_namespace_is_not_overlaid(host: Host) -> None:
    host.sh("ip netns add theirs; ip -n theirs link add d0 type bridge")
    host.sh("ip -n theirs addr add 172.17.0.9/16 dev d0; ip -n theirs link set d0 up")
    host.call(act, web, partial(create, name="c1", netns_path="/run/netns/theirs"))
    before = host.snapshot()
    with pytest.raises(Conflict, match="conflicts with the route"):
        host.call(act, partial(connect, network="web", sandbox="c1"))
    host.assert_unchanged(before)


def test_a_host_that_has_etc_netns_mounted_keeps_it(host: Host) -> None:
    host.call(act, two)
    host.sh("mount -t tmpfs none /etc/netns/c1")
    host.call(act, clear)
    assert host.sh("ls /etc/netns") == "c1\n"
