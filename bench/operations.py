"""The operations that are measured: what netctl, docker and ``ip`` with ``nft`` are told to do.

One round goes through them in order and ends where it began. Each world has a network ``work``
that stands all the time. docker's container is made anew for each first connection, as netctl's
sandbox is: what connects a container once more finds the embedded resolver set up already.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench import docker_peer, kernel_peer
from bench.figures import Target

MANY = Target(limit=1.3, than="netctl", who="many")
CLICK = Target(limit=2.0, than="click", base="import click")
CHANGE = Target(limit=1.7, than="click", base="import click")
DOCKER = Target(limit=1.0, than="docker")
CREATE = Target(limit=0.95, than="docker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    name: str
    netctl: tuple[str, ...]
    docker: tuple[str, ...] = ()
    ip: str = ""
    """A shell script that makes the same kernel objects."""
    docker_before: str = ""
    """A shell script that docker's world runs before, not timed."""
    env: tuple[tuple[str, str], ...] = ()
    targets: tuple[Target, ...] = (CHANGE, MANY)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# As the script that `netctl completion bash` prints calls it.
_COMPLETION = (
    ("_NETCTL_COMPLETE", "bash_complete"),
    ("COMP_WORDS", "netctl network inspect w"),
    ("COMP_CWORD", "3"),
)

OPERATIONS = (
    Operation(name="--version", netctl=("--version",), targets=(MANY,)),
    Operation(name="completion", netctl=(), env=_COMPLETION, targets=(CLICK, MANY)),
    Operation(
        name="network ls",
        netctl=_words("network ls"),
        docker=_words("network ls"),
        targets=(CLICK, MANY),
    ),
    Operation(
        name="network create",
        netctl=_words("network create temporary"),
        docker=_words("network create temporary"),
        ip=kernel_peer.network_create("br-temporary", "10.202.0.1/16"),
        targets=(CHANGE, CREATE, MANY),
    ),
    Operation(
        name="sandbox create",
        netctl=_words("sandbox create box"),
        ip=kernel_peer.sandbox_create("box"),
    ),
    Operation(
        name="network connect",
        netctl=_words("network connect work box"),
        docker=_words("network connect work box"),
        docker_before=docker_peer.FRESH_CONTAINER,
        ip=kernel_peer.join("plug", "box", "10.201.0.2/16"),
        targets=(CHANGE, DOCKER, MANY),
    ),
    Operation(
        name="network disconnect",
        netctl=_words("network disconnect work box"),
        docker=_words("network disconnect work box"),
        ip=kernel_peer.leave("plug"),
    ),
    Operation(
        name="network connect, again",
        netctl=_words("network connect work box"),
        docker=_words("network connect work box"),
        ip=kernel_peer.join("plug", "box", "10.201.0.2/16"),
    ),
    Operation(
        name="network disconnect, again",
        netctl=_words("network disconnect work box"),
        docker=_words("network disconnect work box"),
        ip=kernel_peer.leave("plug"),
    ),
    Operation(name="endpoint create", netctl=_words("endpoint create work plug")),
    Operation(
        name="endpoint join",
        netctl=_words("endpoint join work/plug box"),
        ip=kernel_peer.join("plug", "box", "10.201.0.2/16"),
    ),
    Operation(
        name="endpoint leave",
        netctl=_words("endpoint leave work/plug"),
        ip=kernel_peer.leave("plug"),
    ),
    Operation(name="endpoint rm", netctl=_words("endpoint rm work/plug")),
    Operation(
        name="sandbox rm", netctl=_words("sandbox rm box"), ip=kernel_peer.sandbox_remove("box")
    ),
    Operation(
        name="network rm",
        netctl=_words("network rm temporary"),
        docker=_words("network rm temporary"),
        ip=kernel_peer.network_remove("br-temporary"),
        targets=(CHANGE, DOCKER, MANY),
    ),
)
