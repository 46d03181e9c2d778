"""The resolver's process on the real kernel: started, told, asked with dig, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from netctl.errors import KernelError
from netctl.kernel import resolver
from tests.kernel.host import Host
from tests.kernel.resolver_host import (
    RUN,
    Message,
    dig,
    end_process,
    endpoint,
    network,
    ruleset,
    sandbox,
    started,
    state,
    tell,
)
from tests.waiting import PATIENCE, equal


def ended_unused(host: Host) -> bool:
    """End the resolver if it serves nobody; return whether it has ended."""
    return host.call(partial(resolver.stop, RUN, unused=True))


def test_one_process_from_the_first_sandbox_to_the_last(host: Host) -> None:
    started(host, "c1", "c2")
    assert host.call(resolver.running, RUN)
    pid = state(host)["pid"]
    host.call(resolver.start, RUN)
    assert state(host)["pid"] == pid
    # It has let go of who started it.
    assert os.getsid(pid) == pid and os.path.samefile(f"/proc/{pid}/cwd", f"/proc/{pid}/root")
    assert all(os.path.samefile(f"/proc/{pid}/fd/{fd}", os.devnull) for fd in range(3))
    assert Path(f"/proc/{pid}/comm").read_text() == "netctl-dns\n"
    assert host.sh(f"stat -c %a {RUN}/resolver.sock {RUN}/resolver.pid").split() == ["600"] * 2

    ip = endpoint("e1", "web", "web1 www", "10.0.0.1", "fd00::1")
    tell(host, network("web"), ip, sandbox("c1", "web"), sandbox("c2", "web"))
    assert dig(host, "c1", "WEB1.web") == dig(host, "c2", "+tcp web1") == ["10.0.0.1"]
    tell(host, endpoint("e2", "web", "web2 www", "10.0.0.2"))
    assert sorted(dig(host, "c1", "www")) == ["10.0.0.1", "10.0.0.2"]
    assert {dig(host, "c1", "www +noedns")[0] for _ in range(4)} == {"10.0.0.1", "10.0.0.2"}
    tell(host, {"do": "endpoint-gone", "id": "e1"})
    assert dig(host, "c1", "www") == ["10.0.0.2"]

    tell(host, {"do": "sandbox-gone", "id": "c1"})
    assert ruleset(host, "c1") == "" and "netctl:sandbox:c2" in ruleset(host, "c2")
    assert dig(host, "c2", "web2") == ["10.0.0.2"]
    assert not ended_unused(host)
    tell(host, {"do": "sandbox-gone", "id": "c2"})
    assert ended_unused(host)
    assert not host.call(resolver.running, RUN)
    assert host.sh(f"ls {RUN}") == ruleset(host, "c2") == ""
    with pytest.raises(KernelError, match="not at work"):
        tell(host, network("web"))


def test_what_cannot_be_done_changes_nothing(host: Host) -> None:
    started(host, "c1", "c2")
    host.sh("mount --bind /run/netns/c1 /run/netns/c2")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.0.0.1"), sandbox("c1", "web"))
    before = state(host)
    cases: list[tuple[Message, str]] = [
        (sandbox("nobody"), "no such|No such"),
        (sandbox("c2"), "same namespace"),
        (sandbox("c3", netns=""), "host's own stack"),
        (sandbox("c3", netns="/proc/self/ns/net"), "host's own stack"),
        ({"do": "nonsense"}, "knows no message"),
    ]
    for wrong, reason in cases:
        with pytest.raises(KernelError, match=reason):
            tell(host, network("db"), endpoint("e", "db", "x", "10.0.0.2"), wrong)
    assert state(host) == before
    assert dig(host, "c1", "web1") == ["10.0.0.1"]
    host.call(resolver.stop, RUN)
    host.call(resolver.stop, RUN)
    assert ruleset(host, "c1") == ""


def end(host: Host, number: int) -> None:
    """Send the resolver a signal, and wait until it has gone."""
    end_process(state(host)["pid"], number)


def test_it_is_started_anew_after_it_was_killed(host: Host) -> None:
    started(host, "c1")
    told = (network("web"), endpoint("e", "web", "web1", "10.0.0.1"), sandbox("c1", "web"))
    tell(host, *told)
    end(host, signal.SIGKILL)
    assert not host.call(resolver.running, RUN)
    host.call(resolver.start, RUN)
    tell(host, *told)
    assert dig(host, "c1", "web1") == ["10.0.0.1"]
    # What somebody flushed is put back by telling it again.
    host.sh("ip netns exec c1 nft flush ruleset")
    tell(host, told[-1])
    assert dig(host, "c1", "web1") == ["10.0.0.1"]
    end(host, signal.SIGTERM)
    assert host.sh(f"cat {RUN}/*", check=False) == ""
    assert ruleset(host, "c1") == ""


def test_two_that_start_at_once_are_one(host: Host) -> None:
    host.sh("ip netns add c1 && ip -n c1 link set lo up")
    script = f"from netctl.kernel import resolver; resolver.start({RUN!r})"
    starting = [host.start(sys.executable, "-c", script, stderr=subprocess.PIPE) for _ in range(4)]
    troubles = [process.communicate(timeout=PATIENCE)[1] for process in starting]
    assert [p.returncode for p in starting] == [0] * 4, troubles
    assert host.call(resolver.running, RUN)
    assert host.processes() == [state(host)["pid"]]


def test_sandboxes_that_trade_their_namespaces(host: Host) -> None:
    started(host, "c1", "c2")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.0.0.1"))
    tell(host, network("db"), endpoint("f", "db", "db1", "10.0.0.2"))
    tell(host, sandbox("c1", "web"), sandbox("c2", "db"))
    other = {"c1": "/run/netns/c2", "c2": "/run/netns/c1"}
    tell(host, sandbox("c1", "web", netns=other["c1"]), sandbox("c2", "db", netns=other["c2"]))
    assert dig(host, "c2", "web1") == ["10.0.0.1"] and dig(host, "c1", "db1") == ["10.0.0.2"]
    tell(host, {"do": "sandbox-gone", "id": "c1"}, sandbox("c3", "web", netns=other["c1"]))
    assert dig(host, "c2", "web1") == ["10.0.0.1"]


def test_a_server_of_the_sandbox_may_have_port_53(host: Host) -> None:
    started(host, "c1")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.0.0.1"), sandbox("c1", "web"))
    with host.server("/run/netns/c1", "0.0.0.0", 53, "udp"), host.server("/run/netns/c1", "", 53):
        for protocol in ("udp", "tcp"):
            assert host.ask("/run/netns/c1", "127.0.0.1", 53, protocol) == "127.0.0.1"
        assert dig(host, "c1", "web1") == dig(host, "c1", "web1 +tcp") == ["10.0.0.1"]


def test_glibc_finds_everything(host: Host) -> None:
    started(host, "c1")
    tell(
        host,
        network("web"),
        endpoint("e1", "web", "web1 www", "10.0.0.1", "fd00::1"),
        endpoint("e2", "web", "web2 www", "10.0.0.2"),
        sandbox("c1", "web"),
    )
    host.sh("mkdir -p /etc/netns/c1")
    for options in ("ndots:0", "ndots:0 use-vc", "ndots:0 edns0 trust-ad"):
        conf = f"nameserver 127.0.0.11\nsearch example.net\noptions timeout:3 {options}\n"
        host.run("sh", "-c", "cat > /etc/netns/c1/resolv.conf", input=conf, check=True)
        for name, expected in (
            ("web1", {"10.0.0.1", "fd00::1"}),
            ("WWW.web", {"10.0.0.1", "10.0.0.2", "fd00::1"}),
            ("web2", {"10.0.0.2"}),
        ):
            found = host.sh(f"ip netns exec c1 getent -s dns ahosts {name}")
            assert {line.split()[0] for line in found.splitlines()} == expected
    assert host.sh("ip netns exec c1 getent -s dns hosts 10.0.0.2").split()[1] == "web2.web"
    assert host.sh("ip netns exec c1 getent -s dns hosts fd00::1").split()[1] == "web1.web"


def test_many_sandboxes(host: Host) -> None:
    count = 60
    names = [f"m{index}" for index in range(count)]
    host.sh("".join(f"ip netns add {name}; ip -n {name} link set lo up;" for name in names))
    host.call(resolver.start, RUN)
    tell(
        host,
        *(network(f"n{index}") for index in range(count)),
        *(endpoint(f"e{i}", f"n{i}", "me", f"10.1.{i}.1") for i in range(count)),
        *(sandbox(name, f"n{index}") for index, name in enumerate(names)),
    )
    for index in (0, 1, count - 1):
        assert dig(host, f"m{index}", "me") == [f"10.1.{index}.1"]
    assert state(host)["sandboxes"] == count
    gone: list[Message] = [{"do": "sandbox-gone", "id": name} for name in names]
    tell(host, *gone)
    assert ended_unused(host)
    assert not host.call(resolver.running, RUN)


def test_in_the_foreground_it_begins_with_what_the_store_says(host: Host) -> None:
    host.sh(f"ip netns add c1 && ip -n c1 link set lo up && mkdir {RUN}")
    script = (
        "from netctl.backends.dns.log import Log\n"
        "from netctl.backends.dns.server import serve\n"
        "from tests.kernel.resolver_host import loaded\n"
        f"serve({RUN!r}, lambda: loaded('/var/lib/netctl'), Log(None), lambda: None)"
    )
    process = host.start(sys.executable, "-c", script, stderr=subprocess.PIPE)
    host.until(f"test -e {RUN}/resolver.sock")
    assert state(host)["sandboxes"] == 1 and dig(host, "c1", "web1") == ["10.0.0.1"]
    assert host.call(resolver.stop, RUN)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "left out: enter namespace /run/netns/gone" in errors and errors.count("\n") == 1


def test_what_a_start_fails_of_is_said(host: Host) -> None:
    for words in (["--run-dir"], ["--run-dir", "/x"], ["--nonsense"], []):
        done = host.run(sys.executable, "-m", "netctl.backends.dns", *words)
        assert done.returncode == 2 and "usage:" in done.stderr
    host.sh(f"mkdir -p {RUN}/resolver.pid")
    with pytest.raises(KernelError, match=r"start the resolver: lock .*resolver\.pid"):
        host.call(resolver.start, RUN)
    host.sh(f"rmdir {RUN}/resolver.pid && mkdir {RUN}/resolver.sock")
    with pytest.raises(KernelError, match=r"start the resolver: listen on .*resolver\.sock"):
        host.call(resolver.start, RUN)
    equal(host.processes, [])


FAKE_SYSTEMD_RUN = """#!/bin/sh
echo "$@" >>/run/scopes
[ -e /run/broken ] && exit 1
while [ "${1#--}" != "$1" ]; do shift; done
exec "$@"
"""


def test_under_systemd_it_has_a_scope_of_its_own(host: Host) -> None:
    host.run("sh", "-c", "cat >/run/systemd-run", input=FAKE_SYSTEMD_RUN, check=True)
    host.sh("chmod 755 /run/systemd-run; mkdir -p /run/systemd/system")
    script = f"from netctl.kernel import resolver; resolver.start({RUN!r})"
    path = {"PATH": f"/run:{os.environ['PATH']}"}
    host.run(sys.executable, "-c", script, env=path, check=True)
    assert host.call(resolver.running, RUN)
    assert "--scope" in host.sh("cat /run/scopes") and RUN in host.sh("cat /run/scopes")
    host.call(resolver.stop, RUN)
    # Without one it starts all the same.
    host.sh("touch /run/broken")
    host.run(sys.executable, "-c", script, env=path, check=True)
    assert host.call(resolver.running, RUN)
