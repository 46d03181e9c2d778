"""hosts and resolv.conf as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netctl.files import hosts_text
from netctl.gateway import Member
from netctl.models import Attachment, Endpoint, Network, Sandbox
from netctl.resolv import host_resolv_conf, resolv_text
from tests.fake_kernel import FakeKernel

SANDBOX = Sandbox(id="a" * 64, name="c1", created="", netns="/run/netns/c1")


def member(ipv4: str = "", ipv6: str = "") -> Member:
    network = Network(id="n", name="n", driver="bridge", created="")
    place = Attachment(sandbox_id="a" * 64, netns="/run/netns/c1")
    endpoint = Endpoint(id="e", name="e", network_id="n", created="", ipv4=ipv4, ipv6=ipv6)
    return Member(network=network, endpoint=endpoint, attachment=place, gateways={})


def test_hosts_without_endpoints_knows_only_localhost() -> None:
    assert hosts_text(SANDBOX, []) == "127.0.0.1\tlocalhost\n"


def test_hosts_lists_every_address_under_the_full_and_the_short_name() -> None:
    sandbox = replace(SANDBOX, hostname="test", domainname="example.org")
    text = hosts_text(sandbox, [member("10.0.0.2/24", "fd00::2/64")])
    assert "10.0.0.2\ttest.example.org test\n" in text
    assert "fd00::2\ttest.example.org test\n" in text


def test_hosts_has_ipv6_lines_only_with_ipv6() -> None:
    assert "::1" not in hosts_text(SANDBOX, [member("10.0.0.2/24")])
    assert "::1\tlocalhost" in hosts_text(SANDBOX, [member("", "fd00::2/64")])


def test_hosts_has_the_extra_hosts() -> None:
    sandbox = replace(SANDBOX, extra_hosts=(("db", "192.0.2.7"),))
    assert "192.0.2.7\tdb\n" in hosts_text(sandbox, [])


HOST = "domain old.example\nsearch a.example b.example\nnameserver 127.0.0.53\nnameserver 192.0.2.1\noptions edns0\n"


def test_resolv_conf_is_the_hosts_without_its_loopback_servers() -> None:
    expected = "nameserver 192.0.2.1\nsearch a.example b.example\noptions edns0\n"
    assert resolv_text(SANDBOX, HOST) == expected


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"dns": ("192.0.2.9",)}, "nameserver 192.0.2.9\n"),
        ({"dns_search": ("c.example",)}, "search c.example\n"),
        ({"dns_options": ("ndots:2",)}, "options ndots:2\n"),
    ],
)
def test_an_override_replaces_its_section_only(
    change: dict[str, tuple[str, ...]], line: str
) -> None:
    text = resolv_text(replace(SANDBOX, **change), HOST)  # type: ignore[arg-type]
    assert line in text
    assert len(text.splitlines()) == 3


def test_a_dot_means_no_search_list() -> None:
    assert "search" not in resolv_text(replace(SANDBOX, dns_search=(".",)), HOST)


def test_broken_lines_of_the_host_do_no_harm() -> None:
    assert resolv_text(SANDBOX, "nameserver\n\n;x\nsearch\n") == ""


def test_a_name_server_without_an_address_does_no_harm() -> None:
    kernel = FakeKernel()
    kernel.files["/etc/resolv.conf"] = "nameserver \nnameserver 127.0.0.53\n"
    kernel.files["/run/systemd/resolve/resolv.conf"] = "nameserver 192.0.2.53\n"
    assert host_resolv_conf(kernel) == "nameserver 192.0.2.53\n"
    kernel.files["/etc/resolv.conf"] = "nameserver \n"
    assert resolv_text(SANDBOX, host_resolv_conf(kernel)) == ""
