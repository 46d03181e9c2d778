"""The host's own /etc/resolv.conf changes while sandboxes run: DHCP, a VPN, systemd-resolved."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.kernel.host import Host
from tests.kernel.resolver_host import ask, dig, state
from tests.kernel.upstream import IPV4, upstream
from tests.system.library import act, connect, create, web
from tests.waiting import PATIENCE, equal, until

FIRST, SECOND = "192.0.2.254", "192.0.2.10"
OLD, NEW = f"nameserver {FIRST}", f"nameserver {SECOND}"


def own_etc(host: Host) -> None:
    """Give the host an /etc whose files can be replaced, as those of a machine can."""
    host.sh(
        "mkdir /run/etc && cp -a /etc/. /run/etc/ 2>/dev/null; mount --bind /run/etc /etc"
        " && mkdir -p /etc/netns && mount -t tmpfs none /etc/netns"
        f" && rm -f /etc/resolv.conf && echo '{OLD}' > /etc/resolv.conf"
    )
    host.outside.sh(f"ip address add {SECOND}/24 dev world")


REPLACED = {
    "in place": f"echo '{NEW}' > /etc/resolv.conf",
    "by rename": f"echo '{NEW}' > /etc/new && mv /etc/new /etc/resolv.conf",
    "by a link": f"echo '{NEW}' > /run/real && ln -sf /run/real /etc/resolv.conf",
    "by hand": f"rm /etc/resolv.conf && sleep 0.2 && echo '{NEW}' > /etc/resolv.conf",
}


@pytest.mark.parametrize("how", REPLACED)
def test_the_resolver_follows_the_hosts_servers(host: Host, how: str) -> None:
    own_etc(host)
    host.call(
        act,
        web,
        partial(create, name="c1"),
        partial(connect, network="web", sandbox="c1"),
        partial(create, name="c2", dns=[FIRST]),
        partial(connect, network="web", sandbox="c2"),
    )
    with upstream(host, FIRST) as first, upstream(host, SECOND) as second:
        assert dig(host, "c1", "one.test") == [IPV4] and first() == ["one.test."]
        host.sh(REPLACED[how])
        assert dig(host, "c1", "two.test") == [IPV4] and second() == ["two.test."]
        assert "status: NOERROR" in ask(host, "c1", "three.test +tcp")
        assert first() == ["one.test."]
        # What was asked for stays.
        ask(host, "c2", "four.test")
        assert "four.test." not in second()
    # It is no difference between the store and the kernel, and nothing is outdated.
    assert host.netctl("check").returncode == 0
    assert "resolv-conf-outdated" not in host.netctl("doctor", "--format", "json").stdout
    assert host.netctl("sandbox", "refresh", "c1").returncode == 0
    [told] = [m for m in state(host)["model"] if m.get("follows")]
    assert told["servers"] == [{"address": SECOND, "host": True}]


@pytest.mark.parametrize(
    "broken",
    [
        "rm /etc/resolv.conf",
        ": > /etc/resolv.conf",
        "head -c 100000 /dev/zero > /etc/resolv.conf",
        "rm /etc/resolv.conf && mkdir /etc/resolv.conf",
        "rm /etc/resolv.conf && mkfifo /etc/resolv.conf",
        "truncate -s 20M /etc/resolv.conf",
    ],
)
def test_without_a_server_there_the_last_ones_are_asked(host: Host, broken: str) -> None:
    own_etc(host)
    host.call(act, web, partial(create, name="c1"), partial(connect, network="web", sandbox="c1"))
    with upstream(host, SECOND) as asked:
        host.sh(f"echo '{NEW}' > /etc/resolv.conf")
        assert dig(host, "c1", "one.test") == [IPV4]
        host.sh(broken)
        assert dig(host, "c1", "two.test") == [IPV4]
        assert asked() == ["one.test.", "two.test."]
        # Nothing else is refused for it.
        host.call(act, partial(create, name="c2"))
        assert host.netctl("sandbox", "refresh", "c1").returncode == 0
        assert host.netctl("check").returncode == 0
    host.sh("rm -rf /etc/resolv.conf")


def test_the_doctor_names_what_does_not_follow(host: Host) -> None:
    own_etc(host)
    host.call(
        act,
        web,
        partial(create, name="c1"),
        partial(connect, network="web", sandbox="c1"),
        partial(create, name="c2"),
        partial(create, name="c3", dns=[FIRST], dns_search=["mine.test"], dns_options=["edns0"]),
    )

    def outdated() -> list[tuple[str, str]]:
        found = json.loads(host.netctl("doctor", "--format", "json").stdout)
        return [
            (each["evidence"], each["remedy"][0])
            for each in found
            if each["code"] == "resolv-conf-outdated"
        ]

    assert outdated() == []
    host.sh(f"printf '{NEW}\\nsearch corp.test\\noptions timeout:2\\n' > /etc/resolv.conf")
    search = "search: none, now corp.test; options: none, now timeout:2"
    evidence = [search, f"{search}; servers: {FIRST}, now {SECOND}"]
    assert [each for each, _ in outdated()] == evidence
    for _, remedy in outdated():
        host.sh(f'netctl() {{ {sys.executable} -m netctl "$@"; }}; {remedy}')
    assert outdated() == []
    assert "search corp.test" in host.sh("cat /etc/netns/c1/resolv.conf")


READ = """
read() { [ "$(cat /run/go)" = $1 ] && cat /etc/resolv.conf /etc/hosts > /run/seen.$1.new \\
    && mv /run/seen.$1.new /run/seen.$1; }
