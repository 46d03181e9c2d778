"""Limits of endpoints: what really arrives, of what was asked."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench import section
from tests.kernel.flow import payload_share, wire_rate
from tests.kernel.host import Host
from tests.system.library import act, addresses, controller, two

_RATES = ("1mbit", "10mbit", "100mbit", "1gbit", "4gbit")
_SECONDS = 5.0
_SETTLING = {"tcp": 3.0, "udp": 0.25}
"""Seconds that do not count."""
_OFF = 0.05
_WORDS = (
    "From one sandbox to another as fast as the sender can, for 5 seconds; medians. TCP begins with"
    " more than goes through, and what arrives while a part is missing is received when that comes:"
    " so it is counted from the third second on, UDP from the first quarter. A rate counts Ethernet"
    " frames, as tc's does. *payload* is what the receiving process got, *frames* the same with the"
    " headers of full frames (TCP) or datagrams of 1400 bytes (UDP), *of asked* what that is of the"
    " rate. Both ways are limited at the host's end, with the burst that netctl chooses."
)


def main(arguments: Sequence[str]) -> int:
    given = section.options("limits", arguments)
    host = Host()
    try:
        host.call(act, two)
        rows = [
            ["rate, way", "protocol", "payload, Mbit/s", "frames, Mbit/s", "of asked", "within 5 %"]
        ]
        for text in _RATES:
            rows += _rows(host, text, given.rounds)
    finally:
        host.close()
    section.show("limits", rows, _WORDS, given)
    return 0


def _rows(host: Host, text: str, rounds: int) -> Iterator[list[str]]:
    first, second = "/run/netns/c1", "/run/netns/c2"
    for way, source, target in (("in", second, first), ("out", first, second)):
        asked = host.call(_limit, text, way)
        address = host.call(addresses, target.rpartition("/")[2])[0]
        for protocol in _SETTLING:
            section.tell(f"{text} {way}, {protocol}")
            found = [
                wire_rate(
                    host,
                    source,
                    target,
                    address,
                    protocol,
                    seconds=_SECONDS,
                    settling=_SETTLING[protocol],
                )
                for _ in range(rounds)
            ]
            frames = statistics.median(found)
            yield [
                f"{text} {way}",
                protocol,
                f"{frames * payload_share(address, protocol) / 1e6:.3f}",
                f"{frames / 1e6:.3f}",
                f"{frames / asked:.3f}",
                "met" if abs(frames / asked - 1) <= _OFF else "MISSED",
            ]


def _limit(text: str, way: str) -> int:
    """Limit one way alone; return bits/s."""
    with controller() as c:
        given = {"rate_in": "none", "rate_out": "none", f"rate_{way}": text}
        limits = c.endpoints.limit("web/c1", **given).doc.limits
        return limits.rate_in or limits.rate_out
