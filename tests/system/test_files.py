"""hosts and resolv.conf of sandboxes: what is in them, who sees them, and whose they are."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from typing import Any

import pytest

from netctl.errors import Conflict
from tests.kernel.host import Host
from tests.system.library import act, addresses, clear, connect, create, two, web
from tests.waiting import PATIENCE

HEAD = "# Made by netctl, which leaves it alone once somebody has edited it.\n"


def inspected(host: Host, name: str) -> Any:
    return json.loads(host.netctl("sandbox", "inspect", name).stdout)


def test_everybody_in_a_sandbox_sees_its_files(host: Host) -> None:
    host.call(act, web, partial(create, name="c1", hostname="test", domainname="example.org"))
    host.call(act, partial(connect, network="web", sandbox="c1"))
    v4, v6 = host.call(addresses, "c1")
    [row] = inspected(host, "c1")
    enter = f"nsenter --net={row['key']}"
    for seen in (
        host.sh("ip netns exec c1 cat /etc/hosts"),
        host.netctl("sandbox", "exec", "c1", "cat", "/etc/hosts").stdout,
        host.sh(f"{enter} cat {row['hosts_path']}"),
    ):
        assert f"{v4}\ttest.example.org test\n" in seen
        assert f"{v6}\ttest.example.org test\n" in seen
    expected = f"{HEAD}nameserver 127.0.0.11\nsearch example.net\noptions ndots:0\n"
    for seen in (
        host.sh("ip netns exec c1 cat /etc/resolv.conf"),
        host.netctl("sandbox", "exec", "c1", "cat", "/etc/resolv.conf").stdout,
        host.sh(f"{enter} cat {row['resolv_conf_path']}"),
    ):
        assert seen == expected


def test_an_edited_file_is_left_alone_and_that_is_said(host: Host) -> None:
    before = host.snapshot()
    host.call(act, two)
    [row] = inspected(host, "c1")
    path = row["hosts_path"]
    host.sh(f"echo '192.0.2.9 mine' >> {path}")
    edited = host.sh(f"cat {path}")
    for command in (
        ["network", "disconnect", "web", "c1"],
        ["network", "connect", "web", "c1"],
        ["sandbox", "rename", "c1", "c9"],
        ["sandbox", "refresh", "c9"],
    ):
        done = host.netctl(*command)
        assert done.returncode == 0
        assert f"left as it is: {path}, which somebody edited" in done.stderr
        assert host.sh(f"cat {path}") == edited
    assert host.netctl("network", "disconnect", "web", "c2").stderr == ""
    # The remedy that is named.
    host.sh(f"rm {path}")
    done = host.netctl("sandbox", "refresh", "c9")
    assert (done.returncode, done.stderr) == (0, "")
    v4, _ = host.call(addresses, "c9")
    assert f"{v4}\tc9\n" in host.sh(f"cat {path}")
    assert host.netctl("network", "disconnect", "web", "c9").stderr == ""
    assert v4 not in host.sh(f"cat {path}")
    host.call(act, clear)
    host.assert_unchanged(before)


def test_origins_are_copied_as_they_are(host: Host) -> None:
    host.sh("printf '192.0.2.9 mine\\n\\n# x' > /run/h; printf 'nameserver 192.0.2.9' > /run/r")
    before = host.snapshot()
    host.call(act, web)
    done = host.netctl(
        *("sandbox", "create", "c1", "--origin-hosts-path", "/run/h"),
        *("--origin-resolv-conf-path", "/run/r", "--dns", "192.0.2.1"),
        *("--add-host", "a:192.0.2.2", "--hosts-path", "/run/hosts-of-c1"),
    )
    assert done.returncode == 0
    host.call(act, partial(connect, network="web", sandbox="c1"))
    assert host.sh("ip netns exec c1 cat /etc/hosts") == host.sh("cat /run/h")
    assert host.sh("cat /run/hosts-of-c1") == host.sh("cat /run/h")
    assert host.sh("ip netns exec c1 cat /etc/resolv.conf") == "nameserver 192.0.2.9"
    host.sh("echo >> /run/h; rm /run/r")
    assert host.netctl("sandbox", "rename", "c1", "c2").stderr == ""
    assert host.netctl("check").returncode == 0
    refused = host.netctl("sandbox", "refresh", "c2")
    assert refused.returncode == 3 and "/run/r" in refused.stderr
    host.sh("echo new > /run/r")
    assert host.netctl("sandbox", "refresh", "c2").returncode == 0
    assert host.sh("ip netns exec c2 cat /etc/resolv.conf") == "new\n"
    host.sh("printf '192.0.2.9 mine\\n\\n# x' > /run/h")
    host.call(act, clear)
    host.assert_unchanged(before)


@pytest.mark.parametrize("path", ["/run/none", "/run", "/dev/zero", "/run/pipe"])
def test_what_is_no_file_is_not_copied(host: Host, path: str) -> None:
    host.sh("mkfifo /run/pipe")
    before = host.snapshot()
    done = host.netctl("sandbox", "create", "c1", "--origin-hosts-path", path, timeout=PATIENCE)
    assert done.returncode in (3, 7) and path in done.stderr
    host.assert_unchanged(before)


def test_the_hosts_own_stack_has_copies_of_the_hosts_files(host: Host) -> None:
    before = host.snapshot()
    for name, options in (("me", []), ("more", ["--add-host", "db:192.0.2.7", "--dns", "::1"])):
        assert host.netctl("sandbox", "create", name, "--host", *options).returncode == 0
    for name in ("hosts", "resolv.conf"):
        [row] = inspected(host, "me")
        copy = row[f"{name.replace('.', '_')}_path"]
        assert host.sh(f"cat {copy}") == host.sh(f"cat /etc/{name}")
    seen = host.netctl("sandbox", "exec", "more", "cat", "/etc/hosts", "/etc/resolv.conf").stdout
    assert "192.0.2.7\tdb\n" in seen and "::1\tlocalhost" in seen
    assert "nameserver ::1\n" in seen
    # What is mounted there is not seen by anybody else.
    assert "db" not in host.sh("cat /etc/hosts")
    host.call(act, clear)
    host.assert_unchanged(before)


def test_a_host_that_asks_itself(host: Host) -> None:
    host.sh("echo 'nameserver 127.0.0.53' > /etc/resolv.conf")
    host.sh("mkdir -p /run/systemd/resolve")
    host.sh("echo 'nameserver 192.0.2.53' > /run/systemd/resolve/resolv.conf")
    host.call(act, partial(create, name="c1"))
    assert host.sh("ip netns exec c1 cat /etc/resolv.conf") == f"{HEAD}nameserver 192.0.2.53\n"


def test_files_that_are_there_are_not_overwritten(host: Host) -> None:
    host.sh("echo mine > /run/hosts")
    before = host.snapshot()
    with pytest.raises(Conflict, match="/run/hosts exists already"):
        host.call(act, partial(create, name="c1", hosts_path="/run/hosts"))
    host.assert_unchanged(before)
    host.call(act, partial(create, name="c1", hosts_path="/run/new"))
    assert "localhost" in host.sh("ip netns exec c1 cat /etc/hosts; cat /run/new")
    host.call(act, clear)
    assert host.sh("cat /run/hosts; ls /run/new 2>/dev/null; true") == "mine\n"


def test_a_running_command_sees_names_change(host: Host) -> None:
    host.call(act, two)
    seen = "ip netns exec c1 sh -c 'cat /etc/hosts; touch /run/ready; until [ -e /run/go ]; do sleep .05; done; cat /etc/hosts'"
    running = host.start("sh", "-c", seen, stdout=subprocess.PIPE)
    host.until("test -e /run/ready")
    host.call(act, lambda c: c.networks.create("db"))
    host.call(act, partial(connect, network="db", sandbox="c1"))
    host.sh("touch /run/go")
    shown, _ = running.communicate(timeout=PATIENCE)
    assert shown.count("\tc1\n") == 2 + 3
