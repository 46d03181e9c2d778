"""What the resolver's process brings from ports of [::1] to an endpoint, and that nothing harms it."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import pytest

from netctl.kernel import resolver
from tests.kernel.host import Host
from tests.kernel.host_children import fork, kill, read_all
from tests.kernel.resolver_host import RUN, Message, dig, endpoint, network, sandbox, state, tell
from tests.waiting import PATIENCE, QUIET, equal, until

T = TypeVar("T")
C1 = "/run/netns/c1"
SIX, FOUR = "fd00:77::2", "10.77.0.2"
UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
ANSWERING = Path("/run/answering")
"""In the host: what ``late_echo`` waits for."""
MANY = 24 << 20
"""Bytes, more than all buffers on the way hold."""


def port(outer: int, inner: int, protocol: str = "tcp", count: int = 1) -> Message:
    return {"protocol": protocol, "outer": outer, "inner": inner, "count": count}


def relay(*ports: Message, id: str = "e", addresses: tuple[str, ...] = (SIX, FOUR)) -> Message:
    return {"do": "relay", "id": id, "addresses": list(addresses), "ports": list(ports)}


@pytest.fixture(autouse=True)
def wired(host: Host) -> None:
    """A resolver at work, and c1 with both families."""
    host.sh(
        "ip netns add c1; ip -n c1 link set lo up;"
        "ip link add v0 type veth peer name eth0 netns c1; ip link set v0 up;"
        "ip address add 10.77.0.1/24 dev v0; ip address add fd00:77::1/64 dev v0 nodad;"
        f"ip -n c1 link set eth0 up; ip -n c1 address add {FOUR}/24 dev eth0;"
        f"ip -n c1 address add {SIX}/64 dev eth0 nodad"
    )
    host.call(resolver.start, RUN)


def connected(number: int, kind: socket.SocketKind = TCP) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, kind)
    sock.settimeout(PATIENCE)
    sock.connect(("::1", number))
    return sock


@contextmanager
def serving(host: Host, serve: Callable[[socket.socket], object]) -> Iterator[None]:
    """Serve one stream after the other at port 80 of c1, each in a thread of its own."""
    ready, tell_ready = os.pipe()
    child = fork()
    if child == 0:
        try:
            host.enter_stack(C1)
            listener = socket.create_server((SIX, 80), family=socket.AF_INET6, backlog=64)
            os.write(tell_ready, b"ready")
            os.close(tell_ready)
            while True:
                stream, _ = listener.accept()
                threading.Thread(target=serve, args=(stream,), daemon=True).start()
        finally:
            os._exit(0)
    os.close(tell_ready)
    try:
        assert read_all(ready, child, upto=5) == b"ready"
        yield
    finally:
        os.close(ready)
        kill(child)
        os.waitpid(child, 0)


def digest_at_the_end(stream: socket.socket) -> None:
    """Answer with the sum of all that came, and then with more than buffers hold."""
    found = sha256()
    while data := stream.recv(1 << 16):
        found.update(data)
    stream.sendall(found.digest())
    stream.sendall(bytes(MANY))
    stream.close()


def echo(stream: socket.socket) -> None:
    while data := stream.recv(1 << 16):
        stream.sendall(data)
    stream.close()


def sleep(stream: socket.socket) -> None:
    """Take nothing, to the end of the server."""
    threading.Event().wait()


def everything_both_ways() -> bool:
    data = os.urandom(1 << 20) * (MANY >> 20)
    with connected(8080) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        got = bytearray()
        while piece := sock.recv(1 << 16):
            got += piece
    return bytes(got) == sha256(data).digest() + bytes(MANY)


def test_all_bytes_arrive_and_so_does_the_end(host: Host) -> None:
    tell(host, relay(port(8080, 80)))
    with serving(host, digest_at_the_end):
        assert host.call(everything_both_ways)
        assert state(host)["relayed"] == 0
    assert host.sh("ss -Htln").split("\n")[0].split()[3] == "[::1]:8080"


def half_closed(told: Callable[[], Message]) -> list[str]:
    """Send nothing more and wait; break off one. Return what went wrong."""
    wrong = []
    with connected(8080) as kept, connected(8080) as left:
        for sock in (kept, left):
            sock.sendall(b"x")
            sock.shutdown(socket.SHUT_WR)
        equal(lambda: told()["relayed"], 2)
        left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left.close()
        equal(lambda: told()["relayed"], 1)
        ANSWERING.touch()
        wrong += [] if kept.recv(1) == b"x" else ["nothing more comes"]
        wrong += [] if kept.recv(1) == b"" else ["no end comes"]
    return wrong


def late_echo(stream: socket.socket) -> None:
    """Answer after the end, when it is asked for."""
    data = stream.recv(1)
    assert stream.recv(1) == b""
    until(ANSWERING.exists)
    stream.sendall(data)
    stream.close()


def test_one_that_sends_no_more_is_waited_for_until_it_vanishes(host: Host) -> None:
    tell(host, relay(port(8080, 80)))
    with serving(host, late_echo):
        assert host.call(half_closed, lambda: resolver.state(RUN)) == []
        equal(lambda: state(host)["relayed"], 0)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pid: int) -> int:
    """Return the resident memory, KiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def flood(count: int) -> list[int]:
    """Send to a server that reads nothing until nothing more is taken; return the bytes."""
    sent = []
    socks = [connected(8080) for _ in range(count)]
    for sock in socks:
        sock.settimeout(0.3)
        total = 0
        try:
            while total < MANY:
                total += sock.send(bytes(1 << 16))
        except TimeoutError:
            pass
        sent.append(total)
    return sent


