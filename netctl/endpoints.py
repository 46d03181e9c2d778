"""The use cases of endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from netctl import joining, references
from netctl.allocation import allocate, check_mac_free
from netctl.backends import registry
from netctl.definitions import EndpointDefinition
from netctl.errors import Conflict, InvalidInput, NotFound
from netctl.models import Document, Endpoint, Network, Sandbox
from netctl.names import mac_of, new_id, short
from netctl.networks import NetworkHandle, now
from netctl.operation import Operation
from netctl.plan import Plan, Step
from netctl.record import record
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.sandboxes import SandboxHandle


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

    def join(self, sandbox: SandboxHandle | str, *, priority: int = 0) -> None:
        """Join a sandbox, given as a handle or a reference: see ``Endpoints.join``."""
        reference = sandbox if isinstance(sandbox, str) else sandbox.id
        self.doc = self.controller.endpoints.join(self.id, reference, priority=priority).doc

    def leave(self) -> None:
        """Leave the sandbox: see ``Endpoints.leave``."""
        self.doc = self.controller.endpoints.leave(self.id).doc

    def remove(self, *, force: bool = False) -> None:
        """Remove the endpoint: see ``Endpoints.remove``."""
        self.controller.endpoints.remove(self.id, force=force)


@record
class Leaving:
    """How endpoints come out of their sandboxes, and the documents afterwards."""

    plan: Plan
    kept: tuple[Endpoint, ...]
    sandboxes: tuple[Sandbox, ...]


class Endpoints:
    """The endpoints of a host's networks."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._store = controller.store

    def create(
        self,
        network: str,
        name: str,
        *,
        ip: str | None = None,
        ip6: str | None = None,
        mac: str | None = None,
        ifname: str | None = None,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        if_not_exists: bool = False,
    ) -> EndpointHandle:
        """Create an endpoint with addresses of its own, in no sandbox yet.

        ``ip`` and ``ip6`` lie in the network's subnets. Raises ``InvalidInput``, ``NotFound``,
        ``Conflict`` (a name, address or MAC that is taken) or ``Exhausted``.
        """
        wanted = _definition(name, ip, ip6, mac, ifname, options, labels)
        with (
            self._controller.operation(f"endpoint create {network} {name}") as op,
            self._controller.networks.needed(op, network) as parent,
        ):
            return self._handle(self._create(op, parent, wanted, if_not_exists=if_not_exists))

    def get(self, reference: str) -> EndpointHandle:
        """Return the endpoint ``NET/NAME``, ``NAME`` where that is unique, or by id."""
        return self._handle(references.endpoint(self._store, reference))

    def list(self, network: str | None = None) -> list[EndpointHandle]:
        """Return every endpoint, or those of a network, sorted by name."""
        parent = references.network(self._store, network).id if network else ""
        return [self._handle(doc) for doc in self._store.all(Endpoint, parent)]

    def join(self, reference: str, sandbox: str, *, priority: int = 0) -> EndpointHandle:
        """Join an endpoint to a sandbox.

        Among a sandbox's endpoints the one of highest ``priority`` gives the default route.
        Raises ``Conflict`` where it is joined already, or does not fit.
        """
        with self._controller.operation(f"endpoint join {reference} {sandbox}") as op:
            endpoint = references.endpoint(op.reader, reference)
            network = self._controller.networks.need(op, endpoint.network_id)
            room = self._room(op, references.sandbox(op.reader, sandbox))
            return self._handle(_join(op, room, network, endpoint, priority))

    def leave(self, reference: str, sandbox: str | None = None) -> EndpointHandle:
        """Take an endpoint out of its sandbox. Raises ``Conflict`` where it is in none, or in
        another than the given one."""
        with self._controller.operation(f"endpoint leave {reference}") as op:
            endpoint = references.endpoint(op.reader, reference)
            expected = references.sandbox(op.reader, sandbox) if sandbox else None
            _check_joined(endpoint, expected)
            change = self.leaving(op, [endpoint])
            op.commit(change.plan, put=(*change.kept, *change.sandboxes), forward=True)
            return self._handle(change.kept[0])

    def remove(self, reference: str, *, force: bool = False) -> None:
        """Remove an endpoint; with ``force`` it leaves its sandbox first."""
        with self._controller.operation(f"endpoint rm {reference}") as op:
            endpoint = references.endpoint(op.reader, reference)
            if endpoint.attachment and not force:
                holder = op.reader.get(Sandbox, endpoint.attachment.sandbox_id)
                raise Conflict(
                    f"endpoint {endpoint.name} is in sandbox {holder.name if holder else '?'}",
                    hint=f"netctl endpoint leave {reference}, or use --force",
                )
            change = self.leaving(op, [endpoint])
            op.commit(change.plan, put=change.sandboxes, delete=(endpoint,), forward=True)

    def connect(
        self,
        network: str,
        sandbox: str,
        *,
        ip: str | None = None,
        ip6: str | None = None,
        mac: str | None = None,
        ifname: str | None = None,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        name: str | None = None,
        priority: int = 0,
    ) -> EndpointHandle:
        """Create an endpoint named like the sandbox, and join it, in one operation."""
        with self._controller.operation(f"network connect {network} {sandbox}") as op:
            room = self._room(op, references.sandbox(op.reader, sandbox))
            wanted = _definition(name or room.sandbox.name, ip, ip6, mac, ifname, options, labels)
            with self._controller.networks.needed(op, network) as parent:
                endpoint, extra = self._draft(op.reader, parent, wanted, transient=True)
                return self._handle(_join(op, room, parent, endpoint, priority, extra))

    def disconnect(self, network: str, sandbox: str) -> None:
        """Take the endpoints of a network out of a sandbox; those that connect made are removed."""
        with self._controller.operation(f"network disconnect {network} {sandbox}") as op:
            parent = references.network(op.reader, network)
            holder = references.sandbox(op.reader, sandbox)
            refs = [ref for ref in holder.endpoints if ref.network_id == parent.id]
            if not refs:
                raise NotFound(
                    f"sandbox {holder.name} has no endpoint of network {parent.name}",
                    hint=f"netctl sandbox inspect {holder.name} shows its endpoints",
                )
            found = [op.reader.get(Endpoint, ref.endpoint_id, ref.network_id) for ref in refs]
            there = [endpoint for endpoint in found if endpoint]
            change = self.leaving(op, there)
            kept = tuple(endpoint for endpoint in change.kept if not endpoint.transient)
            gone = tuple(endpoint for endpoint in there if endpoint.transient)
            op.commit(change.plan, put=(*kept, *change.sandboxes), delete=gone, forward=True)

    def leaving(self, op: Operation, endpoints: Sequence[Endpoint]) -> Leaving:
        """Return how endpoints come out of the sandboxes they are in, whichever those are."""
        plans: list[Step] = []
        sandboxes: list[Sandbox] = []
        kept = {endpoint.id: endpoint for endpoint in endpoints}
        joined = [e.attachment.sandbox_id for e in endpoints if e.attachment]
        for sandbox_id in dict.fromkeys(joined):
            sandbox = references.found(
                "sandbox", short(sandbox_id), op.reader.get(Sandbox, sandbox_id)
            )
            here = [e for e in endpoints if e.attachment and e.attachment.sandbox_id == sandbox_id]
            change = joining.leave(self._room(op, sandbox), here)
            plans += change.plan
            sandboxes.append(change.sandbox)
            kept.update((endpoint.id, endpoint) for endpoint in change.endpoints)
        return Leaving(plan=tuple(plans), kept=tuple(kept.values()), sandboxes=tuple(sandboxes))

    def _handle(self, doc: Endpoint) -> EndpointHandle:
        return EndpointHandle(self._controller, doc)

    def _room(self, op: Operation, sandbox: Sandbox) -> joining.Room:
        return joining.enter(
            op.reader, sandbox, self._controller.kernel, self._controller.config.state_dir
        )

    def _create(
        self, op: Operation, network: Network, wanted: EndpointDefinition, *, if_not_exists: bool
    ) -> Endpoint:
        existing = references.endpoint_of(op.reader, network.id, wanted.name)
        if existing and if_not_exists:
            wanted.check_same(existing)
            return existing
        endpoint, extra = self._draft(op.reader, network, wanted, transient=False)
        op.commit((), put=(endpoint, *extra))
        return endpoint

    def _draft(
        self, reader: Reader, network: Network, wanted: EndpointDefinition, *, transient: bool
    ) -> tuple[Endpoint, tuple[Document, ...]]:
        if references.endpoint_of(reader, network.id, wanted.name):
            raise Conflict(
                f"network {network.name} has an endpoint {wanted.name} already",
                hint="--name gives the endpoint another name"
                if transient
                else "--if-not-exists accepts one of the same definition",
            )
        endpoint_id = new_id()
        driver = registry.load(network.driver)
        if not driver.has_pools and (wanted.ip or wanted.ip6 or wanted.mac or wanted.ifname):
            raise InvalidInput(
                f"endpoints of network {network.name} (driver {network.driver}) have no interface",
                hint="leave out --ip, --ip6, --mac and --ifname",
            )
        mac = wanted.mac or (mac_of(endpoint_id) if driver.has_pools else "")
        check_mac_free(reader, network, mac)
        addresses, cursor = allocate(reader, network, {4: wanted.ip, 6: wanted.ip6})
        endpoint = Endpoint(
            id=endpoint_id,
            name=wanted.name,
            network_id=network.id,
            created=now(),
            labels=wanted.labels,
            options=wanted.options,
            mac=mac,
            ipv4=addresses.get(4, ""),
            ipv6=addresses.get(6, ""),
            ifname=wanted.ifname,
            transient=transient,
        )
        return endpoint, cursor


