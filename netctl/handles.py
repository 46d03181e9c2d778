"""What the library lends: networks, endpoints and sandboxes as they were when they were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

    def rename(self, name: str) -> NetworkHandle:
        """Give it another name: see ``Networks.rename``."""
        return self.controller.networks.rename(self.id, name)

    def update(
        self, *, labels: Mapping[str, str] | None = None, labels_gone: Iterable[str] = ()
    ) -> NetworkHandle:
        """Set and take away labels: see ``Networks.update``."""
        return self.controller.networks.update(self.id, labels=labels, labels_gone=labels_gone)

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
    """An endpoint. What changes it here brings ``doc`` up to date."""

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
        if_not_exists: bool = False,
    ) -> None:
        """Join a sandbox, given as a handle or a reference: see ``Endpoints.join``."""
        reference = sandbox if isinstance(sandbox, str) else sandbox.id
        endpoints = self.controller.endpoints
        self.doc = endpoints.join(
            self.id,
            reference,
            priority=priority,
            local_aliases=local_aliases,
            if_not_exists=if_not_exists,
        ).doc

    def leave(self) -> None:
        """Leave the sandbox: see ``Endpoints.leave``."""
        self.doc = self.controller.endpoints.leave(self.id).doc

    def rename(self, name: str) -> None:
        """Give it another name: see ``Endpoints.rename``."""
        self.doc = self.controller.endpoints.rename(self.id, name).doc

    def update(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        labels_gone: Iterable[str] = (),
        aliases: Iterable[str] = (),
        aliases_gone: Iterable[str] = (),
    ) -> None:
        """Set and take away labels and aliases: see ``Endpoints.update``."""
        self.doc = self.controller.endpoints.update(
            self.id,
            labels=labels,
            labels_gone=labels_gone,
            aliases=aliases,
            aliases_gone=aliases_gone,
        ).doc

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

    def rename(self, name: str) -> SandboxHandle:
        """Give it another name: see ``Sandboxes.rename``."""
        return self.controller.sandboxes.rename(self.id, name)

    def update(
        self, *, labels: Mapping[str, str] | None = None, labels_gone: Iterable[str] = ()
    ) -> SandboxHandle:
        """Set and take away labels: see ``Sandboxes.update``."""
        return self.controller.sandboxes.update(self.id, labels=labels, labels_gone=labels_gone)

    def remove(self, *, force: bool = False) -> None:
        """Remove the sandbox: see ``Sandboxes.remove``."""
        self.controller.sandboxes.remove(self.id, force=force)

    def processes(self) -> Sequence[Process]:
        """Return the processes in it: see ``Sandboxes.processes``."""
        return self.controller.sandboxes.processes(self.id)
