"""What an operator does that nobody meant him to: it is refused with a reason, or it works."""

from __future__ import annotations

import re
import socket
import sys

import pytest

from tests.kernel.host import Host, Result
from tests.system.library import skip_where_nobody_can_read
from tests.waiting import PATIENCE


def refused(done: Result, status: int, words: str) -> None:
    """Check that a command failed with that status, and said what, why and what to do."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert re.search(words, done.stderr), done.stderr
    assert done.stderr.startswith("netctl: ") and "\nhint: " in done.stderr, done.stderr


def two(host: Host) -> None:
    """Make the network web and the sandboxes c1 and c2."""
    for line in ("network create web", "sandbox create c1", "sandbox create c2"):
        assert host.netctl(*line.split()).returncode == 0


def test_a_base_system_that_knows_no_names_of_protocols(host: Host) -> None:
    """Debian's own has no /etc/protocols: the package netbase brings it."""
    names = "for f in /etc/protocols /etc/services; do [ ! -e $f ] ||"
    host.sh(f"{names} mount --bind /dev/null $f; done")
    two(host)
    host.netctl("network", "create", "far", "--ipv6", "-o", "bridge.gateway_mode_ipv4=routed")
    # The second one holds the port for IPv6.
    host.netctl("network", "create", "both", "--ipv6")
    for network, name in (("web", "c1"), ("far", "c2"), ("both", "c2")):
        ports = ("-p", "8080:80", "-p", "53/udp", "-p", "9000-9001:9000-9001")
        assert host.netctl("network", "connect", network, name, *ports).returncode == (
            5 if network == "both" else 0
        )
    assert host.netctl("network", "connect", "both", "c2", "-p", "81").returncode == 0
    with host.server("/run/netns/c1", "0.0.0.0", 80):
        assert host.ask("outside", "192.0.2.1", 8080)
    assert host.netctl("check").stdout == ""
    codes = set(host.netctl("doctor", "--format", "{code}").stdout.split())
    assert codes <= {"br-netfilter", "port-not-served"}
    host.sh(f"{names} umount $f; done")


def test_a_port_is_not_taken_from_its_server(host: Host) -> None:
    two(host)
    host.netctl("endpoint", "create", "web", "p1", "-p", "8077:80")
    with host.server("", "0.0.0.0", 8077):
        refused(host.netctl("endpoint", "join", "p1", "c1"), 5, r"8077 is held by process \d+ \(")
        assert host.ask("outside", "192.0.2.1", 8077)
    assert host.netctl("endpoint", "join", "p1", "c1").returncode == 0


def ending(port: int) -> str:
    """Connect to a port of ::1 by TCP, and listen; return how that ends."""
    try:
        with socket.create_connection(("::1", port), PATIENCE) as client:
            return repr(client.recv(1))
    except OSError as error:
        return type(error).__name__


def test_localhost_leads_to_a_server_that_knows_only_ipv4(host: Host) -> None:
    host.netctl("network", "create", "web", "--ipv6")
    host.netctl("network", "create", "old")
    for network, name, shift in (("web", "c1", 0), ("old", "c2", 1)):
        ports = f"{8080 + shift}:80", f"{9000 + 10 * shift}-{9001 + 10 * shift}:9000-9001/udp"
        host.netctl("sandbox", "create", name)
        host.netctl("network", "connect", network, name, "-p", ports[0], "-p", ports[1])
    c1, c2 = "/run/netns/c1", "/run/netns/c2"
    with host.server(c1, "0.0.0.0", 80), host.server(c1, "0.0.0.0", 9000, "udp"):
        for number, protocol in ((8080, "tcp"), (9000, "udp")):
            seen = host.ask("", "127.0.0.1", number, protocol)
            assert seen and host.ask("", "::1", number, protocol) == seen
    # Where nobody serves it, or the network has no IPv6, that is said at once.
    with host.server(c2, "0.0.0.0", 80):
        for port in (8080, 8081, 9001):
            ended = host.call(ending, port)
            assert ended in ("ConnectionRefusedError", "ConnectionResetError"), (port, ended)
        assert host.ask("", "127.0.0.1", 8081)


def test_addresses_that_no_host_has_are_refused(host: Host) -> None:
    host.netctl("network", "create", "web", "--ipv6")
    for address in ("224.0.0.1", "239.1.2.3", "255.255.255.255", "[ff02::1]", "[::ffff:192.0.2.1]"):
        done = host.netctl("endpoint", "create", "web", "e", "-p", f"{address}:8080:80")
        refused(done, 2, "not an address of a host")
    done = host.netctl("endpoint", "create", "web", "e", "-p", "192.0.2.255:8080:80")
    refused(done, 4, "192.0.2.255 is no address of this host")
    here = ("192.0.2.1", "127.0.0.9", "[2001:db8::1]", "0.0.0.0", "[::]")
    words = [word for address in here for word in ("-p", f"{address}::80")]
    assert host.netctl("endpoint", "create", "web", "e", *words).returncode == 0


