"""The use cases of networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from netctl import references
from netctl.backends import access, registry
from netctl.backends.driver import NetworkPlan, Site
from netctl.errors import Conflict, Exhausted, NetctlError
from netctl.handles import NetworkHandle
from netctl.kernel import Kernel
from netctl.models import PORTS_CURSOR, Cursor, Document, Endpoint, HostState, Lease, Network
from netctl.names import check_name, several
from netctl.operation import Operation, passed_over
from netctl.plan import Plan, inverse
from netctl.record import Record, replace
from netctl.references import Ref
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.definitions.network import NetworkDefinition
    from netctl.removing import References, Report


class Making(Record):
    """How a network comes into being, and the documents afterwards."""

    plan: Plan = ()
    put: tuple[Document, ...] = ()


class Networks:
    """The networks of a host.

    Example::

        db = controller.networks.create("db", subnets=["10.8.0.0/24"], internal=True)
        print([network.name for network in controller.networks.list()])
        controller.networks.remove(db, force=True)
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._store = controller.store

    def create(
        self,
        name: str,
        *,
        driver: str | None = None,
        subnets: Iterable[str] = (),
        ip_ranges: Iterable[str] = (),
        gateways: Iterable[str] = (),
        aux_addresses: Mapping[str, str] | None = None,
        ipv4: bool = True,
        ipv6: bool = False,
        internal: bool = False,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        ipam_driver: str = "default",
        ipam_options: Mapping[str, str] | None = None,
        ttl: str | None = None,
        owner_pid: int | None = None,
        id: str | None = None,
        if_not_exists: bool = False,
    ) -> NetworkHandle:
        """Create a network and return it.

        ``subnets`` are CIDR with host bits zero, or ``auto/N``; ``gateways`` and ``aux_addresses``
        lie in them. ``if_not_exists`` returns an existing network of the same definition.
        After ``ttl`` (``30m``, ``2h``) or the end of the process ``owner_pid`` it is removed with
        its endpoints when it is in the way, or by ``gc``.
        Raises ``InvalidInput``, ``Conflict``, ``Exhausted`` or ``KernelError``, and leaves nothing.
        """
        from netctl.definitions.defaults import told
        from netctl.definitions.lease import asked
        from netctl.definitions.network import NetworkDefinition

        config = self._controller.config
        wanted = NetworkDefinition(
            name=name,
            driver=config.default_driver if driver is None else driver,
            subnets=several(subnets),
            ip_ranges=several(ip_ranges),
            gateways=several(gateways),
            aux=dict(aux_addresses or {}),
            ipv4=ipv4,
            ipv6=ipv6,
            internal=internal,
            options=dict(options or {}),
            labels=dict(labels or {}),
            ipam_driver=ipam_driver,
            ipam_options=dict(ipam_options or {}),
            id=id or "",
        )
        with told(config, wanted.driver, wanted.options):
            definition = wanted.checked(config.driver_options.get(wanted.driver, {}))
            lease = asked(self._controller.kernel, ttl, owner_pid)
            with self._controller.operation(f"network create {name}") as op:
                return self._handle(self._create(op, definition, if_not_exists, lease))

    def get(self, reference: Ref) -> NetworkHandle:
        """Return the network of that name, id or unique id prefix; raise ``NotFound``."""
        return self._handle(references.network(self._store, reference))

    def list(self) -> list[NetworkHandle]:
        """Return every network, sorted by name."""
        return [self._handle(doc) for doc in self._store.all(Network)]

    def remove(self, reference: Ref, *, force: bool = False) -> None:
        """Remove a network without endpoints; with ``force`` its endpoints too, joined or not."""
        with self._controller.operation(f"network rm {reference}") as op:
            self._remove_named(op, reference, force=force)

    def remove_each(self, names: References, report: Report, *, force: bool = False) -> None:
        """Remove networks, many at once, as ``remove`` does one; ``report`` is given each name when
        that is done, with the error where it is not."""
        from netctl import removing  # of no use to other operations

        remove = partial(self._remove_named, force=force)
        removing.each(self._controller, "network rm", names, remove, report)

    def _remove_named(self, op: Operation, reference: Ref, *, force: bool) -> None:
        network = references.network(op.reader, reference)
        _remove(op, network, self._controller, force=force)

    def rename(self, reference: Ref, name: str) -> NetworkHandle:
        """Give a network another name, by which its sandboxes know it at once.

        Raises ``InvalidInput``, ``NotFound`` or ``Conflict`` (a name that is taken).
        """
        from netctl.designing import check_told_apart

        check_name("network", name)
        with self._controller.operation(f"network rename {reference} {name}") as op:
            network = references.network(op.reader, reference)
            if op.reader.owner(f"network/{name}"):
                raise Conflict(f"network {name} exists already", hint="choose another name")
            others = [other for other in op.reader.all(Network) if other.id != network.id]
            check_told_apart(name, network.driver, others)
            after = replace(network, name=name)
            self._called(op, after)
            if network.name == self._controller.config.default_network:
                self._controller.notices.append(_no_default(network))
            return self._handle(after)

    def _called(self, op: Operation, after: Network) -> None:
        from netctl import renaming, rooms

        endpoints = op.reader.all(Endpoint, after.id)
        found = [
            rooms.enter(op.reader, sandbox, self._controller.kernel, self._controller.config)
            for sandbox in renaming.sandboxes_of(op.reader, endpoints)
        ]
        change = renaming.network(found, after)
        op.commit(change.plan, put=(after,), forward=True)
        self._controller.notices += change.notices

    def update(
        self,
        reference: Ref,
        *,
        labels: Mapping[str, str] | None = None,
        labels_gone: Iterable[str] = (),
    ) -> NetworkHandle:
        """Set and remove labels of a network. Raises ``InvalidInput``, or ``NotFound`` for a label
        that it does not have."""
        from netctl.relabelling import label_change, relabelled

        change = label_change(labels, labels_gone)
        with self._controller.operation(f"network set {reference}") as op:
            found = references.network(op.reader, reference)
            return self._handle(relabelled(op, found, change))

    def dissolve(self, op: Operation, network: Network) -> None:
        """Remove a network and its endpoints, joined or not, within an operation."""
        _remove(op, network, self._controller, force=True)

    def prune(
        self,
        chosen: Callable[[Network], bool] = lambda network: True,
        report: Report | None = None,
    ) -> Sequence[str]:
        """Remove the networks without endpoints that ``chosen`` accepts; return their names.

        The default network and the drivers' only ones (host, null) stay. A network that cannot be
        removed does not stop the others: ``report`` is given each name, with the error where it is
        not removed. Without it the first error is raised at the end; its notes say the others.
        """
        reader = self._controller.reader
        empty = [doc for doc in reader.all(Network) if self._prunable(reader, doc)]
        names = {network.id: network.name for network in empty if chosen(network)}
        from netctl import removing  # of no use to other operations

        remove = partial(self._remove_named, force=False)
        return removing.pruned(self._controller, "network prune", names, remove, report)

    def need(self, op: Operation, reference: Ref) -> Network:
        """Return a network for use; one from before a reboot is made again."""
        return self._revived(op, references.network(op.reader, reference))

    def needed(self, op: Operation, reference: Ref) -> Network:
        """Return a network for use, be it the default one that is still to be made: ``making`` says
        how, for whoever needs it first makes it in one with what it is needed for."""
        network = references.find_network(op.reader, reference)
        config = self._controller.config
        if network is not None or reference != config.default_network:
            return self._revived(op, network or references.network(op.reader, reference))
        return self._default(op)

    def _default(self, op: Operation) -> Network:
        from netctl.definitions.defaults import told
        from netctl.definitions.network import NetworkDefinition
        from netctl.designing import design

        config = self._controller.config
        definition = NetworkDefinition(name=config.default_network, driver=config.default_driver)
        with told(config, config.default_driver, {}):
            wanted = definition.checked(config.driver_options.get(config.default_driver, {}))
            return self._controller.reclaiming(op, lambda: design(op, wanted, self._controller))

    def making(self, op: Operation, network: Network) -> Making:
        """Return how a network comes into being; nothing for one that is there."""
        if op.reader.get(Network, network.id):
            return Making()
        return _making(op, network, self._controller)

    def _handle(self, doc: Network) -> NetworkHandle:
        return NetworkHandle(controller=self._controller, doc=doc)

    def _create(
        self,
        op: Operation,
        wanted: NetworkDefinition,
        if_not_exists: bool,
        lease: Lease | None = None,
    ) -> Network:
        if holder := op.reader.owner(f"network/{wanted.name}"):
            existing = op.reader.get(Network, holder)
            gone = existing and self._controller.gives_way(op, existing)
            if existing and not gone and if_not_exists:
                wanted.check_same(existing)
                return existing
            if not gone:
                raise Conflict(
                    f"network {wanted.name} exists already",
                    hint="--if-not-exists accepts one of the same definition",
                )
        from netctl.designing import design

        # A subnet that is asked for may be one's that has expired.
        with_pools = self._controller.reclaiming(
            op, lambda: design(op, wanted, self._controller), short=(Conflict, Exhausted)
        )
        network = replace(with_pools, lease=lease)
        _make(op, network, self._controller)
        return network

    def _prunable(self, reader: Reader, network: Network) -> bool:
        return (
            network.name != self._controller.config.default_network
            and not registry.load(network.driver).single
            and reader.is_empty(Endpoint, network.id)
        )

    def _revived(self, op: Operation, network: Network) -> Network:
        kernel, driver = self._controller.kernel, registry.load(network.driver)
        if not network.facts or network.boot_id == kernel.boot_id():
            self._controller.once(network.id, "there", lambda: driver.check_there(network, kernel))
            if "bridge" in network.facts:
                aim = "frames" if access.is_filtered(network) else "rules"
                self._controller.once("", aim, lambda: self._controller.guard(op, [network]))
            return network
        fresh = replace(network, boot_id=kernel.boot_id())
        if driver.stands(network, kernel):
            # Its document is older than what it made, as after a file was put back from a copy.
            op.commit((), put=(fresh,))
        else:
            # A bridge that was adopted is as its owner made it this time.
            fresh = driver.settle_pools(fresh, kernel)
            _make(op, fresh, self._controller)
        return fresh


