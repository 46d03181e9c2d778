"""``netctl check`` beside what ``ip`` and ``nft`` take to list the same tables."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence

from bench import section

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
    from tests.kernel.host import Host

    given = section.options("check", arguments)
    rows = [["endpoints", "netctl check, ms", "ip and nft list the same, ms", "check / list"]]
    for count in _COUNTS:
        section.tell(f"{count} endpoints")
        host = Host()
        try:
            host.call(_fill, count, timeout=300)
            mine, theirs = [], []
            for _ in range(given.rounds):
                begin = time.perf_counter()
                assert host.run(sys.executable, "-m", "netctl", "check").returncode == 0
                middle = time.perf_counter()
                host.sh(_DUMPS)
                mine.append((middle - begin) * 1000)
                theirs.append((time.perf_counter() - middle) * 1000)
        finally:
            host.close()
        one, other = statistics.median(mine), statistics.median(theirs)
        rows.append([str(count), f"{one:.0f}", f"{other:.0f}", f"{one / other:.2f}"])
    section.show("check", rows, _WORDS, given)
    return 0


def _fill(count: int) -> None:
    from tests.system.library import controller

    with controller() as c, c.batch():
        c.networks.create("web", ipv6=True)
        for number in range(count):
            c.sandboxes.create(f"s{number}")
            c.endpoints.connect("web", f"s{number}")