def _definition(
    name: str,
    ip: str | None,
    ip6: str | None,
    mac: str | None,
    ifname: str | None,
    options: Mapping[str, str] | None,
    labels: Mapping[str, str] | None,
) -> EndpointDefinition:
    given = {"--ip": ip, "--ip6": ip6, "--mac": mac, "--ifname": ifname}
    for option in (option for option, value in given.items() if value == ""):
        # As from a script's unset variable, whose writer meant something else than "any".
        raise InvalidInput(f"{option} is empty", hint="leave it out, and one is chosen")
    return EndpointDefinition(
        name=name,
        ip=ip or "",
        ip6=ip6 or "",
        mac=mac or "",
        ifname=ifname or "",
        options=dict(options or {}),
        labels=dict(labels or {}),
    ).checked()


def _join(
    op: Operation,
    room: joining.Room,
    network: Network,
    endpoint: Endpoint,
    priority: int,
    extra: tuple[Document, ...] = (),
) -> Endpoint:
    change = joining.join(room, network, endpoint, priority)
    op.commit(change.plan, put=(*change.endpoints, change.sandbox, *extra))
    return change.endpoints[0]


def _check_joined(endpoint: Endpoint, expected: Sandbox | None) -> None:
    if endpoint.attachment is None:
        raise Conflict(f"endpoint {endpoint.name} is in no sandbox")
    if expected and expected.id != endpoint.attachment.sandbox_id:
        raise Conflict(
            f"endpoint {endpoint.name} is in sandbox {short(endpoint.attachment.sandbox_id)},"
            f" not in {expected.name}"
        )