def _no_default(network: Network) -> str:
    return (
        f"the default network is still called {network.name}: what needs it makes another one"
        " (default_network in the configuration names another)"
    )


def site(reader: Reader, network: Network, controller: Controller, *, removing: bool) -> Site:
    """Return the host as a driver sees it while ``network`` comes or goes."""
    boot_id = controller.kernel.boot_id()
    stored = reader.get(HostState, HostState.ID) or HostState()
    return Site(
        kernel=controller.kernel,
        others=tuple(
            other
            for other in reader.all(Network)
            if other.id != network.id and other.boot_id == boot_id
        ),
        host=stored.believed(boot_id),
        ip_forward=controller.config.ip_forward,
        spared=controller.config.ip_forward_interfaces,
        removing=removing,
    )


def _making(op: Operation, network: Network, controller: Controller) -> Making:
    driver = registry.load(network.driver)
    made = driver.plan_network(network, site(op.reader, network, controller, removing=False))
    return Making(plan=made.plan, put=(network, *_host_put(op, made.host)))


def _make(op: Operation, network: Network, controller: Controller) -> None:
    making = _making(op, network, controller)
    op.commit(making.plan, put=making.put)
    controller.look_around(network)
    if not controller.dry_run:
        controller.notices += _led_elsewhere(network, controller.kernel)


