"""Bridges, veth pairs, addresses and routes on a real kernel."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from netctl.kernel import departing
from netctl.kernel.interface import Address, Route
from netctl.kernel.linux import LinuxKernel
from netctl.kernel.netlink import NetlinkSocket
from tests.kernel.host import ANSWER, Host
from tests.kernel.with_kernel import refused, with_kernel
from tests.namespaces import make_namespace
from tests.waiting import QUIET

NETS = "/run/netns"
MARK = "netctl:network:" + "a" * 64
EP_MARK = "netctl:endpoint:" + "b" * 64
BRIDGE = "br-0123456789ab"


def wire(kernel: LinuxKernel, number: int, *, isolated: bool = False) -> str:
    """Make a namespace with an interface on the bridge; return its path."""
    path = f"{NETS}/c{number}"
    make_namespace(kernel, path, alias=MARK)
    pair(kernel, f"nc{number}", path, mac=f"02:00:00:00:00:0{number}", isolated=isolated)
    kernel.address_add(path, "eth0", f"10.9.0.{number}/24")
    kernel.address_add(path, "eth0", f"fd00:9::{number}/64")
    kernel.link_set_up("", f"nc{number}", up=True)
    kernel.link_set_up(path, "eth0", up=True)
    return path


def pair(
    kernel: LinuxKernel, name: str, netns: str, *, mac: str = "", isolated: bool = False
) -> None:
    kernel.veth_add(
        name,
        alias=EP_MARK,
        master=BRIDGE,
        isolated=isolated,
        mtu=1400,
        netns=netns,
        peer="eth0",
        peer_mac=mac,
    )


def bridge(kernel: LinuxKernel) -> None:
    kernel.bridge_add(BRIDGE, alias=MARK, mac="02:11:22:33:44:55", mtu=1400)


def test_bridge_is_made_marked_and_removed(host: Host) -> None:
    before = host.snapshot()
    with_kernel(host, bridge)
    [link] = host.json(f"ip -d -j link show {BRIDGE}")
    assert (link["ifalias"], link["address"], link["mtu"]) == (MARK, "02:11:22:33:44:55", 1400)
    assert link["linkinfo"]["info_kind"] == "bridge"
    assert "UP" not in link["flags"]
    found = next(x for x in with_kernel(host, lambda k: k.links("")) if x.name == BRIDGE)
    assert (found.type, found.mac, found.mtu, found.up) == ("bridge", link["address"], 1400, False)
    assert found.alias == MARK
    host.sh(f"ip link add p0 mtu 1300 master {BRIDGE} type veth peer name p1; ip link delete p0")
    [link] = host.json(f"ip -j link show {BRIDGE}")
    assert link["mtu"] == 1400  # and not 1500, after its last port
    with_kernel(host, lambda k: k.link_delete("", BRIDGE, alias=MARK))
    host.assert_unchanged(before)
    with_kernel(host, lambda k: k.link_delete("", BRIDGE, alias=MARK))


@pytest.mark.parametrize("isolated", [False, True])
def test_sandboxes_on_a_bridge_reach_each_other_unless_isolated(host: Host, isolated: bool) -> None:
    def build(kernel: LinuxKernel) -> None:
        bridge(kernel)
        kernel.link_set_up("", BRIDGE, up=True)
        for number in (1, 2):
            wire(kernel, number, isolated=isolated)

    def take_down(kernel: LinuxKernel) -> None:
        for number in (1, 2):
            kernel.link_delete("", f"nc{number}", alias=EP_MARK)
            kernel.netns_delete(f"{NETS}/c{number}", identity=MARK)
        kernel.link_delete("", BRIDGE, alias=MARK)

    before = host.snapshot()
    with_kernel(host, build)
    [inside] = host.json("ip -n c1 -d -j link show eth0")
    assert inside["address"] == "02:00:00:00:00:01"
    assert (inside["ifalias"], inside["mtu"]) == (EP_MARK, 1400)
    [port] = host.json("ip -d -j link show nc1")
    assert port["master"] == BRIDGE
    assert port["linkinfo"]["info_slave_data"]["isolated"] is isolated
    seconds = QUIET if isolated else ANSWER
    assert host.ping(f"{NETS}/c1", "10.9.0.2", seconds=seconds) is not isolated
    assert host.ping(f"{NETS}/c1", "fd00:9::2", seconds=seconds) is not isolated
    counters = with_kernel(host, lambda k: k.links(f"{NETS}/c1"))[1].counters
    assert counters["tx_packets"] > 0
    assert set(counters) == {
        f"{way}_{name}"
        for way in ("rx", "tx")
        for name in ("bytes", "packets", "errors", "dropped")
    }
    with_kernel(host, take_down)
    host.assert_unchanged(before)


def test_a_port_is_isolated_and_no_more(host: Host) -> None:
    def act(kernel: LinuxKernel) -> list[tuple[bool, bool, bool]]:
        bridge(kernel)
        make_namespace(kernel, f"{NETS}/c1", alias=MARK)
        pair(kernel, "nc1", f"{NETS}/c1", isolated=True)
        found = []
        for on in (False, False, True):
            done = kernel.port_isolated("nc1", on=on)
            link = kernel.link("", "nc1")
            assert link
            found.append((done, link.isolated, link.hairpin))
        return found

    assert with_kernel(host, act) == [(True, on, False) for on in (False, False, True)]
    # What is not there, or in no bridge, has no such setting.
    host.sh("ip link set nc1 nomaster")
    assert not with_kernel(host, lambda k: k.port_isolated("nc1", on=True))
    assert not with_kernel(host, lambda k: k.port_isolated("nothing", on=False))


def test_nothing_foreign_is_marked_or_removed(host: Host) -> None:
    host.sh(f"ip link add {BRIDGE} type bridge; ip link add nc1 type veth peer name nc1p")
    host.sh("ip netns add c1; ip -n c1 link add eth0 type bridge")
    before = host.snapshot()
    error = refused(host, bridge)
    assert error.errno == 17
    assert str(error).startswith(f"add bridge {BRIDGE}: File exists")
    assert refused(host, lambda k: pair(k, "nc1", f"{NETS}/c1")).errno == 17
    assert refused(host, lambda k: pair(k, "nc2", f"{NETS}/c1")).errno == 17
    for name in (BRIDGE, "nc1", "uplink"):
        error = refused(host, lambda k, name=name: k.link_delete("", name, alias=MARK))  # type: ignore[misc]
        assert "not netctl's" in str(error)
    assert "not netctl's" in str(refused(host, lambda k: k.link_delete("", "nc1", alias=""))), (
        "an empty alias marks nothing"
    )
    host.assert_unchanged(before)
    assert "alias" not in host.sh("ip -n c1 link")


def test_a_link_that_cannot_be_finished_is_not_left(host: Host) -> None:
    before = host.snapshot()
    error = refused(host, lambda k: k.bridge_add(BRIDGE, alias="x" * 300, mac="", mtu=0))
    assert "the kernel says" in str(error)
    error = refused(host, lambda k: k.bridge_add(BRIDGE, alias=MARK, mac="", mtu=9_999_999))
    assert "mtu greater than device maximum" in str(error)
    assert refused(host, lambda k: pair(k, "nc1", f"{NETS}/none")).errno == 19  # no bridge
    with_kernel(host, bridge)
    gone = refused(host, lambda k: pair(k, "nc1", f"{NETS}/none"))
    assert (gone.errno, f"{NETS}/none" in str(gone)) == (2, True)
    with_kernel(host, lambda k: k.link_delete("", BRIDGE, alias=MARK))
    host.assert_unchanged(before)


def test_what_is_to_be_removed_may_be_absent(host: Host) -> None:
    route = Route(destination="10.0.0.0/8", gateway="", link="eth0", metric=0)
    default6 = Route(destination="::/0", gateway="fe80::1", link="eth0", metric=0)

    def remove(kernel: LinuxKernel) -> None:
        make_namespace(kernel, f"{NETS}/c1", alias=MARK)
        for netns in (f"{NETS}/none", f"{NETS}/c1", ""):
            kernel.link_delete(netns, "eth0", alias=MARK)
            kernel.link_set_up(netns, "eth0", up=False)
            kernel.address_delete(netns, "eth0", "10.0.0.1/8")
            kernel.address_delete(netns, "lo", "10.0.0.1/8")
            kernel.address_delete(netns, "lo", "fd00::1/64")
            kernel.route_delete(netns, route)
            kernel.route_delete(netns, default6)
        kernel.netns_delete(f"{NETS}/none", identity=MARK)
        kernel.netns_delete(f"{NETS}/c1", identity=MARK)

    before = host.snapshot()
    with_kernel(host, remove)
    host.assert_unchanged(before)


def test_adding_is_strict(host: Host) -> None:
    assert refused(host, lambda k: k.link_set_up("", "eth9", up=True)).errno == 19
    assert refused(host, lambda k: k.address_add("", "eth9", "10.0.0.1/8")).errno == 19
    assert refused(host, lambda k: k.address_add("", "uplink", "192.0.2.1/24")).errno == 17
    assert refused(host, lambda k: k.address_add("", "uplink", "2001:db8::1/64")).errno == 17
    assert refused(host, lambda k: k.links(f"{NETS}/none")).errno == 2
    far = Route(destination="0.0.0.0/0", gateway="198.51.100.1", link="uplink", metric=5)
    error = refused(host, lambda k: k.route_add("", far))
    assert (error.errno, bool(error.hint)) == (101, True)


def test_addresses_and_routes_are_listed(host: Host) -> None:
    addresses = with_kernel(host, lambda k: k.addresses(""))
    assert Address(link="uplink", address="192.0.2.1/24") in addresses
    assert Address(link="uplink", address="2001:db8::1/64") in addresses
    routes = with_kernel(host, lambda k: k.routes(""))
    assert set(routes) == {
        Route(destination="0.0.0.0/0", gateway="192.0.2.254", link="uplink", metric=0),
        Route(destination="192.0.2.0/24", gateway="", link="uplink", metric=0),
        Route(destination="::/0", gateway="2001:db8::fe", link="uplink", metric=1024),
        Route(destination="2001:db8::/64", gateway="", link="uplink", metric=256),
    }


def test_an_ipv6_address_is_usable_at_once(host: Host) -> None:
    with_kernel(host, lambda k: k.address_add("", "uplink", "2001:db8::77/64"))
    assert "tentative" not in host.sh("ip -6 addr show dev uplink")


@pytest.mark.parametrize(
    ("destination", "first", "second"),
    [
        ("0.0.0.0/0", "192.0.2.10", "192.0.2.11"),
        ("10.1.0.0/16", "192.0.2.10", ""),
        ("::/0", "2001:db8::10", "2001:db8::11"),
        ("fd00:1::/64", "", "2001:db8::11"),
    ],
)
def test_a_route_in_the_place_of_another_is_refused(
    host: Host, destination: str, first: str, second: str
) -> None:
    def route(gateway: str) -> Route:
        return Route(destination=destination, gateway=gateway, link="uplink", metric=50)

    before = host.snapshot()
    with_kernel(host, lambda k: k.route_add("", route(first)))
    assert route(first) in with_kernel(host, lambda k: k.routes(""))
    assert refused(host, lambda k: k.route_add("", route(second))).errno == errno.EEXIST
    with_kernel(host, lambda k: k.route_delete("", route(second)))
    assert route(first) in with_kernel(host, lambda k: k.routes(""))
    with_kernel(host, lambda k: k.route_delete("", route(first)))
    host.assert_unchanged(before)


def test_deleting_a_route_leaves_those_of_another_metric(host: Host) -> None:
    host.sh("ip route add 10.7.0.0/16 via 192.0.2.10 metric 7 proto static")
    host.sh("ip -6 route add fd00:7::/64 via 2001:db8::10 metric 7 proto static")
    before = host.snapshot()
    ours = (
        Route(destination="10.7.0.0/16", gateway="192.0.2.10", link="uplink", metric=0),
        Route(destination="fd00:7::/64", gateway="2001:db8::10", link="uplink", metric=0),
    )
    for route in ours:
        with_kernel(host, lambda k, route=route: k.route_delete("", route))  # type: ignore[misc]
    host.assert_unchanged(before)
    for route in ours:
        with_kernel(host, lambda k, route=route: k.route_add("", route))  # type: ignore[misc]
        with_kernel(host, lambda k, route=route: k.route_delete("", route))  # type: ignore[misc]
    host.assert_unchanged(before)


def test_several_next_hops_are_listed_each(host: Host) -> None:
    host.sh(
        "ip route add 10.5.0.0/16 nexthop via 192.0.2.10 dev uplink nexthop via 192.0.2.11 dev uplink"
    )
    found = [r for r in with_kernel(host, lambda k: k.routes("")) if r.destination == "10.5.0.0/16"]
    assert {route.gateway for route in found} == {"192.0.2.10", "192.0.2.11"}


def test_many_links_come_in_several_messages(host: Host) -> None:
    batch = "".join(f"link add d{n} type veth peer name e{n}\n" for n in range(150))
    host.run("ip", "-batch", "-", input=batch, check=True)
    names = {link.name for link in with_kernel(host, lambda k: k.links(""))}
    assert names >= {f"{side}{n}" for side in "de" for n in range(150)}


def test_one_link_is_found_by_its_name(host: Host) -> None:
    found = with_kernel(host, lambda k: [k.link("", name) for name in ("uplink", "none", "lo")])
    assert [link and link.name for link in found] == ["uplink", None, "lo"]
    assert found[0] and (found[0].type, found[0].up, found[0].mtu) == ("veth", True, 1500)


def test_a_link_is_gone_before_the_kernel_is_done_with_it(host: Host) -> None:
    """More are deleted than answers are waited for; what comes after one finds it gone."""

    def work(kernel: LinuxKernel) -> tuple[list[str], int]:
        names = [f"gone{number}" for number in range(departing._MOST + 6)]
        for name in names:
            kernel.bridge_add(name, alias="mine", mac="", mtu=1400)
        left = []
        for name in names:
            assert kernel.link_delete("", name, alias="mine")
            left += [name] if kernel.link("", name) else []
            assert not kernel.link_delete("", name, alias="mine")
        return left, threading.active_count() - 1

    left, waiting = with_kernel(host, work)
    assert left == [] and waiting <= departing._MOST


def test_a_thread_that_waits_for_the_kernel_opens_and_closes_nothing(host: Host) -> None:
    """Others compare what is open with what was."""

    def work(kernel: LinuxKernel) -> tuple[list[str], list[str]]:
        kernel.bridge_add("gone", alias="mine", mac="", mtu=1400)
        kernel.link_delete("", "gone", alias="mine")
        during = sorted(os.listdir("/proc/self/fd"))
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join()
        return during, sorted(os.listdir("/proc/self/fd"))

    during, after = with_kernel(host, work)
    assert during == after


def test_where_no_thread_is_allowed_the_answer_is_waited_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)

    def work(kernel: LinuxKernel) -> tuple[bool, bool]:
        kernel.bridge_add("gone", alias="mine", mac="", mtu=1400)
        return kernel.link_delete("", "gone", alias="mine"), kernel.link("", "gone") is None

    assert with_kernel(host, work) == (True, True)


def test_a_link_that_the_kernel_keeps_is_refused(host: Host) -> None:
    def work() -> int:
        with NetlinkSocket() as sock:
            refusal = departing.Departures().begin(sock, 1)
        return refusal.errno if refusal else 0

    assert host.call(work) == errno.EOPNOTSUPP


def test_routes_of_all_kinds_are_listed_at_once(host: Host) -> None:
    host.sh(
        "ip route add 10.5.0.0/16 dev uplink; ip route add blackhole 10.6.0.0/16;"
        "ip route add prohibit 10.7.0.0/16; ip -6 route add unreachable 2001:db8:7::/48"
    )
    together = with_kernel(host, lambda k: k.all_routes(""))
    unicast, dead = with_kernel(host, lambda k: (k.routes(""), k.dead_ends("")))
    assert {r.kind for r in together} >= {"unicast", "blackhole", "prohibit", "unreachable"}
    assert sorted(map(repr, together)) == sorted(map(repr, [*unicast, *dead]))
