"""Names, asked for in the sandboxes with dig and with glibc's getaddrinfo."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import netctl
from netctl import plainsocket
from netctl.controller import Controller
from netctl.errors import Conflict, KernelError
from netctl.kernel import resolver
from tests.kernel.host import Host
from tests.kernel.resolver_host import RUN, ask, dig, end_process, state
from tests.kernel.upstream import IPV4, upstream
from tests.system.library import act, addresses, clear, connect, controller, create, two, web
from tests.waiting import PATIENCE, equal, until

NONE = "status: NOERROR"
PID = "cat /run/netctl/resolver.pid"


def by_glibc(host: Host, sandbox: str, name: str, family: str = "ahosts") -> list[str]:
    """Ask getaddrinfo of a sandbox, without its hosts file: each address once, in order."""
    done = host.run("ip", "netns", "exec", sandbox, "getent", "-s", "dns", family, name)
    return list(dict.fromkeys(line.split()[0] for line in done.stdout.splitlines()))


def endpoint(c: Controller, network: str, name: str, sandbox: str, **options: Any) -> None:
    """Make an endpoint and join it to a sandbox, which is made if need be."""
    local = options.pop("local_aliases", None)
    if not any(each.name == sandbox for each in c.sandboxes.list()):
        c.sandboxes.create(sandbox)
    c.endpoints.create(network, name, **options)
    c.endpoints.join(f"{network}/{name}", sandbox, local_aliases=local)


def address(host: Host, reference: str) -> tuple[str, str]:
    """Return an endpoint's IPv4 and IPv6 address."""

    def find() -> tuple[str, str]:
        with controller() as c:
            doc = c.endpoints.get(reference).doc
            return doc.ipv4.partition("/")[0], doc.ipv6.partition("/")[0]

    return host.call(find)


def subnet(name: str) -> str:
    with controller() as c:
        return c.networks.get(name).doc.pools[0].subnet


def test_names_of_one_network(host: Host) -> None:
    before = host.snapshot()
    host.call(
        act,
        web,
        partial(create, name="c1", hostname="front", domainname="example.org"),
        partial(endpoint, network="web", name="web1", sandbox="c1", aliases=["www", "shop.test"]),
        partial(endpoint, network="web", name="web2", sandbox="c2", aliases=["www"]),
        partial(
            endpoint, network="web", name="hid", sandbox="c3", aliases=["known"], anonymous=True
        ),
        partial(
            endpoint,
            network="web",
            name="c4",
            sandbox="c4",
            local_aliases={"database": "web1", "web2": "known"},
        ),
    )
    v4, v6 = address(host, "web1")
    second, _ = address(host, "web2")
    hidden, _ = address(host, "hid")
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
        partial(endpoint, network="a", name="one", sandbox="c1"),
        partial(endpoint, network="inner", name="two", sandbox="c2"),
        partial(endpoint, network="inner", name="three", sandbox="c1"),
        partial(endpoint, network="inner", name="one", sandbox="c3"),
        partial(create, name="c4", dns=["192.0.2.254"], dns_search=["a"], dns_options=["ndots:1"]),
        partial(endpoint, network="a", name="four", sandbox="c4"),
        partial(create, name="c5"),
    )
    one, inner_one = address(host, "a/one")[0], address(host, "inner/one")[0]
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
        assert dig(host, "c4", "seen.test TXT")[0].split()[1] == address(host, "a/four")[0]
        assert dig(host, "c1", "seen.test TXT")[0].split()[1] == "192.0.2.1"
    # A sandbox without a network has the host's servers still.
    assert "nameserver 192.0.2.254" in host.sh("ip netns exec c5 cat /etc/resolv.conf")


