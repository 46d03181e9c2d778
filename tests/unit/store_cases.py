"""Documents and stores for the tests of the store."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

from netctl.models import Cursor, Endpoint, Network
from netctl.names import new_id
from netctl.record import replace
from netctl.store import Changes, Intent, Store

FORK = multiprocessing.get_context("fork")


def again(directory: Path, timeout: float = 20) -> Store:
    return Store(f"{directory}/state", f"{directory}/run", lock_timeout=timeout)


def network(name: str = "web") -> Network:
    return Network(id=new_id(), name=name, driver="bridge", created="2026-01-01T00:00:00Z")


def endpoint(parent: Network, name: str, ipv4: str = "") -> Endpoint:
    return Endpoint(id=new_id(), name=name, network_id=parent.id, created="", ipv4=ipv4)


def put(store: Store, *documents: Network | Endpoint | Cursor) -> None:
    with store.locked("test") as writer:
        writer.commit(Changes(put=documents))


def intent(changes: Changes) -> Intent:
    return Intent(
        operation="test", pid=os.getpid(), boot_id="b", forward=False, plan=(), changes=changes
    )


def files(directory: Path) -> list[Path]:
    return sorted(path for path in (directory / "state").rglob("*") if path.is_file())


def in_child(action: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def increment(directory: Path, times: int) -> None:
    store = again(directory)
    for _ in range(times):
        with store.locked("increment") as writer:
            cursor = writer.get(Cursor, "0" * 64) or Cursor(id="0" * 64, last={"n": "0"})
            number = int(cursor.last["n"]) + 1
            writer.commit(Changes(put=(replace(cursor, last={"n": str(number)}),)))


def damage(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def journal_of_a_dead_process(store: Store, tmp_path: Path) -> Path:
    def die() -> None:
        with again(tmp_path).locked("doomed") as writer:
            writer.commit(Changes(put=(network("one"),)))
            writer.commit(Changes(put=(network("two"),)))
            os.kill(os.getpid(), signal.SIGKILL)

    in_child(die)
    return tmp_path / "state" / "journal"
