"""What somebody else made or changed meanwhile is told apart, named, and left alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial

import pytest

from netctl.controller import Controller
from netctl.errors import Conflict, NetctlError, Partial
from tests.kernel.host import Host, Outside
from tests.system.library import (
    act,
    addresses,
    clear,
    connect,
    controller,
    count_changes,
    create,
    die_at,
    two,
    web,
)
from tests.system.test_sandboxes import C1, default_route

LATER = "00000000-0000-4000-8000-000000000002"
OWN_DEFAULT = (
    "ip -n {0} link add d0 type bridge; ip -n {0} link set d0 up;"
    "ip -n {0} address add 10.99.0.2/24 dev d0; ip -n {0} route add default via 10.99.0.1"
)


def external(c: Controller) -> None:
    """A network, and a sandbox of a foreign namespace on it."""
    web(c)
    create(c, "c1", netns_path="/run/netns/theirs")
    connect(c, "web", "c1")


def refresh(c: Controller) -> None:
    c.sandboxes.refresh("c1")


def set_key(c: Controller, path: str) -> None:
    c.sandboxes.set_key("c1", path)


# a namespace in the place of ours


def removed(c: Controller) -> None:
    """Remove c1, in whose place there is a foreign namespace: that one is left, and said so."""
    with pytest.raises(Partial) as caught:
        c.sandboxes.remove("c1", force=True)
    assert caught.value.notes == ["the namespace at /run/netns/c1, which is not that of sandbox c1"]


def clear_all(c: Controller) -> None:
    """Remove everything there is; where c1 stands in its own place no longer, as ``removed``."""
    if any(sandbox.name == "c1" for sandbox in c.sandboxes.list()):
        removed(c)
    clear(c)


@pytest.mark.parametrize("made", [two, external])
@pytest.mark.parametrize(
    "by",
    [
        lambda c: c.sandboxes.rename("c1", "c9"),
        lambda c: c.endpoints.disconnect("web", "c1"),
        removed,
    ],
    ids=["rename", "disconnect", "rm"],
)
def test_a_namespace_in_the_place_of_ours_survives(
    host: Host, made: Callable[[Controller], None], by: Callable[[Controller], None]
) -> None:
    host.sh("ip netns add theirs")
    host.call(act, made)
    host.sh("ip netns delete c1; ip netns add c1; " + OWN_DEFAULT.format("c1"))
    look = "stat -Lc %i /run/netns/c1; ip -n c1 -o link; ip -n c1 route"
    before = host.sh(look)
    for attempt in (refresh, partial(connect, network="web", sandbox="c1", name="again")):
        with pytest.raises(Conflict, match="is not that of sandbox c1"):
            host.call(act, attempt)
    host.call(act, by)
    assert host.sh(look) == before
    host.call(act, clear_all)
    assert host.sh(look) == before
    assert host.sh("cd /sys/class/net; ls -d */").split() == ["lo/", "uplink/"]


def test_removing_says_what_it_left(host: Host) -> None:
    host.call(act, two)
    host.sh("ip netns delete c1; ip netns add c1")
    done = host.netctl("sandbox", "rm", "--force", "c1")
    assert (done.returncode, done.stderr.count("the namespace at /run/netns/c1, which is not")) == (
        10,
        1,
    )


def test_a_renamed_sandbox_is_made_anew_beside_the_intruder(host: Host) -> None:
    host.call(act, two)
    host.sh("ip netns delete c1; ip netns add c1")
    host.call(act, lambda c: c.sandboxes.rename("c1", "c9"), lambda c: c.sandboxes.refresh("c9"))
    assert host.ping("/run/netns/c9", Outside.IPV4)


@pytest.mark.parametrize("path", ["/proc/self/ns/net", "/run/netns/host"])
def test_the_host_is_no_external_namespace(host: Host, path: str) -> None:
    host.sh(
        "mkdir -p /run/netns; touch /run/netns/host; mount --bind /proc/self/ns/net /run/netns/host"
    )
    host.call(act, two)
    before = host.snapshot()
    for action in (partial(create, name="c3", netns_path=path), partial(set_key, path=path)):
        with pytest.raises(Conflict, match="host's own") as caught:
            host.call(act, action)
        assert "--host" in (caught.value.command_hint or "")
    host.assert_unchanged(before)


# moving into a namespace


@pytest.mark.parametrize("made", [two, external])
def test_set_key_into_an_occupied_namespace_changes_nothing(
    host: Host, made: Callable[[Controller], None]
) -> None:
    host.sh("ip netns add theirs; ip netns add full; ip -n full link add eth0 type bridge")
    host.call(act, made)
    before = host.snapshot()
    with pytest.raises(Conflict, match="has an interface eth0 already"):
        host.call(act, partial(set_key, path="/run/netns/full"))
    for path in (C1, "/run/netns/none", "/etc/hosts"):
        with pytest.raises(NetctlError):
            host.call(act, partial(set_key, path=path))
    host.assert_unchanged(before)
    assert host.ping(C1, Outside.IPV4)


@pytest.mark.parametrize("made", [two, external])
def test_a_failed_set_key_leaves_the_sandbox_where_it_was(
    host: Host, made: Callable[[Controller], None]
) -> None:
    host.sh("ip netns add theirs; ip netns add full; ip -n full address add 172.17.0.9/16 dev lo")
    host.call(act, made)
    v4 = host.call(addresses, "c1")[0]
    # A loopback that netctl found down and set up stays so.
    host.sh("ip netns add late; ip -n late link set lo up")
    look = "(ls -A /run/netns; ip -n c1 route; ip -n c1 -br address; ip -n late -br address)"
    look += " | sed 's/@if[0-9]*//'"
    before = host.sh(look)
    with pytest.raises(NetctlError):
        host.call(break_in_the_middle, "/run/netns/late")
    assert host.sh(look) == before
    assert host.ping(C1, Outside.IPV4) and v4 in host.sh("ip -n c1 address")
    assert host.netctl("repair").stdout == ""


def break_in_the_middle(path: str) -> None:
    """Move c1, with the kernel refusing its last interface."""
    with controller() as c:
        real = c.kernel.address_add

        def address_add(netns: str, link: str, address: str) -> None:
            if ":" in address:
                c.kernel.address_add = real  # type: ignore[method-assign]
                raise NetctlError("refused by the test")
            real(netns, link, address)

        c.kernel.address_add = address_add  # type: ignore[method-assign]
        set_key(c, path)


def lives_in(host: Host, netns: str) -> subprocess.Popen[str]:
    """Start a process in a namespace: with one, a namespace without its own path is in use."""
    process = host.start("nsenter", f"--net={netns}", "sleep", "600")
    host.until(f"test $(stat -Lc %i /proc/{process.pid}/ns/net) = $(stat -Lc %i {netns})")
    return process


@pytest.mark.parametrize("made", [two, external])
def test_a_killed_set_key_finds_its_way_back(
    host: Host, made: Callable[[Controller], None]
) -> None:
    host.sh("ip netns add theirs; ip netns add late")
    host.call(act, made)
    changes = host.call(count_changes, partial(set_key, path="/run/netns/late"))
    host.call(act, clear)
    look = "stat -Lc %i /run/netns/c1; ls -A /run/netns"
    for number in range(2, changes + 1, 2):
        host.call(act, made)
        before = host.sh(look)
        target = host.sh("stat -Lc %i /run/netns/late")
        process = lives_in(host, "/run/netns/late")
        assert host.call(die_at, number, partial(set_key, path="/run/netns/late"))
        host.sh("ip netns delete late")
        done = host.netctl("repair")
        assert done.returncode == 0, (number, done.stderr)
        host.sh("ip netns add late")
        after = host.sh(look)
        assert after == before or after.startswith(target), number
        assert host.ping(C1, Outside.IPV4)
        host.call(act, clear)
        process.kill()
        process.wait()


def test_a_killed_set_key_is_finished_without_its_source(host: Host) -> None:
    host.sh("ip netns add theirs; ip netns add late")
    host.call(act, external)
    identity = host.sh("stat -Lc %i /run/netns/late")
    assert host.call(die_at, 0, partial(set_key, path="/run/netns/late"))
    host.sh("ip netns delete late")
    assert "finished 'sandbox set-key" in host.netctl("repair").stdout
    assert host.sh("stat -Lc %i /run/netns/c1") == identity
    assert host.ping(C1, Outside.IPV4)


def test_set_key_brings_a_sandbox_back_whose_namespace_is_gone(host: Host) -> None:
    host.sh("ip netns add theirs; ip netns add other")
    host.call(act, external)
    v4 = host.call(addresses, "c1")[0]
    host.sh("ip netns delete c1; ip netns delete theirs")
    with pytest.raises(Conflict, match="had a namespace that is gone") as caught:
        host.call(act, refresh)
    assert "netctl sandbox set-key c1" in (caught.value.command_hint or "")
    host.call(act, partial(set_key, path="/run/netns/other"))
    assert v4 in host.sh("ip -n other address") and host.ping(C1, Outside.IPV4)


def test_set_key_of_a_namespace_that_was_made_again_under_its_name(host: Host) -> None:
    host.sh("ip netns add c1")
    host.call(
        act,
        web,
        partial(create, name="c1", netns_path=C1),
        partial(connect, network="web", sandbox="c1"),
    )
    host.sh("ip netns delete c1; ip netns add c1")
    host.call(act, partial(set_key, path=C1))
    assert host.ping(C1, Outside.IPV4)
    host.call(act, clear)
    assert host.sh("ls /run/netns") == "c1\n"


# routes of somebody else


def test_a_default_route_that_came_later_stays(host: Host) -> None:
    host.sh("ip netns add theirs")
    host.call(act, web, partial(create, name="c1", netns_path="/run/netns/theirs"))
    host.sh(OWN_DEFAULT.format("theirs"))
    host.call(act, partial(connect, network="web", sandbox="c1"))
    assert default_route(host) == "default via 10.99.0.1 dev d0"
    assert "dev eth0" in default_route(host, "-6")
    host.call(act, lambda c: c.endpoints.disconnect("web", "c1"))
    assert default_route(host) == "default via 10.99.0.1 dev d0"


# after a reboot, and around networks


def _adopted_in_another_boot(host: Host) -> None:
    """Make a network of a bridge of somebody's, who makes that anew."""
    make = "ip link add theirs type bridge"
    host.sh(make)
    options = {"com.docker.network.bridge.name": "theirs"}
    host.call(act, lambda c: c.networks.create("web", options=options))
    host.sh(f"ip link delete theirs; {make}; ip link set theirs up; nft flush ruleset")
    host.sh("ip address add 172.17.0.1/16 dev theirs")
    # Its link-local address is the same to the end of the test.
    host.until('test -z "$(ip -6 address show dev theirs tentative)"')


