"""The resolver's process as commands meet it: killed, hanging, of another version, run by a unit."""

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

import pytest

import netctl
from netctl import plainsocket
from netctl.errors import KernelError
from netctl.kernel import resolver
from tests.kernel.host import Host
from tests.kernel.resolver_host import RUN, dig, end_process, state
from tests.system.library import (
    act,
    address_of,
    addresses,
    clear,
    connect,
    controller,
    joined,
    two,
    web,
)
from tests.waiting import PATIENCE, equal, until

PID = "cat /run/netctl/resolver.pid"


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
    more, c1 = address_of(host, "web/more")[0], address_of(host, "web/c1")[0]
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
                joined(c, "web", name, name)
                if killing and name == "c2":
                    os.kill(int(Path(RUN, "resolver.pid").read_text()), signal.SIGKILL)

    for killing in (False, True):
        host.call(partial(many, killing))
        for name in names:
            assert dig(host, "c1", name) == [address_of(host, f"web/{name}")[0]]
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
    assert dig(host, "c3", "c3") == [address_of(host, "nc3/c3")[0]]
    assert dig(host, "c1", "c1") == [address_of(host, "nc1/c1")[0]]
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
    there = [address_of(host, "web/more")[0]] if "more" in command else []
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
    assert dig(host, "c2", "more") == [address_of(host, "web/more")[0]]
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
    assert dig(host, "c2", "more") == [address_of(host, "web/more")[0]]


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
