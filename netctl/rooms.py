"""What a sandbox holds, and the errors of one that is not as it should be."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

from netctl import files
from netctl.backends import registry
from netctl.config import Config
from netctl.errors import Conflict, KernelError
from netctl.gateway import DEFAULT, Member
from netctl.kernel import Kernel, Route
from netctl.models import Attachment, Endpoint, Network, Sandbox, SandboxKind
from netctl.record import Record
from netctl.store import Reader


class Room(Record):
    """A sandbox with everything in it, and the kernel that it stands on."""

    sandbox: Sandbox
    members: tuple[Member, ...]
    kernel: Kernel
    config: Config
    reader: Reader | None = None
    gone: frozenset[str] = frozenset()
    """The endpoints, of other sandboxes too, that leave in the same operation."""

    @property
    def state_dir(self) -> str:
        return self.config.state_dir

    @property
    def families(self) -> tuple[int, ...]:
        """The families whose default route is ours to set: not those with somebody else's."""
        ours = {item.attachment.ifname for item in self.members}
        foreign = {route.destination for route in self._outward() if route.link not in ours}
        return tuple(version for version, default in DEFAULT.items() if default not in foreign)

    def _outward(self) -> Sequence[Route]:
        """Return the default routes, perhaps with others."""
        kernel, netns = self.kernel, self.sandbox.netns
        try:
            return kernel.all_routes(netns)
        except KernelError as error:
            if error.errno != errno.EFBIG:
                raise
        from netctl.kernel.snapshot import towards

        return [way for default in DEFAULT.values() for way in towards(kernel, netns, default)]

    @property
    def alive(self) -> bool:
        """Whether the namespace is there, and neither of another boot nor somebody else's."""
        sandbox = self.sandbox
        return sandbox.type is SandboxKind.HOST or (
            sandbox.boot_id == self.kernel.boot_id()
            and self.kernel.netns_identity(sandbox.netns, sandbox.identity) == sandbox.identity
        )

    @property
    def unfurnished(self) -> bool:
        """Whether something in it was made in another boot, and went with that: the namespace was
        made again, but whoever did it came no further."""
        boot_id = self.kernel.boot_id()
        return any(item.attachment.boot_id != boot_id for item in self.members)

    @property
    def unrecorded(self) -> str:
        """The identity of the sandbox's own namespace where the document does not know it, as one
        that was put back from an older copy; ``""`` where that is not so."""
        sandbox = self.sandbox
        if sandbox.type is not SandboxKind.OWN or self.alive:
            return ""
        found = self.kernel.netns_identity(sandbox.netns) or ""
        written = files.identity_text(self.kernel.boot_id(), found)
        where = files.paths(sandbox, self.state_dir).identity
        return found if found and self.kernel.file_read(where) == written else ""

    @property
    def intruded(self) -> bool:
        """Whether a namespace that is not the sandbox's stands in its place."""
        sandbox = self.sandbox
        if not sandbox.netns:
            return False
        found = self.kernel.netns_identity(sandbox.netns, sandbox.identity)
        # The kernel counts anew after a reboot.
        known = sandbox.boot_id == self.kernel.boot_id() and found == sandbox.identity
        return found is not None and not known and not self.unrecorded


def enter(reader: Reader, sandbox: Sandbox, kernel: Kernel, config: Config) -> Room:
    """Return the sandbox with its endpoints, in the order in which they were joined."""
    members = tuple(members_of(reader, sandbox))
    return Room(sandbox=sandbox, members=members, kernel=kernel, config=config, reader=reader)


def members_of(reader: Reader, sandbox: Sandbox) -> Iterable[Member]:
    """Yield what is in a sandbox, in the order in which it was joined."""
    for ref in sandbox.endpoints:
        endpoint = reader.get(Endpoint, ref.endpoint_id, ref.network_id)
        network = reader.get(Network, ref.network_id)
        if endpoint and network and endpoint.attachment:
            yield member(network, endpoint, endpoint.attachment)


def member(network: Network, endpoint: Endpoint, attachment: Attachment) -> Member:
    """Return an endpoint as part of a sandbox."""
    driver = registry.load(network.driver)
    found = {
        4: driver.gateway(network, 4) if endpoint.ipv4 else None,
        6: driver.gateway(network, 6) if endpoint.ipv6 else None,
    }
    if endpoint.no_default_route:
        found = {}
    gateways = {version: address for version, address in found.items() if address}
    return Member(network=network, endpoint=endpoint, attachment=attachment, gateways=gateways)


def absent(room: Room) -> Conflict:
    """Return the error for a sandbox whose namespace is gone, or not its own any more."""
    sandbox = room.sandbox
    if room.intruded:
        return intruder(sandbox)
    return Conflict(
        f"the namespace of sandbox {sandbox.name} ({sandbox.netns}) is gone",
        hint=f"netctl sandbox refresh {sandbox.name} recreates it, netctl sandbox rm removes it",
    )


def intruder(sandbox: Sandbox) -> Conflict:
    """Return the error for a sandbox in whose place somebody put another namespace."""
    return Conflict(
        f"the namespace at {sandbox.netns} is not that of sandbox {sandbox.name}",
        hint=f"remove or rename that namespace, or: netctl sandbox rm {sandbox.name}",
    )


def misfit(sandbox: Sandbox, reason: str, hint: str) -> Conflict:
    """Return the error for a sandbox of a kind that cannot do what was asked."""
    return Conflict(f"sandbox {sandbox.name} ({sandbox.type}) {reason}", hint=hint)
