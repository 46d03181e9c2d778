"""Measure netctl's resolver beside aardvark-dns: see docs/benchmarks.md."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import section
from bench.dns_joining import Joining, measure
from bench.dns_peers import (
    Aardvark,
    Netctl,
    Peer,
    build,
    memory,
    missing,
    processor_time,
)
from bench.figures import number, ratio, rotated
from bench.installed import install
from bench.worlds import Failed, World

_COUNTS = (2, 100, 10000)
_SANDBOXES = 1000
_FORWARDED, _ALONE = "forwarded", "one at a time"
_CLIENTS, _ASKED = 4, 100
_LOAD = (f"-c{_CLIENTS}", "-T1", f"-q{_ASKED}")
_SINGLE = ("-c1", "-T1", "-q1")
_GROWTH = 1.15
"""How many times the processor time for an answer may be with many names what it is with two."""
_SECONDS = 3
"""Of each measurement."""
_LOST = 0.001
"""Share of the questions that may stay without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run of dnsperf gave."""

    rate: float
    """Answers a second."""
    latency: float
    """Mean, microseconds."""
    work: float
    """Processor time of the server for one answer, microseconds."""


Results = dict[tuple[str, str], list[Figures]]


def main(arguments: Sequence[str]) -> int:
    given = section.options("dns", arguments)
    if missing():
        print(f"bench: this needs apt-get install {' '.join(missing())}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="netctl-bench-") as scratch:
        results, others = _measured(Path(scratch), given.rounds)
    rows = [*_rows(results), *others.rows()]
    words = f"{others.version}; dnsperf as {_CLIENTS} clients with {_ASKED} questions on their way."
    section.show("dns", rows, words, given)
    return 0


@dataclass(slots=True)
class Others:
    """What is measured once."""

    start: float = 0.0
    """Milliseconds until a resolver is ready."""
    change: float = 0.0
    """Milliseconds from a change to the first answer with it."""
    sandbox: float = 0.0
    """Milliseconds for which a sandbox more keeps its teller waiting."""
    empty: int = 0
    """KiB."""
    full: int = 0
    aardvark: int = 0
    version: str = ""
    joining: Joining | None = None

    def rows(self) -> Iterator[list[str]]:
        many = f"{_SANDBOXES} sandboxes, {_SANDBOXES} names"
        yield ["started, ms", number(self.start), "-", "-", "-"]
        if joining := self.joining:
            changed = number(joining.aardvark, 2)
            times = number(ratio(self.change, joining.aardvark), 2)
            yield ["a changed name is answered, ms", number(self.change, 2), changed, times, "-"]
            yield ["endpoint join, ms", number(joining.join), "-", "-", "-"]
            what = "then, until the first question for its name is answered, ms"
            yield [what, number(joining.first, 2), "-", "-", "-"]
        yield ["a sandbox more, ms", number(self.sandbox, 2), "-", "-", "-"]
        yield ["memory with 1 sandbox, MiB", number(self.empty / 1024), "-", "-", "-"]
        full, theirs = self.full / 1024, self.aardvark / 1024
        yield [
            f"memory with {many}, MiB",
            number(full),
            number(theirs),
            number(ratio(full, theirs), 2),
            "-",
        ]


def _measured(scratch: Path, rounds: int) -> tuple[Results, Others]:
    world = World("dns", scratch / "world")
    try:
        installed = install(scratch)
        world.open()
        build(world, installed)
        peers: list[Peer] = [Netctl(world, installed), Aardvark(world)]
        for peer in peers:
            peer.start()
        results: Results = {}
        for count in _COUNTS:
            _told(world, peers, [f"name{index}" for index in range(count)])
            _rounds(world, peers, f"{count} names", _LOAD, rounds, results)
        _told(world, peers, ["name0", "name1"])
        _rounds(world, peers, _ALONE, _SINGLE, rounds, results)
        _questions(world, [f"host{index}.example.org" for index in range(100)])
        _rounds(world, peers, _FORWARDED, _LOAD, rounds, results)
        return results, _others(world, Netctl(world, installed), Aardvark(world))
    finally:
        world.close()


def _told(world: World, peers: Sequence[Peer], names: Sequence[str]) -> None:
    _questions(world, names)
    for peer in peers:
        peer.tell(names)


def _questions(world: World, names: Sequence[str]) -> None:
    (world.directory / "questions").write_text("".join(f"{name} A\n" for name in names))


def _rounds(
    world: World,
    peers: Sequence[Peer],
    what: str,
    load: Sequence[str],
    rounds: int,
    results: Results,
) -> None:
    """Ask everybody; the first round fills caches and does not count."""
    for index in range(rounds + 1):
        section.tell(f"{what}, round {index} of {rounds}")
        for name in rotated([peer.name for peer in peers], index):
            [peer] = [peer for peer in peers if peer.name == name]
            figures = _asked(world, peer, load, _SECONDS if index else 1)
            if index:
                results.setdefault((what, name), []).append(figures)


def _asked(world: World, peer: Peer, load: Sequence[str], seconds: int) -> Figures:
    pid = peer.pid()
    before = processor_time(world, pid)
    output = world.sh(
        f"nsenter --net=/run/netns/client dnsperf -s {peer.address}"
        f" -d {world.directory}/questions -l {seconds} {' '.join(load)} 2>&1"
    ).output
    used = processor_time(world, pid) - before
    sent, done = (_figure(output, f"Queries {word}:") for word in ("sent", "completed"))
    good = re.search(r"NOERROR (\d+)", output)
    if not good or int(good[1]) < done or done < sent * (1 - _LOST):
        raise Failed(f"{peer.name} does not answer everything:\n{output}")
    return Figures(
        rate=_figure(output, "Queries per second:"),
        latency=_figure(output, r"Average Latency \(s\):") * 1e6,
        work=used / done * 1e6,
    )


def _figure(output: str, label: str) -> float:
    found = re.search(rf"{label}\s+([\d.]+)", output)
    if not found:
        raise Failed(f"dnsperf does not say {label}\n{output}")
    return float(found[1])


_OTHERS = """
import time
def took(work):
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000
import socket, sys
def sandbox(index):
    return dict(do='sandbox', id=f's{index}', netns=f'/run/netns/s{index}',
        members=[dict(endpoint=f'e{index}', network='n', aliases={})],
        servers=[dict(address='198.18.0.2', host=True)], ndots=None)
