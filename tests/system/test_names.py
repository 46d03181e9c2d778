"""Names, asked for in the sandboxes with dig and with glibc's getaddrinfo."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

from netctl.errors import Conflict
from tests.kernel.host import Host
from tests.kernel.resolver_host import ask, dig
from tests.kernel.upstream import IPV4, upstream
from tests.system.library import (
    act,
    address_of,
    addresses,
    clear,
    connect,
    controller,
    create,
    joined,
    two,
    web,
)
from tests.waiting import PATIENCE

NONE = "status: NOERROR"


def by_glibc(host: Host, sandbox: str, name: str, family: str = "ahosts") -> list[str]:
    """Ask getaddrinfo of a sandbox, without its hosts file: each address once, in order."""
    done = host.run("ip", "netns", "exec", sandbox, "getent", "-s", "dns", family, name)
    return list(dict.fromkeys(line.split()[0] for line in done.stdout.splitlines()))


def subnet(name: str) -> str:
    with controller() as c:
        return c.networks.get(name).doc.pools[0].subnet


def test_names_of_one_network(host: Host) -> None:
    before = host.snapshot()
    host.call(
        act,
        web,
        partial(create, name="c1", hostname="front", domainname="example.org"),
        partial(joined, network="web", name="web1", sandbox="c1", aliases=["www", "shop.test"]),
        partial(joined, network="web", name="web2", sandbox="c2", aliases=["www"]),
        partial(joined, network="web", name="hid", sandbox="c3", aliases=["known"], anonymous=True),
        partial(
            joined,
            network="web",
            name="c4",
            sandbox="c4",
            local_aliases={"database": "web1", "web2": "known"},
        ),
    )
    v4, v6 = address_of(host, "web1")
    second, _ = address_of(host, "web2")
    hidden, _ = address_of(host, "hid")
    for asked in ("web1", "WEB1.web", "web1.Web.", "shop.test", "shop.test.web"):
        assert dig(host, "c2", asked) == dig(host, "c1", f"+tcp {asked}") == [v4], asked
        assert dig(host, "c2", f"{asked} AAAA") == [v6], asked
        assert set(by_glibc(host, "c2", asked)) == {v4, v6}, asked
    # One name for several takes turns, for the client that takes the first as well.
    assert sorted(dig(host, "c4", "www")) == sorted([v4, second])
    assert {dig(host, "c4", "www +noedns")[0] for _ in range(6)} == {v4, second}
    assert {by_glibc(host, "c4", "www", "ahostsv4")[0] for _ in range(20)} <= {v4, second}
    # Of those whose name is a secret, the aliases.
    assert dig(host, "c1", "known") == [hidden]
    assert "web1.web" in ask(host, "c1", f"-x {v4}") and "web1.web" in ask(host, "c1", f"-x {v6}")
    assert dig(host, "c1", f"-x {hidden}") == ["known.web."]
    # Itself, by all of its names: nobody else calls it so.
    for asked in ("c1", "front", "front.example.org", "web1"):
        assert dig(host, "c1", asked) == [v4]
    # What holds in one sandbox alone, before what others bear that name.
    assert dig(host, "c4", "database") == [v4] == dig(host, "c4", "database.web")
    assert dig(host, "c4", "web2") == [hidden]
    assert dig(host, "c1", "web2") == [second]
    # Nobody else is asked, and no server of the host could be reached by this one.
    with upstream(host, "192.0.2.254") as asked_outside:
        for asked in ("web1 MX", "web1.web TXT", "_http._tcp.web1 SRV", "web1 CNAME"):
            assert NONE in ask(host, "c2", asked) and dig(host, "c2", asked) == []
        assert asked_outside() == []
        for asked in ("hid", "database", "c4.example", "front"):
            assert dig(host, "c2", asked) == [IPV4], asked
        assert asked_outside() == ["hid.", "database.", "c4.example.", "front."]
    host.call(act, clear)
    host.sh("rm /run/upstream.*")
    host.assert_unchanged(before)
    assert host.processes() == []


def test_networks_and_who_is_asked(host: Host) -> None:
    host.sh("printf 'search example.net corp.test\\nnameserver 192.0.2.254\\n' > /etc/resolv.conf")
    host.call(
        act,
        lambda c: c.networks.create("a"),
        lambda c: c.networks.create("inner", internal=True),
        partial(joined, network="a", name="one", sandbox="c1"),
        partial(joined, network="inner", name="two", sandbox="c2"),
        partial(joined, network="inner", name="three", sandbox="c1"),
        partial(joined, network="inner", name="one", sandbox="c3"),
        partial(create, name="c4", dns=["192.0.2.254"], dns_search=["a"], dns_options=["ndots:1"]),
        partial(joined, network="a", name="four", sandbox="c4"),
        partial(create, name="c5"),
    )
    one, inner_one = address_of(host, "a/one")[0], address_of(host, "inner/one")[0]
    # The network that leads outside is searched first, unless another is named.
    assert dig(host, "c1", "one") == [one] and dig(host, "c1", "one.inner") == [inner_one]
    assert dig(host, "c2", "one") == [inner_one] and dig(host, "c2", "one.a") == []
    with upstream(host, "192.0.2.254") as asked:
        assert dig(host, "c1", "outside.test") == [IPV4]
        # Whose networks all are internal reaches no server of the host.
        assert "SERVFAIL" in ask(host, "c2", "outside.test")
        assert asked() == ["outside.test."]
        # The search list, by glibc, for a name of one word that nobody here bears.
        assert by_glibc(host, "c1", "nobody", "ahostsv4") == [IPV4]
        assert host.sh("ip netns exec c4 cat /etc/resolv.conf").splitlines()[1:] == [
            "nameserver 127.0.0.11",
            "search a",
            "options ndots:1",
        ]
        assert by_glibc(host, "c4", "one", "ahostsv4") == [one]
        # A server that was asked for is asked from the sandbox, the host's from the host.
        host.outside.sh(f"ip route add {host.call(subnet, 'a')} via 192.0.2.1")
        host.sh("nft flush chain inet netctl postrouting")
        assert dig(host, "c4", "seen.test TXT")[0].split()[1] == address_of(host, "a/four")[0]
        assert dig(host, "c1", "seen.test TXT")[0].split()[1] == "192.0.2.1"
    # A sandbox without a network has the host's servers still.
    assert "nameserver 192.0.2.254" in host.sh("ip netns exec c5 cat /etc/resolv.conf")


def test_who_has_no_resolver(host: Host) -> None:
    host.call(
        act,
        web,
        partial(joined, network="web", name="web1", sandbox="c1", no_dns=True),
        lambda c: c.networks.create("none", driver="null"),
        partial(create, name="c2"),
        partial(connect, network="none", sandbox="c2"),
        lambda c: c.networks.create("host", driver="host"),
        partial(create, name="me", host=True),
        partial(connect, network="host", sandbox="me"),
    )
    assert host.processes() == []
    for name in ("c1", "c2"):
        assert "nameserver 192.0.2.254" in host.sh(f"ip netns exec {name} cat /etc/resolv.conf")
    # Its name is known to others all the same.
    host.call(act, partial(joined, network="web", name="web2", sandbox="c3"))
    assert dig(host, "c3", "web1") == [address_of(host, "web1")[0]]
    # An endpoint that wants names brings them into the sandbox, and they stay.
    host.call(act, partial(connect, network="web", sandbox="c1"), lambda c: c.endpoints.leave("c1"))
    assert dig(host, "c1", "web2.web") == [address_of(host, "web2")[0]]


def test_an_external_namespace_has_names_too(host: Host) -> None:
    host.sh("ip netns add theirs; ip netns add other")
    clean = host.sh("ip netns exec theirs nft list ruleset")
    host.call(
        act,
        web,
        partial(create, name="c1", netns_path="/run/netns/theirs"),
        partial(joined, network="web", name="web1", sandbox="c1"),
        partial(create, name="c2"),
        partial(connect, network="web", sandbox="c2"),
    )
    assert dig(host, "theirs", "c2") == [address_of(host, "web/c2")[0]]
    # It is asked over the loopback, which nobody else had brought up.
    host.sh("ip -n theirs link set lo down")
    assert "interface lo in /run/netns/c1" in host.netctl("check").stdout
    assert host.netctl("repair").returncode == 0
    assert dig(host, "theirs", "c2") == [address_of(host, "web/c2")[0]]
    host.call(act, lambda c: c.sandboxes.set_key("c1", "/run/netns/other"))
    assert dig(host, "other", "c2") == [address_of(host, "web/c2")[0]]
    assert host.sh("ip netns exec theirs nft list ruleset") == clean
    host.call(act, clear)
    assert host.sh("ip netns exec other nft list ruleset") == ""


def test_a_server_of_the_sandboxs_own(host: Host) -> None:
    host.call(act, two)
    with upstream(host, "0.0.0.0", stack="net", netns="/run/netns/c1"):
        v4, _ = host.call(addresses, "c1")
        assert dig(host, "c1", "c2") == [host.call(addresses, "c2")[0]]
        theirs = host.sh(f"ip netns exec c2 dig +short +tries=1 @{v4} anything.test")
        assert theirs.strip() == IPV4
        assert host.sh("ip netns exec c1 dig +short +tries=1 @127.0.0.1 x.test").strip() == IPV4


def test_a_change_is_there_when_the_command_returns(host: Host) -> None:
    host.call(act, two, partial(create, name="c3"), lambda c: c.endpoints.create("web", "late"))
    late, _ = address_of(host, "late")

    def rounds() -> list[str]:
        wrong = []
        c1 = addresses("c1")[0]
        with controller() as c:
            for _ in range(25):
                c.endpoints.join("late", "c3", local_aliases={"other": "c1"})
                wrong += [] if asked("c1", "late") == late else ["not there"]
                wrong += [] if asked("c3", "other") == c1 else ["no alias"]
                c.endpoints.leave("late")
                wrong += ["still there"] if asked("c1", "late") else []
        return wrong

    def asked(sandbox: str, name: str) -> str:
        command = ["ip", "netns", "exec", sandbox, "dig", "+short", "+tries=1", "+time=30"]
        done = subprocess.run(
            [*command, "@127.0.0.11", name], capture_output=True, text=True, timeout=PATIENCE
        )
        return done.stdout.strip()

    with upstream(host, "192.0.2.254", "nxdomain"):
        assert host.call(rounds) == []
        c1, _ = host.call(addresses, "c1")
        host.call(act, lambda c: c.sandboxes.rename("c1", "front"))
        assert dig(host, "c2", "front") == [c1] and dig(host, "c2", "c1") == []
        assert dig(host, "front", "c2") == [host.call(addresses, "c2")[0]]
        assert dig(host, "c2", f"-x {c1}") == ["front.web."]
        host.call(act, lambda c: c.endpoints.remove("web/front", force=True))
        assert dig(host, "c2", "front") == []


def test_a_rename_into_a_name_that_is_taken(host: Host) -> None:
    host.call(act, two, lambda c: c.endpoints.create("web", "taken"))
    before = host.snapshot()
    with pytest.raises(Conflict, match="has an endpoint taken already"):
        host.call(act, lambda c: c.sandboxes.rename("c1", "taken"))
    host.assert_unchanged(before)
    assert dig(host, "c2", "c1") == [host.call(addresses, "c1")[0]]


_CLIENT = """
import select, socket, struct, sys
query = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + b"\\2c2\\0\\0\\1\\0\\1"
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(30)
sock.connect(("127.0.0.11", 53))
asked, missed = 0, 0
while not select.select([sys.stdin], [], [], 0)[0]:
    sock.send(query)
    asked += 1
    try:
        good = sock.recv(512)[7] == 1
    except OSError:
        good = False
    missed += not good
    if asked == 1: print("asking", flush=True)
print(asked, missed)
"""


ROUNDS = 10
"""Of changes, while names are asked for."""


def test_no_query_is_lost_in_a_change(host: Host) -> None:
    host.call(act, two, lambda c: c.endpoints.create("web", "late", aliases=["c2x"]))
    client = host.start(
        *("ip", "netns", "exec", "c1", sys.executable, "-c", _CLIENT),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert client.stdout and client.stdout.readline() == "asking\n"

    def change() -> None:
        with controller() as c:
            for _ in range(ROUNDS):
                c.endpoints.join("late", "c1")
                c.endpoints.leave("late")
                c.sandboxes.create("c9")
                c.endpoints.connect("web", "c9")
                c.sandboxes.remove("c9", force=True)

    host.call(change)
    asked, missed = map(int, client.communicate("end\n", timeout=PATIENCE)[0].split())
    assert asked > 10 * ROUNDS and missed == 0