def test_who_has_no_resolver(host: Host) -> None:
    host.call(
        act,
        web,
        partial(endpoint, network="web", name="web1", sandbox="c1", no_dns=True),
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
    host.call(act, partial(endpoint, network="web", name="web2", sandbox="c3"))
    assert dig(host, "c3", "web1") == [address(host, "web1")[0]]
    # An endpoint that wants names brings them into the sandbox, and they stay.
    host.call(act, partial(connect, network="web", sandbox="c1"), lambda c: c.endpoints.leave("c1"))
    assert dig(host, "c1", "web2.web") == [address(host, "web2")[0]]


def test_an_external_namespace_has_names_too(host: Host) -> None:
    host.sh("ip netns add theirs; ip netns add other")
    clean = host.sh("ip netns exec theirs nft list ruleset")
    host.call(
        act,
        web,
        partial(create, name="c1", netns_path="/run/netns/theirs"),
        partial(endpoint, network="web", name="web1", sandbox="c1"),
        partial(create, name="c2"),
        partial(connect, network="web", sandbox="c2"),
    )
    assert dig(host, "theirs", "c2") == [address(host, "web/c2")[0]]
    # It is asked over the loopback, which nobody else had brought up.
    host.sh("ip -n theirs link set lo down")
    assert "interface lo in /run/netns/c1" in host.netctl("check").stdout
    assert host.netctl("repair").returncode == 0
    assert dig(host, "theirs", "c2") == [address(host, "web/c2")[0]]
    host.call(act, lambda c: c.sandboxes.set_key("c1", "/run/netns/other"))
    assert dig(host, "other", "c2") == [address(host, "web/c2")[0]]
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
    late, _ = address(host, "late")

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


def killed(host: Host, number: int = signal.SIGKILL) -> None:
    end_process(int(host.sh(PID)), number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_resolver_is_brought_back(host: Host, number: int) -> None:
    before = host.snapshot()
    host.call(act, two)
    c2, _ = host.call(addresses, "c2")
    assert dig(host, "c1", "c2") == [c2]
    killed(host, number)
    assert "resolver" in host.netctl("check").stdout
    done = host.netctl("network", "create", "other")
    assert (done.returncode, done.stderr) == (0, "netctl: the resolver was killed: it is back\n")
    assert dig(host, "c1", "c2") == [c2]
    assert host.netctl("check").stdout == host.netctl("network", "rm", "other").stderr == ""
    # And by repair; and whoever goes meanwhile is not brought back with it.
    killed(host, number)
    host.sh("rm -f /run/netctl/resolver.sock")
    host.call(act, lambda c: c.endpoints.disconnect("web", "c2"))
    assert host.netctl("repair").returncode == 0
    assert dig(host, "c1", "c1") == [host.call(addresses, "c1")[0]]
    assert f"endpoint {c2}" not in json.dumps(state(host))
    killed(host, number)
    host.call(act, clear)
    host.assert_unchanged(before)


def test_a_resolver_that_nobody_can_tell_anything_ends(host: Host) -> None:
    host.call(act, two)
    pid = int(host.sh(PID))
    host.sh("rm -rf /run/netctl")
    equal(host.processes, [])
    # Nobody is told what was true before; the next command brings another.
    done = host.netctl("network", "disconnect", "web", "c2")
    assert (done.returncode, done.stderr) == (0, "netctl: the resolver was killed: it is back\n")
    assert dig(host, "c1", "c2") == [] and dig(host, "c1", "c1") != []
    assert int(host.sh(PID)) != pid and host.netctl("check").returncode == 0
    host.call(act, clear)
    equal(host.processes, [])


def test_a_resolver_of_another_version_makes_room(host: Host) -> None:
    host.call(act, two)
    pid = int(host.sh(PID))

    def newer() -> None:
        netctl.__version__ = "99"
        act(partial(connect, network="web", sandbox="c1", name="more"))

    # The new one is of the version that is installed.
    host.call(newer)
    assert int(host.sh(PID)) != pid and pid not in host.processes()
    more, c1 = address(host, "web/more")[0], address(host, "web/c1")[0]
    assert (dig(host, "c2", "more"), dig(host, "c2", "c1")) == ([more], [c1])
    pid = int(host.sh(PID))
    host.call(act, partial(connect, network="web", sandbox="c2", name="less"))
    assert int(host.sh(PID)) == pid


def test_after_a_batch_all_names_are_there(host: Host) -> None:
    before = host.snapshot()
    names = ["c1", "c2", "c3", "c4"]

    def many(killing: bool) -> None:
        with controller() as c, c.batch():
            web(c)
            for name in names:
                endpoint(c, "web", name, name)
                if killing and name == "c2":
                    os.kill(int(Path(RUN, "resolver.pid").read_text()), signal.SIGKILL)

    for killing in (False, True):
        host.call(partial(many, killing))
        for name in names:
            assert dig(host, "c1", name) == [address(host, f"web/{name}")[0]]
        assert host.netctl("check").stdout == ""

        def cleared() -> None:
            with controller() as c, c.batch():
                clear(c)

        host.call(cleared)
        host.assert_unchanged(before)


def test_a_name_that_is_refused_in_a_batch_undoes_nobody_else(host: Host) -> None:
    """Two sandboxes of one namespace cannot both be served: which of them is said at the end."""
    host.sh("ip netns add shared")

    def many() -> tuple[str, list[str]]:
        with controller() as c:
            with pytest.raises(KernelError) as caught, c.batch():
                shared = "/run/netns/shared"
                for name, netns in (("c1", shared), ("c2", shared), ("c3", None)):
                    c.networks.create(f"n{name}")
                    c.sandboxes.create(name, netns_path=netns)
                    c.endpoints.connect(f"n{name}", name)
            return caught.value.message, caught.value.notes

    message, notes = host.call(many)
    assert re.match(r"the names of c2, /run/netns/(c2|shared): .*same namespace", message), message
    assert notes == []
    left = host.netctl("check").stdout
    assert "names of sandbox" in left and host.netctl("repair").returncode == 10, left
    assert dig(host, "c3", "c3") == [address(host, "nc3/c3")[0]]
    assert dig(host, "c1", "c1") == [address(host, "nc1/c1")[0]]
    assert host.netctl("endpoint", "ls", "--format", "{name} {sandbox}").stdout.split() == (
        ["c1", "c1", "c2", "c2", "c3", "c3"]
    )


@pytest.mark.parametrize(
    "command",
    ["network connect web c1 --name more", "endpoint rm web/c2 --force", "sandbox rename c2 more"],
)
def test_a_resolver_killed_in_the_middle_of_a_command(host: Host, command: str) -> None:
    """Whatever the command is about has happened, and names are answered when it returns."""
    host.call(act, two)
    pid = int(host.sh(PID))
    os.kill(pid, signal.SIGSTOP)
    running = host.start(
        *(sys.executable, "-m", "netctl", *command.split()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # It waits for an answer: nobody takes its connection.
    host.until(f"test $(ss -Hxln src {RUN}/resolver.sock | awk '{{print $3}}') -gt 0")
    assert running.poll() is None
    end_process(pid, signal.SIGKILL)
    _, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0 and "Traceback" not in errors, errors
    assert int(host.sh(PID)) != pid
    there = [address(host, "web/more")[0]] if "more" in command else []
    assert dig(host, "c1", "more") == there and dig(host, "c1", "c1") != []
    assert dig(host, "c1", "c2") == ([] if "c2" in command else [host.call(addresses, "c2")[0]])
    assert host.netctl("check").returncode == 0


def test_a_resolver_that_hangs_is_an_error_and_then_another(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_ANSWER", 1.0)
    host.call(act, two)
    pid = int(host.sh(PID))
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(KernelError, match="gives no answer in 1 s and was killed") as caught:
        host.call(act, partial(connect, network="web", sandbox="c1", name="more"))
    assert caught.value.hint
    host.call(act, partial(connect, network="web", sandbox="c1", name="more"))
    assert int(host.sh(PID)) != pid
    assert dig(host, "c2", "more") == [address(host, "web/more")[0]]
    # Read, it is waited for and left as it is; repaired, it makes room for another.
    pid = int(host.sh(PID))
    os.kill(pid, signal.SIGSTOP)

    waits: list[float] = []
    connected = resolver._connected

    def waiting(run_dir: str, seconds: float = 0) -> plainsocket.socket:
        waits.append(seconds)
        return connected(run_dir, seconds)

    def found() -> tuple[list[str], list[float]]:
        with controller() as c:
            return [finding.difference.found for finding in c.check()], waits

    # The others are not kept waiting meanwhile: it has its time once, and less again.
    monkeypatch.setattr(resolver, "_AGAIN", 0.2)
    monkeypatch.setattr(resolver, "_connected", waiting)
    differences, seen = host.call(found)
    assert differences == ["no answer"]
    assert seen.count(0) == 1 and set(seen) <= {0, 0.2}
    assert pid in host.processes()

    def mended() -> tuple[tuple[str, ...], tuple[str, ...]]:
        with controller() as c:
            repaired = c.repair()
            return repaired.done, repaired.left

    assert host.call(mended) == (("names: resolver",), ())
    assert dig(host, "c2", "more") == [address(host, "web/more")[0]]


def test_what_the_resolver_should_know_is_compared(host: Host) -> None:
    host.call(act, two)
    c1, _ = host.call(addresses, "c1")
    for message in (
        {"do": "endpoint-gone", "id": host.call(_endpoint_id, "web/c1")},
        {"do": "endpoint", "id": "x" * 64, "network": "n", "names": ["x"], "addresses": []},
        {"do": "relay", "id": host.call(_endpoint_id, "web/c2"), "addresses": [], "ports": []},
    ):
        host.call(resolver.tell, RUN, [message])
    rows = json.loads(host.netctl("check", "--format", "json").stdout)
    assert [row["what"][:17] for row in rows] == ["names of endpoint"]
    assert host.netctl("repair").returncode == 0
    assert dig(host, "c2", "c1") == [c1]
    assert "names in the resolver" in host.netctl("gc", "--yes").stdout
    known = json.dumps(state(host))
    assert "x" * 64 not in known and '"relay"' not in known
    assert dig(host, "c2", "c1") == [c1] and host.netctl("gc").stdout == ""


def _endpoint_id(reference: str) -> str:
    with controller() as c:
        return c.endpoints.get(reference).id


@contextmanager
def unit(host: Host) -> Iterator[subprocess.Popen[str]]:
    """Run what the unit of systemd runs."""
    running = host.start(sys.executable, "-m", "netctl", "system", "resolver")
    try:
        _await(host, running.pid)
        yield running
    finally:
        running.terminate()
        running.wait(timeout=PATIENCE)


def _await(host: Host, pid: int) -> None:
    """Wait until a process is the resolver, answers, and the one before it has gone."""

    def alone() -> bool:
        with suppress(KernelError):
            return state(host)["pid"] == pid and host.processes() == [pid]
        return False

    until(alone, f"process {pid} as the resolver")


def test_the_unit_takes_over_and_stays(host: Host) -> None:
    host.call(act, two)
    with unit(host) as first:
        assert host.processes() == [first.pid]
        assert dig(host, "c1", "c2") == [host.call(addresses, "c2")[0]]
        with unit(host) as second:
            # The last to begin is the one.
            assert first.wait(timeout=PATIENCE) == 0 and host.processes() == [second.pid]
        # Stopped, it is missed.
        done = host.netctl("network", "create", "other")
        assert "it is back" in done.stderr
    assert dig(host, "c1", "c2") == [host.call(addresses, "c2")[0]]
    with unit(host) as third:
        host.call(act, clear)
        assert host.processes() == [third.pid]
        host.call(act, two)
        assert host.processes() == [third.pid]
        third.kill()
        third.wait()
        with unit(host) as fourth:
            assert host.processes() == [fourth.pid]
            assert dig(host, "c1", "c2") == [host.call(addresses, "c2")[0]]
