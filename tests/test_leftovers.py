"""What the end of a run of tests fails for."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from netctl.kernel import syscalls
from tests.kernel.host import Host, reason_to_skip
from tests.leftovers import SCRATCH, Watch
from tests.waiting import PATIENCE, equal

_DETACHED = """
import os, sys
if os.fork() == 0:
    os.setsid()
    os.execvpe("sleep", ["sleep", "600"], {"PATH": os.environ["PATH"]})
"""


def test_a_process_is_left_that_kept_nothing_but_its_path() -> None:
    watch = Watch()
    subprocess.run([sys.executable, "-c", _DETACHED], check=True, timeout=PATIENCE)
    watch.end()
    equal(lambda: [what.split()[2:] for what in watch.left()], [["sleep", "600"]])
    for what in watch.left():
        os.kill(int(what.split()[1]), 9)
    equal(watch.left, [])


def test_directories_and_descriptors_of_namespaces_are_left() -> None:
    watch = Watch()
    watch.end()
    directory = tempfile.mkdtemp(prefix=SCRATCH)
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
    first, second = watch.left()
    assert first == f"directory {directory}"
    assert second.startswith(f"open descriptor {namespace} of net:[")
    os.rmdir(directory)
    os.close(namespace)
    assert watch.left() == []


@pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())
def test_mounts_and_namespaces_with_a_name_are_left() -> None:
    def leave() -> list[str]:
        watch = Watch()
        Path("/run/netns").mkdir()
        Path("/run/netns/c1").touch()
        syscalls.mount("/proc/self/ns/net", "/run/netns/c1", syscalls.MS_BIND)
        return watch.left()

    made = Host()
    try:
        assert made.call(leave) == ["mount of nsfs at /run/netns/c1", "namespace c1"]
    finally:
        made.close()
