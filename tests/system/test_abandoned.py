"""A namespace that is left: its resolver ends, and the same state serves in the next one."""

from __future__ import annotations

import sys

from tests.kernel.host import Host
from tests.waiting import until

NETCTL = f"{sys.executable} -m netctl --state-dir /var/lib/again --run-dir /run/again"
FIRST = f"""
    {NETCTL} network create web
    {NETCTL} sandbox create c1
    {NETCTL} network connect web c1
"""
AGAIN = f"""
    {NETCTL} restore >&2
    {NETCTL} check >&2
    ip -n c1 -br link show eth0
    {NETCTL} network disconnect web c1
    {NETCTL} network connect web c1
    {NETCTL} check >&2
"""

LOOKING = """
import os
from netctl.backends.dns import server
from netctl.backends.dns.log import Log
look = server.tenure.is_abandoned
def noted(namespaces):
    found = look(namespaces)
    with open("/run/looks", "a") as file:
        print(found, file=file)
    return found
server.tenure.is_abandoned, server._LOOK_EVERY = noted, 0.05
os.makedirs("/run/again")
server.serve("/run/again", lambda: (), Log(None), lambda: None)
"""


def used(host: Host, script: str) -> str:
    """Run a script as the README tells ordinary users, but for the user namespace."""
    return host.sh(
        "mkdir -p /run/netns /etc/netns\n"
        "unshare --net --mount sh -ec '"
        "mount -t tmpfs none /run/netns; mount -t tmpfs none /etc/netns"
        f"\n{script}'"
    )


def resolver_of(host: Host) -> int:
    return int(host.sh("cat /run/again/resolver.pid"))


def alive(host: Host, pid: int) -> bool:
    return host.run("test", "-e", f"/proc/{pid}").returncode == 0


def test_the_resolver_of_namespaces_that_are_left_ends(host: Host) -> None:
    used(host, FIRST)
    pid = resolver_of(host)
    until(lambda: not alive(host, pid), "the end of what keeps the namespaces alive")
    assert "eth0" in used(host, AGAIN)
    assert "eth0" in used(host, AGAIN)


def test_one_that_is_still_there_makes_room(host: Host) -> None:
    used(host, FIRST)
    for _ in range(2):
        pid = resolver_of(host)
        assert "eth0" in used(host, AGAIN)
        assert resolver_of(host) != pid


def test_it_stays_where_somebody_is(host: Host) -> None:
    # It looks more often here, and notes what it finds.
    with host.start(sys.executable, "-c", LOOKING) as process:
        host.until("test -e /run/again/resolver.sock")
        host.sh(FIRST)
        host.sh(": > /run/looks")
        # Nobody is in the host now, but somebody has it open.
        host.until("test $(wc -l < /run/looks) -ge 3")
        assert set(host.sh("cat /run/looks").split()) == {"False"}
        assert resolver_of(host) == process.pid and process.poll() is None
        process.kill()
