"""The report: where it was measured, one table, what the columns mean."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.docker_peer import CLIENT
from bench.figures import (
    Samples,
    Target,
    markdown_table,
    number,
    plain_table,
    ratio,
)
from bench.operations import OPERATIONS
from bench.worldset import FEW

MAKE, REMOVE = "bulk: make", "bulk: remove"
_BULK_TARGETS = {MAKE: (Target(limit=1.8, than="ip"),), REMOVE: (Target(limit=3.0, than="ip"),)}
_MEMORY = ("network ls", "network create", "endpoint join", "network connect", MAKE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """How a run was made."""

    rounds: int
    bulk: int
    bulk_rounds: int
    endpoints: int
    daemons: dict[str, int]
    """Peak memory of docker's daemons, KiB."""
    seconds: float


def plain(samples: Samples, facts: Facts) -> str:
    return _page(samples, facts, plain_table)


def markdown(samples: Samples, facts: Facts) -> str:
    return _page(samples, facts, markdown_table)


def _page(samples: Samples, facts: Facts, table: Callable[[list[list[str]]], str]) -> str:
    rows = table(_rows(samples, facts))
    return "\n\n".join((_preamble(facts), rows, _summary(samples), _legend(facts)))


def _summary(samples: Samples) -> str:
    judged = [
        (f"{what} {verdict}", verdict.met)
        for what, targets in _targets()
        for verdict in (target.judge(what, samples) for target in targets)
    ]
    met = sum(1 for _, found in judged if found)
    missed = [text for text, found in judged if found is False]
    shown = f": {'; '.join(missed)}" if missed else ""
    return f"Targets: {met} met, {len(missed)} missed{shown}."


def _targets() -> Iterator[tuple[str, Sequence[Target]]]:
    yield from ((operation.name, operation.targets) for operation in OPERATIONS)
    yield from _BULK_TARGETS.items()


def _rows(samples: Samples, facts: Facts) -> list[list[str]]:
    many = f"{facts.endpoints} eps"
    head = ["", "netctl", "/ click", "docker", "/ docker", "ip, nft", "/ ip", many]
    rows = [[*head, "many / few", "target"]]
    for name, who in (("python -c pass", "pass"), ("python -c 'import click'", "click")):
        what = "import click" if who == "click" else "pass"
        rows.append([f"{name}, ms", number(samples.time(what, who)), *["-"] * 7, "baseline"])
    rows += [_timed(samples, item.name, item.targets) for item in OPERATIONS]
    rows += [_timed(samples, what, targets, facts.bulk) for what, targets in _BULK_TARGETS.items()]
    rows += [_memory(samples, what) for what in _MEMORY]
    rows += [_daemon(name, kib) for name, kib in facts.daemons.items()]
    return rows


def _timed(
    samples: Samples, what: str, targets: Sequence[Target], bulk: int | None = None
) -> list[str]:
    times = {who: samples.time(what, who) for who in ("netctl", "docker", "ip", "many")}
    mine = times["netctl"]
    click = None if bulk else ratio(mine, samples.time("import click", "click"))
    return [
        f"{what}{f' {bulk}' if bulk else ''}, ms",
        number(mine),
        number(click, 2),
        number(times["docker"]),
        number(ratio(mine, times["docker"]), 2),
        number(times["ip"]),
        number(ratio(mine, times["ip"]), 2),
        number(times["many"]),
        number(ratio(times["many"], mine), 2),
        "; ".join(str(target.judge(what, samples)) for target in targets) or "-",
    ]


def _memory(samples: Samples, what: str) -> list[str]:
    mine, docker = samples.memory(what, "netctl"), samples.memory(what, "docker")
    many = samples.memory(what, "many")
    compared = [number(docker), number(ratio(mine, docker), 2), "-", "-", number(many)]
    return [f"{what}, MiB", number(mine), "-", *compared, number(ratio(many, mine), 2), "-"]


def _daemon(name: str, kib: int) -> list[str]:
    return [f"{name} all the time, MiB", "-", "-", number(kib / 1024), *["-"] * 6]


def _preamble(facts: Facts) -> str:
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"Measured on {when} in {facts.seconds:.0f} s: {machine()}.\n{', '.join(_versions())}."


def machine() -> str:
    """Return what is measured on."""
    return (
        f"{os.cpu_count()} CPUs ({_processor()}), {_memory_size()} GiB,"
        f" Linux {platform.release()}, Python {platform.python_version()}"
    )


def _legend(facts: Facts) -> str:
    return (
        f"Wall time of whole processes, median of {facts.rounds} interleaved rounds"
        f" ({facts.bulk_rounds} of the bulk), each in a network namespace of its own, stores on"
        " disk. The store of column netctl holds"
        f" {FEW} endpoints, that of '{facts.endpoints} eps' the others. Column ip, nft makes the"
        " same kernel objects without a store and without files. MiB: largest peak of resident"
        " memory."
    )


def _versions() -> Iterable[str]:
    for package in ("netctl", "pyroute2", "click", "tinydb"):
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    for command in ((CLIENT, "--version"), ("ip", "-V"), ("nft", "--version")):
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        except OSError:
            continue
        yield ran.stdout.strip().splitlines()[0] if ran.stdout else command[0]


def _processor() -> str:
    return _field("/proc/cpuinfo", "model name") or platform.machine()


def _memory_size() -> int:
    return round(int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1024**2)


def _field(path: str, name: str) -> str:
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