def endpoint(index, name):
    return dict(do='endpoint', id=f'e{index}', network='n', names=[name],
        addresses=[address_of(index)])
run = '/run/netctl'
resolver.stop(run)
start = took(lambda: resolver.start(run))
resolver.tell(run, [dict(do='network', id='n', name='web', forward=True), endpoint(0, 'a'),
    sandbox(0)])
empty = resolver.state(run)['pid']
"""


def _others(world: World, netctl: Netctl, aardvark: Aardvark) -> Others:
    """Measure what a start, a change and a thousand sandboxes cost."""
    found = Others()
    batch = "".join(f"netns add s{index}\n" for index in range(_SANDBOXES))
    (world.directory / "batch").write_text(batch)
    world.sh(f"ip -batch {world.directory}/batch")
    world.sh("ip -n s0 link set lo up")
    starts, changes = [], []
    for _ in range(5):
        output = netctl.python(_OTHERS + _CHANGES)
        start, change = map(float, output.split())
        starts.append(start)
        changes.append(change)
    found.start, found.change = median(starts), median(changes)
    found.empty = memory(world, netctl.pid())
    output = netctl.python(_OTHERS + _MANY.format(count=_SANDBOXES))
    found.sandbox = float(output)
    time.sleep(2)
    found.full = memory(world, netctl.pid())
    netctl.python("resolver.stop('/run/netctl')")
    found.joining = measure(world, netctl, aardvark)
    aardvark.tell([f"name{index}" for index in range(_SANDBOXES)])
    found.aardvark = memory(world, aardvark.pid())
    found.version = world.run("/usr/lib/podman/aardvark-dns", "--version").output.split("\n")[-2]
    return found


_CHANGES = """
import os
from netctl.kernel import syscalls
with open('/run/netns/s0') as there:
    home = os.open('/proc/self/ns/net', os.O_RDONLY)
    syscalls.setns(there.fileno(), syscalls.CLONE_NEWNET)
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.settimeout(5)
    asking.connect(('127.0.0.11', 53))
    syscalls.setns(home, syscalls.CLONE_NEWNET)
def changed(index):
    resolver.tell(run, [endpoint(0, f'b{index:03}')])
    asking.send(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4' + b'b%03d' % index + b'\\0\\0\\1\\0\\1')
    answer = asking.recv(512)
    if answer[3] & 15 or answer[7] != 1:
        sys.exit('no answer')
times = sorted(took(lambda: changed(index)) for index in range(101))
print(start, times[50])
"""
_MANY = """
resolver.tell(run, [endpoint(i, f'name{{i}}') for i in range(1, {count})])
def all():
    for index in range(1, {count}):
        resolver.tell(run, [sandbox(index)])
print(took(all) / {count})
"""


def _rows(results: Results) -> Iterator[list[str]]:
    yield ["", "netctl", "aardvark-dns", "ratio", "target"]
    whats = list(dict.fromkeys(what for what, _ in results))
    for what in whats:
        if what != _ALONE:
            yield _row(results, f"{what}, answers/s", what, "rate", target=1.0)
        else:
            yield _row(results, f"{what}, us until the answer", what, "latency")
        if what != _ALONE:
            yield _row(results, f"{what}, us of processor time", what, "work")
    grown, theirs = (
        ratio(
            _median(results, "10000 names", who, "work"), _median(results, "2 names", who, "work")
        )
        for who in ("netctl", "aardvark-dns")
    )
    verdict = "met" if grown and grown <= _GROWTH else "MISSED"
    what = "processor time, 10000 names / 2 names"
    yield [what, number(grown, 2), number(theirs, 2), "-", f"<= {_GROWTH:g} {verdict}"]


def _row(
    results: Results, label: str, what: str, figure: str, *, target: float | None = None
) -> list[str]:
    mine = _median(results, what, "netctl", figure)
    theirs = _median(results, what, "aardvark-dns", figure)
    found = ratio(mine, theirs)
    judged = "-"
    if target is not None and found is not None:
        judged = f">= {target:g} {'met' if found >= target else 'MISSED'}"
    digits = 0 if figure == "rate" else 1
    return [label, number(mine, digits), number(theirs, digits), number(found, 2), judged]


def _median(results: Results, what: str, who: str, figure: str) -> float:
    return median(getattr(item, figure) for item in results[what, who])
