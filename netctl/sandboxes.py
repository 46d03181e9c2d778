"""The use cases of sandboxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from netctl import files, pinning, references, resolv
from netctl.errors import Conflict, Partial
from netctl.handles import SandboxHandle
from netctl.kernel import Link
from netctl.models import Document, Endpoint, Sandbox, SandboxKind, now
from netctl.names import alias_of, check_id, check_name, new_id, several, short
from netctl.operation import Operation, passed_over
from netctl.plan import attempted, inverse
from netctl.record import field_names, replace
from netctl.references import Ref
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.definitions.endpoint import EndpointOptions
    from netctl.definitions.sandbox import SandboxDefinition
    from netctl.kernel.inhabitants import Process
    from netctl.kernel.process import CompletedProcess
    from netctl.removing import References, Report
    from netctl.rooms import Room


class Sandboxes:
    """The sandboxes of a host.

    Example::

        controller.sandboxes.create("c1", hostname="c1", dns=["192.0.2.53"])
        result = controller.sandboxes.exec("c1", ["hostname"], capture_output=True, text=True)
        print(result.returncode, result.stdout)
        controller.sandboxes.remove("c1")
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._store = controller.store
        self._kernel = controller.kernel
        self._state_dir = controller.config.state_dir

    def create(
        self,
        name: str,
        *,
        hostname: str = "",
        domainname: str = "",
        dns: Iterable[str] = (),
        dns_search: Iterable[str] = (),
        dns_options: Iterable[str] = (),
        extra_hosts: Iterable[tuple[str, str]] = (),
        hosts_path: str = "",
        resolv_conf_path: str = "",
        origin_hosts_path: str = "",
        origin_resolv_conf_path: str = "",
        netns_path: str | None = None,
        pid: int | None = None,
        host: bool = False,
        labels: Mapping[str, str] | None = None,
        ttl: str | None = None,
        owner_pid: int | None = None,
        id: str | None = None,
        if_not_exists: bool = False,
    ) -> SandboxHandle:
        """Create a sandbox: a namespace of its own, or an existing one.

        At most one of ``netns_path`` (a namespace that somebody else made; it is pinned and never
        deleted), ``pid`` (the namespace of that process) and ``host``. After ``ttl`` (``30m``,
        ``2h``) or the end of the process ``owner_pid`` it is removed when it is in the way, or by
        ``gc``. The files that have an origin are copies of it. Raises ``InvalidInput``,
        ``NotFound`` (the process or a path), ``Conflict`` or ``KernelError``.
        """
        from netctl.definitions.lease import asked
        from netctl.definitions.sandbox import SandboxDefinition

        source = pinning.external_source(netns_path, pid, host)
        wanted = SandboxDefinition(
            name=name,
            type=SandboxKind.HOST if host else pinning.kind_of(source),
            hostname=hostname,
            domainname=domainname,
            dns=several(dns),
            dns_search=several(dns_search),
            dns_options=several(dns_options),
            extra_hosts=tuple(extra_hosts),
            hosts_path=hosts_path,
            resolv_conf_path=resolv_conf_path,
            origin_hosts_path=origin_hosts_path,
            origin_resolv_conf_path=origin_resolv_conf_path,
            labels=dict(labels or {}),
        ).checked()
        lease = asked(self._kernel, ttl, owner_pid)
        draft = Sandbox(
            id=check_id("sandbox", id) if id else new_id(),
            created=now(),
            boot_id=self._kernel.boot_id(),
            lease=lease,
            **{name: getattr(wanted, name) for name in field_names(type(wanted))},
        )
        with self._controller.operation(f"sandbox create {name}") as op:
            return self._handle(self._create(op, wanted, draft, source, if_not_exists))

    def get(self, reference: Ref) -> SandboxHandle:
        """Return the sandbox of that name, id or unique id prefix; raise ``NotFound``."""
        return self._handle(references.sandbox(self._store, reference))

    def list(self) -> list[SandboxHandle]:
        """Return every sandbox, sorted by name."""
        return [self._handle(doc) for doc in self._store.all(Sandbox)]

    def remove(self, reference: Ref, *, force: bool = False) -> None:
        """Remove a sandbox without endpoints; with ``force`` they leave it first, and those that
        connect made are removed.

        Raises ``Conflict`` if it has endpoints. Raises ``Partial`` if it is removed, but something
        that is not netctl's is in the place of its namespace.
        """
        with self._controller.operation(f"sandbox rm {reference}") as op:
            self._remove_named(op, reference, force=force)

    def remove_each(self, names: References, report: Report, *, force: bool = False) -> None:
        """Remove sandboxes, many at once, as ``remove`` does one; ``report`` is given each name
        when that is done, with the error where it is not."""
        from netctl import removing  # of no use to other operations

        remove = partial(self._remove_named, force=force)
        removing.each(self._controller, "sandbox rm", names, remove, report)

    def _remove_named(self, op: Operation, reference: Ref, *, force: bool) -> None:
        sandbox = references.sandbox(op.reader, reference)
        room = self._room(op, sandbox)
        if room.members and not force:
            names = ", ".join(f"{m.network.name}/{m.endpoint.name}" for m in room.members)
            raise Conflict(
                f"sandbox {sandbox.name} has endpoints: {names}",
                hint="take them out first (netctl endpoint leave), or use --force",
            )
        if left := self._remove(op, room):
            error = Partial(
                f"sandbox {sandbox.name} is removed, but not all that stands for it",
                hint="look at what is left, and remove it by hand",
            )
            for line in left:
                error.add_note(line)
            raise error

    def prune(
        self,
        chosen: Callable[[Sandbox], bool] = lambda sandbox: True,
        report: Report | None = None,
    ) -> Sequence[str]:
        """Remove the sandboxes without endpoints and without processes that ``chosen`` accepts;
        return their names.

        A sandbox stays if its owner is alive, or if a ``run`` uses it. A sandbox that
        cannot be removed does not stop the others: ``report`` is given each name, with the error
        where it is not removed. Without it the first error is raised at the end; its notes say the
        others.
        """
        reader = self._controller.reader
        names = {each.id: each.name for each in self._unused(reader) if chosen(each)}
        from netctl import removing  # of no use to other operations

        remove = partial(self._remove_named, force=False)
        return removing.pruned(self._controller, "sandbox prune", names, remove, report)

    def _unused(self, reader: Reader) -> Iterable[Sandbox]:
        empty = [each for each in reader.all(Sandbox) if not each.endpoints]
        # A run marks its sandbox before it makes it: looked at last, no mark is missed.
        from netctl import running
        from netctl.definitions.lease import owned

        runs = running.marked(self._controller) if empty else ()
        taken = self._kernel.inhabited({each.netns for each in empty})
        return [
            each
            for each in empty
            if not (each.netns in taken or each.id in runs or owned(each.lease, self._kernel))
        ]

    def dissolve(self, op: Operation, sandbox: Sandbox) -> None:
        """Remove a sandbox and what connect made in it, within an operation."""
        left = self._remove(op, self._room(op, sandbox))
        self._controller.notices += [f"left: {line}" for line in left]

    def rename(self, reference: Ref, name: str) -> SandboxHandle:
        """Give a sandbox, and with it its namespace, another name."""
        from netctl import moving, renaming

        check_name("sandbox", name)
        with self._controller.operation(f"sandbox rename {reference} {name}") as op:
            room = self._room(op, references.sandbox(op.reader, reference))
            if op.reader.owner(f"sandbox/{name}"):
                raise Conflict(f"sandbox {name} exists already", hint="choose another name")
            notices: list[str] = []
            for item in room.members:
                if item.endpoint.transient and item.endpoint.name == room.sandbox.name:
                    notices += renaming.of_sandbox(op.reader, item, name)
            pinned = room.sandbox.netns and room.sandbox.pinned
            path = pinning.pin_path(name, "choose another name", self._kernel) if pinned else ""
            change = moving.rename(room, name, path)
            self._controller.notices += (*change.notices, *notices)
            op.commit(change.plan, put=change.documents, forward=True)
            return self._handle(change.sandbox)

    def update(
        self,
        reference: Ref,
        *,
        labels: Mapping[str, str] | None = None,
        labels_gone: Iterable[str] = (),
    ) -> SandboxHandle:
        """Set and remove labels of a sandbox. Raises ``InvalidInput``, or ``NotFound`` for a label
        that it does not have."""
        from netctl.relabelling import label_change, relabelled

        change = label_change(labels, labels_gone)
        with self._controller.operation(f"sandbox set {reference}") as op:
            found = references.sandbox(op.reader, reference)
            return self._handle(relabelled(op, found, change))

    def set_key(self, reference: Ref, path: str) -> SandboxHandle:
        """Move a sandbox with all its endpoints into the namespace at ``path``."""
        from netctl import moving
        from netctl.definitions.checks import check_path

        source = check_path("namespace path", path)
        with self._controller.operation(f"sandbox set-key {reference} {path}") as op:
            room = self._room(op, references.sandbox(op.reader, reference))
            change = moving.set_key(room, source, pinning.identity_of(source, self._kernel))
            refused = op.commit(change.plan, put=change.documents, forward=True)
            self._controller.notices += passed_over(refused)
            return self._handle(change.sandbox)

    def refresh(self, reference: Ref) -> SandboxHandle:
        """Recreate a sandbox's files and interfaces, and its namespace if it is gone."""
        with self._controller.operation(f"sandbox refresh {reference}") as op:
            return self._handle(self.renew(op, references.sandbox(op.reader, reference)))

    def renew(self, op: Operation, sandbox: Sandbox) -> Sandbox:
        """Refresh a sandbox within an operation."""
        from netctl import moving

        for item in self._room(op, sandbox).members:
            self._controller.networks.need(op, item.network.id)
        sandbox = self._found_again(op, sandbox)
        conf = resolv.choose(sandbox, self._controller.config, self._kernel)
        change = moving.refresh(self._room(op, sandbox), conf)
        self._controller.notices += change.notices
        refused = op.commit(change.plan, put=change.documents, forward=True)
        self._controller.notices += passed_over(refused)
        return change.sandbox

    def _found_again(self, op: Operation, sandbox: Sandbox) -> Sandbox:
        """Return the sandbox with a namespace: its own, where the document did not know it, or a
        new one in the place of one that is gone.

        It is recorded at once. A process that dies after that leaves a sandbox without interfaces,
        which ``repair`` makes: were it one operation with them, the next process would have to
        make another namespace, with another identity than the documents of the intent.
        """
        room = self._room(op, sandbox)
        if sandbox.type is not SandboxKind.OWN or room.alive or room.intruded:
            return sandbox
        identity = room.unrecorded or self._kernel.netns_new(alias=alias_of("sandbox", sandbox.id))
        found = replace(sandbox, identity=identity, boot_id=self._kernel.boot_id())
        made = () if room.unrecorded else pinning.plan_namespace(found, "")
        there = self._kernel.file_read(files.paths(found, self._state_dir).identity)
        op.commit((*made, *files.recorded(found, self._state_dir, there)), put=(found,))
        return found

    def stats(self, reference: Ref) -> Sequence[Link]:
        """Return the interfaces of a sandbox with their counters, live from the kernel."""
        sandbox = references.sandbox(self._store, reference)
        self._check_alive(sandbox)
        return self._kernel.links(sandbox.netns)

    def processes(self, reference: Ref) -> Sequence[Process]:
        """Return the processes in a sandbox, live from the kernel. Raises ``Conflict`` where its
        namespace is gone."""
        sandbox = references.sandbox(self._store, reference)
        self._check_alive(sandbox)
        return self._kernel.inhabitants(sandbox.netns)

    def exec(self, reference: Ref, argv: Sequence[str], **options: Any) -> CompletedProcess[Any]:
        """Run a command in the sandbox, with its files bound over /etc, and wait for its end.

        ``options`` are those of ``subprocess.run`` (``input``, ``capture_output``, ``text``,
        ``timeout``, ``check``, ...), and so is the result. Raises ``TypeError`` for ``preexec_fn``,
        ``user``, ``group`` and ``extra_groups``, which cannot work here, ``NotFound``, ``Conflict``
        where the namespace is gone, ``KernelError``, and what ``subprocess.run`` raises.
        """
        from netctl import running

        sandbox = references.sandbox(self._store, reference)
        self._check_alive(sandbox)
        return running.completed(sandbox, self._state_dir, argv, options)

    def become(self, reference: Ref, argv: Sequence[str] = ()) -> NoReturn:
        """Replace this process by a command in the sandbox, with its files bound over /etc; without
        one by the user's shell, ``$SHELL`` or /bin/sh."""
        from netctl import running

        sandbox = references.sandbox(self._store, reference)
        self._check_alive(sandbox)
        running.become(sandbox, self._state_dir, argv)

    def run(
        self,
        argv: Sequence[str],
        *,
        name: str | None = None,
        networks: Iterable[Ref] = (),
        ports: Iterable[str] = (),
        endpoint: EndpointOptions | None = None,
        first: EndpointOptions | None = None,
        priority: int = 0,
        local_aliases: Mapping[str, str] | None = None,
        **options: object,
    ) -> int:
        """Run a command in a sandbox that is gone when the command ends; return its exit status.

        ``networks`` may also be ``none``, for a loopback alone, or ``host``, for the host's stack.
        ``endpoint`` says what its endpoints are like; ``first``, ``priority`` and ``local_aliases``
        what that of the first network is like.
        """
        from netctl import running

        entry = running.Entry(
            networks=several(networks),
            ports=several(ports),
            each=endpoint or {},
            first=first or {},
            priority=priority,
            local_aliases=dict(local_aliases or {}),
        )
        return running.run(self._controller, argv, name, entry, options)

    def way_out(self, reference: Ref) -> str:
        """Return the id of the endpoint that is the sandbox's way out, IPv4 before IPv6; raise
        ``Conflict`` where none is."""
        from netctl import rooms
        from netctl.gateway import ways_out

        reader = self._controller.reader
        sandbox = references.sandbox(reader, reference)
        room = rooms.enter(reader, sandbox, self._kernel, self._controller.config)
        if not (found := ways_out(room.members)):
            raise Conflict(
                f"sandbox {sandbox.name} has no way out on which ports could be published",
                hint="join it to a network that is not internal",
            )
        return next(iter(found))

    def _create(
        self,
        op: Operation,
        wanted: SandboxDefinition,
        draft: Sandbox,
        source: str,
        if_not_exists: bool,
    ) -> Sandbox:
        if holder := op.reader.owner(f"sandbox/{wanted.name}"):
            existing = op.reader.get(Sandbox, holder)
            gone = existing and self._controller.gives_way(op, existing)
            if existing and not gone and if_not_exists:
                wanted.check_same(existing)
                return existing
            if not gone:
                raise Conflict(
                    f"sandbox {wanted.name} exists already",
                    hint="--if-not-exists accepts one of the same definition",
                )
        if other := op.reader.get(Sandbox, draft.id):
            raise Conflict(
                f"sandbox {other.name} has the id {short(draft.id)} already",
                hint="give another, or none to get a random one",
            )
        conf = resolv.choose(draft, self._controller.config, self._kernel)
        sandbox = pinning.housed(replace(draft, resolv=conf), source, self._kernel)
        pinning.check_new_files(sandbox, self._kernel)
        texts = files.make(sandbox, (), self._state_dir, self._kernel)
        plan = (
            *pinning.plan_namespace(sandbox, source),
            *texts.plan,
            *files.recorded(sandbox, self._state_dir),
        )
        op.commit(plan, put=(texts.sandbox,))
        return texts.sandbox

    def _remove(self, op: Operation, room: Room) -> Sequence[str]:
        """Remove a sandbox; return what is left of it, or in its place, a line each."""
        from netctl import joining, naming

        sandbox = room.sandbox
        found = replace(sandbox, identity=room.unrecorded or sandbox.identity)
        namespace = () if room.intruded else inverse(pinning.plan_namespace(found, ""))
        plan = (
            *joining.takedown(room),
            *inverse(naming.begin(joining.model(room), room.config)),
            *inverse(files.standing(sandbox, self._state_dir, self._kernel)),
            *attempted(namespace),
        )
        put: list[Document] = []
        gone: list[Document] = [room.sandbox]
        for item in room.members:
            endpoint: Endpoint = item.endpoint
            if endpoint.transient:
                gone.append(endpoint)
            else:
                put.append(replace(endpoint, attachment=None))
        refused = op.commit(plan, put=tuple(put), delete=tuple(gone), forward=True)
        lines = [error.command_message for error in refused]
        if room.intruded:
            lines.append(
                f"the namespace at {sandbox.netns}, which is not that of sandbox {sandbox.name}"
            )
        return lines

    def _check_alive(self, sandbox: Sandbox) -> None:
        from netctl import rooms

        room = rooms.Room(
            sandbox=sandbox, members=(), kernel=self._kernel, config=self._controller.config
        )
        if not room.alive:
            raise rooms.absent(room)

    def _room(self, op: Operation, sandbox: Sandbox) -> Room:
        from netctl import rooms

        return rooms.enter(op.reader, sandbox, self._kernel, self._controller.config)

    def _handle(self, doc: Sandbox) -> SandboxHandle:
        return SandboxHandle(controller=self._controller, doc=doc)
