"""What a command loads: importing is most of its time."""

from __future__ import annotations

import sys

from tests.kernel.host import Host

_FOLLOWING = ("netctl.backends.obstacles", "netctl.backends.evaluation")


def test_without_foreign_rules_nothing_is_loaded_that_follows_packets(host: Host) -> None:
    loading = (sys.executable, "-X", "importtime", "-m", "netctl")
    for command in ("network create web", "sandbox create c1", "network connect web c1 -p 80"):
        done = host.run(*loading, *command.split())
        assert done.returncode == 0, done.stderr
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "netctl.controller" in loaded
        assert not loaded.intersection(_FOLLOWING), command
