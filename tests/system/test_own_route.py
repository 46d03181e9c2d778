"""Published ports of a sandbox whose default route is somebody else's."""

from __future__ import annotations

import re

from tests.kernel.host import ANSWER, Host
from tests.system.library import act, addresses, clear, two
from tests.waiting import QUIET

C1 = "/run/netns/c1"
HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
_ELSEWHERE = """\
ip netns add void; ip -n void link set lo up
ip link add wan netns c1 type veth peer name wan0 netns void
ip -n void address add 10.77.0.1/24 dev wan0; ip -n void address add fd77::1/64 dev wan0 nodad
ip -n void link set wan0 up
ip -n c1 address add 10.77.0.2/24 dev wan; ip -n c1 address add fd77::2/64 dev wan nodad
ip -n c1 link set wan up
ip -n c1 route replace default via 10.77.0.1; ip -n c1 -6 route replace default via fd77::1
"""


def reached(host: Host, seconds: float = QUIET) -> list[bool]:
    return [bool(host.ask("outside", HOST[v], 8080, seconds=seconds)) for v in (4, 6)]


def test_answers_that_go_astray_are_told_of_with_a_remedy(host: Host) -> None:
    clean = host.snapshot()
    host.call(act, two)
    own = host.call(addresses, "c1")
    assert host.netctl("endpoint", "publish", "web/c2", "8082:80").stderr == ""
    host.sh(_ELSEWHERE)
    done = host.netctl("endpoint", "publish", "web/c1", "8080:80")
    told = [line for line in done.stderr.splitlines() if "of its own" in line]
    assert (done.returncode, len(told)) == (0, 2), done.stderr
    with host.server(C1, own[0], 80), host.server(C1, own[1], 80):
        assert reached(host) == [False, False]
        found = host.netctl("doctor").stdout
        assert found.count("[answers-astray]") == 2 and "via 10.77.0.1 dev wan" in found, found
        # Whoever is in the same network does not need that route.
        assert host.ask("/run/netns/c2", HOST[4], 8080)
        for line in told:
            remedy = re.search(r"or else: (.*)", line)
            assert remedy
            host.sh(remedy[1])
        assert reached(host, ANSWER) == [True, True]
        assert "[answers-astray]" not in host.netctl("doctor").stdout
        # It stays so when the ports come anew, and nothing is missed.
        assert host.netctl("check").returncode == 0
    done = host.netctl("endpoint", "unpublish", "web/c1", "80")
    assert (done.returncode, done.stderr) == (0, "")
    # The same is told of an endpoint that comes with its ports.
    host.netctl("endpoint", "create", "web", "late", "-p", "8083:80")
    host.netctl("endpoint", "leave", "web/c1")
    done = host.netctl("endpoint", "join", "web/late", "c1")
    assert (done.returncode, done.stderr.count("of its own")) == (0, 2), done.stderr
    host.call(act, clear)
    host.sh("ip netns delete void")
    host.assert_unchanged(clean)


def test_a_route_that_leads_back_through_the_host_does(host: Host) -> None:
    host.call(act, two)
    own = host.call(addresses, "c1")
    host.sh(
        "ip link add back type veth peer name back1 netns c1; ip address add 10.77.0.1/24 dev back;"
        " ip address add fd77::1/64 dev back nodad; ip link set back up; ip -n c1 link set back1 up;"
        " ip -n c1 address add 10.77.0.2/24 dev back1;"
        " ip -n c1 address add fd77::2/64 dev back1 nodad;"
        " ip -n c1 route replace default via 10.77.0.1; ip -n c1 -6 route replace default via fd77::1"
    )
    host.netctl("endpoint", "publish", "web/c1", "8080:80")
    with host.server(C1, own[0], 80), host.server(C1, own[1], 80):
        # A neighbour is asked only once the link-local address is known to be alone.
        assert reached(host, ANSWER) == [True, True]
