"""The use cases of endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Unpack

from netctl import references
from netctl.backends import registry
from netctl.definitions.entrance import check_local_aliases, check_priority
from netctl.errors import Conflict, NotFound
from netctl.handles import EndpointHandle
from netctl.models import Document, Endpoint, Network, Sandbox
from netctl.names import several, short
from netctl.operation import Operation, passed_over
from netctl.plan import Plan, Step, inverse
from netctl.record import Record, replace
from netctl.references import Ref

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.definitions.endpoint import EndpointDefinition, EndpointOptions
    from netctl.joining import Entrance
    from netctl.removing import References, Report
    from netctl.rooms import Room


class Leaving(Record):
    """How endpoints come out of their sandboxes, and the documents afterwards."""

    plan: Plan
    kept: tuple[Endpoint, ...]
    sandboxes: tuple[Sandbox, ...]


class Endpoints:
    """The endpoints of a host's networks.

    Example::

        controller.networks.create("web")
        controller.sandboxes.create("c1")
        endpoint = controller.endpoints.connect("web", "c1", aliases=["www"])
        controller.endpoints.publish(endpoint, ["8080:80"])
        controller.endpoints.disconnect("web", "c1")
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._store = controller.store

    def create(
        self,
        network: Ref,
        name: str,
        *,
        if_not_exists: bool = False,
        **options: Unpack[EndpointOptions],
    ) -> EndpointHandle:
        """Create an endpoint with addresses of its own, in no sandbox yet.

        Raises ``InvalidInput``, ``NotFound``, ``Conflict`` (a name, address or MAC that is taken)
        or ``Exhausted``.
        """
        from netctl.definitions.endpoint import asked

        wanted = asked(name, options)
        with self._controller.operation(f"endpoint create {network} {name}") as op:
            parent = self._controller.networks.needed(op, network)
            return self._handle(self._create(op, parent, wanted, if_not_exists=if_not_exists))

    def get(self, reference: Ref) -> EndpointHandle:
        """Return the endpoint ``NET/NAME``, ``NAME`` where that is unique, or by id."""
        return self._handle(references.endpoint(self._store, reference))

    def list(self, network: Ref | None = None) -> list[EndpointHandle]:
        """Return every endpoint, or those of a network, sorted by name."""
        parent = references.network(self._store, network).id if network else ""
        return [self._handle(doc) for doc in self._store.all(Endpoint, parent)]

    def join(
        self,
        reference: Ref,
        sandbox: Ref,
        *,
        priority: int = 0,
        local_aliases: Mapping[str, str] | None = None,
        if_not_exists: bool = False,
    ) -> EndpointHandle:
        """Join an endpoint to a sandbox.

        Among a sandbox's endpoints the one of highest ``priority`` gives the default route.
        ``local_aliases`` are names that hold in this sandbox alone, each with the name in the
        network that it stands for. ``if_not_exists`` does nothing if the endpoint is in that
        sandbox already, with the same priority and aliases. Raises ``Conflict`` if it is
        joined already or does not fit, and ``Exhausted`` if another process now holds a port that
        it publishes.
        """
        from netctl.joining import Entrance

        aliases = check_local_aliases(local_aliases or {})
        entrance = Entrance(priority=check_priority(priority), aliases=aliases)
        with self._controller.operation(f"endpoint join {reference} {sandbox}") as op:
            endpoint = references.endpoint(op.reader, reference)
            network = self._controller.networks.need(op, endpoint.network_id)
            room = self._room(op, references.sandbox(op.reader, sandbox))
            if endpoint.attachment:
                same = endpoint.attachment.sandbox_id == room.sandbox.id
                from netctl import presence

                if not (if_not_exists and same):
                    raise presence.joined_already(op.reader, network, endpoint, room.sandbox)
                presence.check_entered(room, endpoint, entrance)
                return self._handle(endpoint)
            return self._joined(op, room, network, endpoint, entrance)

    def leave(self, reference: Ref, sandbox: Ref | None = None) -> EndpointHandle:
        """Remove an endpoint from its sandbox. Raises ``NotJoined``, a ``Conflict``, if it is in no
        sandbox, and ``Conflict`` if it is in another than the given one."""
        from netctl import presence

        with self._controller.operation(f"endpoint leave {reference}") as op:
            endpoint = references.endpoint(op.reader, reference)
            expected = references.sandbox(op.reader, sandbox) if sandbox else None
            presence.check_joined(op.reader, endpoint, expected)
            change = self.leaving(op, [endpoint])
            self._leave(op, change, put=change.kept)
            return self._handle(change.kept[0])

    def remove(self, reference: Ref, *, force: bool = False) -> None:
        """Remove an endpoint; with ``force`` it leaves its sandbox first."""
        with self._controller.operation(f"endpoint rm {reference}") as op:
            self._remove_named(op, reference, force=force)

    def remove_each(self, names: References, report: Report, *, force: bool = False) -> None:
        """Remove endpoints, many at once, as ``remove`` does one; ``report`` is given each name
        when that is done, with the error where it is not."""
        from netctl import removing  # of no use to other operations

        remove = partial(self._remove_named, force=force)
        removing.each(self._controller, "endpoint rm", names, remove, report)

    def _remove_named(self, op: Operation, reference: Ref, *, force: bool) -> None:
        endpoint = references.endpoint(op.reader, reference)
        if endpoint.attachment and not force:
            from netctl import presence

            holder = presence.holder(op.reader, endpoint.attachment)
            place = references.network(op.reader, endpoint.network_id).name
            raise Conflict(
                f"endpoint {endpoint.name} is in sandbox {holder}",
                hint=f"netctl endpoint leave {place}/{endpoint.name}, or use --force",
            )
        change = self.leaving(op, [endpoint])
        self._leave(op, change, delete=(endpoint,))

    def prune(
        self,
        chosen: Callable[[Endpoint], bool] = lambda endpoint: True,
        report: Report | None = None,
    ) -> Sequence[str]:
        """Remove the endpoints in no sandbox that ``chosen`` accepts; return their names, each with
        its network's. ``report`` is given each name when that is done."""
        with self._controller.operation("endpoint prune") as op:
            networks = {each.id: each.name for each in op.reader.all(Network)}
            unused = tuple(
                each for each in op.reader.all(Endpoint) if each.attachment is None and chosen(each)
            )
            if unused:
                op.commit((), delete=unused)
        removed = [f"{networks.get(each.network_id, '')}/{each.name}" for each in unused]
        if report:
            for name in removed:
                report(name, None)
        return removed

    def connect(
        self,
        network: Ref,
        sandbox: Ref,
        *,
        name: str | None = None,
        priority: int = 0,
        local_aliases: Mapping[str, str] | None = None,
        if_not_exists: bool = False,
        **options: Unpack[EndpointOptions],
    ) -> EndpointHandle:
        """Create an endpoint named like the sandbox, and join it, in one operation.

        ``if_not_exists`` returns the endpoint by which the sandbox is in the network already, where
        it is of the same definition.
        """
        from netctl.definitions.endpoint import asked
        from netctl.drafting import draft
        from netctl.joining import Entrance

        aliases = check_local_aliases(local_aliases or {})
        entrance = Entrance(priority=check_priority(priority), aliases=aliases)
        with self._controller.operation(f"network connect {network} {sandbox}") as op:
            holder = references.sandbox(op.reader, sandbox)
            wanted = asked(name or holder.name, options)
            if if_not_exists and (there := self._connected(op, network, holder, name, wanted)):
                from netctl import presence

                presence.check_entered(self._room(op, holder), there, entrance)
                return self._handle(there)
            parent = self._controller.networks.needed(op, network)
            make = partial(draft, op.reader, parent, wanted, self._controller, holder=holder)
            endpoint, extra = self._controller.reclaiming(op, make, parent.id, holder.id)
            room = self._room(op, references.sandbox(op.reader, holder.id))
            return self._joined(op, room, parent, endpoint, entrance, extra)

    def _connected(
        self,
        op: Operation,
        network: Ref,
        sandbox: Sandbox,
        name: str | None,
        wanted: EndpointDefinition,
    ) -> Endpoint | None:
        from netctl import presence

        parent = references.find_network(op.reader, network)
        return presence.connected(self._room(op, sandbox), parent, name, wanted) if parent else None

    def rename(self, reference: Ref, name: str) -> EndpointHandle:
        """Give an endpoint another name, by which its network knows it at once.

        Raises ``InvalidInput``, ``NotFound`` or ``Conflict`` (a name that is taken).
        """
        from netctl import renaming
        from netctl.definitions.endpoint import EndpointDefinition, check_called

        EndpointDefinition(name=name).checked()
        with self._controller.operation(f"endpoint rename {reference} {name}") as op:
            endpoint = references.endpoint(op.reader, reference)
            network = references.network(op.reader, endpoint.network_id)
            known = registry.load(network.driver).has_pools and not endpoint.anonymous
            references.check_endpoint_free(op.reader, network, name, asked=known, but=endpoint.id)
            if known:
                check_called(name)
            after = replace(endpoint, name=name, folded=known)
            self._called(op, after)
            self._controller.notices += renaming.dangling(op.reader, network, endpoint)
            return self._handle(after)

    def update(
        self,
        reference: Ref,
        *,
        labels: Mapping[str, str] | None = None,
        labels_gone: Iterable[str] = (),
        aliases: Iterable[str] = (),
        aliases_gone: Iterable[str] = (),
    ) -> EndpointHandle:
        """Set and remove labels, and aliases in its network; a sandbox sees new aliases at once.

        Raises ``InvalidInput``, or ``NotFound`` for what it does not have.
        """
        from netctl.definitions.alterations import aliases_after, check_apart, label_change
        from netctl.definitions.endpoint import EndpointDefinition

        change = label_change(labels, labels_gone)
        given, less = several(aliases), several(aliases_gone)
        check_apart("alias", given, less)
        with self._controller.operation(f"endpoint set {reference}") as op:
            endpoint = references.endpoint(op.reader, reference)
            network = references.network(op.reader, endpoint.network_id)
            more = EndpointDefinition(name=endpoint.name, aliases=given).checked()
            if not registry.load(network.driver).has_pools:
                more.check_bare(network)
            what = f"endpoint {network.name}/{endpoint.name}"
            after = replace(
                endpoint,
                labels=change.applied(what, endpoint.labels),
                aliases=aliases_after(what, endpoint.aliases, more.aliases, less),
            )
            self._called(op, after)
            return self._handle(after)

    def _called(self, op: Operation, after: Endpoint) -> None:
        """Record an endpoint with other names, and let its network know them."""
        from netctl import renaming

        room = self._room_of(op, after)
        change = renaming.endpoint([room] if room else [], after)
        op.commit(change.plan, put=(after,), forward=True)
        self._controller.notices += change.notices

    def publish(self, reference: Ref, ports: Iterable[str]) -> EndpointHandle:
        """Publish ports of an endpoint, at once where it is its sandbox's way out.

        Raises ``InvalidInput``, ``NotFound``, or ``Exhausted`` for a port that is held.
        """
        from netctl import port_changes
        from netctl.ports import parse_all
        from netctl.publishing import ports_for

        wanted = parse_all(ports)
        with self._controller.operation(f"endpoint publish {reference}") as op:
            endpoint = references.endpoint(op.reader, reference)
            network = self._controller.networks.need(op, endpoint.network_id)
            place = endpoint.attachment
            choose = partial(ports_for, op.reader, network, endpoint, wanted, self._controller)
            kept = (network.id, place.sandbox_id if place else "")
            chosen = self._controller.reclaiming(op, choose, *kept)
            after = replace(endpoint, ports=(*endpoint.ports, *chosen.ports))
            change = port_changes.Change(network, endpoint, chosen.ports, endpoint.ports)
            plan = port_changes.plan(self._room_of(op, endpoint), change)
            op.commit(plan, put=(after, *chosen.cursor))
            self._controller.look_around(network, published=True)
            self._controller.notices += port_changes.unreached(self._room_of(op, after), after)
            return self._handle(after)

    def limit(
        self,
        reference: Ref,
        *,
        rate_in: str | None = None,
        rate_out: str | None = None,
        burst: str | None = None,
    ) -> EndpointHandle:
        """Change the rate limits of an endpoint, at once if it is in a sandbox. ``none`` removes a
        limit; limits that are not given stay. Raises ``InvalidInput``, ``NotFound`` or
        ``Unsupported``."""
        from netctl import limiting

        given = {"rate_in": rate_in, "rate_out": rate_out, "burst": burst}
        with self._controller.operation(f"endpoint limit {reference}") as op:
            endpoint = references.endpoint(op.reader, reference)
            network = references.network(op.reader, endpoint.network_id)
            after = limiting.limited(network, endpoint, given, self._controller.kernel)
            plan = limiting.plan(network, endpoint, after, self._controller.kernel)
            op.commit(plan, put=(after,))
            return self._handle(after)

    def unpublish(self, reference: Ref, ports: Iterable[str]) -> EndpointHandle:
        """Stop publishing ports. Name a port as it was given, or in part: ``80`` means every
        publication of port 80. Raises ``NotFound`` for a port that is not published."""
        from netctl import port_changes
        from netctl.ports import parse_all
        from netctl.publishing import published_as

        wanted = parse_all(ports)
        with self._controller.operation(f"endpoint unpublish {reference}") as op:
            endpoint = references.endpoint(op.reader, reference)
            network = references.network(op.reader, endpoint.network_id)
            gone = published_as(endpoint, wanted)
            after = replace(endpoint, ports=tuple(p for p in endpoint.ports if p not in gone))
            change = port_changes.Change(network, endpoint, gone, after.ports, ending=True)
            plan = port_changes.plan(self._room_of(op, endpoint), change)
            op.commit(inverse(plan), put=(after,), forward=True)
            return self._handle(after)

    def disconnect(self, network: Ref, sandbox: Ref) -> None:
        """Make the endpoints of a network leave a sandbox; remove those that connect created."""
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
            self._leave(op, change, put=kept, delete=gone)

    def _leave(
        self,
        op: Operation,
        change: Leaving,
        *,
        put: tuple[Document, ...] = (),
        delete: tuple[Document, ...] = (),
    ) -> None:
        refused = op.commit(change.plan, put=(*put, *change.sandboxes), delete=delete, forward=True)
        self._controller.notices += passed_over(refused)

    def _joined(
        self,
        op: Operation,
        room: Room,
        network: Network,
        endpoint: Endpoint,
        entrance: Entrance,
        extra: tuple[Document, ...] = (),
    ) -> EndpointHandle:
        from netctl import joining

        change = joining.join(room, network, endpoint, entrance)
        if endpoint.ports:
            from netctl.publishing import check_unheld

            check_unheld(room.kernel, change.endpoints[0], change.way_out)
        making = self._controller.networks.making(op, network)
        put = (*making.put, *change.endpoints, change.sandbox, *extra)
        op.commit((*making.plan, *change.plan), put=put)
        self._controller.notices += change.notices
        self._controller.look_around(network, published=bool(endpoint.ports))
        return self._handle(change.endpoints[0])

    def leaving(self, op: Operation, endpoints: Sequence[Endpoint]) -> Leaving:
        """Return how endpoints come out of the sandboxes they are in, whichever those are."""
        plans: list[Step] = []
        sandboxes: list[Sandbox] = []
        kept = {endpoint.id: endpoint for endpoint in endpoints}
        joined = [e.attachment.sandbox_id for e in endpoints if e.attachment]
        for sandbox_id in dict.fromkeys(joined):
            from netctl import joining

            sandbox = references.found(
                "sandbox", short(sandbox_id), op.reader.get(Sandbox, sandbox_id)
            )
            here = [e for e in endpoints if e.attachment and e.attachment.sandbox_id == sandbox_id]
            room = replace(self._room(op, sandbox), gone=frozenset(e.id for e in endpoints))
            change = joining.leave(room, here)
            self._controller.notices += change.notices
            plans += change.plan
            sandboxes.append(change.sandbox)
            kept.update((endpoint.id, endpoint) for endpoint in change.endpoints)
        return Leaving(plan=tuple(plans), kept=tuple(kept.values()), sandboxes=tuple(sandboxes))

    def _handle(self, doc: Endpoint) -> EndpointHandle:
        return EndpointHandle(self._controller, doc)

    def _room_of(self, op: Operation, endpoint: Endpoint) -> Room | None:
        """Return the sandbox that an endpoint is in, None for none."""
        place = endpoint.attachment
        sandbox = op.reader.get(Sandbox, place.sandbox_id) if place else None
        return self._room(op, sandbox) if sandbox else None

    def _room(self, op: Operation, sandbox: Sandbox) -> Room:
        from netctl import rooms

        return rooms.enter(op.reader, sandbox, self._controller.kernel, self._controller.config)

    def _create(
        self, op: Operation, network: Network, wanted: EndpointDefinition, *, if_not_exists: bool
    ) -> Endpoint:
        existing = references.endpoint_of(op.reader, network.id, wanted.name)
        if existing and if_not_exists:
            wanted.check_same(existing)
            return existing
        from netctl.drafting import draft

        make = partial(draft, op.reader, network, wanted, self._controller)
        endpoint, extra = self._controller.reclaiming(op, make, network.id)
        making = self._controller.networks.making(op, network)
        op.commit(making.plan, put=(*making.put, endpoint, *extra))
        if making.put:
            self._controller.look_around(network)
        return endpoint
