"""The host's own /etc/resolv.conf changes while sandboxes run: DHCP, a VPN, systemd-resolved."""

from __future__ import annotations

from functools import partial

import pytest

from tests.kernel.host import Host
from tests.kernel.resolver_host import ask, dig, state
from tests.kernel.upstream import IPV4, upstream
from tests.system.library import act, connect, create, web

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
    # It is no difference between the store and the kernel.
    assert host.netctl("check").returncode == 0
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
