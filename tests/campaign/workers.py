"""Processes that work on objects of their own, say what was acknowledged, and may be killed."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from netctl.controller import Controller
from netctl.errors import NetctlError
from tests.kernel.host_children import fork
from tests.system.library import controller
from tests.waiting import PATIENCE

_SECONDS = PATIENCE
"""After which a worker stops."""
Effects = list[tuple[str, bool]]
"""Objects, and whether they are there after the operation."""


@dataclass
class Mine:
    """What a worker has made so far."""

    prefix: str
    networks: list[str] = field(default_factory=list)
    sandboxes: list[str] = field(default_factory=list)
    endpoints: list[tuple[str, str]] = field(default_factory=list)
    serial: int = 0

    def name(self, kind: str) -> str:
        self.serial += 1
        return f"{self.prefix}{kind}{self.serial}"


@dataclass(frozen=True)
class Act:
    """One operation on the library, what it will have changed, and the bookkeeping after it."""

    do: Callable[[Controller], object]
    effects: Effects = field(default_factory=list)
    then: Callable[[], object] = lambda: None


def next_act(mine: Mine, choose: random.Random) -> Act:
    """Return a random operation that makes sense."""
    acts = list(_possible(mine, choose))
    return choose.choice(acts)


def _possible(mine: Mine, choose: random.Random) -> Iterator[Act]:
    if len(mine.networks) < 2:
        yield _network_create(mine, mine.name("n"), choose)
    if len(mine.sandboxes) < 4:
        yield _sandbox_create(mine, mine.name("s"))
    if mine.networks:
        network = choose.choice(mine.networks)
        yield _endpoint_create(mine, network, mine.name("e"))
        if choose.random() < 0.3:
            yield _network_remove(mine, network)
    if mine.sandboxes:
        sandbox = choose.choice(mine.sandboxes)
        yield _rename(mine, sandbox, mine.name("s"))
        yield Act(lambda c: c.sandboxes.refresh(sandbox))
        if choose.random() < 0.5:
            yield _sandbox_remove(mine, sandbox)
        if mine.networks:
            network = choose.choice(mine.networks)
            ports = ["80"] if choose.random() < 0.3 else []
            rate = "10mbit" if choose.random() < 0.4 else None
            yield Act(lambda c: c.endpoints.connect(network, sandbox, ports=ports, rate_out=rate))
            yield Act(lambda c: c.endpoints.disconnect(network, sandbox))
            yield _batch(mine, network, mine.name("s"), mine.name("e"))
    if mine.endpoints:
        network, name = choose.choice(mine.endpoints)
        yield _endpoint_remove(mine, network, name)
        yield Act(lambda c: c.endpoints.publish(f"{network}/{name}", ["53/udp"]))
        yield Act(lambda c: c.endpoints.leave(f"{network}/{name}"))
        rate = choose.choice(("none", "1mbit", "1gbit"))
        yield Act(lambda c: c.endpoints.limit(f"{network}/{name}", rate_in=rate, rate_out=rate))
        if mine.sandboxes:
            sandbox = choose.choice(mine.sandboxes)
            yield Act(lambda c: c.endpoints.join(f"{network}/{name}", sandbox))


def _batch(mine: Mine, network: str, sandbox: str, endpoint: str) -> Act:
    """Several operations under one lock; that all of them are acknowledged is known at the end."""

    def several(c: Controller) -> None:
        with c.batch():
            c.sandboxes.create(sandbox)
            c.endpoints.create(network, endpoint, aliases=["shared"])
            c.endpoints.join(f"{network}/{endpoint}", sandbox)

    def remember() -> None:
        mine.sandboxes.append(sandbox)
        mine.endpoints.append((network, endpoint))

    there = [(f"sandbox {sandbox}", True), (f"endpoint {network}/{endpoint}", True)]
    return Act(several, there, remember)


def _network_create(mine: Mine, name: str, choose: random.Random) -> Act:
    ipv6, internal = choose.random() < 0.5, choose.random() < 0.2
    options = {"bridge.enable_icc": choose.choice(["true", "false"])}
    return Act(
        lambda c: c.networks.create(
            name, subnets=["auto/26"], ipv6=ipv6, internal=internal, options=options
        ),
        [(f"network {name}", True)],
        lambda: mine.networks.append(name),
    )


def _network_remove(mine: Mine, name: str) -> Act:
    inside = [pair for pair in mine.endpoints if pair[0] == name]

    def forget() -> None:
        mine.networks.remove(name)
        mine.endpoints = [pair for pair in mine.endpoints if pair not in inside]

    return Act(
        lambda c: c.networks.remove(name, force=True),
        [(f"network {name}", False), *((f"endpoint {n}/{e}", False) for n, e in inside)],
        forget,
    )


def _sandbox_create(mine: Mine, name: str) -> Act:
    return Act(
        lambda c: c.sandboxes.create(name),
        [(f"sandbox {name}", True)],
        lambda: mine.sandboxes.append(name),
    )


def _sandbox_remove(mine: Mine, name: str) -> Act:
    return Act(
        lambda c: c.sandboxes.remove(name, force=True),
        [(f"sandbox {name}", False)],
        lambda: mine.sandboxes.remove(name),
    )


def _rename(mine: Mine, old: str, new: str) -> Act:
    def change() -> None:
        mine.sandboxes[mine.sandboxes.index(old)] = new

    return Act(
        lambda c: c.sandboxes.rename(old, new),
        [(f"sandbox {old}", False), (f"sandbox {new}", True)],
        change,
    )


def _endpoint_create(mine: Mine, network: str, name: str) -> Act:
    return Act(
        lambda c: c.endpoints.create(network, name),
        [(f"endpoint {network}/{name}", True)],
        lambda: mine.endpoints.append((network, name)),
    )


def _endpoint_remove(mine: Mine, network: str, name: str) -> Act:
    return Act(
        lambda c: c.endpoints.remove(f"{network}/{name}", force=True),
        [(f"endpoint {network}/{name}", False)],
        lambda: mine.endpoints.remove((network, name)),
    )


def start(prefix: str, seed: int, operations: int, pipe: int, boot_id: str | None) -> int:
    """Fork a worker that writes a line before and after each operation; return its process id."""
    child = fork()
    if child == 0:
        status = 1
        try:
            _Worker(Mine(prefix), random.Random(seed), pipe, boot_id).work(operations)
            status = 0
        finally:
            os._exit(status)
    return child


class _Worker:
    def __init__(self, mine: Mine, choose: random.Random, pipe: int, boot_id: str | None) -> None:
        self._mine, self._choose, self._pipe, self._boot_id = mine, choose, pipe, boot_id

    def work(self, operations: int) -> None:
        end = time.monotonic() + _SECONDS
        for _ in range(operations):
            self._one(next_act(self._mine, self._choose))
            if time.monotonic() > end:
                break

    def _one(self, act: Act) -> None:
        self._say(begins=act.effects)
        try:
            with controller(self._boot_id) as c:
                act.do(c)
        except NetctlError as error:
            # Without a note nothing was changed; with one the next operation settles it.
            self._say(refused=error.code, settled=not error.notes)
            if error.exit_code == 1:
                self._say(bug=f"{error.message} {error.notes}")
        except BaseException as error:
            self._say(bug=f"{type(error).__name__}: {error}")
            raise
        else:
            act.then()
            self._say(done=act.effects)

    def _say(self, **line: object) -> None:
        text = json.dumps({"worker": self._mine.prefix, **line})
        os.write(self._pipe, text.encode() + b"\n")
