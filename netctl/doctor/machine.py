"""The machine before the doctor: documents and kernel, each part read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from netctl import rooms
from netctl.backends import foreign
from netctl.backends.foreign import OUTSIDE, Foreign
from netctl.gateway import ways_out
from netctl.kernel import Kernel, Link
from netctl.kernel.lookup import Neighbour, Way
from netctl.kernel.snapshot import Snapshot
from netctl.kernel.vitals import Vitals
from netctl.models import Attachment, Endpoint, HostState, Network, Port, Sandbox
from netctl.plan import Interface
from netctl.record import Record
from netctl.resolv import host_resolv_conf
from netctl.rooms import Room
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.upkeep.check import Finding as Drift


class Published(Record):
    """A port that is published at this moment."""

    network: Network
    endpoint: Endpoint
    port: Port

    @property
    def name(self) -> str:
        return f"{self.network.name}/{self.endpoint.name}"


class Machine:
    """One host. Nothing of it is changed, and no part is read twice."""

    def __init__(
        self,
        controller: Controller,
        vitals: Vitals | None = None,
        *,
        reader: Reader | None = None,
        probe: bool = False,
    ) -> None:
        """``probe`` allows to send a packet to the name servers."""
        self.controller = controller
        self.config = controller.config
        self.reader: Reader = reader or controller.store
        self.kernel: Kernel = controller.kernel
        self.found = Snapshot(controller.kernel)
        self.vitals = vitals or Vitals()
        self.probe = probe
        self._ways: dict[str, Way] = {}
        self._neighbours: dict[str, dict[tuple[str, str], Neighbour]] = {}

    @cached_property
    def boot_id(self) -> str:
        return self.kernel.boot_id()

    @cached_property
    def all_networks(self) -> list[Network]:
        return self.reader.all(Network)

    @cached_property
    def networks(self) -> list[Network]:
        """The networks with a bridge that were made in this boot."""
        return [n for n in self.all_networks if "bridge" in n.facts and n.boot_id == self.boot_id]

    @cached_property
    def leading_out(self) -> list[Network]:
        return [network for network in self.networks if not network.internal]

    @cached_property
    def endpoints(self) -> dict[str, list[Endpoint]]:
        """The endpoints by the id of their network."""
        found: dict[str, list[Endpoint]] = {}
        for endpoint in self.reader.all(Endpoint):
            found.setdefault(endpoint.network_id, []).append(endpoint)
        return found

    @cached_property
    def joined(self) -> list[tuple[Network, Endpoint, Attachment]]:
        """The endpoints of bridges that are in a sandbox, joined in this boot."""
        return [
            (network, endpoint, endpoint.attachment)
            for network in self.networks
            for endpoint in self.endpoints.get(network.id, ())
            if endpoint.attachment and endpoint.attachment.boot_id == self.boot_id
        ]

    @cached_property
    def drift(self) -> list[Drift]:
        """What the comparison with the store finds."""
        from netctl.upkeep.check import findings

        return findings(self.reader, self.controller, self.found)

    @cached_property
    def gone(self) -> dict[Interface, Drift]:
        """The interfaces that are missing or somebody else's, with what the comparison says."""
        return {place: each for each in self.drift for place in each.difference.gone}

    @cached_property
    def intact(self) -> list[tuple[Network, Endpoint, Attachment]]:
        """Those of ``joined`` whose interface in the sandbox is there, and is theirs."""
        return [each for each in self.joined if (each[2].netns, each[2].ifname) not in self.gone]

    def bridge(self, network: Network) -> Link | None:
        """Return a network's bridge where it is there, ours and up: without it nothing that hangs
        on it is as it was, which needs not be said of each."""
        name = network.facts["bridge"]
        link = None if ("", name) in self.gone else self.found.link("", name)
        return link if link and link.up else None

    def free_name(self, wanted: str) -> str:
        """Return a name for a network that no network has."""
        taken = {network.name for network in self.all_networks}
        numbered = (f"{wanted}{number}" for number in range(2, len(taken) + 3))
        return next(name for name in (wanted, *numbered) if name not in taken)

    def own(self, link: str) -> set[str]:
        """Return the host's addresses at an interface."""
        found = self.found.addresses("")
        return {item.address.partition("/")[0] for item in found if item.link == link}

    def neighbour(self, netns: str, link: str, address: str) -> Neighbour | None:
        """Return what is known of an address at an interface."""
        if netns not in self._neighbours:
            there = self.kernel.neighbours(netns)
            self._neighbours[netns] = {(each.link, each.address): each for each in there}
        return self._neighbours[netns].get((link, address))

    def forget_neighbours(self) -> None:
        """Read them again: a packet was sent."""
        self._neighbours.clear()

    @cached_property
    def rooms(self) -> list[Room]:
        """The sandboxes with what is in them."""
        return [
            rooms.enter(self.reader, sandbox, self.kernel, self.config)
            for sandbox in self.reader.all(Sandbox)
        ]

    @cached_property
    def published(self) -> list[Published]:
        return list(self._published())

    def _published(self) -> Iterator[Published]:
        for room in self.rooms:
            ways = ways_out(room.members)
            for item in room.members:
                if item.endpoint.id in ways and item.attachment.boot_id == self.boot_id:
                    for port in item.endpoint.ports:
                        yield Published(network=item.network, endpoint=item.endpoint, port=port)

    @cached_property
    def host(self) -> HostState:
        stored = self.reader.get(HostState, HostState.ID) or HostState()
        return stored.believed(self.boot_id)

    @cached_property
    def foreign(self) -> Foreign:
        return foreign.look(self.kernel)

    @cached_property
    def resolv_conf(self) -> str:
        return host_resolv_conf(self.kernel)

    def sysctl(self, key: str, netns: str = "") -> str | None:
        return self.found.sysctl(netns, key)

    def way(self, destination: str) -> Way:
        """Look up the host's route to an address."""
        if destination not in self._ways:
            self._ways[destination] = self.kernel.way("", destination)
        return self._ways[destination]

    def uplink(self, version: int) -> Way:
        """Look up the host's way to the outside."""
        return self.way(OUTSIDE[version])
