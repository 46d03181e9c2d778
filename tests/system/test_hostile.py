"""What an inhabitant does to its own stack, who may do anything there, and the way down after it."""

from __future__ import annotations

import errno
import itertools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from netctl.controller import Controller
from netctl.errors import Conflict, KernelError, NotFound, NotPermitted, Partial
from netctl.kernel import namespaces, sockets
from netctl.kernel.nftables import Nftables
from netctl.models import Sandbox
from tests.kernel.host import Host
from tests.system.library import act, controller
from tests.waiting import PATIENCE

MARK = "netctl:sandbox:"
ATTIC = "attic"
"""A namespace to which an inhabitant moves interfaces."""
BY_IP: dict[str, str] = {
    "other interface down": "link set eth1 down",
    "other interface without addresses": "addr flush dev eth1",
    "routes flushed": "route flush table main",
    "default routes of its own": (
        "route replace default dev lo metric 0\nroute add default dev lo metric 5"
    ),
    "default route by the other": (
        "route del default\nroute add default via 10.2.0.1 dev eth1 metric 0"
    ),
    "default route that is prohibited": "route del default\nroute add prohibit default",
    "names swapped": (
        "link set eth0 down\nlink set eth1 down\nlink set eth0 name x0\n"
        "link set eth1 name eth0\nlink set x0 name eth1\nlink set eth0 up\nlink set eth1 up"
    ),
    "a double in its place": (
        "link set eth0 down\nlink set eth0 name x0\nlink add eth0 type bridge\n"
        "link set eth0 alias netctl:endpoint:x"
    ),
    "interface moved away": f"link set eth0 netns {ATTIC}",
    "interface deleted": "link del eth0",
    "interface in a bridge": (
        "link add br9 type bridge\nlink set eth0 master br9\nlink set eth0 up"
    ),
    "other MAC and MTU": "link set eth0 address 02:00:00:00:00:99\nlink set eth1 mtu 576",
    "loopback down, mark shed": "link set lo down\nlink set lo alias x",
}
TABLE_OF_ITS_OWN = "names table of its own"
MANIPULATIONS = (*BY_IP, "mark of another", TABLE_OF_ITS_OWN)


def sh(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True, timeout=PATIENCE)


class Inhabitant:
    """Does one thing after another in the stack of a sandbox."""

    def __init__(self, sandbox: str, stack: ExitStack) -> None:
        self._name, self._stack = sandbox, stack

    def do(self, what: str, other: str) -> None:
        if what == TABLE_OF_ITS_OWN:
            self._own_table()
            return
        alias = f"link set lo alias netctl:sandbox:{other}"
        # What the first left out makes some of the second impossible.
        subprocess.run(
            ["ip", "-n", self._name, "-force", "-batch", "-"],
            input=BY_IP.get(what, alias),
            text=True,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )

    def _own_table(self) -> None:
        """Take the place of the resolver's table with one that belongs to a socket that is open."""
        with namespaces.entered(f"/run/netns/{self._name}"):
            tables = Nftables()
            self._stack.callback(tables.close)
            with suppress(NotPermitted):  # Nobody else may do that a second time.
                tables.run("add table inet netctl-dns\ndelete table inet netctl-dns\n")
                tables.run("add table inet netctl-dns { flags owner; }\n")


WAYS_DOWN: dict[str, Callable[[Controller, str, str], object]] = {
    "disconnect": lambda c, net, name: c.endpoints.disconnect(net, name),
    "leave": lambda c, net, name: c.endpoints.leave(f"{net}/{name}"),
    "endpoint rm": lambda c, net, name: c.endpoints.remove(f"{net}/{name}", force=True),
    "sandbox rm": lambda c, net, name: c.sandboxes.remove(name, force=True),
    "network rm": lambda c, net, name: c.networks.remove(net, force=True),
}


@contextmanager
def inhabited(c: Controller, name: str, net: str) -> Iterator[Inhabitant]:
    """Lend the inhabitant of a sandbox in the network ``net`` and in another."""
    c.sandboxes.create(name)
    c.endpoints.connect(net, name)
    c.endpoints.connect("b", name)
    with ExitStack() as stack:
        yield Inhabitant(name, stack)
        c.sandboxes.remove(name, force=True)


def come_down(first: str) -> None:
    """Do ``first`` and each other manipulation after it, and take the sandbox out of a network in
    one way after the other."""
    ways = itertools.cycle(WAYS_DOWN)
    with controller() as c:
        bystander = c.sandboxes.get("bystander").id
        for number, second in enumerate(MANIPULATIONS):
            # No name may be the beginning of another's id.
            way, name, net = next(ways), f"c{number}", f"net-{number}"
            c.networks.create(net, subnets=["10.1.0.0/24"])
            with inhabited(c, name, net) as inhabitant:
                for manipulation in (first, second):
                    inhabitant.do(manipulation, bystander)
                try:
                    WAYS_DOWN[way](c, net, name)
                    assert way == "network rm" or ports(c, net) == []
                except Exception as error:
                    raise AssertionError(f"{first}, {second}, {way}: {error}") from error
                if way == "sandbox rm":
                    c.sandboxes.create(name)
            with suppress(NotFound):
                c.networks.remove(net, force=True)
        assert [(f.line, f.difference) for f in c.check()] == []
        assert list(c.leftovers()) == []


def ports(c: Controller, net: str) -> list[str]:
    """Return the ports of a network's bridge."""
    links = c.kernel.links("")
    bridge = c.kernel.link("", c.networks.get(net).doc.facts["bridge"])
    return [link.name for link in links if bridge and link.master == bridge.index]


