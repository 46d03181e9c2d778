"""What people type next, with real processes, names and traffic."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.kernel.host import Host, Outside
from tests.kernel.upstream import upstream
from tests.system.library import act, clear, two
from tests.waiting import PATIENCE, equal, until


def test_a_shell_without_a_command_and_the_processes_of_a_sandbox(host: Host) -> None:
    host.call(act, two)
    process = host.start(
        sys.executable,
        "-m",
        "netctl",
        "sandbox",
        "exec",
        "-it",
        "c1",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    print("echo $$; ip -br link | wc -l; exec sleep 50 # here", file=process.stdin, flush=True)
    pid = int(process.stdout.readline())
    assert int(process.stdout.readline()) == 2

    def rows() -> object:
        return json.loads(host.netctl("sandbox", "ps", "c1", "--format", "json").stdout)

    row = {"pid": pid, "user": "root", "uid": os.geteuid(), "command": "sleep 50"}
    equal(rows, [row])
    assert json.loads(host.netctl("sandbox", "ps", "c2", "--format", "json").stdout) == []
    process.terminate()
    process.wait(PATIENCE)
    process.stdin.close()
    process.stdout.close()


def found(host: Host, sandbox: str, *names: str) -> list[bool]:
    """Whether names resolve in a sandbox, asked for with glibc and without its hosts file."""
    asked = (["ip", "netns", "exec", sandbox, "getent", "-s", "dns", "ahosts", n] for n in names)
    return [host.run(*words).returncode == 0 for words in asked]


def test_names_follow_what_is_renamed(host: Host) -> None:
    host.call(act, two)
    # Who asks for another name is told that there is none.
    with upstream(host, Outside.IPV4, "nxdomain"):
        assert found(host, "c1", "c2", "c2.web", "front", "c2.lan", "www") == [
            True,
            True,
            *[False] * 3,
        ]
        for words in (
            "network rename web lan",
            "endpoint rename lan/c2 front",
            "endpoint set lan/front --alias www",
        ):
            done = host.netctl(*words.split())
            assert (done.returncode, done.stderr) == (0, "")
        names = ("front", "front.lan", "www", "www.lan", "c2", "c2.lan", "c2.web", "front.web")
        assert found(host, "c1", *names) == [True] * 4 + [False] * 4
        # In its own sandbox it is known by the sandbox's name as well.
        assert found(host, "c2", "front", "c2", "c1.lan") == [True] * 3
        assert host.run("ip", "netns", "exec", "c1", "ping", "-c1", "-W2", "www").returncode == 0
        assert host.netctl("endpoint", "set", "lan/front", "--alias-rm", "www").returncode == 0
        assert found(host, "c1", "www", "front") == [False, True]
        assert host.netctl("check").returncode == 0
        # Another resolver begins with the same names.
        host.sh("kill -9 $(cat /run/netctl/resolver.pid)")
        assert host.netctl("repair").returncode == 0
        assert found(host, "c1", "front.lan", "c2", "c2.web") == [True, False, False]
    before = host.snapshot()
    host.call(act, clear)
    assert before != host.snapshot()
    assert host.netctl("check").returncode == 0


def test_a_published_port_follows_the_way_out_that_a_name_decides(host: Host) -> None:
    host.call(
        act,
        two,
        lambda c: c.networks.create("zoo", ipv6=True),
        lambda c: c.endpoints.connect("zoo", "c1", ports=["8080:80"]),
    )
    server = host.start(
        *("ip", "netns", "exec", "c1", sys.executable, "-m", "http.server", "80"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def reached() -> bool:
        words = ("curl", "-s", "-o", "/dev/null", "-m2", "http://127.0.0.1:8080/")
        return host.run(*words).returncode == 0

    assert not reached()
    done = host.netctl("network", "rename", "zoo", "ark")
    assert done.returncode == 0 and "the way out of sandbox c1 is ark/c1 now" in done.stderr
    until(reached, "an answer of the server")
    assert host.netctl("check").returncode == 0
    assert host.netctl("network", "rename", "ark", "zoo").returncode == 0
    assert not reached()
    server.kill()
    server.wait()


def test_a_command_in_a_network_by_options_of_its_own(host: Host) -> None:
    host.call(act, two)
    script = "ip -br addr show lan0; getent -s dns hosts www; ping -c1 -W2 c1 >/dev/null && echo up"
    words = "run --network web --ip 172.17.0.77 --alias www --ifname lan0 --mac 02:00:00:00:00:77"
    done = host.netctl(*words.split(), "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert "172.17.0.77/16" in done.stdout.splitlines()[0]
    assert "www" in done.stdout.splitlines()[1] and done.stdout.splitlines()[-1] == "up"
    assert host.netctl("endpoint", "ls", "--format", "name").stdout.split() == ["c1", "c2"]
    assert host.netctl("check").returncode == 0


def test_a_command_without_a_network_and_one_in_the_hosts_stack(host: Host) -> None:
    before = host.snapshot()
    done = host.netctl("run", "--network", "none", "--", "ip", "-br", "link")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["lo"]
    inside = host.netctl("run", "--network", "host", "--", "readlink", "/proc/self/ns/net").stdout
    assert inside == host.sh("readlink /proc/self/ns/net") != ""
    host.assert_unchanged(before)


def test_a_sandbox_with_a_process_is_not_pruned(host: Host) -> None:
    for name in ("c1", "c2"):
        assert host.netctl("sandbox", "create", name).returncode == 0
    process = host.start("ip", "netns", "exec", "c1", "sleep", "600")
    inside = host.sh("stat -Lc %i /run/netns/c1").strip()
    host.until(f"test $(stat -Lc %i /proc/{process.pid}/ns/net) = {inside}")
    assert host.netctl("sandbox", "prune", "--force").stdout == "c2\n"
    process.kill()
    process.wait()
    assert host.netctl("sandbox", "prune", "--force").stdout == "c1\n"
    assert host.netctl("check").returncode == 0
