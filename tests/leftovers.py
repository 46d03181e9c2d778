"""What a run of tests leaves behind on the machine: processes, mounts, namespaces, directories."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator

SCRATCH = f"netctl-host-{os.getpid()}-"
"""What the names of directories of this run's hosts begin with."""
_MARK = "/nowhere/tests-of-netctl-"
_OURS = ("/run/netns/", "/run/netctl", "/etc/netns", "/var/lib/netctl", f"{tempfile.gettempdir()}/")
"""Where a test may mount, in a mount namespace of its own."""


class Watch:
    """From its beginning on it knows what there was, and marks the processes that are started."""

    def __init__(self) -> None:
        self._mark = f"{_MARK}{os.getpid()}-{time.monotonic_ns()}"
        # The resolver, too, keeps PATH, and little else of its environment.
        os.environ["PATH"] = f"{os.environ['PATH']}:{self._mark}"
        self._before = set(_things())

    def end(self) -> None:
        """Mark no further process."""
        places = os.environ["PATH"].split(":")
        os.environ["PATH"] = ":".join(place for place in places if place != self._mark)

    def left(self) -> list[str]:
        """Return what is there that was not there before, in words."""
        return [*self._processes(), *sorted(set(_things()) - self._before)]

    def _processes(self) -> Iterator[str]:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    ours = self._mark.encode() in environ.read()
                with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    command = cmdline.read(300).replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            # A zombie has neither, and is its parent's to bury.
            if ours and command:
                yield f"process {pid} {command.strip()}"


def _things() -> Iterator[str]:
    yield from _mounts()
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
        yield f"namespace {name}"
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith(("net:[", "mnt:[")):
            yield f"open descriptor {number} of {target}"
    for name in os.listdir(tempfile.gettempdir()):
        if name.startswith(SCRATCH):
            yield f"directory {tempfile.gettempdir()}/{name}"


def _mounts() -> Iterator[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            fields = line.split()
            kind = fields[fields.index("-") + 1]
            if kind == "nsfs" or fields[4].startswith(_OURS):
                yield f"mount of {kind} at {fields[4]}"
