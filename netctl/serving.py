"""What the resolver begins with, and its life under a unit of systemd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from netctl import joining, rooms
from netctl.config import Config
from netctl.kernel import Kernel, Message, open_kernel
from netctl.models import Sandbox
from netctl.store import Reader, Store
from netctl.store.memory import Memory

if TYPE_CHECKING:
    from netctl.controller import Controller


def load(state_dir: str) -> Iterator[Message]:
    """Yield what tells all that the store in a directory says."""
    config = Config(state_dir=state_dir)
    kernel = open_kernel()
    try:
        yield from messages(Store(state_dir, config.run_dir), kernel, config)
    finally:
        kernel.close()


def messages(reader: Reader, kernel: Kernel, config: Config) -> Iterator[Message]:
    """Yield what tells of each sandbox of this boot that is in order, a message for each: one whose
    namespace refuses does not keep the others."""
    memory = Memory(reader)
    for sandbox in memory.all(Sandbox):
        room = rooms.enter(memory, sandbox, kernel, config)
        known = joining.model(room)
        if known and room.alive:
            yield {"do": "all", "of": list(known.values())}


def stand(controller: Controller) -> None:
    """Be the resolver until a signal comes, in the place of one that a command has started.

    While it begins no command changes anything, so that it misses nothing. Raises
    ``LockTimeout``, ``Conflict``, ``KernelError``.
    """
    from netctl.backends.dns.log import Log
    from netctl.backends.dns.server import serve
    from netctl.kernel import resolver

    config = controller.config
    with ExitStack() as held:
        reader = held.enter_context(controller.store.locked("system resolver"))
        resolver.stop(config.run_dir)
        serve(
            config.run_dir,
            lambda: messages(reader, controller.kernel, config),
            Log(None),
            held.close,
            stays=True,
        )
