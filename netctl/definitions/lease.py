"""How long something is wanted: a time to live, or as long as a process lives."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from netctl.errors import InvalidInput, NotFound
from netctl.kernel import Kernel
from netctl.models import Lease

_DURATION = r"([0-9]{1,6})([smhdw])"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def duration(text: str) -> timedelta | None:
    """Return a duration such as ``30s``, ``10m``, ``2h``, ``1d``, ``1w``; None for another text."""
    found = re.fullmatch(_DURATION, text)
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]]) if found else None


def asked(kernel: Kernel, ttl: str | None, owner_pid: int | None) -> Lease | None:
    """Return the lease that was asked for, None for one without end. Raises ``InvalidInput`` for a
    time that is none, ``NotFound`` for a process that is not there."""
    if ttl is None and owner_pid is None:
        return None
    expires = _end(ttl) if ttl is not None else ""
    if owner_pid is None:
        return Lease(expires=expires)
    start = kernel.process_start(owner_pid) if owner_pid > 0 else None
    if start is None:
        raise NotFound(f"--owner-pid {owner_pid}: no such process", hint="give the id of a process")
    return Lease(expires=expires, owner_pid=owner_pid, owner_start=start, boot_id=kernel.boot_id())


def ended(lease: Lease | None, kernel: Kernel) -> str:
    """Return why a lease is at its end, ``""`` where it is not."""
    if lease is None:
        return ""
    if lease.expires and datetime.fromisoformat(lease.expires) <= datetime.now(UTC):
        return f"expired at {lease.expires}"
    if lease.owner_pid and not _alive(lease, kernel):
        return f"its owner, process {lease.owner_pid}, is gone"
    return ""


def owned(lease: Lease | None, kernel: Kernel) -> bool:
    """Whether a lease has an owner that lives."""
    return lease is not None and bool(lease.owner_pid) and _alive(lease, kernel)


def _alive(lease: Lease, kernel: Kernel) -> bool:
    started = kernel.process_start(lease.owner_pid)
    return (lease.boot_id, lease.owner_start) == (kernel.boot_id(), started)


def _end(ttl: str) -> str:
    found = duration(ttl)
    if not found:
        raise InvalidInput(
            f"--ttl {ttl[:40]!r} is not a duration", hint="a number and s, m, h, d or w: 30m, 2h"
        )
    return (datetime.now(UTC) + found).isoformat(timespec="seconds").replace("+00:00", "Z")
