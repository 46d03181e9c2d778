"""Telling the resolver what changes: one connection for each run directory, kept over a batch."""

from __future__ import annotations

import errno
import json
import select
from collections.abc import Iterator
from contextlib import contextmanager

from netctl import plainsocket as socket
from netctl.errors import KernelError
from netctl.kernel import resolver
from netctl.kernel.interface import Message
from netctl.kernel.resolver import checked, connected_to, kill, read_answer


class Telling:
    """What a kernel does of the resolver. In a batch nobody waits for an answer before its end."""

    def __init__(self) -> None:
        self._tellers: dict[str, Teller] = {}
        self._in_batch = False
        self._silent: set[str] = set()
        """Run directories whose resolver has given no answer: it is not waited for again."""

    def start(self, run_dir: str, state_dir: str, *, anew: bool) -> bool:
        if anew:
            self._teller(run_dir).close()
            resolver.stop(run_dir, impatient=True, again=run_dir in self._silent)
            self._silent.discard(run_dir)
        elif self._teller(run_dir).connected:
            return False
        return resolver.start(run_dir, state_dir)

    def stop(self, run_dir: str) -> bool:
        self._hear()
        ended = resolver.stop(run_dir, unused=True)
        if ended:
            self._teller(run_dir).close()
        return ended

    def tell(self, run_dir: str, message: str) -> bool:
        there = self._teller(run_dir).tell(message)
        if not self._in_batch:
            self._settle()
        return there

    def model(self, run_dir: str) -> list[Message] | None:
        self._hear()
        try:
            return resolver.model(run_dir, again=run_dir in self._silent)
        except KernelError as error:
            if error.errno == errno.ETIMEDOUT:
                self._silent.add(run_dir)
            raise

    def lost(self, run_dir: str) -> bool:
        teller = self._tellers.get(run_dir)
        return not (teller and teller.attached) and resolver.lost(run_dir)

    @contextmanager
    def batch(self) -> Iterator[None]:
        self._in_batch = True
        try:
            yield
        except BaseException as error:
            try:
                self._settle()
            except KernelError as refusal:  # What went wrong first is what is told.
                error.add_note(refusal.command_message)
            raise
        else:
            self._settle()
        finally:
            self._in_batch = False

    def close(self) -> None:
        for teller in self._tellers.values():
            teller.close()
        self._tellers.clear()

    def _teller(self, run_dir: str) -> Teller:
        if run_dir not in self._tellers:
            self._tellers[run_dir] = Teller(run_dir)
        return self._tellers[run_dir]

    def _settle(self) -> None:
        for teller in self._tellers.values():
            teller.settle()

    def _hear(self) -> None:
        for teller in self._tellers.values():
            teller.hear()


class Teller:
    """A connection to the resolver of a run directory, over which it is told what changes.

    One that gives no answer is ended, so that it does not do later what is believed not to have
    happened: ``KernelError``, its errno ETIMEDOUT.
    """

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self._sock: socket.socket | None = None
        self._awaited = ""
        """What was told last, until there is an answer."""
        self._refused: list[KernelError] = []

    @property
    def connected(self) -> bool:
        """Whether the resolver that was told something is at work still."""
        if self._sock and _polled(self._sock, select.POLLIN):
            self._heard()
        return self._sock is not None

    @property
    def attached(self) -> bool:
        """Whether the resolver at the other end of a connection is alive."""
        return self._sock is not None and not _polled(self._sock, 0)

    def tell(self, message: str) -> bool:
        """Tell something, as JSON; return whether a resolver is at work. ``settle`` says whether it
        has happened: whoever tells more before that has nothing to do with a refusal."""
        self.hear()  # If it has ended: the next begins with what the store says by now.
        try:
            if not self.connected or not self._sock:
                self._sock = connected_to(self._run_dir)
            self._sock.sendall(message.encode() + b"\n")
        except OSError as error:
            if isinstance(error, TimeoutError) and self._sock:
                kill(self._sock)  # One that hangs is as good as none; the next is told all.
            self.close()
            return False
        self._awaited = message
        return True

    def hear(self) -> None:
        """Wait for the answer that is outstanding."""
        if self._awaited:
            self._heard()

    def settle(self) -> None:
        """Wait for the answer that is outstanding: all of each change has happened then, or nothing
        of it and ``KernelError`` is raised, which names it, with a note for each further one. A
        resolver that has ended meanwhile is no error: the next begins with what the store says."""
        self.hear()
        refused, self._refused = self._refused, []
        for other in refused[1:]:
            refused[0].add_note(other.command_message)
        if refused:
            raise refused[0]

    def _heard(self) -> None:
        """Read an answer, or the end."""
        told, self._awaited = self._awaited, ""
        try:
            if self._sock:
                checked(read_answer(self._sock, impatient=True))
        except KernelError as error:
            error.command_message = (
                f"{_subject(told)}: {error.command_message}" if told else error.command_message
            )
            self._refused.append(error)
        except (OSError, ValueError):
            self.close()

    def close(self) -> None:
        self._awaited = ""
        if self._sock:
            self._sock.close()
            self._sock = None


def _subject(message: str) -> str:
    """Return what a message tells of: the endpoints and the namespaces."""
    of = json.loads(message).get("of", ())
    names = [name for each in of if each["do"] == "endpoint" for name in each["names"][:1]]
    places = [each["netns"] for each in of if each["do"] == "sandbox"]
    return f"the names of {', '.join((*names, *places)) or 'what has gone'}"


def _polled(sock: socket.socket, events: int) -> bool:
    """Whether one of the events is there, or the other side has gone."""
    waiting = select.poll()  # select(2) knows no descriptor from 1024 on.
    waiting.register(sock, events)
    return bool(waiting.poll(0))
