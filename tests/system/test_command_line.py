"""The installed command on a real kernel: what only whole processes show."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from netctl.errors import NotPermitted
from netctl.models import Network
from netctl.store import Store
from tests.kernel.host import Host, Outside
from tests.waiting import PATIENCE, equal


def ids(host: Host) -> None:
    for arguments in (
        ["network", "create", "web"],
        ["sandbox", "create", "c1", "--hostname", "c1", "--add-host", "db:192.0.2.7"],
        ["network", "connect", "web", "c1"],
    ):
        done = host.netctl(*arguments)
        assert done.returncode == 0, done.stderr


def test_exec_passes_status_output_and_files(host: Host) -> None:
    ids(host)
    done = host.netctl("sandbox", "exec", "c1", "--", "sh", "-c", "cat /etc/hosts; exit 7")
    assert done.returncode == 7
    assert "192.0.2.7\tdb" in done.stdout and "172.17.0.2\tc1" in done.stdout
    done = host.netctl("sandbox", "exec", "c1", "sh", "-c", "cd /sys/class/net; ls -d */")
    assert done.stdout.split() == ["eth0/", "lo/"]
    assert (
        host.netctl("sandbox", "exec", "c1", "--", "ping", "-c1", "-W2", Outside.IPV4).returncode
        == 0
    )
    assert host.netctl("sandbox", "exec", "c1", "nonsense").returncode == 127
    assert host.netctl("sandbox", "exec", "c1", "/etc/hosts").returncode == 126
    assert "192.0.2.7" not in host.sh("cat /etc/hosts")


def test_exec_becomes_the_command(host: Host) -> None:
    ids(host)
    process = host.start(
        "sh",
        "-c",
        f"exec {netctl()} sandbox exec c1 -- sh -c 'echo $$; exec sleep 600'",
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    process.stdout.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == -signal.SIGTERM


def netctl() -> str:
    import sys

    return f"{sys.executable} -m netctl"


def test_run_leaves_nothing(host: Host) -> None:
    host.netctl("network", "create", "web")
    before = host.snapshot()
    done = host.netctl("run", "--network", "web", "--", "ping", "-c1", "-W2", Outside.IPV4)
    assert done.returncode == 0, done.stderr
    assert host.netctl("run", "--network", "web", "sh", "-c", "exit 9").returncode == 9
    assert host.netctl("run", "--network", "web", "nonsense").returncode == 127
    assert host.netctl("run", "--network", "web", "sh", "-c", "kill -9 $$").returncode == 137
    assert host.netctl("run", "--network", "absent", "true").returncode == 3
    # The cursor of the next address has moved, and only that.
    after = host.snapshot()
    after["files"] = [f for f in after["files"] if "/cursors/" not in f and ".bak" not in f]
    before["files"] = [f for f in before["files"] if "/cursors/" not in f and ".bak" not in f]
    assert {**after, "routes": 0} == {**before, "routes": 0}


def test_run_passes_signals_on_and_clears_up(host: Host) -> None:
    host.netctl("network", "create", "web")
    process = host.start(
        "sh",
        "-c",
        f"exec {netctl()} run --name r --network web -- sh -c 'trap \"exit 5\" TERM; echo up; while :; do sleep 0.1; done'",
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.stdout.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 5
    assert host.netctl("sandbox", "ls", "-q").stdout == ""


def test_a_killed_run_is_cleared_up_by_the_next_command(host: Host) -> None:
    host.netctl("network", "create", "web")
    process = host.start(
        "sh",
        "-c",
        f"exec {netctl()} run --name r --network web -- sh -c 'echo up; exec sleep 600'",
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.stdout.close()
    process.kill()
    process.wait()
    done = host.netctl("sandbox", "create", "other")
    assert "whose run was killed" in done.stderr
    assert host.netctl("sandbox", "ls", "--format", "name").stdout == "other\n"
    # The command died with it.
    equal(host.processes, [])


def test_without_privileges_the_missing_capability_is_named(host: Host) -> None:
    drop = ["setpriv", "--bounding-set=-net_admin,-sys_admin", "--inh-caps=-all", "--"]
    done = host.run(*drop, *netctl().split(), "network", "create", "web")
    assert done.returncode == 77, done.stderr
    assert "CAP_NET_ADMIN" in done.stderr
    done = host.run(*drop, *netctl().split(), "sandbox", "create", "c1")
    assert done.returncode == 77
    assert "CAP_SYS_ADMIN" in done.stderr
    assert (
        host.netctl("network", "ls", "-q").stdout + host.netctl("sandbox", "ls", "-q").stdout == ""
    )


def test_another_user_may_not_read_the_store(host: Host) -> None:
    host.netctl("network", "create", "web")

    def read_as_nobody() -> list[Network]:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        return Store("/var/lib/netctl", "/run/netctl").all(Network)

    with pytest.raises(NotPermitted, match="cannot be read") as caught:
        host.call(read_as_nobody)
    assert caught.value.hint == "run netctl as root"


def test_stats_and_inspect_of_a_joined_endpoint(host: Host) -> None:
    ids(host)
    [row] = json.loads(host.netctl("endpoint", "inspect", "web/c1").stdout)
    [link] = host.json(f"ip -j link show {row['attachment']['host_ifname']}")
    assert (
        link["master"] == json.loads(host.netctl("network", "inspect", "web").stdout)[0]["bridge"]
    )
    rows = json.loads(host.netctl("sandbox", "stats", "c1", "--format", "json").stdout)
    assert [item["name"] for item in rows] == ["lo", "eth0"]


def test_a_gone_namespace_is_named_with_its_remedy(host: Host) -> None:
    ids(host)
    host.sh("ip netns delete c1")
    for command in (["exec", "c1", "true"], ["stats", "c1"]):
        done = host.netctl("sandbox", *command)
        assert done.returncode == 4
        assert "is gone" in done.stderr and "netctl sandbox refresh c1" in done.stderr
    assert host.netctl("sandbox", "ls", "--format", "{state}").stdout == "gone\n"


def test_closed_streams_are_no_bug(host: Host) -> None:
    host.netctl("network", "create", "web")
    assert host.sh(f"{netctl()} network ls >&-; echo $?") == "0\n"
    assert host.sh(f"{netctl()} network inspect none 2>&-; echo $?") == "3\n"


def test_a_run_that_cannot_be_cleared_up_stops_nobody(host: Host) -> None:
    mark = "5" * 64
    host.sh(f"mkdir -p /run/netctl/run/{mark}")
    done = host.netctl("network", "create", "web")
    assert done.returncode == 0
    assert "sandbox 555555555555, whose run was killed, cannot be removed" in done.stderr


def test_ctrl_c_reaches_the_command_once(host: Host) -> None:
    host.netctl("network", "create", "web")
    script = "trap 'echo caught' INT; echo up; until read line; do :; done; echo over"
    command = [
        *netctl().split(),
        "run",
        "--name",
        "r",
        "--network",
        "web",
        "--",
        "sh",
        "-c",
        script,
    ]
    primary, secondary = pty.openpty()
    # Whoever starts the tests in the background of a shell has SIGINT ignored.
    told = ("env", "--default-signal=INT", "setsid", "--ctty", "--wait")
    process = host.start(*told, *command, stdin=secondary, stdout=secondary)
    os.close(secondary)
    read_until(primary, "up")
    shown = ""
    for _ in range(2):
        os.write(primary, b"\x03")
        shown += read_until(primary, "caught")
    os.write(primary, b"\n")
    shown += read_until(primary, None)
    process.wait(PATIENCE)
    os.close(primary)
    assert shown.count("caught") == 2 and "over" in shown
    assert host.netctl("sandbox", "ls", "-q").stdout == ""


def read_until(terminal: int, word: str | None) -> str:
    """Read until a word has come; None reads to the end."""
    seen = ""
    for _ in range(10_000):
        try:
            seen += os.read(terminal, 1000).decode()
        except OSError:
            break  # EIO: nobody has it open any more.
        if word and word in seen:
            break
    return seen


def test_signals_at_the_end_of_a_command_do_no_harm(host: Host) -> None:
    host.netctl("network", "create", "web")
    process = host.start(
        "sh", "-c", f"exec {netctl()} run --network web -- sh -c 'kill -TERM $PPID; exit 3'"
    )
    assert process.wait(PATIENCE) in (3, 143)
    assert host.netctl("sandbox", "ls", "-q").stdout == ""


def test_what_is_exhausted_is_exit_5(host: Host) -> None:
    host.netctl("network", "create", "small", "--subnet", "10.1.0.0/30", check=True)
    host.netctl("endpoint", "create", "small", "one", "-p", "8080:80", check=True)
    done = host.netctl("endpoint", "create", "small", "two")
    assert done.returncode == 5
    assert "no free address is left in 10.1.0.0/30 (network small)" in done.stderr
    host.netctl("network", "create", "web", check=True)
    done = host.netctl("endpoint", "create", "web", "three", "-p", "8080:80")
    assert (done.returncode, done.stdout) == (5, "")
    assert "tcp port 8080 is held by endpoint small/one" in done.stderr
    pools = {"NETCTL_ADDRESS_POOLS": "base=172.17.0.0/16,size=16"}
    done = host.netctl("network", "create", "more", env=pools)
    assert done.returncode == 5 and "network web (172.17.0.0/16)" in done.stderr
    assert host.netctl("network", "ls", "--format", "name").stdout == "small\nweb\n"


def test_nothing_is_left_in_any_directory(host: Host) -> None:
    host.netctl("run", "--", "true", check=True)
    host.netctl("network", "rm", "bridge", check=True)
    assert host.sh("find /var/lib/netctl /run/netctl -mindepth 1").split() == [
        "/var/lib/netctl/journal",
        "/run/netctl/lock",
    ]


def test_a_closed_input_is_no_terminal(host: Host) -> None:
    ids(host)
    done = host.run("bash", "-c", f"{sys.executable} -m netctl sandbox rm --all <&-")
    assert (done.returncode, "not a terminal" in done.stderr) == (2, True), done.stderr
