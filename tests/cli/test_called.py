"""Names that DNS cannot be asked for, or does not tell apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from netctl.models import Endpoint
from netctl.record import replace
from netctl.store import Changes, Store
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel

UNASKABLE = {
    "z.": "drops the dot",
    "x..y": "no empty labels",
    "1234": "IPv4 address 0.0.4.210",
    "1.2": "IPv4 address 1.0.0.2",
    "0x7f.1": "IPv4 address 127.0.0.1",
    "192.0.2.1": "IPv4 address 192.0.2.1",
    "00": "IPv4 address 0.0.0.0",
}
ASKABLE = ("0x7g", "08", "256.1", "1.2.3.4.5", "4294967296", "1a", "a.1", "a-", "a_.b", "0x")


@pytest.fixture(autouse=True)
def web(netctl: Netctl) -> None:
    assert netctl("network", "create", "web").status == 0
    assert netctl("sandbox", "create", "c1").status == 0


@pytest.mark.parametrize(("name", "reason"), UNASKABLE.items())
def test_an_endpoint_that_cannot_be_asked_for_is_refused(
    netctl: Netctl, name: str, reason: str
) -> None:
    netctl("endpoint", "create", "web", "db")
    for arguments in (
        ("endpoint", "create", "web", name),
        ("service", "publish", f"{name}.web"),
        ("endpoint", "rename", "web/db", name),
    ):
        done = netctl(*arguments)
        assert done.status == 2 and reason in done.err and "hint: " in done.err, arguments
    # Its network does not know it by that name.
    assert netctl("endpoint", "create", "web", name, "--anonymous").status == 0
    netctl("network", "create", "none", "-d", "null")
    assert netctl("endpoint", "create", "none", name).status == 0


@pytest.mark.parametrize("name", ASKABLE)
def test_an_endpoint_that_can_be_asked_for(netctl: Netctl, name: str) -> None:
    assert netctl("endpoint", "create", "web", name).err == ""


@pytest.mark.parametrize(("name", "reason"), UNASKABLE.items())
def test_a_name_that_comes_from_the_sandbox_is_only_told(
    netctl: Netctl, name: str, reason: str
) -> None:
    assert netctl("sandbox", "create", name).err == ""
    done = netctl("network", "connect", "web", name)
    assert done.status == 0 and done.err.count(reason) == 1 and f"web/{name}" in done.err
    netctl("network", "connect", "web", "c1")
    netctl("sandbox", "rm", "--force", name)
    done = netctl("sandbox", "rename", "c1", name)
    assert done.status == 0 and done.err.count(reason) == 1
    remedy = f"netctl endpoint rename web/{name} NAME"
    assert f"{remedy} gives another" in done.err
    assert netctl(*remedy.replace("NAME", "db").split()[1:]).status == 0


@pytest.mark.parametrize("name", ["1234", "1.2", "192.0.2.1"])
def test_other_names_that_libc_reads_as_addresses(netctl: Netctl, name: str) -> None:
    netctl("endpoint", "create", "web", "db")
    for arguments in (
        ("endpoint", "create", "web", "e", "--alias", name),
        ("endpoint", "set", "web/db", "--alias", name),
        ("endpoint", "join", "web/db", "c1", "--alias", f"db:{name}"),
        ("network", "connect", "web", "c1", "--alias", f"db:{name}"),
        ("sandbox", "create", "c2", "--hostname", name),
        ("sandbox", "create", "c2", "--add-host", f"{name}:10.0.0.1"),
    ):
        done = netctl(*arguments)
        assert done.status == 2 and "libc reads it as" in done.err, arguments


@pytest.mark.parametrize("name", ["z.", "x..y", ".".join(["a"] * 30) + ".", "a" * 64])
def test_a_network_whose_name_cannot_stand_behind_another(netctl: Netctl, name: str) -> None:
    for arguments in (("network", "create", name), ("network", "rename", "web", name)):
        done = netctl(*arguments)
        assert done.status == 2 and "hint: " in done.err
    # As a suffix numbers are names: db.1234 is no address.
    assert netctl("network", "rename", "web", "1234").status == 0


def test_endpoints_that_differ_by_case(netctl: Netctl) -> None:
    assert netctl("endpoint", "create", "web", "DB").status == 0
    assert netctl("endpoint", "create", "web", "c2").status == 0
    netctl("sandbox", "create", "dB")
    for arguments in (
        ("endpoint", "create", "web", "db"),
        ("endpoint", "create", "web", "Db"),
        ("service", "publish", "db.web"),
        ("network", "connect", "web", "dB"),
        ("endpoint", "rename", "web/c2", "db"),
        ("endpoint", "create", "web", "C2"),
    ):
        done = netctl(*arguments)
        assert done.status == 4 and "DNS does not tell" in done.err, arguments
    # Another network has names of its own, and who is not known by its name takes none.
    netctl("network", "create", "other")
    assert netctl("endpoint", "create", "other", "db").status == 0
    assert netctl("endpoint", "create", "web", "db", "--anonymous", "--alias", "x").status == 0
    # It may change its own.
    assert netctl("endpoint", "rename", "web/DB", "Db").status == 0
    assert netctl("endpoint", "create", "web", "dB").status == 4
    assert netctl("endpoint", "rm", "web/Db").status == 0
    assert netctl("endpoint", "create", "web", "dB").status == 0
    assert netctl("check").status == 0


def test_a_sandbox_may_change_the_case_of_its_name(netctl: Netctl) -> None:
    netctl("network", "connect", "web", "c1")
    assert netctl("sandbox", "rename", "c1", "C1").status == 0
    assert netctl("endpoint", "inspect", "web/C1").status == 0
    assert netctl("sandbox", "create", "c1").status == 0
    assert netctl("network", "connect", "web", "c1").status == 4
    assert netctl("network", "connect", "web", "c1", "--name", "front").status == 0


def test_networks_that_differ_by_case(netctl: Netctl) -> None:
    for arguments in (("network", "create", "Web"), ("network", "create", "WEB", "--internal")):
        done = netctl(*arguments)
        assert done.status == 4 and "DNS does not tell" in done.err
    netctl("network", "create", "db")
    assert netctl("network", "rename", "db", "WEB").status == 4
    assert netctl("network", "rename", "web", "Web").status == 0
    # It has no names.
    assert netctl("network", "create", "WEB", "-d", "null").status == 0


def test_aliases_of_one_sandbox_that_differ_by_case(netctl: Netctl) -> None:
    netctl("endpoint", "create", "web", "web1")
    wrong = ("--alias", "a:db", "--alias", "b:DB")
    done = netctl("endpoint", "join", "web1", "c1", *wrong)
    assert done.status == 2 and "stands for 'a' already" in done.err
    assert (
        netctl("endpoint", "join", "web1", "c1", "--alias", "a:db", "--alias", "a:DB").status == 0
    )


def test_a_store_that_has_such_names_already_keeps_working(netctl: Netctl, tmp_path: Path) -> None:
    for name in ("a1", "a2", "a3", "a4"):
        netctl("endpoint", "create", "web", name)
    with Store(str(tmp_path / "state"), str(tmp_path / "run")).locked("test") as writer:
        old = ("DB", "Db", "db", "z.")
        for found, name in zip(writer.all(Endpoint), old, strict=True):
            writer.commit(Changes(put=(replace(found, name=name, folded=False),)))
    assert netctl("check").status == 0
    for name in old:
        assert netctl("endpoint", "join", f"web/{name}", "c1").status == 0
        assert netctl("endpoint", "set", f"web/{name}", "--label", "a=b").status == 0
    assert netctl("check").status == 0
    assert netctl("endpoint", "create", "web", "dB").status == 4
    assert netctl("endpoint", "rm", "--force", *(f"web/{name}" for name in old)).status == 0
    assert netctl("check").status == 0


def hosts(netctl: Netctl, kernel: FakeKernel) -> str:
    path = netctl("sandbox", "inspect", "c1", "--format", "{hosts_path}").out.strip()
    return kernel.files[path]


@pytest.mark.parametrize(
    ("value", "off"), [("1", True), ("0x1", True), ("0", False), ("0x0", False)]
)
def test_ipv6_that_a_setting_turns_off_is_nowhere(
    netctl: Netctl, kernel: FakeKernel, value: str, off: bool
) -> None:
    netctl("network", "create", "six", "--ipv6")
    setting = ("--sysctl", f"net.ipv6.conf.IFNAME.disable_ipv6={value}")
    assert netctl("network", "connect", "six", "c1", *setting, "-p", "8080:80").status == 0
    [row] = netctl("endpoint", "inspect", "six/c1").json
    assert (row["ipv6"] is None) is off
    assert ("::" not in hosts(netctl, kernel)) is off
    told = kernel.resolver_model(netctl("info", "--format", "{run_dir}").out.strip()) or []
    [addresses] = [message["addresses"] for message in told if message["do"] == "endpoint"]
    assert (":" not in str(addresses)) is off
    if off:
        done = netctl("endpoint", "publish", "six/c1", "[::]:9090:90")
        assert done.status == 2 and "no IPv6 address" in done.err


def test_lines_of_a_network_that_is_left_go_and_others_stay(
    netctl: Netctl, kernel: FakeKernel
) -> None:
    netctl("network", "create", "six", "--ipv6")
    netctl("network", "connect", "web", "c1")
    before = hosts(netctl, kernel)
    netctl("network", "connect", "six", "c1")
    assert "::1\tlocalhost" in hosts(netctl, kernel)
    netctl("network", "disconnect", "six", "c1")
    assert hosts(netctl, kernel) == before and before.endswith("\tc1\n")
    # What somebody edited is theirs.
    path = netctl("sandbox", "inspect", "c1", "--format", "{hosts_path}").out.strip()
    kernel.files[path] += "192.0.2.7\tmine\n"
    mine = kernel.files[path]
    done = netctl("network", "disconnect", "web", "c1")
    assert done.status == 0 and "left as it is" in done.err and kernel.files[path] == mine