def test_who_takes_nothing_is_waited_for_and_others_go_on(host: Host) -> None:
    host.sh("ip netns add c2; ip -n c2 link set lo up")
    tell(host, network("web"), endpoint("e", "web", "web1", SIX), sandbox("c2", "web"))
    tell(host, relay(port(8080, 80)))
    pid = state(host)["pid"]
    before, held = memory(pid), descriptors(pid)
    with serving(host, sleep):
        assert all(total < MANY for total in host.call(flood, 8))
        assert dig(host, "c2", "web1 AAAA") == [SIX]
        # The server has taken nothing all the while.
        assert state(host)["relayed"] == 8
    assert memory(pid) - before < 8 * 1024
    # Client and server have gone.
    until(lambda: descriptors(pid) <= held)


def changing(told: Callable[..., None]) -> list[str]:
    """Keep streams on two ports while others come and go; return what went wrong."""
    wrong = []
    with connected(8080) as one, connected(8081) as two:

        def goes_on(sock: socket.socket) -> bool:
            sock.sendall(b"x")
            return sock.recv(1) == b"x"

        wrong += [] if goes_on(one) and goes_on(two) else ["begin"]
        told(relay(port(8080, 80, count=2), port(9000, 90, "udp", 100)))
        told(relay(port(8081, 80), id="other"))
        told(relay(port(8080, 80), port(9000, 90, "udp")))
        wrong += [] if goes_on(one) else ["the other port's stream ended"]
        try:
            wrong += ["its own goes on"] if two.recv(1) else ["it ended in order"]
        except ConnectionResetError:
            pass
        try:
            connected(8081).close()
            wrong.append("it still listens")
        except ConnectionRefusedError:
            pass
        told({"do": "relay-gone", "id": "e"})
        try:
            wrong += ["gone, it goes on"] if one.recv(1) else ["gone, it ended in order"]
        except ConnectionResetError:
            pass
    return wrong


def test_a_change_touches_only_its_own_port(host: Host) -> None:
    tell(host, relay(port(8080, 80), port(8081, 80)))
    with serving(host, echo):
        # 8081 is also asked for by another endpoint, which does not get it.
        assert host.call(changing, lambda *said: resolver.tell(RUN, said)) == []
    [left] = [m for m in state(host)["model"] if m["do"] == "relay"]
    assert (left["id"], left["missed"]) == ("other", ["tcp 8081"])
    tell(host, relay(port(8081, 80), id="other"))
    assert "missed" not in state(host)["model"][-1]
    # In one message ports change places, whoever is told first.
    tell(host, relay(port(8082, 80), id="third"))
    tell(host, relay(port(8081, 80), id="third"), relay(port(8082, 80), id="other"))
    tell(
        host, relay(port(8083, 80), port(8082, 80), id="third"), {"do": "relay-gone", "id": "other"}
    )
    assert [m for m in state(host)["model"] if "missed" in m] == []
    tell(host, relay(port(8081, 80), id="other"), {"do": "relay-gone", "id": "third"})
    assert not host.call(partial(resolver.stop, RUN, unused=True))
    tell(host, {"do": "relay-gone", "id": "other"})
    assert host.sh("ss -Htuln") == ""
    assert host.call(partial(resolver.stop, RUN, unused=True))


