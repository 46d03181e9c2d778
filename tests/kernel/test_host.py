"""The hosts of the tests themselves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from netctl.kernel import resolver
from tests.kernel import host_children
from tests.kernel.host import Host, reason_to_skip
from tests.kernel.resolver_host import RUN
from tests.waiting import equal, until

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())
SLEEP = "exec sleep 600"
HIDDEN = {
    "in the background": f"({SLEEP}) &",
    "a session of its own": f"setsid sh -c '{SLEEP}' &",
    "no environment": f"env -i sh -c '{SLEEP}' &",
    "stopped": f"({SLEEP}) & kill -STOP $!",
    "deaf": f"trap '' TERM INT HUP; ({SLEEP}) &",
    "in a namespace with a name": f"ip netns add c1; ip netns exec c1 sh -c '{SLEEP}' &",
    "in a namespace that has lost its name": (
        f"ip netns add c2; ip netns exec c2 sh -c '{SLEEP}' &"
        " until ip netns pids c2 | grep -q .; do sleep 0.01; done; ip netns del c2"
    ),
    "namespaces as of a container": (
        f"unshare --net --mount --uts --ipc --cgroup --pid --fork sh -c '{SLEEP}' &"
    ),
    "all that a user may have": f"unshare --user --map-root-user --net --mount sh -c '{SLEEP}' &",
    "a server": f"{sys.executable} -m http.server -b 127.0.0.1 8000 &",
}
"""Processes that might outlive a host, each started by a shell that ends."""


def commands(pids: list[int]) -> list[str]:
    return [host_children.command_of(pid).partition(" ")[2] for pid in pids]


@pytest.mark.parametrize("how", HIDDEN)
def test_a_host_leaves_no_process(how: str) -> None:
    made = Host()
    program = "http.server" if how == "a server" else "sleep 600"
    made.sh(f"({HIDDEN[how]}) >/dev/null 2>&1")
    until(lambda: any(program in command for command in commands(made.processes())))
    found = made.processes()
    made.close()
    equal(lambda: [pid for pid in found if host_children.namespaces_of(pid)], [])


def test_a_host_leaves_no_resolver() -> None:
    made = Host()
    made.sh("ip netns add c1; ip -n c1 link set lo up")
    made.call(resolver.start, RUN)
    [found] = made.processes()
    made.close()
    equal(lambda: host_children.namespaces_of(found), set())


def test_a_process_that_a_host_leaves_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Host()
    command = ("unshare", "--net", "--mount", "sh", "-c", f"echo there; {SLEEP}")
    with made.start(*command, stdout=subprocess.PIPE) as started:
        assert started.stdout and started.stdout.readline() == "there\n"
        equal(lambda: commands(made.processes()), ["sleep 600"])
        monkeypatch.setattr("tests.kernel.host.kill", lambda pid: None)
        monkeypatch.setattr("tests.kernel.host.TIMEOUT", 0)
        found = made.processes()
        with pytest.raises(RuntimeError, match=r"the host left processes: \d+ sleep 600"):
            made.close()
        for pid in found:
            os.kill(pid, 9)
        started.wait(timeout=host_children.TIMEOUT)
    equal(lambda: [pid for pid in found if host_children.namespaces_of(pid)], [])
