"""hosts and resolv.conf as text."""

from __future__ import annotations

import pytest

from netctl.config import Config
from netctl.files import hosts_text
from netctl.gateway import Member
from netctl.models import Attachment, Endpoint, Network, Sandbox, SandboxKind, Upstream
from netctl.record import replace
from netctl.resolv import choose, host_resolv_conf, ndots, resolv_text
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


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ({}, "c1"),
        ({"name": "my.box"}, "my.box"),
        ({"hostname": "front"}, "front"),
        ({"hostname": "front", "domainname": "example.org"}, "front.example.org front"),
        ({"hostname": "c1.example.org"}, "c1.example.org c1"),
        ({"hostname": "c1.eu", "domainname": "example.org"}, "c1.eu.example.org c1.eu c1"),
        # libc would not look for it.
        ({"hostname": "1.example.org"}, "1.example.org"),
    ],
)
def test_the_host_name_and_its_short_form_stand_in_one_line(
    own: dict[str, str], names: str
) -> None:
    text = hosts_text(replace(SANDBOX, **own), [member("10.0.0.2/24")])  # type: ignore[arg-type]
    assert text.splitlines()[-1] == f"10.0.0.2\t{names}"


def test_hosts_has_ipv6_lines_only_with_ipv6() -> None:
    assert "::1" not in hosts_text(SANDBOX, [member("10.0.0.2/24")])
    assert "::1\tlocalhost" in hosts_text(SANDBOX, [member("", "fd00::2/64")])


def test_hosts_has_the_extra_hosts() -> None:
    sandbox = replace(SANDBOX, extra_hosts=(("db", "192.0.2.7"),))
    assert "192.0.2.7\tdb\n" in hosts_text(sandbox, [])


def test_extra_hosts_of_ipv6_are_left_out_without_it() -> None:
    sandbox = replace(SANDBOX, extra_hosts=(("db", "2001:db8::7"), ("db", "192.0.2.7")))
    assert "2001:db8::7" not in hosts_text(sandbox, [member("10.0.0.2/24")])
    assert "2001:db8::7\tdb\n" in hosts_text(sandbox, [member("", "fd00::2/64")])


HOST = """\
; as somebody wrote it
domain old.example
search a.example b.example
nameserver 127.0.0.53
nameserver 192.0.2.1
nameserver fe80::1%eth0
nameserver 2001:db8::53
sortlist 192.0.2.0/24
options edns0
"""
HEAD = "# Made by netctl, which leaves it alone once somebody has edited it.\n"


def resolv(
    sandbox: Sandbox = SANDBOX, host: str = HOST, full: str = "", config: Config | None = None
) -> Sandbox:
    """Return the sandbox with what its resolv.conf says."""
    kernel = FakeKernel()
    kernel.files["/etc/resolv.conf"] = host
    if full:
        kernel.files["/run/systemd/resolve/resolv.conf"] = full
    return replace(sandbox, resolv=choose(sandbox, config or Config(), kernel))


def text(sandbox: Sandbox) -> str:
    shown = resolv_text(sandbox)
    assert shown.startswith(HEAD)
    return shown.removeprefix(HEAD)


def test_resolv_conf_is_the_hosts_without_servers_out_of_reach() -> None:
    assert text(resolv()) == (
        "nameserver 192.0.2.1\nnameserver 2001:db8::53\nsearch a.example b.example\n"
        "options edns0\nsortlist 192.0.2.0/24\n"
    )


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
    for sandbox, config in (
        (replace(SANDBOX, **change), Config()),  # type: ignore[arg-type]
        (SANDBOX, Config(**change)),  # type: ignore[arg-type]
    ):
        shown = text(resolv(sandbox, config=config))
        assert line in shown
        assert len(shown.splitlines()) == (4 if "dns" in change else 5)


def test_the_sandboxs_own_comes_before_the_configurations() -> None:
    config = Config(dns=("192.0.2.8",), dns_search=("c.example",))
    shown = text(resolv(replace(SANDBOX, dns=("192.0.2.9",)), config=config))
    assert "nameserver 192.0.2.9\nsearch c.example\n" in shown


def test_a_dot_means_no_search_list() -> None:
    assert "search" not in text(resolv(replace(SANDBOX, dns_search=(".",))))


def test_broken_lines_of_the_host_do_no_harm() -> None:
    assert text(resolv(host="nameserver\n\n;x\n#\nsearch\nnameserver x\n  \n")) == ""


def test_a_stub_of_the_host_is_seen_through() -> None:
    full = "nameserver 192.0.2.53\n"
    stub = "nameserver \nnameserver 127.0.0.53\noptions trust-ad\n"
    sandbox = resolv(host=stub, full=full)
    assert text(sandbox) == "nameserver 192.0.2.53\noptions trust-ad\n"
    # From the host's namespace the stub can be asked, and it knows more.
    assert sandbox.resolv.upstream == (Upstream(address="127.0.0.53", host=True),)
    kernel = FakeKernel()
    kernel.files.update({"/etc/resolv.conf": stub, "/run/systemd/resolve/resolv.conf": full})
    assert host_resolv_conf(kernel) == full
    kernel.files["/etc/resolv.conf"] = "nameserver \n"
    assert host_resolv_conf(kernel) == "nameserver \n"


def test_with_the_resolver_it_is_the_only_server() -> None:
    sandbox = replace(resolv(), served=True)
    assert text(sandbox) == (
        "nameserver 127.0.0.11\nsearch a.example b.example\noptions edns0 ndots:0\n"
        "sortlist 192.0.2.0/24\n"
    )
    asked = [(upstream.address, upstream.host) for upstream in sandbox.resolv.upstream]
    assert asked == [
        ("127.0.0.53", True),
        ("192.0.2.1", True),
        ("fe80::1%eth0", True),
        ("2001:db8::53", True),
    ]
    given = resolv(replace(SANDBOX, dns=("192.0.2.9", "127.0.0.1")))
    asked = [(upstream.address, upstream.host) for upstream in given.resolv.upstream]
    assert asked == [("192.0.2.9", False), ("127.0.0.1", False)]


@pytest.mark.parametrize(
    ("options", "shown", "number"),
    [
        ((), "ndots:0", None),
        (("ndots:3",), "ndots:3", 3),
        (("ndots:1", "ndots:2"), "ndots:1 ndots:2", 2),
        (("ndots:x", "edns0"), "edns0 ndots:0", None),
        (("ndots:-1",), "ndots:0", None),
    ],
)
def test_ndots_is_the_users_or_none(
    options: tuple[str, ...], shown: str, number: int | None
) -> None:
    sandbox = resolv(replace(SANDBOX, dns_options=options), host="")
    assert text(replace(sandbox, served=True)) == f"nameserver 127.0.0.11\noptions {shown}\n"
    assert ndots(sandbox.resolv.options) == number


def test_the_hosts_own_stack_has_the_hosts_servers() -> None:
    host = replace(SANDBOX, type=SandboxKind.HOST, netns="", dns_search=("c.example",))
    assert "nameserver 127.0.0.53\nnameserver 192.0.2.1\n" in text(resolv(host))
