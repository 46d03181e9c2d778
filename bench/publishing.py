"""Publishing ports: whole processes, netctl beside docker for as many as it can do in a minute."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import docker_peer, section
from bench.docker_peer import CLIENT
from bench.worlds import Failed
from bench.worldset import Worlds, opened

_COUNTS = (1, 100, 1000)
_MINUTE_MS = 60_000.0
_FIRST, _INNER = 20000, 5000


def main(arguments: Sequence[str]) -> int:
    given = section.options("publish", arguments)
    scratch = Path(tempfile.mkdtemp(prefix="netctl-bench-"))
    try:
        with opened(scratch, 10, with_docker=not docker_peer.missing()) as worlds:
            rows = [["", "netctl publish", "netctl unpublish", "docker run -p", "docker / netctl"]]
            rows += _on_one_endpoint(worlds, given.rounds)
            rows.append(_on_many_endpoints(worlds, 100))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        docker_peer.remove_cgroups()
    section.show("publish", rows, _WORDS, given)
    return 0


_WORDS = (
    "Milliseconds of whole processes, medians. *other ports*: each host port leads to another port,"
    " so each is an element of a map; *a range*: they agree, and are one. docker's figure is"
    " `docker run -d` with the ports less the same without, once each; it has no command that"
    " publishes on a running container. *100 endpoints* is `endpoint publish` of one port for each"
    " of 100 joined endpoints, one process after the other; the figure is that of one."
)


def _on_one_endpoint(worlds: Worlds, rounds: int) -> list[list[str]]:
    few, netctl = worlds.few, worlds.installed.netctl
    few.sh(f"{netctl} sandbox create p; {netctl} network connect work p")
    _docker(worlds, "")  # The first container ever takes longer.
    plain = _docker(worlds, "")
    rows = []
    for count in _COUNTS:
        section.tell(f"{count} ports")
        outer = _range(_FIRST, count)
        spec = f"{outer}:{_range(_INNER, count)}"
        peer = _docker(worlds, f"-p {spec}") if plain else None
        extra = peer - plain if peer and plain else None
        rows.append([f"{count} other ports", *_figures(*_published(worlds, spec, rounds), extra)])
        if count > 1:
            found = _published(worlds, f"{outer}:{outer}", rounds)
            rows.append([f"{count} ports, a range", *_figures(*found, None)])
    few.run(netctl, "sandbox", "rm", "--force", "p")
    return rows


def _range(first: int, count: int) -> str:
    return f"{first}-{first + count - 1}" if count > 1 else f"{first}"


def _published(worlds: Worlds, spec: str, rounds: int) -> tuple[float, float]:
    few, netctl = worlds.few, worlds.installed.netctl
    made, gone = [], []
    for index in range(rounds + 1):
        first = few.run(netctl, "endpoint", "publish", "work/p", spec).ms
        then = few.run(netctl, "endpoint", "unpublish", "work/p", spec).ms
        if index:
            made.append(first)
            gone.append(then)
        time.sleep(0.02)
    return statistics.median(made), statistics.median(gone)


def _on_many_endpoints(worlds: Worlds, count: int) -> list[str]:
    few, netctl = worlds.few, worlds.installed.netctl
    section.tell(f"{count} endpoints")
    joined = f"{netctl} sandbox create m$i; {netctl} network connect work m$i"
    few.sh(f"for i in $(seq {count}); do {joined}; done")
    places = [(f"work/m{number}", f"{_FIRST + number}:80") for number in range(1, count + 1)]
    made = [few.run(netctl, "endpoint", "publish", *place).ms for place in places]
    gone = [few.run(netctl, "endpoint", "unpublish", *place).ms for place in places]
    few.sh(f"{netctl} sandbox rm --force $(seq -f m%g {count})")
    first, last = statistics.median(made[:10]), statistics.median(made[-10:])
    row = _figures(statistics.median(made), statistics.median(gone), None)
    title = f"{count} endpoints, 1 port each (the last ten {last / first:.2f} times the first)"
    return [title, *row]


def _docker(worlds: Worlds, ports: str) -> float | None:
    """Return how long docker takes to start a container with those ports, at most a minute."""
    if worlds.docker is None:
        return None
    world = worlds.docker.world
    world.sh(f"{CLIENT} rm --force box 2>/dev/null || true")
    try:
        words = f"run -d --name box --network work {ports} box:1 /bin/busybox sleep 86400"
        ran = world.run("timeout", "60", CLIENT, *words.split())
    except Failed:
        return _MINUTE_MS
    finally:
        world.sh(f"timeout 100 {CLIENT} rm --force box 2>/dev/null || true")
    return ran.ms


def _figures(made: float, gone: float, peer: float | None) -> list[str]:
    if peer is None:
        return [f"{made:.0f}", f"{gone:.0f}", "-", "-"]
    over = peer >= _MINUTE_MS * 0.9
    shown = "over a minute" if over else f"{peer:.0f}"
    return [f"{made:.0f}", f"{gone:.0f}", shown, f"{'over ' if over else ''}{peer / made:.1f}"]
