"""The worlds of one run, each with what stands in it before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import kernel_peer
from bench.docker_peer import Docker
from bench.installed import Installed, install
from bench.operations import Operation
from bench.worlds import Failed, World

HERE = Path(__file__).resolve().parent
FEW = 10
"""Endpoints in the store that the others are compared with."""


BulkHosts = dict[str, World]
"""The world of ``netctl`` and that of ``ip``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worlds:
    """Who takes part."""

    installed: Installed
    few: World
    many: World
    ip: World
    docker: Docker | None

    def command(self, who: str, operation: Operation) -> tuple[World, tuple[str, ...]] | None:
        """Return where and how somebody does an operation; None where it has no part in it."""
        if who in ("netctl", "many"):
            world = self.few if who == "netctl" else self.many
            return world, (self.installed.netctl, *operation.netctl)
        if who == "docker" and self.docker and operation.docker:
            return self.docker.world, ("/usr/bin/docker", *operation.docker)
        if who == "ip" and operation.ip:
            return self.ip, ("sh", "-euc", operation.ip)
        return None


@contextmanager
def opened(scratch: Path, endpoints: int, *, with_docker: bool) -> Iterator[Worlds]:
    """Open the worlds; ``endpoints`` are in the store of the world ``many``."""
    installed = install(scratch)
    with ExitStack() as stack:
        few = _world(stack, "few", scratch)
        many = _world(stack, "many", scratch)
        ip = _world(stack, "ip", scratch)
        docker = Docker(_world(stack, "docker", scratch)) if with_docker else None
        if docker:
            stack.callback(docker.close)
            docker.open()
        ip.sh(kernel_peer.prepare())
        _prepare(few, installed, FEW)
        _prepare(many, installed, endpoints)
        yield Worlds(installed=installed, few=few, many=many, ip=ip, docker=docker)


@contextmanager
def bulk_hosts(scratch: Path, installed: Installed, count: int) -> Iterator[list[BulkHosts]]:
    """Open ``count`` pairs of worlds, in each of which sandboxes are made in bulk once."""
    with ExitStack() as stack:
        pairs = []
        for turn in range(count):
            netctl = _world(stack, f"bulk-netctl{turn}", scratch)
            ip = _world(stack, f"bulk-ip{turn}", scratch)
            ip.sh(kernel_peer.prepare())
            _prepare(netctl, installed, FEW)
            pairs.append({"netctl": netctl, "ip": ip})
        yield pairs


def _world(stack: ExitStack, name: str, scratch: Path) -> World:
    directory = scratch / name
    extra = {"NETCTL_STATE_DIR": f"{directory}/state", "NETCTL_RUN_DIR": "/run/netctl"}
    world = World(name, directory, extra)
    stack.callback(world.close)
    world.open()
    return world


def _prepare(world: World, installed: Installed, endpoints: int) -> None:
    for name, subnet in (("work", "10.201.0.0/16"), ("other", "10.203.0.0/16")):
        world.run(installed.netctl, "network", "create", name, "--subnet", subnet)
    world.run(installed.python, str(HERE / "fill.py"), str(endpoints))
    listed = world.sh(f"{installed.netctl} endpoint ls -q | wc -l").output.strip()
    if listed != str(endpoints):
        raise Failed(f"{world.name}: {listed} endpoints in the store, not {endpoints}")
    # A host that has sandboxes has its resolver at work, as dockerd has.
    world.run(installed.netctl, "sandbox", "create", "resident")
    world.run(installed.netctl, "network", "connect", "other", "resident")
