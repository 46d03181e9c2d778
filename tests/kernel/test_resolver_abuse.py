"""Clients that mean no good, and what everybody else notices of it: nothing."""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from netctl.kernel import nameserver, resolver, syscalls
from tests.campaign.packets import mutations, seeds
from tests.kernel.host import Host
from tests.kernel.resolver_host import (
    RUN,
    dig,
    endpoint,
    network,
    sandbox,
    server,
    started,
    state,
    tell,
)
from tests.kernel.upstream import IPV4, upstream
from tests.waiting import PATIENCE

SERVER = ("127.0.0.11", 53)
T = TypeVar("T")
UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM


def inside(host: Host, function: Callable[[], T]) -> T:
    """Call a function in the sandbox c1."""

    def work() -> T:
        with open("/run/netns/c1", "rb") as pinned:
            syscalls.setns(pinned.fileno(), syscalls.CLONE_NEWNET)
        return function()

    return host.call(work)


def client(kind: socket.SocketKind, *, timeout: float = PATIENCE) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    sock.settimeout(timeout)
    sock.connect(SERVER)
    return sock


def memory(pid: int) -> int:
    """Return the resident memory in KiB."""
    [line] = [li for li in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in li]
    return int(line.split()[1])


def damaged(seed: int, count: int) -> list[bytes]:
    packets = mutations(random.Random(seed), seeds())
    return [next(packets) for _ in range(count)]


def send_packets() -> None:
    """Send random packets, in datagrams and with and without a true length over TCP."""
    with client(UDP) as udp:
        for packet in damaged(1, 5000):
            udp.send(packet[:65000])
        for size in (0, 1, 511, 4095, 4096, 4097, 65507):
            udp.send(random.Random(size).randbytes(size))
    for index, packet in enumerate(damaged(2, 300)):
        with client(TCP) as tcp:
            # It may be closed on us in the middle.
            try:
                tcp.sendall(len(packet).to_bytes(2) + packet if index % 3 else packet)
                if index % 2:
                    tcp.shutdown(socket.SHUT_WR)
                    tcp.recv(100)
            except OSError:
                continue


def test_random_packets_harm_nobody(host: Host) -> None:
    started(host, "c1", "c2")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.0.0.1"))
    with upstream(host, "192.0.2.254"):
        servers = [server("192.0.2.254")]
        tell(host, sandbox("c1", "web", servers=servers), sandbox("c2", "web", servers=servers))
        pid = state(host)["pid"]
        assert dig(host, "c1", "ok.example.org +cookie") == [IPV4]
        before = memory(pid)
        inside(host, send_packets)
        for name in ("c1", "c2"):
            assert dig(host, name, "web1") == dig(host, name, "web1 +tcp") == ["10.0.0.1"]
            assert dig(host, name, "ok.example.org") == [IPV4]
    assert state(host)["pid"] == pid
    assert memory(pid) - before < 40_000
    assert not os.path.exists(f"/proc/{pid}/root{RUN}/resolver.log")


def crowd() -> tuple[int, list[bytes]]:
    """Open hundreds of connections that say nothing or half of something; then ask in one more,
    and in one of the last of them."""
    query = seeds()[0]
    message = len(query).to_bytes(2) + query
    with ExitStack() as stack:
        crowd = [stack.enter_context(client(TCP)) for _ in range(400)]
        for index, sock in enumerate(crowd):
            try:
                sock.sendall(message[: index % 20])
            except OSError:
                continue  # It has been closed, being the oldest of too many.
        answers = []
        for sock in (stack.enter_context(client(TCP)), crowd[-20]):
            sock.sendall(message)
            answers.append(sock.recv(600)[2:])
        # The last to come is answered: those that had to go for it have gone.
        alive = 0
        for sock in crowd[:-1]:
            sock.setblocking(False)
            try:
                alive += sock.recv(1) != b""
            except BlockingIOError:
                alive += 1
            except OSError:
                continue
    return alive, answers


def impatient() -> float:
    """Say half of something and wait; return the seconds until the connection is closed."""
    begin = time.monotonic()
    with client(TCP) as sock:
        sock.sendall(b"\0\x20\1")
        assert sock.recv(1) == b""
    return time.monotonic() - begin


def glutton() -> None:
    """Ask and ask, and never take an answer."""
    query = next(packet for packet in seeds() if b"\3WWW" in packet and not packet[2] & 0x80)
    message = len(query).to_bytes(2) + query
    with client(TCP, timeout=0.5) as sock:
        try:
            for _ in range(2000):
                sock.sendall(message * 50)
        except OSError:
            return
    raise AssertionError("megabytes of questions were taken, and nobody took the answers")