def test_an_adopted_bridge_of_another_boot_is_left_alone(host: Host) -> None:
    _adopted_in_another_boot(host)
    look = "ip address show theirs; nft list ruleset"
    before = host.sh(look)
    host.call(partial(act, boot_id=LATER), lambda c: c.networks.remove("web"))
    assert host.sh(look) == before and ",UP" in before


def test_an_adopted_bridge_is_looked_at_anew_after_a_reboot(host: Host) -> None:
    _adopted_in_another_boot(host)
    look = "ip address show theirs"
    before = host.sh(look)
    later = partial(act, boot_id=LATER)
    host.call(later, lambda c: c.endpoints.create("web", "web1"))
    host.call(later, lambda c: c.networks.remove("web", force=True))
    assert host.sh(look) == before and ",UP" in before


def test_etc_netns_of_the_host_stays(host: Host) -> None:
    host.sh("mkdir -p /etc/netns; mount -t tmpfs none /etc/netns")
    host.call(act, two, clear)
    assert host.sh("ls -A /etc/netns") == ""


def test_a_connect_that_fails_makes_no_default_network(host: Host) -> None:
    host.call(act, partial(create, name="c1"), partial(create, name="dead"))
    host.sh("ip netns delete dead")
    before = host.snapshot()
    for sandbox, ip in (("dead", None), ("c1", "192.168.99.99")):
        with pytest.raises(NetctlError):
            host.call(act, partial(connect, network="bridge", sandbox=sandbox, ip=ip))
    host.assert_unchanged(before)
    assert host.netctl("network", "ls", "-q").stdout == ""


