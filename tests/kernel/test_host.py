"""The hosts of the tests themselves."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from tests.kernel import host_children
from tests.kernel.host import Host, reason_to_skip

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())
_HIDDEN = ("unshare", "--net", "--mount", "sh", "-c", "sleep 300 & echo there; exec sleep 300")


def _hidden(host: Host) -> subprocess.Popen[str]:
    """Start processes in namespaces that are not the host's, as ``sandbox exec`` does."""
    started = host.start(*_HIDDEN, stdout=subprocess.PIPE)
    assert started.stdout and started.stdout.readline() == "there\n"
    return started


def test_a_host_leaves_no_process() -> None:
    made = Host()
    with _hidden(made) as started:
        found = made.processes()
        assert len(found) == 2
        made.close()
        assert started.wait(timeout=host_children.TIMEOUT) < 0
    assert not [pid for pid in found if host_children.namespaces_of(pid)]


def test_a_process_that_a_host_leaves_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Host()
    with _hidden(made) as started:
        monkeypatch.setattr("tests.kernel.host.kill", lambda pid: None)
        monkeypatch.setattr("tests.kernel.host.TIMEOUT", 0)
        found = made.processes()
        with pytest.raises(RuntimeError, match=r"the host left processes: \d+ sleep 300"):
            made.close()
        for pid in found:
            os.kill(pid, 9)
        started.wait(timeout=host_children.TIMEOUT)
    end = time.monotonic() + host_children.TIMEOUT
    while any(map(host_children.namespaces_of, found)) and time.monotonic() < end:
        time.sleep(0.01)
