"""What the library lends: networks, endpoints and sandboxes as they were when they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netctl.models import Endpoint, Network, Sandbox
from netctl.record import Record

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.kernel.inhabitants import Process


class NetworkHandle(Record):
    """A network as it was when it was read."""

    controller: Controller
    doc: Network

    @property
    def id(self) -> str:
        return self.doc.id

    @property
    def name(self) -> str:
        return self.doc.name

    @property
    def driver(self) -> str:
        return self.doc.driver

    @property
    def endpoints(self) -> NetworkEndpoints:
        """The endpoints of this network."""
        return NetworkEndpoints(network=self)

    def remove(self, *, force: bool = False) -> None:
        """Remove the network: see ``Networks.remove``."""
        self.controller.networks.remove(self.doc.id, force=force)


class NetworkEndpoints(Record):
    """The endpoints of one network."""

    network: NetworkHandle

    def create(self, name: str, **options: Any) -> EndpointHandle:
        """Create an endpoint: see ``Endpoints.create``."""
        return self.network.controller.endpoints.create(self.network.id, name, **options)

    def list(self) -> list[EndpointHandle]:
        """Return the endpoints, sorted by name."""
        return self.network.controller.endpoints.list(network=self.network.id)


class EndpointHandle:
    """An endpoint. ``join`` and ``leave`` bring ``doc`` up to date."""

    def __init__(self, controller: Controller, doc: Endpoint) -> None:
        self.controller = controller
        self.doc = doc

    @property
    def id(self) -> str:
        return self.doc.id

    @property
    def name(self) -> str:
        return self.doc.name

    @property
    def network(self) -> NetworkHandle:
        return self.controller.networks.get(self.doc.network_id)

    @property
    def mac_address(self) -> str:
        """Six pairs of hexadecimal digits; empty where the driver makes no interface."""
        return self.doc.mac

    @property
    def ipv4(self) -> str:
        """With prefix length, or empty."""
        return self.doc.ipv4

    @property
    def ipv6(self) -> str:
        """With prefix length, or empty."""
        return self.doc.ipv6

    def join(
        self,
        sandbox: SandboxHandle | str,
        *,
        priority: int = 0,
        local_aliases: Mapping[str, str] | None = None,
    ) -> None:
        """Join a sandbox, given as a handle or a reference: see ``Endpoints.join``."""
        reference = sandbox if isinstance(sandbox, str) else sandbox.id
        endpoints = self.controller.endpoints
        self.doc = endpoints.join(
            self.id, reference, priority=priority, local_aliases=local_aliases
        ).doc

    def leave(self) -> None:
        """Leave the sandbox: see ``Endpoints.leave``."""
        self.doc = self.controller.endpoints.leave(self.id).doc

    def remove(self, *, force: bool = False) -> None:
        """Remove the endpoint: see ``Endpoints.remove``."""
        self.controller.endpoints.remove(self.id, force=force)


class SandboxHandle(Record):
    """A sandbox as it was when it was read."""

    controller: Controller
    doc: Sandbox

    @property
    def id(self) -> str:
        return self.doc.id

    @property
    def name(self) -> str:
        return self.doc.name

    @property
    def key(self) -> str:
        """Path of the namespace, for ``nsenter --net=KEY``."""
        return self.doc.key

    def remove(self, *, force: bool = False) -> None:
        """Remove the sandbox: see ``Sandboxes.remove``."""
        self.controller.sandboxes.remove(self.id, force=force)

    def processes(self) -> Sequence[Process]:
        """Return the processes in it: see ``Sandboxes.processes``."""
        return self.controller.sandboxes.processes(self.id)
