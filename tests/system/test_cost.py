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


_SLOW = {
    *("asyncio", "dataclasses", "locale", "pyroute2", "rich", "selectors"),
    *("shlex", "signal", "socket", "subprocess", "yaml"),
}
"""What takes a twentieth of a command, and more, to import, and no command needs that changes one
object."""
_MOST = 105
"""Modules of netctl behind such a command; each takes about a quarter of a millisecond."""


def test_what_changes_one_object_loads_little(host: Host) -> None:
    host.netctl("network", "create", "other")
    host.netctl("sandbox", "create", "there")
    host.netctl("network", "connect", "other", "there")
    for command in (
        "network create web",
        "sandbox create c1",
        "endpoint create web e1",
        "endpoint join e1 c1",
        "endpoint publish e1 8080:80/tcp",
        "endpoint unpublish e1 80",
        "endpoint leave e1",
        "endpoint rm e1",
        "network connect web c1",
        "network disconnect web c1",
        "sandbox rm c1",
        "network rm web",
    ):
        loaded = loaded_by(host, *command.split())
        assert not loaded & _SLOW, command
        assert len({name for name in loaded if name.startswith("netctl")}) <= _MOST, command


def loaded_by(host: Host, *arguments: str) -> set[str]:
    """Run a command and return the modules that it had imported at its end."""
    code = (
        "import os, sys; from netctl import cli; status = cli.run(sys.argv[1:]);"
        " print(*sys.modules, file=sys.stderr); os._exit(status)"
    )
    done = host.run(sys.executable, "-c", code, *arguments)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())
