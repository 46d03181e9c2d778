"""Rounds of work, faults and repair on one throw-away host, and what has to hold after each."""

from __future__ import annotations

import json
import os
import random
import re
import select
import shutil
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from netctl.errors import NetctlError, StoreDamaged
from netctl.models import Endpoint, Network, Sandbox
from tests.campaign import faults, workers
from tests.kernel.host import Host
from tests.kernel.host_children import kill
from tests.kernel.host_state import without_handles
from tests.system.library import controller
from tests.waiting import PATIENCE

_REMEDY = re.compile(r"cp -p (\S+) (\S+)")
_DAMAGED = re.compile(r"(\S+) (?:is damaged|was written by)")


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass
class Tally:
    """What has happened, for the report."""

    rounds: int = 0
    done: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    killed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    collected: int = 0
    documents: int = 0

    def lines(self) -> list[str]:
        """Return the report. That a promise was broken ends a campaign, so it has no line."""
        counts = {
            "rounds": self.rounds,
            "operations acknowledged": self.done,
            "operations refused": sum(self.refused.values()),
            "processes killed": self.killed,
            "things repaired": self.repaired,
            "leftovers collected": self.collected,
            "acknowledged documents found again": self.documents,
        }
        found = [*counts.items(), *((f"fault {name}", n) for name, n in self.faults.items())]
        return [f"{name:45} {number:7}" for name, number in found]


@dataclass
class Known:
    """What the workers' lines say must be there, or must not."""

    there: dict[str, bool] = field(default_factory=dict)
    open: dict[str, workers.Effects] = field(default_factory=dict)

    def read(self, line: dict[str, Any], tally: Tally) -> None:
        worker = line["worker"]
        if "bug" in line:
            raise Broken(f"a bug, not a refusal: {line['bug']}")
        if "begins" in line:
            self.open[worker] = line["begins"]
            return
        effects = self.open.pop(worker)
        if "done" in line:
            self.there.update(effects)
            tally.done += 1
        else:
            tally.refused[line["refused"]] += 1
            if not line["settled"]:
                self._doubt(effects)

    def end(self) -> None:
        """Of an operation that was killed nobody knows whether it happened."""
        for effects in self.open.values():
            self._doubt(effects)
        self.open.clear()

    def _doubt(self, effects: workers.Effects) -> None:
        for name, _ in effects:
            self.there.pop(name, None)


class Campaign:
    """One host for many rounds. ``seed`` decides everything but time."""

    def __init__(self, host: Host, seed: int, *, processes: int = 3, operations: int = 12) -> None:
        self._host = host
        self._choose = random.Random(seed)
        self._processes, self._operations = processes, operations
        self._boot: str | None = None
        self._known = Known()
        self.tally = Tally()
        host.sh(f"mkdir -p {faults.STATE}; mount -t tmpfs -o size=8m,mode=700 tmpfs {faults.STATE}")
        host.sh(faults.FOREIGN)
        host.sh("nft -f -", input=faults.FOREIGN_RULES)

    def round(self, during: str, after: str) -> None:
        """Let processes work under one fault, some of them killed; then another fault, and repair.

        Raises ``Broken`` for a promise that was not kept.
        """
        seeds = [self._choose.getrandbits(32) for _ in range(2)]
        lines, killed = self._host.call(self._work, during, seeds[0], timeout=3 * PATIENCE)
        for line in lines:
            self._known.read(line, self.tally)
        self._known.end()
        self._host.call(_suffer, after, seeds[1])
        if after == "reboot":
            self._boot = str(uuid.UUID(int=self._choose.getrandbits(128)))
            self._host.sh(faults.FOREIGN)
        self._host.sh("nft list table inet theirs || nft -f -", input=faults.FOREIGN_RULES)
        foreign = self._foreign()
        lenient = after in faults.DAMAGING
        mended = self._host.call(_mend, self._boot, lenient, timeout=3 * PATIENCE)
        if self._foreign() != foreign:
            raise Broken(f"something foreign was changed:\n{foreign}\n{self._foreign()}")
        self._compare(set(mended[2]), lenient)
        self.tally.rounds += 1
        self.tally.killed += killed
        self.tally.repaired += mended[0]
        self.tally.collected += mended[1]
        self.tally.faults.update((f"during: {during}", f"after: {after}"))

    def clear(self) -> None:
        """Remove everything; nothing may be left but what is foreign."""
        foreign = self._foreign()
        self._host.call(_clear, self._boot, timeout=3 * PATIENCE)
        self._known = Known()
        if self._foreign() != foreign:
            raise Broken("something foreign was changed by removing all")
        listed = self._host.sh("ip -o link show; ip netns; nft list tables; ls /etc/netns")
        if re.search(r"\bn[a-z][0-9a-f]{13}|\bbr-|inet netctl|\br\d+w\d", listed):
            raise Broken(f"something is left:\n{listed}")

    def _work(self, during: str, seed: int) -> tuple[list[dict[str, Any]], int]:
        choose = random.Random(seed)
        reading, writing = os.pipe()
        children = [
            workers.start(
                f"r{self.tally.rounds}w{number}",
                choose.getrandbits(32),
                self._operations,
                writing,
                self._boot,
            )
            for number in range(self._processes)
        ]
        os.close(writing)
        # Progress decides when, not time: a busy machine would have done nothing by then.
        begin, wanted = time.monotonic(), choose.randint(2, 2 * self._operations)
        begun = _heard(reading, wanted)
        pace = (time.monotonic() - begin) / wanted
        faults.DURING[during](choose)
        doomed = children[: choose.randrange(len(children) + 1)]
        for child in doomed:
            time.sleep(choose.uniform(0.1, 4) * pace)
            kill(child)
        with os.fdopen(reading, "rb") as pipe:
            lines = [json.loads(line) for line in (begun + pipe.read()).splitlines()]
        for child in children:
            os.waitpid(child, 0)
        faults.relieve()
        return lines, len(doomed)

    def _foreign(self) -> object:
        return [
            self._host.sh(
                "ip -o link show their0; ip -o -4 address show their0; ip -n theirs -o link"
            ),
            without_handles(self._host.json("nft -j list table inet theirs")),
            self._host.sh(
                "ip -o link show uplink; ip -4 route show dev uplink; ip -4 address show uplink"
            ),
        ]

    def _compare(self, there: set[str], lenient: bool) -> None:
        """``lenient``: a damaged file was put back from its copy, which is older."""
        for name, wanted in self._known.there.items():
            if (name in there) != wanted and not lenient:
                state = "is lost" if wanted else "is there again"
                raise Broken(f"{name}, acknowledged, {state}")
            self.tally.documents += wanted
        if lenient:
            self._known.there = {name: name in there for name in self._known.there}