def _led_elsewhere(network: Network, kernel: Kernel) -> Iterator[str]:
    """Yield a notice of each pool to which the host's routes or rules of routing do not lead, now
    that its bridge is there."""
    if "bridge" not in network.facts:
        return
    from netctl.backends import diversion

    for pool in (pool for pool in network.pools if pool.gateway and not pool.link_local):
        with suppress(NetctlError):
            address = diversion.first_address(pool)
            if found := diversion.find(network, pool, address, kernel):
                yield "\n".join([found.what, *(f"hint: {line}" for line in found.remedy)])


def _remove(
    op: Operation, network: Network, controller: Controller, *, force: bool = False
) -> None:
    from netctl import naming

    endpoints = op.reader.all(Endpoint, network.id)
    if endpoints and not force:
        names = ", ".join(endpoint.name for endpoint in endpoints[:5])
        more = f" and {len(endpoints) - 5} more" if len(endpoints) > 5 else ""
        raise Conflict(
            f"network {network.name} has endpoints: {names}{more}",
            hint="remove them first (netctl endpoint rm), or use --force",
        )
    leaving = controller.endpoints.leaving(op, endpoints)
    there = site(op.reader, network, controller, removing=True)
    made = _standing(network, there)
    cursors = _cursors(op.reader, network)
    gone: tuple[Document, ...] = (network, *cursors, *_host_delete(op, made.host))
    refused = op.commit(
        (*leaving.plan, *naming.network_gone(network, controller.config), *inverse(made.plan)),
        put=(*leaving.sandboxes, *_host_put(op, made.host)),
        delete=(*endpoints, *gone),
        forward=True,
    )
    controller.notices += passed_over(refused)
    if made.host.forwarding:
        from netctl.backends import forwarding

        controller.notices += forwarding.kept(network, there)
    controller.forget_notices(network)


def _cursors(reader: Reader, network: Network) -> list[Cursor]:
    """Return the cursors that go with a network: its own, and with the last that of ports."""
    last = len(reader.all(Network)) == 1
    ids = (network.id, PORTS_CURSOR) if last else (network.id,)
    return [cursor for cursor_id in ids if (cursor := reader.get(Cursor, cursor_id))]


def _standing(network: Network, site: Site) -> NetworkPlan:
    """Return what of a network there is to be taken down: nothing that was made in another boot.

    A bridge that it had adopted then may be there again, but in the state its owner gave it.
    """
    if network.boot_id != site.kernel.boot_id():
        return NetworkPlan(plan=(), host=site.host)
    return registry.load(network.driver).plan_network(network, site)


def _host_put(op: Operation, host: HostState) -> tuple[HostState, ...]:
    stored = op.reader.get(HostState, HostState.ID)
    return (host,) if host.forwarding and host != stored else ()


def _host_delete(op: Operation, host: HostState) -> tuple[HostState, ...]:
    stored = op.reader.get(HostState, HostState.ID)
    return (stored,) if stored and not host.forwarding else ()