while :; do
    if [ -e /run/go ] && [ ! -e /run/seen.$(cat /run/go) ]; then read $(cat /run/go); fi
    [ -e /run/end ] && exit; sleep 0.05
done
"""
"""What runs in a sandbox: it shows its files each time that it is asked to."""


def asked(host: Host, number: int) -> str:
    """Return the files as ``READ`` sees them now."""
    host.sh(f"echo {number} > /run/go.new; mv /run/go.new /run/go")
    host.until(f"test -e /run/seen.{number}")
    return host.sh(f"cat /run/seen.{number}")


@contextmanager
def inside(host: Host, *arguments: str) -> Iterator[Callable[[], str]]:
    """Run a command by netctl; lend a function that returns the files as the command sees them."""
    with reading(host, sys.executable, "-m", "netctl", *arguments, "--") as seen:
        yield seen


@contextmanager
def reading(host: Host, *prefix: str) -> Iterator[Callable[[], str]]:
    """Run a command by another; lend a function that returns the files as the command sees them."""
    host.sh("rm -f /run/go /run/end /run/seen.*")
    started = host.start(*prefix, "sh", "-c", READ, stdout=subprocess.PIPE)

    numbers = itertools.count()
    try:
        yield lambda: asked(host, next(numbers))
    finally:
        host.sh("touch /run/end")
        started.communicate(timeout=PATIENCE)


def guards(host: Host) -> list[int]:
    """Return the processes of the host that keep files mounted."""

    def title(pid: int) -> str:
        try:
            with open(f"/proc/{pid}/comm") as file:
                return file.read().strip()
        except OSError:
            return ""

    return [pid for pid in host.processes() if title(pid) == "netctl-files"]


RUNS = {"exec": ("sandbox", "exec", "c1"), "run": ("run", "--network", "web")}
OURS = "nameserver 127.0.0.11"


@pytest.mark.parametrize("how", RUNS)
def test_a_running_command_keeps_its_files_when_the_host_replaces_its_own(
    host: Host, how: str
) -> None:
    own_etc(host)
    host.call(act, web, partial(create, name="c1"), partial(connect, network="web", sandbox="c1"))
    with inside(host, *RUNS[how]) as seen:
        first = seen()
        assert OURS in first and "testhost" not in first
        host.sh("cp /etc/hosts /etc/h && mv /etc/h /etc/hosts")
        for change in (*REPLACED.values(), *REPLACED.values()):
            host.sh(change)
            # The host's own file is what it was made.
            assert host.sh("cat /etc/resolv.conf") == f"{NEW}\n"
            equal(seen, first)
        # Where the link leads may be replaced as well, as systemd-resolved does it.
        host.sh(f"ln -sf ../run/real /etc/resolv.conf; echo '{OLD}' > /run/real2")
        equal(seen, first)
        host.sh("mv /run/real2 /run/real")
        equal(seen, first)
        # So may the directory, and the one that it is in.
        host.sh("mkdir -p /run/dyn/in && mv /run/real /run/dyn/in/real")
        host.sh("ln -sf ../run/dyn/in/real /etc/resolv.conf")
        equal(seen, first)
        for gone in ("rm -rf /run/dyn/in", "rm -rf /run/dyn", "mv /run/dyn /run/dyn.old"):
            host.sh(f"{gone}; mkdir -p /run/dyn/in; echo '{OLD}' > /run/dyn/in/real")
            equal(seen, first)
        # What else changes there is seen.
        host.sh("echo new > /etc/netctl-test; rm -f /etc/resolv.conf /etc/hosts")
        host.sh(f"echo '{OLD}' > /etc/resolv.conf; echo 127.0.0.1 localhost > /etc/hosts")
        equal(seen, first)
    equal(lambda: guards(host), [])


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-"])
def test_a_command_without_standard_streams_keeps_its_files(host: Host, closed: str) -> None:
    own_etc(host)
    host.call(act, web, partial(create, name="c1"), partial(connect, network="web", sandbox="c1"))
    command = f'exec "$0" -m netctl sandbox exec c1 -- "$@" {closed}'
    with reading(host, "sh", "-c", command, sys.executable) as seen:
        first = seen()
        assert OURS in first
        host.sh("cp /etc/hosts /etc/h && mv /etc/h /etc/hosts")
        host.sh(REPLACED["by rename"])
        equal(seen, first)


def test_a_command_of_ip_netns_exec_sees_what_netctl_writes(host: Host) -> None:
    own_etc(host)
    host.call(act, web, partial(create, name="c1"), partial(connect, network="web", sandbox="c1"))
    with reading(host, "ip", "netns", "exec", "c1") as seen:
        assert OURS in (before := seen())
        # Its mount is not netctl's to guard: netctl writes in place, and never by rename.
        host.call(act, lambda c: c.networks.create("db", subnets=["10.9.0.0/24"]))
        host.call(act, partial(connect, network="db", sandbox="c1"))
        after = seen()
        assert "10.9.0.2\tc1" in after and "10.9.0.2" not in before and OURS in after


def test_its_files_follow_its_sandbox(host: Host) -> None:
    own_etc(host)
    host.call(act, web, partial(create, name="c1"), partial(connect, network="web", sandbox="c1"))
    with inside(host, "sandbox", "exec", "c1") as seen:
        assert "\tc1\n" in seen()
        host.sh(REPLACED["by rename"])
        host.call(act, lambda c: c.sandboxes.rename("c1", "front"))
        host.sh("cp /etc/hosts /etc/h && mv /etc/h /etc/hosts")
        # The rename has written its file in place.
        until(lambda: "\tfront\n" in (after := seen()) and OURS in after)
        # It holds neither the namespace nor what the command was given.
        pids = host.sh("ip netns pids front").split()
        assert not set(map(str, guards(host))) & set(pids) and guards(host)
    equal(lambda: guards(host), [])


def test_what_a_command_leaves_behind_keeps_its_files_too(host: Host) -> None:
    own_etc(host)
    host.call(act, partial(create, name="c1", dns=["198.51.100.53"]))
    done = host.netctl("sandbox", "exec", "c1", "--", "sh", "-c", f"({READ}) >/dev/null 2>&1 &")
    # The command has ended, and its pipes with it.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    host.sh(REPLACED["by rename"])
    numbers = itertools.count()
    until(lambda: "198.51.100.53" in asked(host, next(numbers)))
    host.sh("touch /run/end")
    equal(host.processes, [])


def test_a_command_has_no_child_that_it_did_not_make(host: Host) -> None:
    host.call(act, partial(create, name="c1"))
    script = "import os\ntry: os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError: print('none')"
    done = host.netctl("sandbox", "exec", "c1", "--", sys.executable, "-c", script)
    assert (done.stdout, done.stderr) == ("none\n", "")
    assert host.netctl("sandbox", "rm", "c1").returncode == 0
    equal(host.processes, [])
