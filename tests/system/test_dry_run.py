"""What a dry run prints is a script: run by a shell, it does what netctl would have done."""

from __future__ import annotations

import sys

from tests.kernel.host import Host, Outside
from tests.kernel.host_children import command_of

NETCTL = f"{sys.executable} -m netctl"


def carry_out(host: Host, *command: str) -> None:
    """Run in a shell, which ends at the first line that fails, what a dry run prints."""
    words = 1 if command[0] == "run" else 2
    shown = host.netctl(*command[:words], "--dry-run", *command[words:])
    assert (shown.returncode, shown.stderr) == (0, "")
    script = f'netctl() {{ {NETCTL} "$@"; }}\n{shown.stdout}'
    host.run("tee", "/run/script", input=script, check=True)
    # The resolver stays, and would hold a pipe.
    done = host.sh("sh -ex /run/script </dev/null >/run/printed 2>&1; echo $?; cat /run/printed")
    host.sh("rm /run/script /run/printed")
    assert done.startswith("0\n"), f"{script}\n{done}"


def test_everything_comes_into_being_by_hand(host: Host) -> None:
    host.netctl("network", "create", "six", "--ipv6", "-o", "bridge.enable_icc=false", check=True)
    carry_out(
        host,
        *("run", "--name", "r1", "--network", "six", "--network", "bridge"),
        *("-p", "8080:80", "-p", "9000-9002:9000-9002/udp", "--", "true"),
    )
    assert host.ping("/run/netns/r1", Outside.IPV4)
    assert host.ping("/run/netns/r1", Outside.IPV6)
    assert host.sh("ip netns exec r1 dig +short r1").split()
    # A second resolver would take the place of the one that was told.
    others = [pid for pid in host.processes() if "/run/script" not in command_of(pid)]
    assert others == [int(host.sh("cat /run/netctl/resolver.pid"))]
    with host.server("/run/netns/r1", "0.0.0.0", 80):
        assert host.ask("outside", "192.0.2.1", 8080) == Outside.IPV4
    # It bears netctl's mark, so that netctl takes it away again.
    assert host.netctl("gc", "--yes").returncode == 0
    left = host.sh("ip netns; ip -br link")
    assert "r1" not in left and "nc" not in left and left.count("br-") == 1


def test_everything_goes_by_hand(host: Host) -> None:
    before = host.snapshot()
    host.sh("ip netns add theirs")
    for command in (
        "network create web --ipv6",
        "sandbox create c1",
        "network connect web c1 -p 8080:80 --route 10.9.0.0/16,blackhole",
        "sandbox create ext --netns /run/netns/theirs",
        "network connect web ext",
    ):
        host.netctl(*command.split(), check=True)
    for command in ("sandbox rm --force c1 ext", "network rm web"):
        carry_out(host, *command.split())
        assert host.netctl(*command.split()).returncode == 0
    host.sh("ip netns delete theirs")
    host.assert_unchanged(before)


def test_a_sandbox_moves_by_hand(host: Host) -> None:
    host.sh("ip netns add theirs")
    host.netctl("sandbox", "create", "ext", "--netns", "/run/netns/theirs", check=True)
    carry_out(host, "sandbox", "rename", "ext", "other")
    assert "other" in host.sh("ip netns").split() and "ext" not in host.sh("ip netns").split()
    host.sh("ip netns delete other; ip netns add stays")
    carry_out(host, "sandbox", "create", "late", "--netns", "/run/netns/stays")
    assert "late" in host.sh("ip netns").split()


def test_names_are_changed_by_hand(host: Host) -> None:
    for command in (
        "network create web",
        "sandbox create c1",
        "network connect web c1",
        "endpoint create web web1",
    ):
        host.netctl(*command.split(), check=True)
    for command, name in (
        ("endpoint set web/c1 --alias www", "www"),
        ("endpoint rename web/c1 shop", "shop"),
        ("network rename web lan", "c1.lan"),
    ):
        assert host.sh(f"ip netns exec c1 dig +short {name}") == ""
        carry_out(host, *command.split())
        assert host.sh(f"ip netns exec c1 dig +short {name}").split() == ["172.17.0.2"]
    # What has changes of documents alone has nothing to be typed.
    assert host.netctl("endpoint", "rename", "web1", "web2", "--dry-run").stdout == ""
