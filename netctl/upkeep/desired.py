"""What should be there: for every document the plan by which it was made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netctl import files, joining, pinning
from netctl.backends import forwarding, registry
from netctl.models import Network, Sandbox, SandboxKind
from netctl.networks import site
from netctl.plan import Plan
from netctl.record import Record
from netctl.rooms import Room, enter
from netctl.steps.settings import Sysctl
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.controller import Controller


class Part(Record):
    """A network, or a sandbox with all that is in it, and the steps that should hold."""

    title: str
    """``network web``, ``sandbox c1``."""
    plan: Plan


def networks(reader: Reader, controller: Controller) -> Iterator[tuple[Network, Part]]:
    """Yield every network with its own steps; the firewall is compared as a whole."""
    for network in reader.all(Network):
        standing = site(reader, network, controller, removing=True)
        made = registry.load(network.driver).plan_network(network, standing).plan
        # Forwarding is the host's, and belongs to no network alone.
        shared = set(forwarding.settings(standing.host))
        plan = tuple(s for s in made if not (isinstance(s, Sysctl) and s.key in shared))
        yield network, Part(title=f"network {network.name}", plan=plan)


def sandbox(room: Room) -> Part:
    """Return a sandbox that is there with the steps of its namespace, files and endpoints."""
    found = room.sandbox
    # Somebody else's default route is not ours to replace, nor missed.
    families = () if found.type is SandboxKind.HOST else room.families
    plan = (
        *pinning.plan_namespace(found, ""),
        *files.everything(found, room.members, room.state_dir, room.kernel),
        *files.recorded(found, room.state_dir),
        *joining.everything(room, families),
    )
    return Part(title=f"sandbox {found.name}", plan=plan)


def rooms(reader: Reader, controller: Controller) -> Iterator[Room]:
    """Yield every sandbox with what is in it."""
    for sandbox in reader.all(Sandbox):
        yield enter(reader, sandbox, controller.kernel, controller.config)