def test_a_wire_taken_off_its_bridge_goes_all_the_same(host: Host) -> None:
    before = host.snapshot()
    two(host)

    def off(gone: str) -> None:
        assert host.netctl("network", "connect", "web", "c1", "-p", "8080:80").returncode == 0
        veth = host.netctl("endpoint", "inspect", "web/c1", "--format", "{attachment.host_ifname}")
        host.sh(gone.format(veth.stdout.strip()))

    for line in (
        "endpoint leave web/c1",
        "network disconnect web c1",
        "endpoint unpublish web/c1 80",
        "sandbox refresh c1",
    ):
        off("ip link set {} nomaster")
        done = host.netctl(*line.split())
        assert (done.returncode, done.stderr) == (0, ""), (line, done.stderr)
        host.netctl("endpoint", "rm", "web/c1", "--force", "--ignore-missing")
    off("ip link set {} nomaster")
    refused(host.netctl("endpoint", "unpublish", "web/c1", "81"), 3, "does not publish")
    done = host.netctl("repair")
    assert done.returncode == 0, done.stderr
    assert host.netctl("check").returncode == 0
    host.sh("ip link set $(ip -br link | grep -o 'nc[0-9a-f]*') nomaster")
    host.netctl("endpoint", "unpublish", "web/c1", "80")
    refused(host.netctl("endpoint", "publish", "web/c1", "80"), 7, "is not a port of a bridge")
    bridge = host.netctl("network", "inspect", "web", "--format", "{bridge}").stdout.strip()
    host.sh(f"ip link del {bridge}")
    assert host.netctl("sandbox", "rm", "--force", "c1", "c2").returncode == 0
    assert host.netctl("network", "rm", "--force", "web").returncode == 0
    host.assert_unchanged(before)


def test_without_privileges_info_says_what_is_missing(host: Host) -> None:
    skip_where_nobody_can_read(host)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    netctl = (sys.executable, "-m", "netctl")
    done = host.run(*nobody, "--inh-caps=-all", *netctl, "info", env={"HOME": "/nonexistent"})
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"nftables +no \(not permitted\)", done.stdout), done.stdout
    assert re.search(r"libnftables +unknown \(not permitted\)", done.stdout), done.stdout


def test_what_is_read_only_is_named(host: Host) -> None:
    assert host.netctl("network", "create", "web").returncode == 0
    for place in ("/etc/netns", "/run/netctl/run", "/run/netns", "/proc/sys"):
        host.sh(
            f"mkdir -p {place} && mount --bind {place} {place} && mount -o remount,ro,bind {place}"
        )
        create = ("network", "create", "db", "--ipv6") if "proc" in place else ("run", "--", "true")
        done = host.netctl(*create)
        refused(done, 7, f"{'sysctl' if 'proc' in place else place}.*: Read-only file system")
        assert ("/proc/sys" in done.stderr) == ("proc" in place), done.stderr
        host.sh(f"umount {place}")


_READ_ONLY = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys"
_RIGHT = (
    "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
    " net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.accept_redirects=0"
    " net.ipv4.conf.default.accept_redirects=0 net.ipv6.conf.default.disable_ipv6=1"
    " net.ipv4.conf.default.send_redirects=0"
)


def test_settings_that_are_right_need_no_proc_sys_to_write(host: Host) -> None:
    host.sh(_RIGHT)
    # In a new namespace the kernel takes redirects, whatever the host's settings are.
    assert host.netctl("sandbox", "create", "c1").returncode == 0
    host.sh(_READ_ONLY)
    for command in ("network create web", "check", "reload", "sandbox rm c1", "network rm web"):
        done = host.netctl(*command.split())
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize(
    ("prepare", "command"),
    [
        ("sysctl -qw net.ipv4.ip_forward=0", "network create db"),
        ("sysctl -qw net.ipv6.conf.default.accept_ra=1", "network create db"),
        ("sysctl -qw net.ipv6.conf.default.disable_ipv6=0", "network create db"),
        ("true", "network create db --ipv6"),
        ("true", "network connect web c1"),
        ("true", "network connect web c1 --sysctl net.ipv4.conf.IFNAME.rp_filter=2"),
        ("true", "network connect web c1 -p 127.0.0.1:8080:80"),
    ],
)
def test_settings_that_cannot_be_written_leave_nothing(
    host: Host, prepare: str, command: str
) -> None:
    host.sh(_RIGHT)
    for each in ("network create web --internal", "sandbox create c1"):
        assert host.netctl(*each.split()).returncode == 0
    host.sh(f"{prepare}; {_READ_ONLY}")
    before = host.snapshot()
    refused(host.netctl(*command.split()), 7, "sysctl .*: Read-only file system")
    host.assert_unchanged(before)
    host.sh("umount /proc/sys")
    assert host.netctl("check").stdout == host.netctl("repair").stdout == ""
    assert host.netctl(*command.split()).returncode == 0


