"""One run: open the worlds, measure round by round, print the report."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import docker_peer, kernel_peer, report
from bench.figures import Samples, between_marks, rotated
from bench.installed import Installed
from bench.operations import OPERATIONS, Operation
from bench.worlds import Failed
from bench.worldset import HERE, Worlds, bulk_hosts, opened

_SETTLE = 0.02
"""Seconds between two commands, for what the kernel still does after a command has ended."""
_FORGOTTEN = 65
"""Seconds after which ext4 gives a removed file's inode to another without looking at it."""
_WHO = ("netctl", "docker", "ip", "many")
_MARKS = {"begin": "<!-- bench: begin -->", "end": "<!-- bench: end -->"}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if os.geteuid() != 0:
        print("bench: only root can make namespaces", file=sys.stderr)
        return 77
    lacking = docker_peer.missing()
    if lacking and not options.no_docker:
        _tell(f"without docker: apt-get install {' '.join(lacking)} would bring it")
    signal.signal(signal.SIGTERM, _end)
    scratch = Path(tempfile.mkdtemp(prefix="netctl-bench-"))
    try:
        text, markdown = _measured(options, scratch, with_docker=not (lacking or options.no_docker))
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        docker_peer.remove_cgroups()
    print(text)
    if options.markdown:
        _write(options.markdown, markdown)
    return 0


def _end(number: int, frame: object) -> None:
    """Leave through every ``finally``, so that nothing stays."""
    raise SystemExit(128 + number)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    add = parser.add_argument
    add("-n", "--rounds", type=_positive, help="times everything is measured (15)")
    add("--quick", action="store_true", help="5 rounds, and the bulk once")
    add("--bulk", type=_positive, default=500, metavar="N", help="sandboxes in bulk (500)")
    add("--endpoints", type=_many, default=10000, metavar="N", help="in the full store (10000)")
    add("--no-docker", action="store_true", help="leave docker out")
    add("--markdown", type=Path, metavar="FILE", help="write the report there too")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (5 if options.quick else 15)
    options.bulk_rounds = 1 if options.quick else 3
    return options


def _positive(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 10000:
        raise argparse.ArgumentTypeError("from 1 to 10000")
    return value


def _many(text: str) -> int:
    value = int(text)
    if value % 2 or not 2 <= value <= 100000:
        raise argparse.ArgumentTypeError("an even number from 2 to 100000")
    return value


def _measured(options: argparse.Namespace, scratch: Path, *, with_docker: bool) -> tuple[str, str]:
    _tell(f"opening the worlds, {options.endpoints} endpoints in one of them")
    begin = time.monotonic()
    samples = Samples()
    with opened(scratch, options.endpoints, with_docker=with_docker) as worlds:
        _check_completion(worlds)
        _rounds(worlds, samples, options.rounds)
        _bulk(worlds.installed, samples, scratch, options)
        daemons = worlds.docker.peaks() if worlds.docker else {}
    facts = report.Facts(
        rounds=options.rounds,
        bulk=options.bulk,
        bulk_rounds=options.bulk_rounds,
        endpoints=options.endpoints,
        daemons=daemons,
        seconds=time.monotonic() - begin,
    )
    return report.plain(samples, facts), report.markdown(samples, facts)


def _rounds(worlds: Worlds, samples: Samples, rounds: int) -> None:
    """Measure everything; the first round fills caches and does not count."""
    for index in range(rounds + 1):
        _tell(f"round {index} of {rounds}")
        into = samples if index else Samples()
        _baselines(worlds, into)
        for operation in OPERATIONS:
            for who in rotated(_WHO, index):
                _one(worlds, operation, who, into)


def _baselines(worlds: Worlds, samples: Samples) -> None:
    for what, code in (("pass", "pass"), ("import click", "import click")):
        ran = worlds.few.run(worlds.installed.python, "-c", code)
        samples.add(what, what.split()[-1], ran.ms, ran.kib)
        time.sleep(_SETTLE)


def _one(worlds: Worlds, operation: Operation, who: str, samples: Samples) -> None:
    place = worlds.command(who, operation)
    if place is None:
        return
    world, argv = place
    if who == "docker" and operation.docker_before:
        world.sh(operation.docker_before)
        time.sleep(_SETTLE)
    ran = world.run(*argv, env=dict(operation.env))
    samples.add(operation.name, who, ran.ms, ran.kib)
    time.sleep(_SETTLE)


def _check_completion(worlds: Worlds) -> None:
    """Make sure that what is timed as completion does complete."""
    operation = next(item for item in OPERATIONS if item.name == "completion")
    output = worlds.few.run(worlds.installed.netctl, env=dict(operation.env)).output
    if "work" not in output:
        raise Failed(f"completion does not offer the network 'work': {output.strip()!r}")


def _bulk(
    installed: Installed, samples: Samples, scratch: Path, options: argparse.Namespace
) -> None:
    """Every round has hosts of its own, and all are made before any is removed: where ext4 has no
    journal, each new file looks at all that were removed in the last minute."""
    make, remove = kernel_peer.write_bulk(scratch / "bulk", options.bulk)
    library = (installed.python, str(HERE / "bulk.py"))
    commands = {
        report.MAKE: {"netctl": (*library, "make", str(options.bulk)), "ip": ("sh", str(make))},
        report.REMOVE: {
            "netctl": (*library, "remove", str(options.bulk)),
            "ip": ("sh", str(remove)),
        },
    }
    with bulk_hosts(scratch, installed, options.bulk_rounds) as hosts:
        _tell(f"bulk: {_FORGOTTEN} s until the disk has forgotten what was removed")
        os.sync()
        time.sleep(_FORGOTTEN)
        for what, by in commands.items():
            for turn, worlds in enumerate(hosts):
                _tell(f"{what}, {turn + 1} of {options.bulk_rounds}")
                for who in rotated(("netctl", "ip"), turn):
                    ran = worlds[who].run(*by[who])
                    samples.add(what, who, ran.ms, ran.kib)
                    time.sleep(1)


def _write(path: Path, markdown: str) -> None:
    """Write the report, between the marks of a page that has them."""
    page = path.read_text() if path.exists() else ""
    path.write_text(between_marks(page, markdown, _MARKS) if page else markdown + "\n")


def _tell(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
