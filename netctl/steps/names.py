"""Steps on the resolver: its process, and what it is told."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netctl.errors import KernelError
from netctl.kernel.interface import NAMES_TABLE, Kernel, Message
from netctl.names import quote
from netctl.plan import Difference
from netctl.steps.base import Setting, absent, place

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot

_TABLE = " ".join(NAMES_TABLE)
_SHOWN = 3
"""Ports that are named."""


class Resolver(Setting):
    """The process that answers in the sandboxes: it begins with what the store says."""

    run_dir: str
    state_dir: str
    anew: bool = False
    """Whether one that is there is ended first."""

    def apply(self, kernel: Kernel) -> bool:
        return kernel.resolver_start(self.run_dir, self.state_dir, anew=self.anew)

    def revert(self, kernel: Kernel) -> bool:
        """Only one that serves nobody ends."""
        return kernel.resolver_stop(self.run_dir)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        if (state := found.resolver(self.run_dir)) == "at work":
            return
        again = Resolver(run_dir=self.run_dir, state_dir=self.state_dir, anew=True)
        yield Difference(what="resolver", expected="at work", found=state, repair=(again,))

    def describe(self) -> str:
        places = f"--run-dir {quote(self.run_dir)} --state-dir {quote(self.state_dir)}"
        # One that listens knows what the store does not say yet: another would not.
        there = f"socat /dev/null {_socket(self.run_dir)} 2>/dev/null"
        # What is told comes next, so that it has to listen.
        wait = f"for i in $(seq 100); do {there} && break; sleep 0.1; done"
        return f"{there} || {{ netctl {places} system resolver & {wait}; }}"

    def describe_revert(self) -> str:
        return _telling(self.run_dir, '{"do":"stop","unused":true}')


class Names(Setting):
    """What the resolver is told, and what takes that back; nothing where none is at work, for the
    next one begins with what the store says.

    Both are one message of ``netctl.backends.dns.model``, as JSON.
    """

    run_dir: str
    do: str
    undo: str

    def apply(self, kernel: Kernel) -> bool:
        return kernel.resolver_tell(self.run_dir, self.do)

    def revert(self, kernel: Kernel) -> bool:
        try:
            return kernel.resolver_tell(self.run_dir, self.undo)
        except KernelError as error:
            if error.errno == errno.ETIMEDOUT:
                return False  # It has been ended.
            raise

    def differences(self, found: Snapshot) -> Iterator[Difference]:
        known = found.told(self.run_dir)
        if known is None:
            return  # That is a difference of the resolver itself.
        for message in _each(self.do):
            key = f"{message['do']} {message['id']}"
            if known.get(key) != message:
                there = _there(known.get(key))
                what = f"{_subject(message)} {str(message['id'])[:12]}"
                yield Difference(what=what, expected="told", found=there, repair=(self,))
            elif message["do"] == "sandbox" and not found.led(netns := str(message["netns"])):
                # Told again, it leads there again.
                yield absent(self, f"table {_TABLE}{place(netns)}", "there")

    def describe(self) -> str:
        return _telling(self.run_dir, self.do)

    def describe_revert(self) -> str:
        return _telling(self.run_dir, self.undo)


def _subject(message: Message) -> str:
    kind = str(message["do"])
    return "ports on ::1 of endpoint" if kind == "relay" else f"names of {kind}"


def _there(message: Message | None) -> str:
    if message is None:
        return "nothing"
    missed = message.get("missed")
    if not isinstance(missed, list):
        return "something else"
    rest = f" and {len(missed) - _SHOWN} more" if len(missed) > _SHOWN else ""
    return f"all but {', '.join(map(str, missed[:_SHOWN]))}{rest}: held by others, or too many"


def _telling(run_dir: str, message: str) -> str:
    # Where none is at work there is nobody to tell.
    # -t: it waits for the answer, half a second if not told.
    return f"socat -t20 - {_socket(run_dir)} <<'EOF' || :\n{message}\nEOF"


def _socket(run_dir: str) -> str:
    return f"UNIX-CONNECT:{quote(run_dir)}/resolver.sock"


def _each(text: str) -> Iterable[Message]:
    messages: list[Message] = json.loads(text)["of"]
    return messages
