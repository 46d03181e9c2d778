"""A name server for the tests, which behaves as it is told.

``python -m tests.kernel.upstream ADDRESS MODE LOG`` answers on port 53 and writes each name that it
is asked for into LOG. Modes: ``ok``; ``servfail``, ``refused``, ``nxdomain``; ``silent``; ``late``
(when there is a file ``GO``); ``truncated`` (over UDP); ``big`` (900 bytes); ``liar`` (false answers first).
A TXT question is answered with the server's and the client's address, the client's port and the id.
"""

from __future__ import annotations

import selectors
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.kernel.host import Host
from tests.waiting import PATIENCE, until

IPV4, IPV6 = "198.51.100.1", "2001:db8:1::1"
GO = Path("/run/upstream.go")
_RCODES = {
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "nxdomain": dns.rcode.NXDOMAIN,
}
_SILENCE = 600.0
"""Seconds after which a server ends that nobody has ended."""
Send = Callable[[bytes], object]


@contextmanager
def upstream(
    host: Host, address: str, mode: str = "ok", *, stack: str = "outside", netns: str = ""
) -> Iterator[Callable[[], list[str]]]:
    """Run a server; lend a function that returns the names it was asked for, in lower case."""
    log = f"/run/upstream.{address.replace(':', '_')}"
    enter = ["nsenter", f"--net={netns}"] if netns else []
    command = [*enter, sys.executable, "-m", "tests.kernel.upstream", address, mode, log]
    host.sh(f"rm -f {log}")
    server = host.start(*command, stack=stack)
    try:
        host.until(f"test -e {log}")
        yield lambda: host.sh(f"cat {log}").split()
    finally:
        server.kill()
        server.wait()


def answers(query: bytes, mode: str, server: str, client: tuple[str, int]) -> list[bytes]:
    """Return what a mode says to a query over UDP, as ``_over_tcp`` changes it for TCP."""
    asked = dns.message.from_wire(query)
    reply = dns.message.make_response(asked, recursion_available=True)
    if mode in _RCODES:
        reply.set_rcode(_RCODES[mode])
        return [reply.to_wire()]
    [question] = asked.question
    told = {
        "A": [IPV4],
        "AAAA": [IPV6],
        "TXT": [f'"{server} {client[0]} {client[1]} {asked.id}"'],
    }.get(dns.rdatatype.to_text(question.rdtype), [])
    if mode == "big":
        told = [f"198.51.100.{index}" for index in range(50)]
    if told:
        reply.answer.append(
            dns.rrset.from_text_list(question.name, 60, "IN", question.rdtype, told)
        )
    if mode == "truncated":
        reply.flags |= dns.flags.TC
    return [*(_lies(reply) if mode == "liar" else ()), reply.to_wire()]


def _lies(reply: dns.message.Message) -> list[bytes]:
    wire = reply.to_wire()
    false = wire.replace(socket.inet_aton(IPV4), socket.inet_aton("203.0.113.66"))
    other_id = bytes((wire[0] ^ 1,)) + false[1:]
    return [other_id, false[:2] + b"\0" + false[3:], false.replace(b"\2ok", b"\2no"), false[:13]]


def main(address: str, mode: str, log: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    udp, tcp = (socket.socket(family, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for sock in (udp, tcp):
        sock.bind((address, 53))
    tcp.listen(16)
    with open(log, "a", buffering=1) as file, selectors.DefaultSelector() as selector:
        for sock in (udp, tcp):
            selector.register(sock, selectors.EVENT_READ)
        while ready := selector.select(_SILENCE):
            for key, _ in ready:
                if key.fileobj is udp:
                    query, client = udp.recvfrom(4096)
                    _serve(query, mode, address, client, _sender(udp, client), file.write)
                else:
                    _serve_tcp(tcp, mode, address, file.write)


def _sender(udp: socket.socket, client: tuple[str, int]) -> Send:
    return lambda data: udp.sendto(data, client)


def _serve_tcp(tcp: socket.socket, mode: str, address: str, log: Callable[[str], object]) -> None:
    connection, client = tcp.accept()
    with connection, suppress(OSError):
        connection.settimeout(PATIENCE)
        query = connection.recv(4096)[2:]
        if query:
            mode = "ok" if mode == "truncated" else mode
            _serve(
                query,
                mode,
                address,
                client,
                lambda data: connection.sendall(len(data).to_bytes(2) + data),
                log,
            )


def _serve(
    query: bytes,
    mode: str,
    address: str,
    client: tuple[str, int],
    send: Send,
    log: Callable[[str], object],
) -> None:
    log(str(dns.message.from_wire(query).question[0].name).lower() + "\n")
    if mode == "late":
        until(GO.exists)
    for answer in answers(query, mode, address, client) if mode != "silent" else ():
        send(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
