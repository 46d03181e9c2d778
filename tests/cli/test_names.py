"""Names of endpoints: aliases, anonymous ones, exposed ports."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Netctl
from tests.fake_kernel import FakeKernel

CREATE = ("endpoint", "create", "web", "web1")


@pytest.fixture(autouse=True)
def web(netctl: Netctl) -> None:
    assert netctl("network", "create", "web").status == 0
    assert netctl("sandbox", "create", "c1").status == 0


def test_names_are_recorded_and_shown(netctl: Netctl) -> None:
    aliases = [word for name in ("www", "shop.example.org", "WWW") for word in ("--alias", name)]
    exposed = ["--expose", "80", "--expose", "53-54/UDP"]
    assert netctl(*CREATE, *aliases, *exposed, "--anonymous", "--no-dns").status == 0
    [row] = netctl("endpoint", "inspect", "web1").json
    assert row["aliases"] == ["www", "shop.example.org"]
    assert (row["anonymous"], row["no_dns"]) == (True, True)
    assert row["exposed"] == ["80/tcp", "53-54/udp"]
    assert row["attachment"] is None


def test_aliases_of_one_sandbox(netctl: Netctl) -> None:
    netctl(*CREATE)
    assert netctl("endpoint", "join", "web1", "c1", "--alias", "db1:database").status == 0
    shown = netctl("endpoint", "inspect", "web1", "--format", "{attachment.aliases.database}")
    assert shown.out == "db1\n"
    netctl("endpoint", "leave", "web1")
    assert netctl("endpoint", "inspect", "web1", "--format", "{attachment}").out == "\n"


def test_connect_takes_both_kinds(netctl: Netctl) -> None:
    done = netctl("network", "connect", "web", "c1", "--alias", "www", "--alias", "db1:db")
    assert done.status == 0
    [row] = netctl("endpoint", "inspect", "c1").json
    assert (row["aliases"], row["attachment"]["aliases"]) == (["www"], {"db": "db1"})


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ("--alias shop --alias WWW --expose 80", True),
        ("--alias www --expose 80", False),
        ("--alias www --alias shop", False),
        ("--alias www --alias shop --expose 80 --anonymous", False),
        ("--alias www --alias shop --expose 80 --no-dns", False),
    ],
)
def test_if_not_exists_compares_names(netctl: Netctl, options: str, same: bool) -> None:
    netctl(*CREATE, "--alias", "www", "--alias", "shop", "--expose", "80/tcp")
    assert netctl(*CREATE, *options.split(), "--if-not-exists").status == (0 if same else 4)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([*CREATE, "--alias", ""], "--alias is empty"),
        ([*CREATE, "--alias", "a:b"], "not a host name"),
        ([*CREATE, "--alias", "x" * 64], "not a host name"),
        ([*CREATE, "--alias", "a..b"], "not a host name"),
        ([*CREATE, "--expose", "8080:80"], "not have the form"),
        ([*CREATE, "--expose", "0"], "not a port"),
        ([*CREATE, "--expose", "80/icmp"], "no protocol"),
        (["endpoint", "join", "there", "c1", "--alias", "www"], "not NAME:ALIAS"),
        (["endpoint", "join", "there", "c1", "--alias", "db:"], "not a host name"),
        (["endpoint", "join", "there", "c1", "--alias", ":db"], "endpoint name"),
        (["endpoint", "join", "there", "c1", "--alias", "a:b:c"], "not a host name"),
        (["endpoint", "join", "there", "c1", "--alias", "a:x", "--alias", "b:x"], "already"),
        (["network", "connect", "web", "c1", "--alias", "-"], "not a host name"),
    ],
)
def test_wrong_names_are_refused(netctl: Netctl, arguments: list[str], word: str) -> None:
    netctl("endpoint", "create", "web", "there")
    done = netctl(*arguments)
    assert done.status == 2
    assert word in done.err and "hint: " in done.err
    assert netctl("endpoint", "ls", "--format", "{name} {sandbox}").out == "there \n"


def test_files_of_a_sandbox(netctl: Netctl, kernel: FakeKernel) -> None:
    kernel.files["/run/h"] = "192.0.2.9 mine"
    options = ["--hosts-path", "/run/hosts", "--origin-hosts-path", "/run/h"]
    assert netctl("sandbox", "create", "c2", *options).status == 0
    [row] = netctl("sandbox", "inspect", "c2").json
    assert (row["hosts_path"], row["origin_hosts_path"]) == ("/run/hosts", "/run/h")
    assert row["resolv_conf_path"].endswith(f"/files/{row['id']}/resolv.conf")
    assert row["origin_resolv_conf_path"] is None
    assert kernel.files["/run/hosts"] == "192.0.2.9 mine"
    assert netctl("sandbox", "create", "c2", *options, "--if-not-exists").status == 0
    assert netctl("sandbox", "create", "c2", "--if-not-exists").status == 4


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("--hosts-path relative", 2),
        ("--origin-resolv-conf-path relative", 2),
        ("--hosts-path /run/x --resolv-conf-path /run/x", 2),
        ("--origin-hosts-path /run/none", 3),
        ("--hosts-path /run/there", 4),
    ],
)
def test_wrong_files(netctl: Netctl, kernel: FakeKernel, options: str, status: int) -> None:
    kernel.files["/run/there"] = ""
    before = kernel.state()
    done = netctl("sandbox", "create", "c2", *options.split())
    assert done.status == status and "hint: " in done.err
    assert kernel.state() == before


def test_networks_without_interfaces_have_no_names(netctl: Netctl) -> None:
    netctl("network", "create", "none", "-d", "null")
    done = netctl("endpoint", "create", "none", "e", "--alias", "www")
    assert done.status == 2 and "leave out --alias" in done.err
    assert netctl("endpoint", "create", "none", "e").status == 0
    done = netctl("endpoint", "join", "none/e", "c1", "--alias", "a:b")
    assert done.status == 2 and "knows no names" in done.err


def test_a_name_server_of_a_link_has_its_interface_with_it(netctl: Netctl) -> None:
    given = ("--dns", "fe80::1%eth0", "--dns", "2001:db8::1")
    assert netctl("sandbox", "create", "c2", *given).status == 0
    [row] = netctl("sandbox", "inspect", "c2").json
    assert row["dns"] == ["fe80::1%eth0", "2001:db8::1"]
    for wrong in ("192.0.2.1%eth0", "2001:db8::1%eth0", "fe80::1%", "fe80::1%a/b", "%eth0"):
        refused = netctl("sandbox", "create", "c3", "--dns", wrong)
        assert refused.status == 2 and "--dns" in refused.err