def test_rules_of_the_operator_outlive_a_killed_creation(host: Host) -> None:
    host.call(killed_while_creating)
    host.sh("nft add rule inet netctl user-pre counter")
    assert "undid" in host.netctl("repair").stdout
    assert "counter" in host.sh("nft list chain inet netctl user-pre")
    assert "br-" not in host.sh("nft list ruleset; ip -br link")


def killed_while_creating() -> None:
    whole = count_changes(lambda c: c.networks.create("probe"))
    act(clear)
    assert die_at(whole, lambda c: c.networks.create("web"))


def test_an_id_is_given_once(host: Host) -> None:
    taken = "5" * 64
    host.call(act, partial(create, name="a", id=taken))
    with pytest.raises(Conflict, match="id 555555555555"):
        host.call(act, partial(create, name="b", id=taken))


@pytest.mark.parametrize("value", ["0", "1"])
def test_an_adopted_bridge_keeps_its_settings(host: Host, value: str) -> None:
    key = "/proc/sys/net/ipv4/conf/theirs/route_localnet"
    host.sh(f"ip link add theirs type bridge; ip link set theirs up; echo {value} > {key}")
    options = {"com.docker.network.bridge.name": "theirs"}
    host.call(act, lambda c: c.networks.create("web", options=options, ipv6=True))
    # It is on while a port is published that the host's loopback leads to.
    assert host.sh(f"cat {key}") == f"{value}\n"
    host.call(act, partial(create, name="c1"))
    host.call(act, lambda c: c.endpoints.connect("web", "c1", ports=["8080:80"]))
    assert host.sh(f"cat {key}") == "1\n"
    host.call(act, clear)
    assert host.sh(f"cat {key}") == f"{value}\n"


def test_an_adopted_bridge_that_is_gone_is_no_hindrance(host: Host) -> None:
    before = host.snapshot()
    host.sh("ip link add theirs type bridge")
    options = {"com.docker.network.bridge.name": "theirs"}
    host.call(act, lambda c: c.networks.create("web", options=options))
    host.sh("ip link delete theirs")
    host.call(act, lambda c: c.networks.remove("web"))
    host.assert_unchanged(before)