def _heard(pipe: int, lines: int) -> bytes:
    """Read until there are so many lines, or the end, or nothing happens."""
    data, end = b"", time.monotonic() + PATIENCE
    while data.count(b"\n") < lines:
        ready, _, _ = select.select([pipe], [], [], max(0, end - time.monotonic()))
        if not ready or not (piece := os.read(pipe, 65536)):
            break
        data += piece
    return data


def _suffer(after: str, seed: int) -> None:
    faults.AFTER[after](random.Random(seed))


def _mend(boot_id: str | None, lenient: bool) -> tuple[int, int, list[str]]:
    """Repair as an operator would; return how much was repaired and collected, and what is there."""
    done = 0
    for _ in range(20):
        try:
            with controller(boot_id) as c:
                repaired = c.repair()
            done += len(repaired.done)
            break
        except StoreDamaged as error:
            if not lenient:
                raise
            _put_back(error)
    else:
        raise Broken("the store stays damaged")
    with controller(boot_id) as c:
        collected = c.collect()
        if lenient:
            # What the older copy does not know was in the way: an interface's name, a route.
            repaired = c.repair()
        if left := [*repaired.left, *collected.left]:
            raise Broken(f"repair left: {left}")
        if findings := [*c.check(), *c.leftovers()]:
            raise Broken(f"check is not clean: {findings[:3]}")
        networks = {network.id: network.name for network in c.store.all(Network)}
        names = [f"network {name}" for name in networks.values()]
        names += [f"sandbox {sandbox.name}" for sandbox in c.store.all(Sandbox)]
        names += [f"endpoint {networks[e.network_id]}/{e.name}" for e in c.store.all(Endpoint)]
        return done, len(collected.done), names


def _put_back(error: StoreDamaged) -> None:
    """Do what the hint says: the previous good copy, else the file goes away."""
    remedy = _REMEDY.search(error.hint or "")
    if remedy:
        shutil.copy2(remedy[1], remedy[2])
        return
    damaged = _DAMAGED.search(error.message)
    if not damaged or not error.hint:
        raise Broken(f"damage without file or remedy: {error.message} / {error.hint}")
    shutil.move(damaged[1], f"/run/{uuid.uuid4()}")


def _clear(boot_id: str | None) -> None:
    with controller(boot_id) as c:
        try:
            for sandbox in c.sandboxes.list():
                sandbox.remove(force=True)
            for network in c.networks.list():
                network.remove(force=True)
        except NetctlError as error:
            raise Broken(f"cannot be removed: {error.message} {error.notes}") from error