def slow() -> int:
    """Ask hundreds of questions and end the stream, then take the answers late; count them."""
    query = next(packet for packet in seeds() if b"\3WWW" in packet and not packet[2] & 0x80)
    count = 400
    with client(TCP) as sock, sock.makefile("rb") as answers:
        sock.sendall((len(query).to_bytes(2) + query) * count)
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.5)
        came = 0
        while length := answers.read(2):
            came += len(answers.read(int.from_bytes(length))) > 3000
    return came - count


def rude() -> None:
    """Ask a hundred questions at once and break the connection off before the answers."""
    query = seeds()[0]
    message = len(query).to_bytes(2) + query
    for _ in range(200):
        with client(TCP) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(message * 100)


def test_half_open_connections_are_bounded(host: Host) -> None:
    started(host, "c1", "c2")
    many = [endpoint(f"e{i}", "web", "web1 www", f"10.0.1.{i}") for i in range(1, 200)]
    tell(host, network("web"), *many, sandbox("c1", "web"), sandbox("c2", "web"))
    pid = state(host)["pid"]
    before = memory(pid)
    alive, answers = inside(host, crowd)
    assert alive <= 64 and all(len(answer) > 100 for answer in answers)
    for _ in range(2):
        inside(host, glutton)
        inside(host, rude)
    assert inside(host, slow) == 0
    assert len(dig(host, "c2", "web1 +tcp")) == 199
    assert memory(pid) - before < 20_000
    assert inside(host, impatient) > 4
    assert len(os.listdir(f"/proc/{pid}/fd")) < 60
    assert not os.path.exists(f"/proc/{pid}/root{RUN}/resolver.log")


def test_many_questions_in_one_connection(host: Host) -> None:
    started(host, "c1")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.0.0.1"))
    with upstream(host, "192.0.2.254"):
        tell(host, sandbox("c1", "web", servers=[server("192.0.2.254")]))

        def pipelined() -> set[int]:
            query = seeds()[0]
            queries = [index.to_bytes(2) + query[2:] for index in range(300)]
            with client(TCP) as sock:
                sock.sendall(b"".join(len(q).to_bytes(2) + q for q in queries))
                sock.shutdown(socket.SHUT_WR)
                data = b"".join(iter(lambda: sock.recv(65536), b""))
            found = set()
            while data:
                length = int.from_bytes(data[:2])
                found.add(int.from_bytes(data[2:4]))
                data = data[2 + length :]
            return found

        assert inside(host, pipelined) == set(range(300))


def test_the_control_socket_bears_nonsense(host: Host) -> None:
    started(host, "c1")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.0.0.1"), sandbox("c1", "web"))

    def nonsense() -> list[bytes]:
        answers = []
        for line in (
            b"{",
            b"[]",
            b"\xff",
            b"[" * 100_000,
            b'{"do": "all", "of": 1}',
            b'{"do": "ping"}',
        ):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(PATIENCE)
                sock.connect(f"{RUN}/resolver.sock")
                sock.sendall(line + b"\n")
                answers.append(sock.recv(65536))
        sleepers = [socket.socket(socket.AF_UNIX) for _ in range(50)]
        for sock in sleepers:
            sock.settimeout(PATIENCE)
            sock.connect(f"{RUN}/resolver.sock")
        for sock in sleepers:
            sock.close()
        return answers

    answers = host.call(nonsense)
    assert all(answer.startswith(b'{"error":') for answer in answers[:-1])
    assert answers[-1].startswith(b'{"ok":true,')
    assert dig(host, "c1", "web1") == ["10.0.0.1"]
    # Another user does not even get in.
    host.sh(f"chmod 755 {RUN}; chmod 666 {RUN}/resolver.sock")
    ask = f"s=__import__('socket').socket(1); s.connect('{RUN}/resolver.sock'); s.send(b'{{}}\\n'); print(s.recv(9))"
    done = host.run("setpriv", "--reuid=65534", "--clear-groups", "python3", "-c", ask)
    assert done.stdout in ("b''\n", "")
    host.call(resolver.stop, RUN)


def test_more_than_1024_descriptors(host: Host) -> None:
    """libnftables waits with select(2), and dies of a descriptor from 1024 on."""
    host.sh("ip netns add c1")

    def work() -> str:
        places = nameserver.Places()
        assert nameserver.raise_limits() >= 4000
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(2000)]
        for _ in range(30):
            place = places.take("/run/netns/c1", "mark")
            places.lead(place)
            places.leave(place)
        for descriptor in held:
            os.close(descriptor)
        places.close()
        return "done"

    assert host.call(work) == "done"
    assert host.sh("ip netns exec c1 nft list ruleset") == ""
