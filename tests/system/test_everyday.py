"""What people type next, with real processes, names and traffic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from tests.kernel.host import Host
from tests.system.library import act, two


def test_a_shell_without_a_command_and_the_processes_of_a_sandbox(host: Host) -> None:
    host.call(act, two)
    process = host.start(
        sys.executable,
        "-m",
        "netctl",
        "sandbox",
        "exec",
        "-it",
        "c1",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    print("echo $$; ip -br link | wc -l; exec sleep 50 # here", file=process.stdin, flush=True)
    pid = int(process.stdout.readline())
    assert int(process.stdout.readline()) == 2
    for _ in range(100):
        rows = json.loads(host.netctl("sandbox", "ps", "c1", "--format", "json").stdout)
        if [row["command"] for row in rows] == ["sleep 50"]:
            break
        time.sleep(0.1)
    assert rows == [{"pid": pid, "user": "root", "uid": os.geteuid(), "command": "sleep 50"}]
    assert json.loads(host.netctl("sandbox", "ps", "c2", "--format", "json").stdout) == []
    process.terminate()
    process.wait(10)
    process.stdin.close()
    process.stdout.close()
