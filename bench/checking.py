"""``netctl check`` beside what ``ip`` and ``nft`` take to list the same tables."""

from __future__ import annotations

import compileall
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import section
from bench.installed import install
from tests.kernel.host import Host

_COUNTS = (10, 100, 1000)
_EACH = r"link show\naddress show\nroute show\n"
_DUMPS = (
    "ip -d -j link >/dev/null; ip -j address >/dev/null; ip -j route show table all >/dev/null;"
    " nft -j list ruleset >/dev/null; for n in /run/netns/s*; do"
    f" printf '{_EACH}' | ip -n ${{n##*/}} -j -batch - >/dev/null;"
    " ip -n ${n##*/} -6 -j route show >/dev/null; done"
)
_WORDS = (
    "Each endpoint is in a sandbox of its own, in one network with IPv4 and IPv6; wall time of the"
    " whole process, medians. The list is two processes of `ip` for each namespace, links,"
    " addresses and routes of both families, and one `nft list ruleset`: it compares nothing."
)


def main(arguments: Sequence[str]) -> int:
    given = section.options("check", arguments)
    with tempfile.TemporaryDirectory(prefix="netctl-bench-") as scratch:
        netctl = install(Path(scratch)).netctl
        compileall.compile_dir(scratch, quiet=1)
        rows = _rows(netctl, given.rounds)
    section.show("check", rows, _WORDS, given)
    return 0


def _rows(netctl: str, rounds: int) -> section.Rows:
    rows = [["endpoints", "netctl check, ms", "ip and nft list the same, ms", "check / list"]]
    for count in _COUNTS:
        section.tell(f"{count} endpoints")
        host = Host()
        try:
            host.call(_fill, count, timeout=300)
            times = [
                (_timed(host, netctl, "check"), _timed(host, "sh", "-c", _DUMPS))
                for _ in range(rounds)
            ]
        finally:
            host.close()
        mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
        rows.append([str(count), f"{mine:.0f}", f"{theirs:.0f}", f"{mine / theirs:.2f}"])
    return rows


def _timed(host: Host, *command: str) -> float:
    """Run a command that has to succeed; return its milliseconds."""
    begin = time.perf_counter()
    host.run(*command, timeout=60).check_returncode()
    return (time.perf_counter() - begin) * 1000


def _fill(count: int) -> None:
    from tests.system.library import controller

    with controller() as c, c.batch():
        c.networks.create("web", ipv6=True)
        for number in range(count):
            c.sandboxes.create(f"s{number}")
            c.endpoints.connect("web", f"s{number}")
