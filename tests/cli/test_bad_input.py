"""Command lines that cannot be: refused with a reason and a hint, before anything is changed."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel


@pytest.mark.parametrize(
    ("status", "words", "arguments"),
    [
        (2, "should be 10.0.0.0/24", ["network", "create", "x", "--subnet", "10.0.0.1/24"]),
        (2, "not CIDR", ["network", "create", "x", "--subnet", "10.0.0.0/99"]),
        (
            2,
            "outside",
            ["network", "create", "x", "--subnet", "10.0.0.0/24", "--gateway", "10.1.0.1"],
        ),
        (2, "unknown driver 'nope'", ["network", "create", "x", "-d", "nope"]),
        (2, "no option 'nope'", ["network", "create", "x", "-o", "nope=1"]),
        (2, "not KEY=VALUE", ["network", "create", "x", "-o", "nope"]),
        (2, "not a number from 68", ["network", "create", "x", "-o", "driver.mtu=1"]),
        (2, "not a boolean", ["network", "create", "x", "-o", "bridge.enable_icc=maybe"]),
        *(
            (2, "is not an IPv", ["network", "create", "x", "--ipv6", "-o", option])
            for option in ("host_ipv4=127.0.0.1", "host_ipv6=::1", "host_ipv4=fd00::1")
        ),
        (2, "16 bytes", ["network", "create", "x", "-o", "bridge.name=a234567890123456"]),
        (4, "not a bridge", ["network", "create", "x", "-o", "bridge.name=uplink"]),
        (2, "is not allowed", ["network", "create", "../x"]),
        (2, "is not allowed", ["network", "create", "a/b"]),
        (2, "is not allowed", ["network", "create", ""]),
        (2, "is not allowed", ["sandbox", "create", "x\x1b[31m"]),
        (2, "'?[31m=?' is not allowed", ["network", "create", "x", "--label", "\x1b[31m=\t"]),
        (2, "300 characters", ["sandbox", "create", "x" * 300]),
        (2, "300 characters", ["endpoint", "create", "web", "x" * 300]),
        (2, "is not an id", ["network", "create", "x", "--id", "12"]),
        (4, "exists already", ["network", "create", "web"]),
        (4, "overlaps network web", ["network", "create", "x", "--subnet", "172.17.0.0/24"]),
        (4, "exists already", ["sandbox", "create", "c1"]),
        (4, "has an endpoint c1", ["endpoint", "create", "web", "c1"]),
        (3, "no network 'none'", ["endpoint", "create", "none", "e"]),
        (2, "is outside of the subnets", ["endpoint", "create", "web", "e", "--ip", "10.0.0.1"]),
        (2, "no IPv6 subnet", ["endpoint", "create", "web", "e", "--ip6", "fd00::1"]),
        (4, "is the gateway", ["endpoint", "create", "web", "e", "--ip", "172.17.0.1"]),
        (4, "held by endpoint c1", ["endpoint", "create", "web", "e", "--ip", "172.17.0.2"]),
        (2, "prefix length", ["endpoint", "create", "web", "e", "--ip", "172.17.0.9/16"]),
        (2, "unicast MAC", ["endpoint", "create", "web", "e", "--mac", "01:00:00:00:00:01"]),
        (2, "unicast MAC", ["endpoint", "create", "web", "e", "--mac", "x"]),
        (2, "20 bytes", ["endpoint", "create", "web", "e", "--ifname", "x" * 20]),
        (2, "not allowed as an interface", ["endpoint", "create", "web", "e", "--ifname", "a/b"]),
        (2, "host bits", ["endpoint", "create", "web", "e", "--route", "10.0.0.1/8"]),
        (
            2,
            "not in the subnet",
            ["network", "connect", "web", "c2", "--route", "10.0.0.0/8,1.1.1.1"],
        ),
        (2, "no IPv6 address", ["endpoint", "create", "web", "e", "--route", "fd00::/8"]),
        (2, "not KEY=VALUE", ["endpoint", "create", "web", "e", "--sysctl", "x"]),
        (2, "not a setting", ["run", "--sysctl", "net.ipv4.conf.all.x=1", "--", "true"]),
        (
            6,
            "no setting net.ipv4.conf.IFNAME.nothing",
            ["endpoint", "create", "web", "e", "--sysctl", "net.ipv4.conf.IFNAME.nothing=1"],
        ),
        (2, "no option 'x'", ["endpoint", "create", "web", "e", "-o", "x=1"]),
        (2, "way out", ["endpoint", "create", "web", "e", "-p", "80", "--no-default-route"]),
        (4, "web/c1 is in sandbox c1 already", ["endpoint", "join", "c1", "c1"]),
        (4, "web/c1 is in sandbox c1\n", ["endpoint", "join", "c1", "c2"]),
        (4, "is in no sandbox", ["endpoint", "leave", "free"]),
        (4, "c1 is in sandbox c1, not in c2", ["endpoint", "leave", "c1", "c2"]),
        (2, "out of bounds", ["network", "connect", "web", "c2", "--priority", "9" * 20]),
        (2, "out of bounds", ["endpoint", "join", "free", "c2", "--priority", "-2147483649"]),
        (2, "--label '=x' has no name", ["network", "create", "x", "--label", "=x"]),
        (2, "--label is empty", ["network", "create", "x", "--label", ""]),
        (2, "--driver is empty", ["network", "create", "x", "-d", ""]),
        (2, "option bridge.name is empty", ["network", "create", "x", "-o", "bridge.name="]),
        (2, "--hostname is empty", ["sandbox", "create", "x", "--hostname", ""]),
        (2, "--hosts-path is empty", ["run", "--hosts-path", "", "--", "true"]),
        (2, "--config is empty", ["--config", "", "network", "ls"]),
        (2, "--network is empty", ["endpoint", "ls", "--network", ""]),
        (
            2,
            "r is given twice, as '10.1.0.3' and '10.1.0.4'",
            [
                *("network", "create", "x", "--subnet", "10.1.0.0/24"),
                *("--aux-address", "r=10.1.0.3", "--aux-address", "r=10.1.0.4"),
            ],
        ),
        (
            2,
            "driver.mtu is given twice",
            ["network", "create", "x", "-o", "driver.mtu=1400,driver.mtu=1300"],
        ),
        (
            2,
            "driver.mtu is given twice",
            [
                *("network", "create", "x", "-o", "driver.mtu=1400"),
                *("-o", "com.docker.network.driver.mtu=1300"),
            ],
        ),
        (2, "driver default has no option 'a'", ["network", "create", "x", "--ipam-opt", "a=b"]),
        (2, "not KEY=VALUE", ["network", "create", "x", "--ipam-opt", "a"]),
        (
            2,
            "has no address for an endpoint",
            ["network", "create", "x", "--subnet", "10.1.0.1/32"],
        ),
        (2, "state=foo", ["sandbox", "ls", "--filter", "state=foo"]),
        (2, "type=foo", ["sandbox", "ls", "--filter", "type=foo"]),
        (2, "scope=foo", ["network", "ls", "--filter", "scope=foo"]),
        (2, "id=xyz", ["network", "ls", "--filter", "id=xyz"]),
        (2, "network=a b", ["endpoint", "ls", "--filter", "network=a b"]),
        (2, "name=", ["network", "prune", "--force", "--filter", "name=*"]),
        (3, "there is no process 4194304", ["sandbox", "create", "x", "--pid", "4194304"]),
        (4, "sandbox c1 exists already", ["run", "--name", "c1", "--", "true"]),
        (4, "has endpoints: c1", ["network", "rm", "web"]),
        (4, "has endpoints: web/c1", ["sandbox", "rm", "c1"]),
        (4, "is in sandbox c1", ["endpoint", "rm", "c1"]),
        (3, "has no endpoint of network", ["network", "disconnect", "web", "c2"]),
        (3, "not a network namespace", ["sandbox", "create", "x", "--netns", "/nope"]),
        (2, "absolute path", ["sandbox", "create", "x", "--netns", "nope"]),
        (2, "exclude each other", ["sandbox", "create", "x", "--host", "--pid", "1"]),
        (2, "not an IP address", ["sandbox", "create", "x", "--dns", "nope"]),
        (2, "not NAME:IP", ["sandbox", "create", "x", "--add-host", "nope"]),
        (2, "not a host name", ["sandbox", "create", "x", "--hostname", "a b"]),
        (4, "exists already", ["sandbox", "rename", "c1", "c2"]),
        (2, "neither table", ["network", "ls", "--format", "nope"]),
        (2, "no such command", ["network", "nope"]),
        (2, "did you mean 'network'?", ["netwrok", "ls"]),
        (2, "did you mean 'create'?", ["network", "craete"]),
        (2, "did you mean '--force'?", ["network", "rm", "--forse", "web"]),
        (2, "did you mean '--format'?", ["network", "ls", "--formt", "json"]),
        (2, "no such option '--force'\n", ["network", "inspect", "--force", "web"]),
        (2, "no such command 'frobnicate'\n", ["network", "frobnicate"]),
        (
            2,
            "--priority 4000000000 is",
            ["network", "connect", "web", "c2", "--priority", "4" + "0" * 9],
        ),
        (2, "--network web is given twice", ["run", "--network", "web", "--network", "web", "x"]),
        (2, "beside 10.1.1.1 (gateway)", ["network", "create", "x", "--subnet", "10.1.1.1/32"]),
        (2, "missing argument", ["network", "create"]),
        (2, "no such option", ["network", "ls", "--nope"]),
        (2, "number of seconds", ["--lock-timeout", "x", "network", "ls"]),
        (2, "missing argument", ["run", "--"]),
    ],
)
def test_bad_input_changes_nothing(
    netctl: Netctl, kernel: FakeKernel, status: int, words: str, arguments: list[str]
) -> None:
    for prepare in (
        ["network", "create", "web"],
        ["sandbox", "create", "c1"],
        ["sandbox", "create", "c2"],
        ["network", "connect", "web", "c1"],
        ["endpoint", "create", "web", "free"],
    ):
        assert netctl(*prepare).status == 0
    before = kernel.state()
    done = netctl(*arguments)
    assert (done.status, done.out) == (status, ""), done.err
    assert words.lower() in done.err.lower()
    assert done.err.startswith("netctl: ") and "\nhint: " in done.err
    assert "Traceback" not in done.err and "\x1b" not in done.err
    assert kernel.state() == before
