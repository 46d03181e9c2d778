"""Static routes and settings of an endpoint's interface, as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.definitions.endpoint import asked
from netctl.definitions.routes import check_on, parse, parse_all
from netctl.errors import InvalidInput
from netctl.models import Network, Pool


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.9.0.0/16", ("10.9.0.0/16", "", 0, "unicast")),
        ("10.9.0.7", ("10.9.0.7/32", "", 0, "unicast")),
        ("10.9.0.0/16,172.17.0.7", ("10.9.0.0/16", "172.17.0.7", 0, "unicast")),
        ("10.9.0.0/16,172.17.0.7,50", ("10.9.0.0/16", "172.17.0.7", 50, "unicast")),
        ("10.9.0.0/16,50", ("10.9.0.0/16", "", 50, "unicast")),
        ("10.9.0.0/16,blackhole", ("10.9.0.0/16", "", 0, "blackhole")),
        ("FD00:0::/64,unreachable,4294967295", ("fd00::/64", "", 2**32 - 1, "unreachable")),
        ("fd00::/64,fe80::1", ("fd00::/64", "fe80::1", 0, "unicast")),
        ("fd00::1,prohibit", ("fd00::1/128", "", 0, "prohibit")),
    ],
)
def test_forms_of_a_route(text: str, expected: tuple[str, str, int, str]) -> None:
    route = parse(text)
    assert (route.destination, route.gateway, route.metric, route.kind) == expected
    assert route.version == (6 if ":" in text else 4)


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "x", "10.9.0.1/16", "10.9.0.0/33", "10.9.0.0/16,", "10.9.0.0/16,x", "0.0.0.0/0"),
        *(
            "::/0",
            "default",
            "10.9.0.0/16,fd00::1",
            "fd00::/64,10.0.0.1",
            "10.9.0.0/16,0",
            "10.9/16",
        ),
        *(
            "10.9.0.0/16,4294967296",
            "10.9.0.0/16,-1",
            "10.9.0.0/16,10.0.0.1,1,2",
            "fd00::/64,fe80::1%x",
        ),
        *("10.9.0.0/16,10.0.0.1,blackhole", "10.9.0.0/16,224.0.0.1", "10.9.0.0/16,127.0.0.1", " "),
        *(
            "10.9.0.0/16,BLACKHOLE",
            "10.9.0.0/16,\u0661",
            "10.9.0.0/16,10.0.0.1/24",
            "fe80::%eth0/64",
        ),
        *("127.0.0.0/8", "127.1.0.0/16,blackhole", "::1"),
    ],
)
def test_what_is_wrong_with_a_route_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="routes ") as caught:
        parse(text)
    assert "Traceback" not in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-f.:/,]{1,40}", fullmatch=True))
def test_no_route_gives_another_error(text: str) -> None:
    try:
        route = parse(text)
    except InvalidInput:
        return
    again = parse(",".join(filter(None, (route.destination, route.gateway))))
    assert (again.destination, again.gateway) == (route.destination, route.gateway)


def test_a_route_is_given_once() -> None:
    assert len(parse_all(["10.9.0.0/16", "10.9.0.0/16", "10.9.0.0/16,7"])) == 2
    with pytest.raises(InvalidInput, match="given twice"):
        parse_all(["10.9.0.0/16", "10.9.0.0/16,blackhole"])


NETWORK = Network(
    id="a" * 64,
    name="web",
    driver="bridge",
    created="",
    pools=(Pool(subnet="172.17.0.0/16", gateway="172.17.0.1"), Pool(subnet="fd00::/64")),
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.9.0.0/16,172.18.0.1", "not in the subnet of network web"),
        ("fd01::/64,fd02::1", "not in the subnet"),
        ("172.17.0.0/16", "own subnet"),
        ("fd00::/64", "own subnet"),
    ],
)
def test_a_route_has_to_fit_the_network(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_on(NETWORK, [parse(text)], (4, 6))


def test_a_route_needs_an_address_of_its_family() -> None:
    fits = [parse(text) for text in ("fd01::/64,fe80::1", "fd02::/64", "10.9.0.0/16,172.17.0.9")]
    check_on(NETWORK, fits, (4, 6))
    with pytest.raises(InvalidInput, match="no IPv6 address"):
        check_on(NETWORK, fits, (4,))
    check_on(NETWORK, [parse("fd01::/64,blackhole")], (4,))


RP_FILTER = "net.ipv4.conf.IFNAME.rp_filter"
MARTIANS = "net.ipv4.conf.IFNAME.log_martians"


def test_libnetworks_labels_are_the_options() -> None:
    label = "com.docker.network.endpoint.sysctls"
    wanted = asked(
        "e",
        {
            "options": {label: f"{RP_FILTER}=2, {MARTIANS}=1", "endpoint.ifname": "lan0"},
            "sysctls": {RP_FILTER: "2"},
        },
    )
    assert wanted.ifname == "lan0"
    assert wanted.sysctls == {RP_FILTER: "2", MARTIANS: "1"}
    for options, words in (
        ({"endpoint.ifname": "a", "x": "y"}, "no option 'x'"),
        ({"endpoint.ifname": ""}, "is empty"),
        ({"endpoint.ifname": "a/b"}, "not allowed"),
        ({label: RP_FILTER}, "not KEY=VALUE"),
        ({label: f"{RP_FILTER}=1,"}, "not KEY=VALUE"),
    ):
        with pytest.raises(InvalidInput, match=words):
            asked("e", {"options": options})
    with pytest.raises(InvalidInput, match="differ"):
        asked("e", {"ifname": "a", "options": {"endpoint.ifname": "b"}})
    with pytest.raises(InvalidInput, match="differ"):
        asked("e", {"sysctls": {RP_FILTER: "1"}, "options": {label: f"{RP_FILTER}=2"}})


@pytest.mark.parametrize(
    "key",
    [
        *("net.ipv4.conf.eth0.rp_filter", "net.ipv4.conf.all.rp_filter", "net.ipv4.ip_forward"),
        *(
            "net.ipv4.conf.IFNAME",
            "net.ipv4.conf.IFNAME.a.b",
            "kernel.conf.IFNAME.x.y",
            RP_FILTER + "\n",
        ),
        *(
            "net.ipv4.conf.IFNAME./../x",
            "net/ipv4/conf/IFNAME/rp_filter",
            "",
            "net.core.conf.IFNAME.x",
        ),
        *(
            "net.ipv4.route.IFNAME.x",
            "net.ipv4.conf.ifname.rp_filter",
            "net.ipv4.conf.IFNAME..",
            "IFNAME",
        ),
        *(
            "net.ipv4.conf.IFNAMEx.rp_filter",
            "net.ipv4.IFNAME.conf.rp_filter",
            "net.ipv4.conf.IFNAME.É",
        ),
    ],
)
def test_only_settings_of_the_own_interface(key: str) -> None:
    with pytest.raises(InvalidInput, match="not a setting of an endpoint's interface"):
        asked("e", {"sysctls": {key: "1"}})


@pytest.mark.parametrize("value", ["", " ", "a\nb", "\0", "x" * 257])
def test_only_printable_values(value: str) -> None:
    with pytest.raises(InvalidInput, match="is not a value"):
        asked("e", {"sysctls": {RP_FILTER: value}})


def test_what_excludes_each_other() -> None:
    with pytest.raises(InvalidInput, match="turns IPv6 off"):
        asked("e", {"ip6": "fd00::1", "sysctls": {"net.ipv6.conf.IFNAME.disable_ipv6": "1"}})
