"""What all parts of the kernel in memory stand on: its stacks, and the failures that tests order."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from netctl.errors import KernelError
from netctl.kernel.interface import Address, Link
from tests.fake.stack import Stack, refused

B = TypeVar("B", bound="Base")
P = ParamSpec("P")
R = TypeVar("R")
_COUNTERS = {
    f"{way}_{name}": 0 for way in ("rx", "tx") for name in ("bytes", "packets", "errors", "dropped")
}


class Killed(BaseException):
    """What SIGKILL is to the tests: nothing of netctl runs after it."""


def mutating(method: Callable[Concatenate[B, P], R]) -> Callable[Concatenate[B, P], R]:
    """Log the call, and fail or die where the test said so."""

    def wrapper(self: B, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._before(method.__name__, args, kwargs)
        result = method(self, *args, **kwargs)
        self._after()
        return result

    update_wrapper(wrapper, method)
    return wrapper


class Base:
    """``calls`` logs every call that changes something."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._fail_in = self._kill_in = 0
        self._dead = False
        self._serial = 0
        self.files: dict[str, str] = {}
        self.links_to: dict[str, str] = {}
        self.directories: set[str] = set()
        self.start()

    def start(self) -> None:
        """Begin as after a boot."""
        self.pins: dict[str, int] = {}
        self.held: set[int] = set()
        """Namespaces without a pin that the process keeps."""
        self.stacks: dict[int, Stack] = {}
        self.host = self._new_stack(kept=True)

    def fail_at(self, number: int) -> None:
        """Refuse the ``number``-th change from now (1 is the next), once."""
        self._fail_in = number

    def kill_at(self, number: int) -> None:
        """Raise ``Killed`` after the ``number``-th change from now, and at every call until
        ``revive``."""
        self._kill_in = number

    def revive(self) -> None:
        """Let the next process use the kernel that a killed one left."""
        self._dead = False
        self._fail_in = self._kill_in = 0
        self.netns_let_go()

    def netns_let_go(self) -> None:
        raise NotImplementedError

    def add_link(
        self, name: str, *, address: str = "", mac: str = "", alias: str = "", kind: str = "veth"
    ) -> None:
        """Add a foreign link to the host, up."""
        self._put(self.host, name, type=kind, mac=mac, mtu=1500, alias=alias, up=True)
        if address:
            self.host.addresses.append(Address(link=name, address=address))

    def add_external(self, path: str) -> None:
        """Add a namespace that somebody else made, such as ``/proc/42/ns/net``."""
        self.pins[path] = self._new_stack(kept=True).inode

    def _before(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._check_alive()
        self.calls.append((name, *args, *kwargs.values()))
        self._fail_in -= 1
        if self._fail_in == 0:
            raise KernelError(f"{name} {args}: refused by the test", errno=errno.EIO)

    def _after(self) -> None:
        self._kill_in -= 1
        if self._kill_in == 0:
            self._dead = True
            raise Killed

    def _check_alive(self) -> None:
        if self._dead:
            raise Killed

    def _new_stack(self, *, kept: bool = False) -> Stack:
        self._serial += 1
        stack = Stack(inode=4026532000 + len(self.stacks) + self._serial, kept=kept)
        self.stacks[stack.inode] = stack
        self._put(stack, "lo", type="", mac="00:00:00:00:00:00", mtu=65536, alias="", up=True)
        stack.addresses += [
            Address(link="lo", address=address) for address in ("127.0.0.1/8", "::1/128")
        ]
        return stack

    def _stack(self, netns: str) -> Stack:
        self._check_alive()
        if not netns:
            return self.host
        if netns not in self.pins:
            raise refused(errno.ENOENT, f"enter namespace {netns}")
        return self.stacks[self.pins[netns]]

    def _stack_or_none(self, netns: str) -> Stack | None:
        self._check_alive()
        return self._stack(netns) if not netns or netns in self.pins else None

    def _put(self, stack: Stack, name: str, **facts: Any) -> None:
        if name in stack.links:
            raise refused(errno.EEXIST, f"add link {name}")
        self._serial += 1
        defaults = {"index": self._serial, "up": False, "master": 0, "counters": dict(_COUNTERS)}
        stack.links[name] = Link(name=name, **{**defaults, **facts})

    def _delete_link(self, stack: Stack, name: str) -> None:
        peer = stack.peers.get(name)
        stack.drop(name)
        if peer and peer[0] in self.stacks and peer[1] in self.stacks[peer[0]].links:
            self.stacks[peer[0]].drop(peer[1])
