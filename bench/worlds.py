"""A world: a throw-away host in network, mount and PID namespaces of its own.

It has an empty /run and /etc/netns and a default route through ``uplink``. Nothing of it outlives
its agent: the kernel ends every process of the PID namespace, and links and mounts go with theirs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 120.0
"""Seconds that one command may take."""
_UNSHARE = (
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"),
    *("--mount-proc", "--propagation", "private"),
)
_SETUP = """\
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/etc.machine /run/etc
mount --rbind /etc /run/etc.machine
ln -s /run/etc.machine/* /run/etc/
rm -f /run/etc/netns /run/etc/netctl /run/etc/resolv.conf
echo nameserver 192.0.2.254 >/run/etc/resolv.conf
mount --bind /run/etc /etc
ip -batch - <<END
link set lo up
link add uplink type veth peer name outside
link set outside up
link set uplink up
address add 192.0.2.1/24 dev uplink
route add default via 192.0.2.254
END
"""


class Failed(Exception):
    """A command inside a world did not do what it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that has run."""

    ms: float
    """Wall time of the whole process."""
    kib: int
    """Peak resident memory."""
    status: int
    output: str


@dataclass(slots=True)
class World:
    """One world. ``directory`` is on a real file system, and holds what its programs keep."""

    name: str
    directory: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    """Environment of its commands, beside the usual."""
    _agent: subprocess.Popen[str] | None = None

    def open(self) -> None:
        agent = Path(__file__).with_name("agent.py")
        self._agent = subprocess.Popen(
            [*_UNSHARE, sys.executable, "-I", "-S", str(agent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for us: the worlds are closed in order then.
            start_new_session=True,
        )
        self.directory.mkdir(mode=0o700)
        self.sh(_SETUP)

    def close(self) -> None:
        """End every process of the world."""
        if self._agent is None:
            return
        try:
            self._agent.communicate(timeout=5)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._agent.kill()
            self._agent.wait()
        self._agent = None

    def run(self, *argv: str, env: Mapping[str, str] | None = None, check: bool = True) -> Ran:
        """Run a command. Raises ``Failed`` with its output where it fails and ``check`` is set."""
        merged = {**self._environment(), **(env or {})}
        ran = Ran(**self._ask(do="run", argv=argv, env=merged, timeout=TIMEOUT))
        if check and ran.status != 0:
            shown = " ".join(argv)
            raise Failed(f"{self.name}: {shown} gave {ran.status}: {ran.output.strip()}")
        return ran

    def sh(self, script: str) -> Ran:
        return self.run("sh", "-euc", script)

    def start(self, *argv: str) -> int:
        """Start a daemon and return its pid, as the world counts."""
        log = str(self.directory / "log")
        started = self._ask(do="start", argv=argv, env=self._environment(), log=log)
        pid: int = started["pid"]
        return pid

    def stop(self, pid: int) -> None:
        self._ask(do="stop", pid=pid)

    def peak(self, pid: int) -> int:
        """Return the peak resident memory of a running process, KiB."""
        return int(self.sh(f"grep VmHWM /proc/{pid}/status").output.split()[1])

    def _environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": "/run", "LANG": "C.UTF-8", **self.extra}

    def _ask(self, **request: Any) -> dict[str, Any]:
        agent = self._agent
        if agent is None or agent.stdin is None or agent.stdout is None:
            raise Failed(f"{self.name} is not open")
        try:
            agent.stdin.write(json.dumps(request) + "\n")
            agent.stdin.flush()
        except BrokenPipeError:
            line = ""
        else:
            line = agent.stdout.readline()
        if not line:
            raise Failed(f"{self.name}: its agent is gone (are you root?)")
        answer: dict[str, Any] = json.loads(line)
        return answer
