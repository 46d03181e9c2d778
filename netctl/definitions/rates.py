"""Rates and sizes as tc writes them: ``10mbit``, ``1.5gbit``, ``2mbps`` (bytes/s), ``64k``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from netctl.errors import InvalidInput
from netctl.models import Limits, Network
from netctl.record import replace

_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([a-z]*)"
_STEPS = "kmgt"
_BITS = {
    "": 1,
    "bit": 1,
    "bps": 8,
    **{f"{c}bit": 1000**n for n, c in enumerate(_STEPS, 1)},
    **{f"{c}ibit": 1024**n for n, c in enumerate(_STEPS, 1)},
    **{f"{c}bps": 8 * 1000**n for n, c in enumerate(_STEPS, 1)},
    **{f"{c}ibps": 8 * 1024**n for n, c in enumerate(_STEPS, 1)},
}
_BYTES = {
    "": 1,
    "b": 1,
    **{f"{c}{end}": 1024**n for n, c in enumerate("kmg", 1) for end in ("", "b", "ib")},
}
_LOWEST, _HIGHEST = 8_000, 10**12
_HEADER = 14
"""Of an Ethernet frame, bytes."""
_LONGEST_BURST = 60
"""Seconds at the full rate: the kernel counts in times, up to 274 of them."""
NONE = "none"


def rate(option: str, text: str) -> int:
    """Return bits/s, rounded down to whole bytes; raise ``InvalidInput``."""
    value = _value(text, _BITS)
    if value is None or not _LOWEST <= value <= _HIGHEST:
        raise InvalidInput(
            f"{option} {text[:40]!r} is not a rate from 8kbit to 1tbit",
            hint="for instance 512kbit, 10mbit, 1gbit; 2mbps is bytes",
        )
    return int(value) // 8 * 8


def size(text: str) -> int:
    """Return a burst in bytes; raise ``InvalidInput``."""
    value = _value(text, _BYTES)
    if value is None or not 1 <= value <= 1024**3:
        raise InvalidInput(
            f"--burst {text[:40]!r} is not a size up to 1g",
            hint="bytes, for instance 15000, 64k, 1m; leave it out, and one is chosen",
        )
    return int(value)


def limits(given: Mapping[str, str | None], before: Limits | None = None) -> Limits:
    """Return the limits that were asked for; with ``before`` these changed, what is not given kept,
    and taken away by ``none``. ``given`` holds ``rate_in``, ``rate_out`` and ``burst``."""
    lifted = None if before is None else NONE
    found = Limits() if before is None else before
    for name in ("rate_in", "rate_out", "burst"):
        text = given.get(name)
        if text is None:
            continue
        option = f"--{name.replace('_', '-')}"
        value = 0 if text == lifted else size(text) if name == "burst" else rate(option, text)
        found = replace(found, **{name: value})
    if found:
        return found
    if given.get("burst") not in (None, lifted):
        raise InvalidInput(
            "--burst needs a rate: there is none", hint="give --rate-in or --rate-out"
        )
    return Limits()


def check_on(network: Network, wanted: Limits) -> None:
    """Raise ``InvalidInput`` for a burst that is less than a packet of the network, or more than
    its rate makes sense of."""
    if not wanted.burst:
        return
    frame = int(network.facts["mtu"]) + _HEADER
    if wanted.burst < frame:
        raise InvalidInput(
            f"--burst {wanted.burst} is less than one packet of network {network.name}",
            hint=f"at least {frame} bytes",
        )
    slowest = min(filter(None, (wanted.rate_in, wanted.rate_out)))
    if wanted.burst > slowest // 8 * _LONGEST_BURST:
        raise InvalidInput(
            f"--burst {wanted.burst} is more than a minute at {slowest} bit/s",
            hint=f"at most {slowest // 8 * _LONGEST_BURST} bytes",
        )


def _value(text: str, units: Mapping[str, int]) -> float | None:
    match = re.fullmatch(_NUMBER, text.lower())
    if match is None or match[2] not in units:
        return None
    return round(float(match[1]) * units[match[2]], 3)