@pytest.mark.parametrize("first", MANIPULATIONS)
def test_whatever_is_inside_it_comes_down(host: Host, first: str) -> None:
    before = host.snapshot()
    host.sh(f"ip netns add {ATTIC}")
    host.call(
        act,
        lambda c: c.networks.create("b", subnets=["10.2.0.0/24"]),
        lambda c: c.sandboxes.create("bystander"),
        lambda c: c.endpoints.connect("b", "bystander"),
    )
    host.call(come_down, first)
    host.call(
        act,
        lambda c: c.sandboxes.remove("bystander", force=True),
        lambda c: c.networks.remove("b"),
    )
    # Where it could not put its table there again, the resolver says so.
    host.sh(f"ip netns delete {ATTIC}; rm -f /run/netctl/resolver.log")
    host.assert_unchanged(before)


def shed(c: Controller) -> None:
    """Change the mark, and see that nothing depends on it."""
    for alias in ("x", "netctl:", "netctl:sandbox:" + "f" * 64):
        sh(f"ip -n c1 link set lo alias {alias}")
        assert c.check() == []
        assert list(c.leftovers()) == []
        c.sandboxes.refresh("c1")
        c.endpoints.disconnect("web", "c1")
        c.endpoints.connect("web", "c1")
    c.sandboxes.remove("c1", force=True)
    assert c.kernel.netns_identity("/run/netns/c1") is None
    c.sandboxes.create("c1")


def test_the_mark_is_not_what_a_namespace_is_known_by(host: Host) -> None:
    host.call(
        act,
        lambda c: c.networks.create("web"),
        lambda c: c.sandboxes.create("c1"),
        lambda c: c.endpoints.connect("web", "c1"),
        shed,
    )


def beside_others(c: Controller) -> None:
    c2 = c.sandboxes.get("c2").id
    mark = f"ip -n evil link set lo alias netctl:sandbox:{c2}"
    sh(f"ip netns add evil; {mark}")
    assert list(c.leftovers()) == []
    assert c.collect().done == ()
    # One that is nowhere known, as after the store was lost, is a leftover.
    sh(f"ip -n evil link set lo alias {MARK}{'e' * 64}")
    assert [item.what for item in c.leftovers()] == ["namespace /run/netns/evil"]
    sh(f"{mark}; ip netns delete c2; ip netns add c2")
    sh(f"ip -n c2 link set lo alias netctl:sandbox:{c2}")
    assert "another namespace" in {f.difference.found for f in c.check()}
    with pytest.raises(Conflict, match="not that of sandbox c2"):
        c.endpoints.connect("web", "c2")
    with pytest.raises(Partial) as caught:
        c.sandboxes.remove("c2")
    assert caught.value.exit_code == 10 and "/run/netns/c2" in caught.value.notes[0]
    assert c.kernel.netns_identity("/run/netns/c2")
    assert c.check() == []


def test_a_namespace_that_bears_the_mark_of_a_sandbox_is_not_its(host: Host) -> None:
    host.call(
        act,
        lambda c: c.networks.create("web"),
        lambda c: c.sandboxes.create("c2"),
        beside_others,
    )


def pin_replaced(c: Controller) -> None:
    sh("umount /run/netns/c1; echo mine > /run/netns/c1")
    with pytest.raises(Partial) as caught:
        c.sandboxes.remove("c1", force=True)
    assert "/run/netns/c1" in caught.value.notes[0]
    assert c.reader.all(Sandbox) == [] and c.check() == []


def test_a_pin_that_cannot_be_removed_is_said(host: Host) -> None:
    host.call(act, lambda c: c.sandboxes.create("c1"), pin_replaced)
    assert host.sh("cat /run/netns/c1") == "mine\n"
    host.sh("rm /run/netns/c1")


CROWD = """
for i in $(seq 40); do
    echo "route add blackhole 100.64.0.$i"; echo "route add 100.65.0.$i dev eth0"
    echo "addr add 100.66.0.$i/32 dev eth0"; echo "addr add 100.67.0.$i/32 dev lo"
    echo "link add d$i type bridge"; echo "neigh add 172.17.0.$((i + 100)) dev eth0 lladdr 2:0:0:0:0:1"
    echo "route add blackhole fd99::$i"; echo "addr add fd98::$i/128 dev eth0 nodad"
    echo "route add fd97::$i dev eth0"
done | ip -n c1 -force -batch -
"""


def crowded(c: Controller) -> None:
    sockets.MOST = 16
    c.networks.create("web", ipv6=True)
    c.networks.create("db")
    c.sandboxes.create("c1")
    c.endpoints.connect("web", "c1", routes=["10.50.0.0/16,172.17.0.1", "10.51.0.0/16,blackhole"])
    sh(CROWD)
    with pytest.raises(KernelError) as caught:
        c.kernel.routes("/run/netns/c1")
    assert caught.value.errno == errno.EFBIG and caught.value.hint
    assert c.check() == []
    c.endpoints.connect("db", "c1", priority=1)
    c.endpoints.publish("db/c1", ["8080:80"])
    assert c.check() == []
    sh("ip -n c1 route del 10.50.0.0/16; ip -n c1 addr flush dev eth1")
    assert len(c.check()) > 1
    c.repair()
    assert c.check() == []
    # No server runs behind the port, and what was not read is said of this sandbox: both are right.
    named = {finding.code for finding in c.examine() if "c1" in finding.what}
    assert named == {"port-not-served", "not-looked-at"}
    with pytest.raises(KernelError, match="interfaces of /run/netns/c1"):
        c.sandboxes.stats("c1")
    c.endpoints.disconnect("db", "c1")
    assert c.check() == []
    c.sandboxes.refresh("c1")
    c.networks.remove("web", force=True)
    c.sandboxes.remove("c1")
    assert c.check() == []


def test_what_a_sandbox_is_full_of_is_not_read(host: Host) -> None:
    host.call(act, crowded)