def test_a_setting_may_be_written_as_the_kernel_reads_it(host: Host) -> None:
    """In hexadecimal or octal it is the same number, and no difference."""
    two(host)
    setting = "net.ipv4.conf.IFNAME.rp_filter"
    for value in ("0x2", "02"):
        connect = ("network", "connect", "web", "c1", "--sysctl", f"{setting}={value}")
        assert host.netctl(*connect).returncode == 0
        assert host.netctl("check").stdout == ""
        assert host.netctl("network", "disconnect", "web", "c1").returncode == 0


def test_a_full_and_a_read_only_disk(host: Host) -> None:
    host.sh("mkdir /var/lib/netctl; mount -t tmpfs -o size=300k,mode=700 small /var/lib/netctl")
    for words in ("sandbox create c1", "network create web", "network connect web c1 -p 8080:80"):
        host.netctl(*words.split(), check=True)
    full = "dd if=/dev/zero of=/var/lib/netctl/fill bs=1k 2>/dev/null || true"
    writable = "mount -o remount,rw small /var/lib/netctl; rm -f /var/lib/netctl/fill"
    for script, reason in (
        (full, "No space left on device"),
        ("mount -o remount,ro small /var/lib/netctl", "Read-only file system"),
    ):
        host.sh(script)
        for words in ("check", "doctor c1", "gc", "gc --yes", "sandbox ls", "repair", "restore"):
            done = host.netctl(*words.split())
            assert (done.returncode, done.stderr) == (0, ""), (words, done.stderr)
        refused(host.netctl("sandbox", "rm", "c1", "--force"), 7, reason)
        # What is in the kernel alone comes back all the same.
        host.sh("nft flush ruleset")
        assert host.netctl("check").returncode == 9
        assert host.netctl("reload").returncode == 0
        assert host.netctl("check").returncode == 0
        host.sh(
            f"ip link delete {host.netctl('network', 'inspect', 'web', '--format', '{bridge}').stdout}"
        )
        assert host.netctl("repair").returncode == 0
        assert host.netctl("check").returncode == 0
        host.sh(writable)
    host.sh("mount --bind /run/netctl /run/netctl; mount -o remount,ro,bind /run/netctl")
    assert host.netctl("check").returncode == 0
    host.sh("nft flush ruleset")
    assert host.netctl("check").returncode == 9
    host.sh("umount /run/netctl")
    assert host.netctl("sandbox", "rm", "c1", "--force").returncode == 0
    assert host.netctl("network", "rm", "web").returncode == 0


def test_an_mtu_too_small_for_ipv6_works_without_it(host: Host) -> None:
    before = host.snapshot()
    host.netctl("sandbox", "create", "c1")
    for mtu in (68, 1279):
        done = host.netctl("network", "create", "web", "-o", f"driver.mtu={mtu}")
        assert done.returncode == 0, done.stderr
        assert host.netctl("network", "connect", "web", "c1").returncode == 0
        assert host.netctl("check").returncode == 0
        gateway = host.sh("ip -n c1 route show default").split()[2]
        assert host.ping("/run/netns/c1", gateway)
        assert host.netctl("network", "rm", "-f", "web").returncode == 0
    low, six = ("-o", "driver.mtu=67"), ("-o", "driver.mtu=1279", "--ipv6")
    refused(host.netctl("network", "create", "web", *low), 2, "not a number from 68 to 65535")
    refused(host.netctl("network", "create", "web", *six), 2, "not a number from 1280 to 65535")
    host.netctl("sandbox", "rm", "c1")
    host.assert_unchanged(before)


def test_a_namespace_of_somebody_else_is_not_the_sandbox(host: Host) -> None:
    two(host)
    host.sh("ip netns del c1; ip netns add c1; ip netns del c2")
    states = {"c1": "gone", "c2": "gone"}
    listed = host.run(sys.executable, "-X", "importtime", "-m", "netctl", "sandbox", "ls")
    assert dict(line.split()[1:4:2] for line in listed.stdout.splitlines()[1:]) == states
    assert not re.search("pyroute2|rich|yaml", listed.stderr)
    for name in states:
        assert host.netctl("sandbox", "inspect", name, "--format", "{state}").stdout == "gone\n"
    host.netctl("sandbox", "refresh", "c2")
    assert host.netctl("sandbox", "ls", "--filter", "state=ready", "-q").stdout.count("\n") == 1
    host.sh("ip netns del c1")
