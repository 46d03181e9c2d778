"""An interface that is not netctl's in the place of one that is: netctl leaves both, and says the
line that helps."""

from __future__ import annotations

import pytest

from netctl.controller import Controller
from tests.kernel.host import Host
from tests.system.library import act

_LINE = "ip -n c1 link delete eth0"
_HINT = f"hint: {_LINE} (or rename it); then"
_TAKEN = {
    "lost": "ip -n c1 link delete eth0; ip -n c1 link add eth0 type veth peer name far",
    "renamed": "ip -n c1 link set eth0 down name old; ip -n c1 link add eth0 type bridge",
    "forged alias": (
        "ip -n c1 link set eth0 down name old; ip -n c1 link add eth0 type veth peer name far;"
        " ip -n c1 link set eth0 alias $(ip -j -n c1 link show old | grep -o 'netctl:endp[^\"]*')"
    ),
}


def furnish(c: Controller) -> None:
    c.networks.create("web", ipv6=True)
    c.sandboxes.create("c1")
    c.endpoints.connect("web", "c1", ports=["8080:80"])


@pytest.mark.parametrize("script", _TAKEN.values(), ids=_TAKEN)
def test_nothing_is_touched_and_the_hint_helps(host: Host, script: str) -> None:
    host.call(act, furnish)
    host.sh(script)
    before = host.snapshot()
    for command, status in (("repair", 10), ("restore", 10), ("sandbox refresh c1", 4)):
        done = host.netctl(*command.split())
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr.count("hint:") == 1 and _HINT in done.stderr
        host.assert_unchanged(before)
    host.sh(_LINE)
    assert host.netctl("repair").returncode == 0
    assert host.netctl("check").returncode == 0
    assert host.ping("/run/netns/c1", "192.0.2.254")


def test_refresh_helps_when_the_name_is_free_again(host: Host) -> None:
    host.call(act, furnish)
    host.sh(_TAKEN["lost"])
    host.sh("ip -n c1 link set eth0 name own0")
    assert host.netctl("sandbox", "refresh", "c1").returncode == 0
    assert host.netctl("check").returncode == 0
    assert "own0" in host.sh("ip -n c1 link")


def test_swapped_names_are_mended(host: Host) -> None:
    host.call(act, furnish, lambda c: c.networks.create("db"))
    host.call(act, lambda c: c.endpoints.connect("db", "c1"))
    host.sh(
        "ip -n c1 link set eth0 down name x; ip -n c1 link set eth1 down name eth0;"
        " ip -n c1 link set x name eth1"
    )
    done = host.netctl("check")
    assert done.returncode == 9 and done.stdout.count("that of another endpoint") == 2
    assert host.netctl("repair").returncode == 0
    assert host.netctl("check").returncode == 0