def refused() -> list[str]:
    """Connect where nobody serves; return how that ends."""
    found = []
    for number in (8080, 8081):
        try:
            # It may be broken off before its maker looks.
            with connected(number) as sock:
                found.append(repr(sock.recv(1)))
        except ConnectionResetError:
            found.append("reset")
    return found


def test_where_nobody_serves_the_stream_is_broken_off(host: Host) -> None:
    gone = relay(port(8081, 80), id="gone", addresses=("fd00:99::1",))
    tell(host, relay(port(8080, 80)), gone)
    assert host.call(refused) == ["reset", "reset"]
    assert state(host)["relayed"] == 0


def test_datagrams_of_many_clients(host: Host) -> None:
    tell(host, relay(port(9000, 90, "udp"), port(9001, 91, "udp")))
    pid = state(host)["pid"]
    held = descriptors(pid)
    with host.server(C1, SIX, 90, "udp"), host.server(C1, FOUR, 91, "udp"):
        assert host.ask("", "::1", 9000, "udp") == "fd00:77::1"
        # Only IPv4 is served there.
        assert host.ask("", "::1", 9001, "udp") == "10.77.0.1"
        assert host.call(crowd) == 700
    assert descriptors(pid) - held <= 512 + 4
    # The biggest, and to nobody.
    assert host.ask("", "::1", 9000, "udp", seconds=QUIET) is None
    tell(host, {"do": "relay-gone", "id": "e"})
    assert descriptors(pid) < held


def crowd() -> int:
    """Ask as many clients, one after the other; return how many are answered."""
    answered = 0
    for _ in range(700):
        with connected(9000, UDP) as sock:
            sock.send(b"?")
            answered += sock.recv(100) == b"fd00:77::1"
    return answered


def test_a_port_that_somebody_has_is_left_to_them(host: Host) -> None:
    with host.server("", "::1", 8080), host.server("", "::1", 9000, "udp"):
        tell(host, relay(port(8079, 79, count=3), port(9000, 90, "udp")))
        [told] = [m for m in state(host)["model"] if m["do"] == "relay"]
        assert told["missed"] == ["tcp 8080", "udp 9000"]
        assert host.ask("", "::1", 8080) == "::1"
    tell(host, relay(port(8079, 79, count=3), port(9000, 90, "udp")))
    with host.server(C1, SIX, 80):
        assert host.ask("", "::1", 8080) == "fd00:77::1"
    assert "of [::1] is not relayed: Address already in use" in host.sh(f"cat {RUN}/resolver.log")


def test_a_host_without_ipv6_has_nothing_to_relay(host: Host) -> None:
    host.sh("echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6")
    tell(host, relay(port(8080, 80)))
    assert "missed" not in state(host)["model"][-1] and host.sh("ss -Htln") == ""


def test_a_thousand_ports_are_told_at_once(host: Host) -> None:
    pid = state(host)["pid"]
    before = memory(pid)
    tell(host, relay(port(20000, 20000, count=1000), port(30000, 30000, "udp", 1000)))
    assert host.sh("ss -Htuln src [::1] | wc -l") == "2000\n"
    assert memory(pid) - before < 8 * 1024
    with host.server(C1, SIX, 20999), host.server(C1, SIX, 30999, "udp"):
        assert host.ask("", "::1", 20999) == host.ask("", "::1", 30999, "udp") == "fd00:77::1"
    os.kill(pid, signal.SIGTERM)
    equal(host.processes, [])
    assert host.sh("ss -Htuln") == ""
