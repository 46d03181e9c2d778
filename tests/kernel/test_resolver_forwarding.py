"""What the resolver asks of other servers, and what the sandbox hears of it."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from tests.kernel.host import Host
from tests.kernel.resolver_host import (
    ask,
    connected,
    dig,
    endpoint,
    network,
    sandbox,
    server,
    started,
    state,
    tell,
    timed,
)
from tests.kernel.upstream import GO, IPV4, IPV6, upstream
from tests.waiting import until

OUT4, OUT6 = "192.0.2.254", "2001:db8::fe"
QUICK = 0.9
"""Less than what a silent server is waited for, seconds."""


def servers(*items: dict[str, object]) -> dict[str, object]:
    return sandbox("c1", "web", servers=list(items))


def at_once(host: Host, told: dict[str, object], question: str) -> str:
    """Return the answer to a question, for which nobody is waited for. Each try begins with what
    is told, so that only a busy machine can be quicker at the second."""

    def quick() -> list[str]:
        tell(host, told)
        answer, seconds = timed(host, "c1", question)
        return [answer] if seconds < QUICK else []

    [answer] = until(quick, "an answer at once")
    return answer


def test_from_the_right_namespace_over_both_families(host: Host) -> None:
    started(host, "c1")
    connected(host, "c1")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.77.0.2"))
    with upstream(host, OUT4) as seen4, upstream(host, OUT6) as seen6:
        tell(host, servers(server(OUT4)))
        assert dig(host, "c1", "ok.example.org") == [IPV4]
        assert dig(host, "c1", "ok.example.org AAAA +tcp") == [IPV6]
        assert f"{OUT4} 192.0.2.1 " in ask(host, "c1", "ok.example.org TXT +short")
        tell(host, servers(server(OUT6)))
        assert f"{OUT6} 2001:db8::1 " in ask(host, "c1", "ok.example.org TXT +short")
        tell(host, servers(server(OUT4, host=False)))
        assert f"{OUT4} 10.77.0.2 " in ask(host, "c1", "ok.example.org TXT +short")
        assert f"{OUT4} 10.77.0.2 " in ask(host, "c1", "ok.example.org TXT +short +tcp")

        told = [ask(host, "c1", "ok.example.org TXT +short").strip('"').split() for _ in range(12)]
        assert len({port for *_, port, _ in told}) > 9
        assert len({id for *_, id in told}) > 9

        # What is local, or below a local name as a service, is nobody else's business.
        for question in ("web1 AAAA", "web1 MX", "web1.web TXT", "WEB1 HTTPS", "web1 CH TXT"):
            assert "status: NOERROR" in ask(host, "c1", question)
        for question in ("_http._tcp.web1 SRV", "-x 10.77.0.2 A"):
            assert "status: NOERROR" in ask(host, "c1", question)
        assert {*seen4(), *seen6()} == {"ok.example.org."}
        assert dig(host, "c1", "-x 10.77.0.99") == []
        assert "99.0.77.10.in-addr.arpa." in seen4()


def test_an_address_of_a_link_is_asked_through_its_interface(host: Host) -> None:
    started(host, "c1")
    connected(host, "c1")
    host.sh("ip address add fe80::1/64 dev uplink nodad; ip address add fe80::3/64 dev v0 nodad")
    host.sh("ip -n c1 address add fe80::2/64 dev eth0 nodad")
    host.outside.sh("ip address add fe80::fe/64 dev world nodad")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.77.0.2"))
    question = "ok.example.org TXT +short"
    with upstream(host, "::"):
        tell(host, servers(server("fe80::fe%uplink")))
        assert ":: fe80::1 " in ask(host, "c1", question)
        assert ":: fe80::1 " in ask(host, "c1", f"{question} +tcp")
    with upstream(host, "::", stack="net"):
        tell(host, servers(server("fe80::3%eth0", host=False)))
        assert ":: fe80::2 " in ask(host, "c1", question)
        for nowhere in ("fe80::3%none", "fe80::3"):
            tell(host, servers(server(nowhere, host=False)))
            assert "SERVFAIL" in ask(host, "c1", question.removesuffix("+short"))


def test_who_may_be_asked(host: Host) -> None:
    started(host, "c1")
    connected(host, "c1")
    tell(host, network("web", forward=False), network("out"))
    with upstream(host, OUT4) as seen:
        # Of an internal network the host's servers are out of reach, and the sandbox's own are not.
        answer = at_once(host, servers(server(OUT4)), "ok.example.org")
        assert "status: SERVFAIL" in answer and seen() == []
        tell(host, servers(server(OUT4, host=False)))
        assert dig(host, "c1", "ok.example.org") == [IPV4]
        tell(host, sandbox("c1", "web", "out", servers=[server(OUT4)]))
        assert dig(host, "c1", "ok.example.org") == [IPV4]
        tell(host, sandbox("c1", servers=[server(OUT4)]))
        assert "status: SERVFAIL" in ask(host, "c1", "ok.example.org")
        # Itself it never asks, under whatever name.
        for itself in ("127.0.0.11", "::ffff:127.0.0.11"):
            told = sandbox("c1", "out", servers=[server(itself, host=False)])
            assert "status: SERVFAIL" in at_once(host, told, "ok.example.org")
        tell(host, sandbox("c1", "out"))
        assert "status: SERVFAIL" in ask(host, "c1", "ok.example.org")
        # libnetwork: where the user set ndots, single labels are left to the search list.
        tell(host, sandbox("c1", "out", servers=[server(OUT4)], ndots=1))
        asked = len(seen())
        assert "status: NOERROR" in ask(host, "c1", "single") and len(seen()) == asked
        tell(host, sandbox("c1", "out", servers=[server(OUT4)], ndots=0))
        assert dig(host, "c1", "single") == [IPV4]


def test_a_name_that_is_not_there_where_no_server_can_be_asked(host: Host) -> None:
    started(host, "c1")
    connected(host, "c1")
    known = endpoint("e1", "web", "web1 www", "10.77.0.3")
    tell(host, network("web", forward=False), known, servers(server(OUT4)))
    assert dig(host, "c1", "web1") == dig(host, "c1", "www.web") == ["10.77.0.3"]
    tell(host, {"do": "endpoint-gone", "id": "e1"})
    with upstream(host, OUT4) as seen:
        for question in ("web1", "WWW.web", "www.web AAAA", "web1 MX +tcp", "_x._tcp.gone.web SRV"):
            assert "status: NXDOMAIN" in (answer := ask(host, "c1", question)), question
            assert "flags: qr aa" in answer
        for question in ("ok.example.org", "web.example.org", "com NS", "-x 10.77.0.3"):
            assert "status: SERVFAIL" in ask(host, "c1", question), question
        # glibc says that there is no such name, not that it may be there later: 2 is EAI_NONAME.
        script = "import socket; socket.getaddrinfo('web1', 80)"
        host.sh("echo nameserver 127.0.0.11 > /run/resolv.conf")
        glibc = f"mount --bind /run/resolv.conf /etc/resolv.conf; python3 -c {script!r}"
        said = host.run("unshare", "-m", "ip", "netns", "exec", "c1", "sh", "-c", glibc).stderr
        assert "Name or service not known" in said
        assert seen() == []
        # With a server in its reach the resolver is no judge of names that it does not know.
        tell(host, servers(server(OUT4, host=False)))
        assert dig(host, "c1", "web1") == dig(host, "c1", "gone.web") == [IPV4]
    tell(host, network("web"), sandbox("c1", "web"))
    assert "status: NXDOMAIN" in ask(host, "c1", "web1")
    assert "status: SERVFAIL" in ask(host, "c1", "ok.example.org")


def test_one_that_fails_is_not_the_end(host: Host) -> None:
    started(host, "c1")
    tell(host, network("web"))
    host.outside.sh(
        "ip address add 192.0.2.10/24 dev world; ip address add 192.0.2.11/24 dev world"
    )
    first = "192.0.2.10"
    with upstream(host, OUT4) as seen:
        both = servers(server(first), server(OUT4))
        # Nobody has the port.
        assert at_once(host, both, "+short ok.example.org") == IPV4
        for mode in ("servfail", "refused"):
            with upstream(host, first, mode) as seen_first:
                assert at_once(host, both, "+short ok.example.org") == IPV4 and seen_first()
        with upstream(host, first, "nxdomain"):
            asked = len(seen())
            assert "status: NXDOMAIN" in ask(host, "c1", "ok.example.org") and len(seen()) == asked
        with upstream(host, first, "silent") as seen_first:
            tell(host, both)
            answer, seconds = timed(host, "c1", "+short ok.example.org")
            assert answer == IPV4 and seconds > QUICK
            # Once is enough: for a while the silent one is asked last.
            asked = len(seen_first())
            assert dig(host, "c1", "ok.example.org") == [IPV4] and len(seen_first()) == asked
        with upstream(host, first, "liar"):
            tell(host, servers(server(first)))
            assert dig(host, "c1", "ok.example.org") == [IPV4]
    with ExitStack() as stack:
        for address in (first, "192.0.2.11"):
            stack.enter_context(upstream(host, address, "silent"))
        tell(host, servers(server(first), server("192.0.2.11")))
        answer, seconds = timed(host, "c1", "ok.example.org")
        assert "status: SERVFAIL" in answer and seconds > 3.9
    with upstream(host, first, "servfail"):
        answer = at_once(host, servers(server(first)), "ok.example.org +tcp")
        assert "status: SERVFAIL" in answer


def test_sizes(host: Host) -> None:
    started(host, "c1")
    many = [endpoint(f"m{i}", "web", "many", f"10.3.0.{i}") for i in range(1, 101)]
    tell(host, network("web"), *many, servers(server(OUT4)))
    for question, size in (("+noedns", 512), ("+bufsize=1232", 1232), ("+tcp", 65535)):
        answer = ask(host, "c1", f"+ignore many {question}")
        count = answer.count("10.3.0.")
        assert count == min(100, (size - 12 - 10 - (0 if "noedns" in question else 11)) // 16)
        assert ("flags: qr aa tc" in answer) == (count < 100)
    # dig turns to TCP by itself.
    assert len(dig(host, "c1", "many +noedns")) == 100
    with upstream(host, OUT4, "truncated"):
        assert "flags: qr tc" in ask(host, "c1", "+ignore ok.example.org")
        assert dig(host, "c1", "ok.example.org") == [IPV4]
    with upstream(host, OUT4, "big"):
        small = ask(host, "c1", "+ignore +noedns ok.example.org")
        assert "flags: qr tc" in small and "ANSWER: 0" in small
        assert len(dig(host, "c1", "+noedns ok.example.org")) == 50
        assert len(dig(host, "c1", "+ignore +bufsize=1232 ok.example.org")) == 50


def test_a_change_drops_nothing_that_is_on_its_way(host: Host) -> None:
    started(host, "c1")
    tell(host, network("web"), servers(server(OUT4)))
    with upstream(host, OUT4, "late"):
        got: list[str] = []
        asking = threading.Thread(target=lambda: got.extend(dig(host, "c1", "ok.example.org")))
        asking.start()
        until(lambda: state(host)["asked"], "a question on its way")
        for index in range(20):
            if index == 1:
                host.sh(f"touch {GO}")
            tell(host, endpoint("e", "web", f"web{index}", "10.0.0.1"), network("web"))
            tell(host, servers(server(OUT4), server("192.0.2.99")))
        asking.join()
    assert got == [IPV4]
    assert dig(host, "c1", "web19") == ["10.0.0.1"]


FLOOD = """
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
sock.connect(("127.0.0.11", 53))
def ask(id, name):
    labels = b"".join(bytes((len(l),)) + l for l in name.encode().split(b"."))
    sock.send(id.to_bytes(2) + b"\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + labels + b"\\0\\0\\1\\0\\1")
for id in range(1500):
    ask(id, f"x{id}.example.org")
    if id % 100 == 99: time.sleep(0.01)
ask(2000, "web1")
sock.settimeout(60)
rcodes, local = {}, None
for _ in range(1501):
    answer = sock.recv(600)
    if answer[:2] == (2000).to_bytes(2):
        local = rcodes.get(2, 0)
    else:
        rcodes[answer[3] & 15] = rcodes.get(answer[3] & 15, 0) + 1
print(sorted(rcodes.items()), local)
"""


def test_the_number_on_their_way_is_bounded_and_everybody_gets_an_answer(host: Host) -> None:
    started(host, "c1")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.0.0.1"))
    with upstream(host, OUT4, "silent"):
        tell(host, servers(server(OUT4)))
        done = host.run("ip", "netns", "exec", "c1", "python3", "-c", FLOOD, check=True)
    rcodes, _, given_up = done.stdout.strip().rpartition(" ")
    # SERVFAIL for those that were asked, REFUSED for the others.
    assert rcodes == "[(2, 1024), (5, 476)]"
    # The answer to what is known here does not wait for theirs.
    assert int(given_up) < 1024
    assert state(host)["asked"] == 0
