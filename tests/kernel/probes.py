"""Many questions at once: servers in a namespace that answer on many ports, and askers elsewhere.

A ``Post`` is a child process that stays in its namespace. It answers on ports with the client's
address as it sees it, and asks many addresses at the same time: what is dropped costs all of them
together ``DROPPED``.
"""

from __future__ import annotations

import errno
import os
import pickle
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from tests.kernel.host import ANSWER, Host
from tests.kernel.host_children import bound, fork, kill, new_socket, read_all
from tests.waiting import until

DROPPED = 0.3
"""Seconds after which a question that got no answer is taken as dropped."""
_AGAIN = 3.0
"""Seconds after which one that should be answered is asked again."""
_SILENCE = 600.0
"""Seconds after which a server ends that nobody has ended."""


class Question(NamedTuple):
    address: str
    port: int
    protocol: str


Seen = dict[Question, str | None]
"""The address that the server saw; None where no answer came."""


class Post:
    """A process in a namespace: ``netns`` as in ``Host.server``."""

    def __init__(self, host: Host, netns: str) -> None:
        self._host, self._netns = host, netns
        self._pids: list[int] = []

    def close(self) -> None:
        for pid in self._pids:
            kill(pid)
            os.waitpid(pid, 0)

    def serve(self, ports: Iterable[tuple[int, str]], addresses: Sequence[str]) -> None:
        """Answer on ports (number, protocol) of addresses until the end."""
        wanted = [Question(a, number, p) for a in addresses for number, p in ports]
        ready, tell = os.pipe()
        child = fork()
        if child == 0:
            os.close(ready)
            _serve(self._host, self._netns, wanted, tell)
        os.close(tell)
        self._pids.append(child)
        trouble = read_all(ready, child, upto=5)
        os.close(ready)
        if trouble != b"ready":
            raise RuntimeError(f"no servers in {self._netns or 'the host'}: {trouble.decode()}")

    def begin(self, questions: Sequence[Question], seconds: float = DROPPED) -> Asking:
        """Begin to ask; several posts ask at the same time."""
        ready, tell = os.pipe()
        child = fork()
        if child == 0:
            os.close(ready)
            _ask(self._host, self._netns, questions, seconds, tell)
        os.close(tell)
        return Asking(ready, child)


class Asking(NamedTuple):
    pipe: int
    child: int

    def end(self) -> Seen:
        """Return what was seen."""
        try:
            answer = read_all(self.pipe, self.child)
        finally:
            os.close(self.pipe)
            os.waitpid(self.child, 0)
        if not answer:
            raise RuntimeError("the asking child died without an answer")
        seen: Seen | str = pickle.loads(answer)
        if isinstance(seen, str):
            raise RuntimeError(seen)
        return seen


@contextmanager
def posts(host: Host, places: Mapping[str, str]) -> Iterator[dict[str, Post]]:
    """Lend a post for each name, in the namespace that goes with it."""
    with ExitStack() as stack:
        found = {}
        for name, netns in places.items():
            found[name] = Post(host, netns)
            stack.callback(found[name].close)
        yield found


def ask(there: Mapping[str, Post], questions: Mapping[str, Sequence[Question]]) -> dict[str, Seen]:
    """Let each post ask its questions, all at the same time."""
    begun = {name: there[name].begin(asked) for name, asked in questions.items()}
    return {name: asking.end() for name, asking in begun.items()}


def answers(
    there: Mapping[str, Post], wanted: Mapping[str, Mapping[Question, bool]]
) -> dict[str, Seen]:
    """Ask, and those again that should be answered and are not: a busy machine takes longer."""
    found = ask(there, {name: list(cells) for name, cells in wanted.items()})

    def complete() -> bool:
        for name, cells in wanted.items():
            missing = [q for q, answered in cells.items() if answered and not found[name][q]]
            if missing:
                found[name] |= there[name].begin(missing, _AGAIN).end()
        return all(found[n][q] for n, cells in wanted.items() for q in cells if cells[q])

    with suppress(AssertionError):
        until(complete, seconds=ANSWER)
    return found


def compare(
    there: Mapping[str, Post], expected: Mapping[str, Mapping[Question, str | None]]
) -> list[str]:
    """Return a line for each question that is not answered as ``expected``, by the post's name."""
    wanted = {
        name: {q: bool(seen) for q, seen in cells.items()} for name, cells in expected.items()
    }
    found = answers(there, wanted)
    return [
        f"{name} -> {q.address} {q.port}/{q.protocol}: expected {seen}, found {found[name][q]}"
        for name, cells in expected.items()
        for q, seen in cells.items()
        if found[name][q] != seen
    ]


# in the children


def _serve(host: Host, netns: str, wanted: Sequence[Question], tell: int) -> None:
    try:
        host.enter_stack(netns)
        servers = {}
        poll = select.epoll()
        for address, port, protocol in wanted:
            server = bound(address, port, protocol)
            servers[server.fileno()] = (server, protocol)
            poll.register(server.fileno(), select.EPOLLIN)
        os.write(tell, b"ready")
        while ready := poll.poll(_SILENCE):
            for fd, _ in ready:
                with suppress(OSError):
                    _answer(*servers[fd])
    except BaseException as error:
        os.write(tell, repr(error).encode())
    finally:
        os._exit(0)


def _answer(server: socket.socket, protocol: str) -> None:
    if protocol == "udp":
        _, peer = server.recvfrom(100)
        server.sendto(peer[0].encode(), peer)
        return
    client, peer = server.accept()
    with client:
        client.send(peer[0].encode())


def _ask(host: Host, netns: str, questions: Sequence[Question], seconds: float, tell: int) -> None:
    try:
        host.enter_stack(netns)
        packed = pickle.dumps(_asked(questions, seconds))
    except BaseException as error:
        packed = pickle.dumps(repr(error))
    with os.fdopen(tell, "wb") as pipe:
        pipe.write(packed)
    os._exit(0)


def _asked(questions: Sequence[Question], seconds: float) -> Seen:
    seen: Seen = dict.fromkeys(questions)
    poll, open_ = select.epoll(), {}
    for question in questions:
        if client := _sent(question):
            open_[client.fileno()] = (client, question)
            poll.register(client.fileno(), select.EPOLLIN | select.EPOLLERR)
    end = time.monotonic() + seconds
    while open_ and (left := end - time.monotonic()) > 0:
        for fd, _ in poll.poll(left):
            poll.unregister(fd)
            client, question = open_.pop(fd)
            with client, suppress(OSError):
                seen[question] = client.recv(200).decode() or None
    for client, _ in open_.values():
        client.close()
    return seen


def _sent(question: Question) -> socket.socket | None:
    """Return a socket on its way; None where the kernel knows no way."""
    client = new_socket(question.address, question.protocol)
    client.setblocking(False)
    number = client.connect_ex((question.address, question.port))
    if number in (0, errno.EINPROGRESS):
        if question.protocol == "udp":
            with suppress(OSError):
                client.send(b"?")
        return client
    client.close()
    return None
