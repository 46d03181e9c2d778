"""Starts and times commands inside a world; the first process of its PID namespace.

Requests come as lines of JSON on stdin, answers go to stdout. It imports as little as it can:
Linux counts the pages of the process that called exec(2) into the peak memory of what it became,
so this interpreter is the smallest figure that can be seen.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OUTPUT_LIMIT = 65536
"""Bytes of a command's output that are handed back."""
_GRACE = 10.0
"""Seconds that a daemon has for ending itself."""


def main() -> None:
    output = os.open("/run", os.O_TMPFILE | os.O_RDWR, 0o600)
    for line in sys.stdin:
        request = json.loads(line)
        answer = _ACTIONS[request.pop("do")](output, **request)
        print(json.dumps(answer), flush=True)


def _run(output: int, argv: list[str], env: dict[str, str], timeout: float) -> dict[str, object]:
    """Run a command to its end; ``timeout`` is in seconds."""
    os.ftruncate(output, 0)
    os.lseek(output, 0, os.SEEK_SET)
    begin = time.perf_counter()
    child = _spawn(argv, env, output)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, timeout)
    _, status, usage = os.wait4(child, 0)
    end = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {
        "ms": (end - begin) * 1000,
        "kib": usage.ru_maxrss,
        "status": os.waitstatus_to_exitcode(status),
        "output": os.pread(output, OUTPUT_LIMIT, 0).decode(errors="replace"),
    }


def _spawn(argv: list[str], env: dict[str, str], output: int) -> int:
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    return os.posix_spawnp(argv[0], argv, env, file_actions=actions)


def _start(_: int, argv: list[str], env: dict[str, str], log: str) -> dict[str, object]:
    """Start a daemon; its output goes to the file ``log``."""
    written = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    child = _spawn(argv, env, written)
    os.close(written)
    return {"pid": child}


def _stop(_: int, pid: int) -> dict[str, object]:
    """End a daemon, by force where it does not listen."""
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _GRACE
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return {"killed": False}
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {"killed": True}


_ACTIONS: dict[str, Callable[..., dict[str, object]]] = {
    "run": _run,
    "start": _start,
    "stop": _stop,
}

if __name__ == "__main__":
    main()
