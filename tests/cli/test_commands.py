"""What commands print, on which stream, and the status they exit with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netctl.names import is_id
from netctl.store import Changes, Intent, Store
from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel


def test_create_prints_the_id_alone(netctl: Netctl) -> None:
    for arguments in (
        ("network", "create", "web"),
        ("sandbox", "create", "c1"),
        ("endpoint", "create", "web", "web1"),
        ("network", "connect", "web", "c1"),
    ):
        done = netctl(*arguments)
        assert (done.status, done.err) == (0, "")
        assert is_id(done.out.strip())


def test_tables_in_a_pipe_are_plain(netctl: Netctl) -> None:
    netctl("network", "create", "web", "--ipv6")
    netctl("network", "create", "db")
    netctl("endpoint", "create", "db", "db1")
    lines = netctl("network", "ls").out.splitlines()
    assert re.fullmatch(r"NETWORK ID +NAME +DRIVER +SCOPE +SUBNETS", lines[0])
    assert re.fullmatch(r"[0-9a-f]{12} +db +bridge +local +172\.18\.0\.0/16", lines[1])
    assert re.fullmatch(
        r"[0-9a-f]{12} +web +bridge +local +172\.17\.0\.0/16,fd[0-9a-f:]+/64", lines[2]
    )
    # An unset column prints nothing at all.
    [_, line] = netctl("endpoint", "ls").out.splitlines()
    assert re.fullmatch(r"[0-9a-f]{12} +db1 +db +172\.18\.0\.2/16", line)


def test_empty_lists(netctl: Netctl) -> None:
    for group in ("network", "endpoint", "sandbox"):
        assert netctl(group, "ls", "--format", "json").json == []
        assert len(netctl(group, "ls").out.splitlines()) == 1
        assert netctl(group, "ls", "-q").out == ""


def test_forms_of_output(netctl: Netctl) -> None:
    made = netctl("network", "create", "web", "--label", "a=b").out.strip()
    assert netctl("network", "ls", "-q").out == f"{made[:12]}\n"
    assert netctl("network", "ls", "-q", "--no-trunc").out == f"{made}\n"
    assert netctl("network", "ls", "--format", "name").out == "web\n"
    assert netctl("network", "ls", "--format", "{name} {labels.a} {subnets.0}").out == (
        "web b 172.17.0.0/16\n"
    )
    assert "name: web" in netctl("network", "ls", "--format", "yaml").out
    [row] = netctl("network", "ls", "--format", "json").json
    assert (row["id"], row["labels"]) == (made, {"a": "b"})


KEYS = {
    "network": "id name driver scope subnets internal ipv6 created labels ipv4 expires owner_pid"
    " options ipam bridge mtu endpoints",
    "endpoint": "id name network sandbox ipv4 ipv6 mac ports reached_from created labels network_id"
    " options ifname sysctls routes no_default_route rate_in rate_out burst gateway gateway6"
    " transient aliases anonymous no_dns exposed exposure attachment limits",
    "sandbox": "id name type state key endpoint_count created labels expires owner_pid hostname"
    " domainname dns dns_search dns_options extra_hosts hosts_path resolv_conf_path"
    " origin_hosts_path origin_resolv_conf_path endpoints",
}


def test_key_names_are_api(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    netctl("sandbox", "create", "c1")
    netctl("network", "connect", "web", "c1")
    for kind, keys in KEYS.items():
        [row] = netctl(kind, "inspect", "web" if kind == "network" else "c1").json
        assert list(row) == keys.split()
    assert (
        netctl("endpoint", "inspect", "web/c1", "--format", "{attachment.ifname}").out == "eth0\n"
    )


def test_templates_reach_no_attribute(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    for template in ("{name.__class__}", "{0}", "{nope}", "{name!r}", "{name:>9}", "{}"):
        done = netctl("network", "ls", "--format", template)
        assert (done.status, done.out) == (2, "")
        assert "no field" in done.err
        assert "hint: fields: bridge" in done.err or "hint: fields: created" in done.err


def test_filters(netctl: Netctl) -> None:
    netctl("network", "create", "web", "--label", "tier=front", "--label", "x")
    netctl("network", "create", "db", "--label", "tier=back")
    netctl("network", "create", "none", "-d", "null")

    def found(*filters: str) -> list[str]:
        options = [word for text in filters for word in ("--filter", text)]
        return netctl("network", "ls", "--format", "name", *options).out.split()

    assert found("driver=null") == ["none"]
    assert found("name=b", "driver=bridge") == ["db", "web"]
    assert found("name=web", "name=db") == ["db", "web"]
    assert found("label=tier") == ["db", "web"]
    assert found("label=tier=back") == ["db"]
    assert found("label!=tier=back") == ["none", "web"]
    assert found("label!=tier=back", "label!=x") == ["none"]
    assert found("until=1h") == []
    assert netctl("network", "ls", "--filter", "nope=1").status == 2
    assert netctl("network", "ls", "--filter", "nope").status == 2
    assert netctl("network", "ls", "--filter", "until=soon").status == 2


def test_references(netctl: Netctl) -> None:
    first = netctl("network", "create", "web", "--id", "ab" + "0" * 62).out.strip()
    netctl("network", "create", "abc", "--id", "ac" + "0" * 62)
    netctl("network", "create", "db", "--id", "ad" + "0" * 62)
    netctl("endpoint", "create", "web", "e1")
    netctl("endpoint", "create", "db", "e1")
    assert netctl("network", "inspect", "ab", "--format", "name").out == "web\n"
    assert netctl("network", "inspect", first, "--format", "name").out == "web\n"
    # A name goes before an id.
    netctl("network", "create", "ad")
    assert netctl("network", "inspect", "ad", "--format", "name").out == "ad\n"
    ambiguous = netctl("network", "inspect", "a")
    assert ambiguous.status == 4
    assert "abc (ac0000000000)" in ambiguous.err and "web (ab0000000000)" in ambiguous.err
    ambiguous = netctl("endpoint", "inspect", "e1")
    assert ambiguous.status == 4
    assert "db/e1, web/e1" in ambiguous.err
    assert netctl("endpoint", "inspect", "db/e1", "--format", "{network}").out == "db\n"


def test_errors_as_json(netctl: Netctl) -> None:
    done = netctl("network", "inspect", "none", "--format", "json")
    assert done.status == 3
    assert done.err.count("\n") == 1
    assert '"code": "not_found"' in done.err


def test_several_names_go_on_and_the_first_failure_counts(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    netctl("endpoint", "create", "web", "e1")
    netctl("network", "create", "db")
    done = netctl("network", "rm", "none", "web", "db")
    assert done.status == 3
    assert done.err.count("netctl: ") == 2
    assert netctl("network", "ls", "--format", "name").out == "web\n"
    assert netctl("network", "rm", "none", "--ignore-missing").status == 0
    assert netctl("network", "rm", "none", "web", "--ignore-missing").status == 4
    assert netctl("network", "rm", "web", "--force").status == 0


def test_exists(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    assert netctl("network", "exists", "web").status == 0
    done = netctl("network", "exists", "none")
    assert (done.status, done.out, done.err) == (3, "", "")


def test_if_not_exists(netctl: Netctl) -> None:
    first = netctl("network", "create", "web", "--label", "a=b")
    again = netctl("network", "create", "web", "--label", "a=b", "--if-not-exists")
    assert (again.status, again.out) == (0, first.out)
    for other in (["--internal"], ["--subnet", "10.0.0.0/24"], ["-o", "driver.mtu=1400"], []):
        done = netctl("network", "create", "web", "--if-not-exists", *other)
        assert done.status == 4
        assert "another definition" in done.err
    assert netctl("network", "create", "web").status == 4
    six = ("network", "create", "six", "--ipv6", "--subnet", "fd00:0::/64", "--subnet", "auto/26")
    assert netctl(*six).out == netctl(*six, "--if-not-exists").out
    assert netctl(*six[:-1], "auto/27", "--if-not-exists").status == 4
    netctl("sandbox", "create", "c1", "--hostname", "h")
    assert netctl("sandbox", "create", "c1", "--hostname", "h", "--if-not-exists").status == 0
    assert netctl("sandbox", "create", "c1", "--if-not-exists").status == 4
    netctl("endpoint", "create", "web", "e1", "--ip", "172.17.0.9")
    assert netctl("endpoint", "create", "web", "e1", "--if-not-exists").status == 0
    done = netctl("endpoint", "create", "web", "e1", "--ip", "172.17.0.8", "--if-not-exists")
    assert done.status == 4


def test_dry_run_prints_commands_and_no_id(netctl: Netctl, kernel: FakeKernel) -> None:
    before = kernel.state()
    done = netctl("network", "create", "web", "--dry-run")
    assert done.status == 0
    assert re.match(r"ip link add br-[0-9a-f]{12} address ", done.out)
    assert "nft -f -" in done.out
    assert kernel.state() == before
    assert netctl("network", "ls", "-q").out == ""


def test_verbose_prints_each_step_on_stderr(netctl: Netctl) -> None:
    done = netctl("-v", "network", "create", "web")
    assert is_id(done.out.strip())
    assert done.err.startswith("+ ip link add br-")
    netctl("sandbox", "create", "c1")
    lines = netctl("-v", "network", "connect", "web", "c1").err.splitlines()
    commands = [line for line in lines if re.match(r"(\+ )?(ip|sysctl) ", line)]
    assert len(commands) > 8 and all(line.startswith("+ ") for line in commands)


def test_the_default_network_comes_when_it_is_needed(netctl: Netctl) -> None:
    netctl("sandbox", "create", "c1")
    assert netctl("network", "connect", "bridge", "c1").status == 0
    assert netctl("network", "ls", "--format", "name").out == "bridge\n"
    assert netctl("network", "connect", "other", "c1").status == 3


def test_an_endpoint_of_the_same_details_is_accepted(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    create = ["endpoint", "create", "web", "e1"]
    details = ["--route", "10.9.0.0/16", "--sysctl", "net.ipv4.conf.IFNAME.rp_filter=2"]
    made = netctl(*create, *details)
    again = netctl(*create, *details, "--if-not-exists")
    assert (again.status, again.out) == (0, made.out)
    for other, named in (
        ([], "sysctls, routes"),
        ([*details, "--no-default-route"], "no_default_route"),
        ([*details[:2], "--sysctl", "net.ipv4.conf.IFNAME.rp_filter=1"], "sysctls"),
    ):
        done = netctl(*create, *other, "--if-not-exists")
        assert (done.status, f"definition: {named}\n" in done.err) == (4, True), done.err


def test_prune_asks(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    netctl("network", "create", "db")
    netctl("endpoint", "create", "db", "e1")
    assert netctl("network", "prune").status == 2
    done = netctl("network", "prune", "--force")
    assert (done.status, done.out) == (0, "web\n")
    assert netctl("network", "ls", "--format", "name").out == "db\n"


def test_a_damaged_store_is_exit_8(netctl: Netctl, tmp_path: Path) -> None:
    netctl("network", "create", "web")
    [path] = (tmp_path / "state" / "networks").glob("*.json")
    path.write_text("")
    for arguments in (["network", "ls"], ["network", "create", "db"], ["network", "rm", "web"]):
        done = netctl(*arguments)
        assert (done.status, done.out) == (8, "")
        assert str(path) in done.err and "hint: " in done.err


def test_a_locked_store_is_exit_75(netctl: Netctl, tmp_path: Path) -> None:
    from netctl.store import Store

    with Store(str(tmp_path / "state"), str(tmp_path / "run")).locked("slow work"):
        done = netctl("--lock-timeout", "0.01", "network", "create", "web")
    assert done.status == 75
    assert "'slow work'" in done.err


def test_a_refusing_kernel_is_exit_7(netctl: Netctl, kernel: FakeKernel) -> None:
    kernel.fail_at(2)
    done = netctl("network", "create", "web")
    assert (done.status, done.out) == (7, "")
    assert netctl("network", "ls", "-q").out == ""


def test_info_and_version(netctl: Netctl, tmp_path: Path) -> None:
    shown = netctl("info", "--format", "json").json[0]
    sources = {item["key"]: item["source"] for item in shown["configuration"]}
    assert sources["state_dir"] == "environment NETCTL_STATE_DIR"
    assert sources["dns"] == "default"
    assert {"nftables", "ipv6", "CAP_NET_ADMIN"} <= shown["features"].keys()
    assert {f"limits {way} sandboxes" for way in ("toward", "from")} <= shown["features"].keys()
    assert {"netctl", "python", "click", "pyroute2", "libnftables", "kernel"} <= shown[
        "versions"
    ].keys()
    assert netctl("--version").out == f"netctl {shown['versions']['netctl']}\n"
    assert netctl("version", "--format", "{netctl}").out == f"{shown['versions']['netctl']}\n"
    config = tmp_path / "netctl.yaml"
    config.write_text("dns: [192.0.2.1]\nbogus: 1\n")
    config.chmod(0o600)
    done = netctl("--config", str(config), "info")
    assert done.status == 2
    assert f"{config}:2: unknown key 'bogus'" in done.err


def test_two_networks_in_a_dry_run_are_two_interfaces(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    netctl("network", "create", "db")
    shown = netctl("run", "--dry-run", "--network", "web", "--network", "db", "--", "true").out
    assert "peer name eth0 " in shown and "peer name eth1 " in shown


def test_control_characters_do_not_reach_the_terminal(netctl: Netctl, kernel: FakeKernel) -> None:
    kernel.files["/etc/resolv.conf"] = "nameserver 192.0.2.53\nsearch a\x1b[2Jb\n"
    for arguments in (("sandbox", "create", "--dry-run", "c1"), ("-v", "sandbox", "create", "c1")):
        done = netctl(*arguments)
        assert "search a\N{REPLACEMENT CHARACTER}[2Jb" in done.out + done.err
        assert "127.0.0.1\tlocalhost" in done.out + done.err
        assert "\x1b" not in done.out + done.err


def test_connect_names_a_remedy_that_it_has(netctl: Netctl) -> None:
    netctl("network", "create", "web")
    netctl("endpoint", "create", "web", "c1")
    netctl("sandbox", "create", "c1")
    done = netctl("network", "connect", "web", "c1")
    assert (done.status, "--if-not-exists" in done.err, "--name" in done.err) == (4, False, True)
    assert netctl("network", "connect", "web", "c1", "--name", "other").status == 0
    netctl("sandbox", "create", "c2")
    netctl("network", "connect", "web", "c2")
    done = netctl("network", "connect", "web", "c2")
    assert done.status == 4 and "--if-not-exists" in done.err and "--name" in done.err
    assert netctl("network", "connect", "web", "c2", "--if-not-exists").status == 0
    done = netctl("run", "--network", "web", "--name", "other", "--", "true")
    assert (done.status, "--if-not-exists" in done.err) == (4, False)


@pytest.mark.parametrize(
    ("line", "inspects"),
    [
        ("endpoint leave web/c1 c2", False),
        ("endpoint join web/c1 c1 --if-not-exists --priority 7", True),
    ],
)
def test_a_hint_names_an_endpoint_that_is_in_two_networks_by_name(
    netctl: Netctl, line: str, inspects: bool
) -> None:
    for name in ("c1", "c2"):
        netctl("sandbox", "create", name)
    for network in ("web", "db"):
        netctl("network", "create", network)
        assert netctl("network", "connect", network, "c1").status == 0
    done = netctl(*line.split())
    assert done.status == 4
    found = re.search(r"hint: netctl (endpoint (?:leave|inspect) .*?)(?: shows it)?\n", done.err)
    assert found and ("inspect" in found[1]) == inspects
    assert netctl(*found[1].split()).status == 0


def test_gc_says_when_it_names_what_expires(netctl: Netctl) -> None:
    netctl("sandbox", "create", "c1", "--ttl", "2h")
    assert "c1 expires at" in netctl("gc").err
    assert netctl("gc", "--yes").err == ""
    assert "Without --yes, what expires later" in netctl("gc", "--help").out


def leave_behind(kernel: FakeKernel, tmp_path: Path, *plan: dict[str, object]) -> None:
    """Write down what a process wanted that is dead by now."""
    left = Intent(
        operation="sandbox create c1",
        pid=1,
        boot_id=kernel.boot_id(),
        forward=False,
        plan=plan,
        changes=Changes(),
    )
    with Store(f"{tmp_path}/state", f"{tmp_path}/run").locked("sandbox create c1") as writer:
        writer.begin(left)


def test_a_step_of_another_netctl_is_named(
    netctl: Netctl, kernel: FakeKernel, tmp_path: Path
) -> None:
    leave_behind(kernel, tmp_path, {"step": "Levitate", "taken_back": False})
    for arguments in (("network", "create", "web"), ("repair",), ("repair", "--dry-run")):
        done = netctl(*arguments)
        assert (done.status, "Levitate" in done.err, "hint: " in done.err) == (8, True, True)
    assert netctl("network", "ls").status == 0


def test_a_command_that_fails_tells_what_was_settled(
    netctl: Netctl, kernel: FakeKernel, tmp_path: Path
) -> None:
    leave_behind(kernel, tmp_path)
    done = netctl("network", "rm", "none")
    assert done.status == 3
    assert "undid 'sandbox create c1', left by process 1" in done.err and "'none'" in done.err


def test_version_is_a_table_of_versions(netctl: Netctl) -> None:
    assert "name " not in netctl("version").out
    assert netctl("version", "--format", "name").out == "netctl\n"


@pytest.mark.parametrize("what", [("network", "-d"), ("ipam", "--ipam-driver")])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("raise ZeroDivisionError('broken')", "cannot be loaded (ZeroDivisionError: broken)"),
        ("Thing = object", "is not a"),
        ("", "cannot be loaded (AttributeError"),
    ],
)
def test_a_broken_plugin_is_an_error_that_names_it(
    netctl: Netctl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: tuple[str, str],
    content: str,
    words: str,
) -> None:
    module = f"plugin{abs(hash((what, content)))}"
    (tmp_path / f"{module}.py").write_text(content)
    about = tmp_path / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    group = "netctl.drivers" if what[0] == "network" else "netctl.ipam"
    (about / "entry_points.txt").write_text(f"[{group}]\nodd = {module}:Thing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = netctl("network", "create", "web", what[1], "odd")
    assert done.status == 6, done.err
    assert "'odd'" in done.err and module in done.err and words in done.err


@pytest.mark.parametrize(
    "command", [("network", "rm"), ("sandbox", "rm"), ("endpoint", "leave"), ("network", "inspect")]
)
def test_a_reference_that_is_not_utf8_is_not_found(
    netctl: Netctl, command: tuple[str, ...]
) -> None:
    done = netctl(*command, "\udcff")
    assert (done.status, "no " in done.err) == (3, True), done.err
