"""The library's objects: networks, endpoints and sandboxes as they were when they were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from netctl.models import Endpoint, Network, Sandbox
from netctl.names import short
from netctl.record import Record

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.definitions.endpoint import EndpointOptions
    from netctl.kernel.inhabitants import Process
    from netctl.kernel.process import CompletedProcess
    from netctl.references import Ref


class _Shown:
    """Prints a handle: ``str`` is the name, ``repr`` has the kind, the name and the id."""

    __slots__ = ()

    doc: Network | Endpoint | Sandbox

    def __str__(self) -> str:
        return self.doc.name

    def __repr__(self) -> str:
        return f"<{self.doc.kind.capitalize()} {self.doc.name} {short(self.doc.id)}>"


class NetworkHandle(_Shown, Record):
    """A network as it was when it was read. A handle is accepted wherever a name is.

    Example::

        web = controller.networks.create("web", subnets=["10.0.0.0/24"])
        api = web.endpoints.create("api", ports=["8080:80"])
        web.remove(force=True)
    """

    controller: Controller
    doc: Network
    """The document as it was read: see Documents."""

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self.doc.id

    @property
    def name(self) -> str:
        """The name at the time when it was read."""
        return self.doc.name

    @property
    def driver(self) -> str:
        """``bridge``, ``host``, ``null``, or the name of a driver from another package."""
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
        """Set and remove labels: see ``Networks.update``."""
        return self.controller.networks.update(self.id, labels=labels, labels_gone=labels_gone)

    def remove(self, *, force: bool = False) -> None:
        """Remove the network: see ``Networks.remove``."""
        self.controller.networks.remove(self.doc.id, force=force)


class NetworkEndpoints(Record):
    """The endpoints of one network.

    Example::

        web = controller.networks.create("web")
        web.endpoints.create("api", ip="172.17.0.10", aliases=["www"])
        print([endpoint.name for endpoint in web.endpoints.list()])
    """

    network: NetworkHandle

    def create(self, name: str, **options: Unpack[EndpointOptions]) -> EndpointHandle:
        """Create an endpoint: see ``Endpoints.create``."""
        return self.network.controller.endpoints.create(self.network.id, name, **options)

    def list(self) -> list[EndpointHandle]:
        """Return the endpoints, sorted by name."""
        return self.network.controller.endpoints.list(network=self.network.id)


class EndpointHandle(_Shown):
    """An endpoint. Methods that change it update ``doc``.

    Example::

        web = controller.networks.create("web")
        api = web.endpoints.create("api")
        box = controller.sandboxes.create("box")
        api.join(box)
        print(api.ipv4, api.mac_address)
        api.leave()
    """

    doc: Endpoint
    """The document as it was last read or changed here: see Documents."""

    def __init__(self, controller: Controller, doc: Endpoint) -> None:
        self.controller = controller
        self.doc = doc

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self.doc.id

    @property
    def name(self) -> str:
        """The name at the time when it was read."""
        return self.doc.name

    @property
    def network(self) -> NetworkHandle:
        """The network that it belongs to, as it is now."""
        return self.controller.networks.get(self.doc.network_id)

    @property
    def mac_address(self) -> str:
        """Six pairs of hexadecimal digits; empty where the driver makes no interface."""
        return self.doc.mac

    @property
    def ipv4(self) -> str:
        """Address with prefix length, or empty."""
        return self.doc.ipv4

    @property
    def ipv6(self) -> str:
        """Address with prefix length, or empty."""
        return self.doc.ipv6

    def join(
        self,
        sandbox: Ref,
        *,
        priority: int = 0,
        local_aliases: Mapping[str, str] | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Join a sandbox, given as a handle or a reference: see ``Endpoints.join``."""
        endpoints = self.controller.endpoints
        self.doc = endpoints.join(
            self.id,
            sandbox,
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
        """Set and remove labels and aliases: see ``Endpoints.update``."""
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


class SandboxHandle(_Shown, Record):
    """A sandbox as it was when it was read.

    Example::

        box = controller.sandboxes.create("box")
        controller.endpoints.connect(controller.networks.create("web"), box)
        shown = box.exec(["ip", "-brief", "address"], capture_output=True, text=True, check=True)
        print(shown.stdout)
        box.remove(force=True)
    """

    controller: Controller
    doc: Sandbox
    """The document as it was read: see Documents."""

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self.doc.id

    @property
    def name(self) -> str:
        """The name at the time when it was read."""
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
        """Set and remove labels: see ``Sandboxes.update``."""
        return self.controller.sandboxes.update(self.id, labels=labels, labels_gone=labels_gone)

    def remove(self, *, force: bool = False) -> None:
        """Remove the sandbox: see ``Sandboxes.remove``."""
        self.controller.sandboxes.remove(self.id, force=force)

    def processes(self) -> Sequence[Process]:
        """Return the processes in it: see ``Sandboxes.processes``."""
        return self.controller.sandboxes.processes(self.id)

    def exec(self, argv: Sequence[str], **options: Any) -> CompletedProcess[Any]:
        """Run a command in the sandbox, as ``subprocess.run`` does: see ``Sandboxes.exec``."""
        return self.controller.sandboxes.exec(self.doc.id, argv, **options)
