"""Programs that run in the stacks of a throw-away host, as servers and clients."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self

from tests.kernel.host import Host
from tests.waiting import until

ECHO = """
import socket, sys, threading
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print("ready", flush=True)
def echo(client):
    try:
        while data := client.recv(100):
            client.send(data)
    except OSError:
        pass
while True:
    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
"""
TALK = """
import socket, sys, threading, time
protocol, address, port, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
server = socket.socket(family, kind)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, port))
heard = open(f"/run/{name}.heard", "ab", buffering=0)
def serve(read, write):
    threading.Thread(target=listen, args=(read,), daemon=True).start()
    while True:
        time.sleep(0.01)
        try:
            write(b"tick")
        except OSError:
            return
def listen(read):
    while True:
        try:
            data = read()
        except OSError:
            continue
        if not data:
            return
        heard.write(b".")
if protocol == "tcp":
    server.listen()
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        serve_one = threading.Thread(
            target=serve, args=(lambda: client.recv(1000), client.send), daemon=True)
        serve_one.start()
print("ready", flush=True)
_, peer = server.recvfrom(100)
serve(lambda: server.recvfrom(1000)[0], lambda data: server.sendto(data, peer))
"""
"""A server of one client, which talks on its own as well, and counts under a name what it hears."""

TALKER = """
import socket, sys, time
protocol, address, port, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
talk = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
talk.connect((address, port))
talk.settimeout(0.02)
heard = open(f"/run/{name}.answers", "ab", buffering=0)
print("ready", flush=True)
tried = open(f"/run/{name}.tried", "ab", buffering=0)
while True:
    tried.write(b".")
    try:
        talk.send(b"tock")
        if talk.recv(1000):
            heard.write(b".")
    except OSError:
        time.sleep(0.01)
"""
"""It goes on asking, whatever becomes of it, and counts its tries."""


@contextmanager
def program(host: Host, netns: str, text: str, *arguments: str) -> Iterator[None]:
    """Run a Python program in a stack that says when it is ready."""
    outside = netns == "outside"
    enter = ["nsenter", f"--net={netns}", "--"] if netns and not outside else []
    stack = "outside" if outside else "net"
    command = (*enter, sys.executable, "-c", text, *arguments)
    child = host.start(*command, stack=stack, stdout=subprocess.PIPE)
    try:
        assert child.stdout and child.stdout.readline() == "ready\n"
        yield
    finally:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


class Talk(NamedTuple):
    """Between a server and a client, each in a stack as for ``Host.server``."""

    host: Host
    protocol: str
    server: str
    own: str
    """The server's address; it has port 80."""
    client: str
    address: str
    port: str
    """Where the client asks."""

    @contextmanager
    def begun(self) -> Iterator[Self]:
        self.host.sh(f"for f in heard answers tried; do : > /run/{self.name}.$f; done")
        served, asked = (self.own, "80"), (self.address, self.port)
        with (
            program(self.host, self.server, TALK, self.protocol, *served, self.name),
            program(self.host, self.client, TALKER, self.protocol, *asked, self.name),
        ):
            yield self

    @property
    def name(self) -> str:
        return f"{self.protocol}{6 if ':' in self.own else 4}"

    def counted(self) -> list[int]:
        """Return how much the server and the client have heard."""
        return self._sizes("heard", "answers")

    def goes_on(self) -> None:
        """Wait until both have heard more of each other."""
        first = self.counted()
        until(lambda: all(map(operator.gt, self.counted(), first)), f"talk by {self.name}")

    def tried(self, count: int) -> None:
        """Wait until the client has said something that often from now on."""
        [first] = self._sizes("tried")
        until(lambda: self._sizes("tried")[0] >= first + count, "tries of the client")

    def _sizes(self, *kinds: str) -> list[int]:
        files = " ".join(f"/run/{self.name}.{kind}" for kind in kinds)
        return [int(size) for size in self.host.sh(f"stat -c %s {files}").split()]


def assert_ended(talks: Sequence[Talk]) -> None:
    """See that nobody hears anything any more, while they say a lot."""
    for talk in talks:
        talk.tried(3)
    before = {talk.name: talk.counted() for talk in talks}
    for talk in talks:
        talk.tried(20)
    assert {talk.name: talk.counted() for talk in talks} == before
