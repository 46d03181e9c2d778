"""The library's entry: a controller over one store and one kernel.

controller = netctl.Controller()
net = controller.networks.create("network1", driver="bridge")
ep = net.endpoints.create("Endpoint1")
sb = controller.sandboxes.create("container1", hostname="test", domainname="example.org")
ep.join(sb)
print(ep.mac_address, sb.key)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from netctl import config as configuration
from netctl.config import Config
from netctl.errors import Exhausted, NetctlError, Notices
from netctl.kernel import Kernel, open_kernel
from netctl.operation import Operation, Progress, is_stopping, operation, show_pending, unstopped
from netctl.plan import Observer
from netctl.record import replace
from netctl.store import Reader, Store

if TYPE_CHECKING:
    from netctl.doctor.finding import Finding as Symptom
    from netctl.doctor.station import Station
    from netctl.endpoints import Endpoints
    from netctl.models import Network, Sandbox
    from netctl.networks import Networks
    from netctl.references import Ref
    from netctl.sandboxes import Sandboxes
    from netctl.upkeep.check import Finding
    from netctl.upkeep.leases import Ended
    from netctl.upkeep.leftovers import Leftover
    from netctl.upkeep.repair import Repaired, Repairs

T = TypeVar("T")


class Signals(Protocol):
    """See ``netctl.interruption.Interruption``."""

    def begin(self) -> None: ...

    def hold(self) -> None: ...

    @property
    def number(self) -> int: ...


class Controller:
    """The networks, endpoints and sandboxes of one host. It is also a context manager.

    Example::

        with netctl.Controller() as controller:
            net = controller.networks.create("network1", driver="bridge")
            ep = net.endpoints.create("Endpoint1")
            sb = controller.sandboxes.create("container1", hostname="test")
            ep.join(sb)
            print(ep.mac_address, sb.key)

    ``config`` defaults to the host's configuration. ``observe`` is called with each step before it
    runs. With ``dry_run`` it is called with the same steps, and nothing is changed. ``progress`` is
    called during long work, with the next object, the number of finished objects, and the number of
    all (None if unknown). ``waiting`` is called once with the holder of the lock, if the wait takes
    longer than one second. Use a controller in one thread only.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        kernel: Kernel | None = None,
        dry_run: bool = False,
        observe: Observer | None = None,
        progress: Progress | None = None,
        waiting: Callable[[str], object] | None = None,
    ) -> None:
        self.config = config or configuration.load(None, {}, os.environ)
        self.kernel = kernel or open_kernel()
        self.store = Store(
            self.config.state_dir,
            self.config.run_dir,
            lock_timeout=self.config.lock_timeout,
            waiting=waiting,
        )
        self.signals: Signals | None = None
        """What is told when operations begin, and cannot be ended: a command line's handling of
        signals."""
        self.left: list[str] = []
        """Names of the objects that the last operation did not reach, because a signal ended
        it."""
        self._progress = progress
        self._batched = 0
        self._batch_progress: Progress | None = None
        self.dry_run = dry_run
        self.notices = Notices()
        """What happened beside the results, one text each: an unfinished operation of another
        process that was settled, a foreign firewall rule that drops a network's traffic. Texts are
        added until ``clear`` empties the list; ``repair``, ``restore`` and ``collect`` move them to
        ``Repaired.done``."""
        self._happened: set[str] = set()
        if dry_run:
            self._pretend()
        self._observe = observe
        self._reaping = False
        self._checked = False
        self._in_batch = False
        self._looked: set[tuple[str, str]] = set()
        """See ``once``."""

    def _pretend(self) -> None:
        from netctl.dryrun import DryKernel
        from netctl.overlay import Overlay

        self._dry_reader = Overlay(self.store)
        self._dry_kernel = self.kernel = DryKernel(self.kernel)

    @property
    def reader(self) -> Reader:
        """The documents, in a dry run with those that were not written."""
        return self._dry_reader if self.dry_run else self.store

    def check_config(self) -> None:
        """Raise ``BadConfig`` for drivers, options and address pools in the configuration that are
        refused. Only drivers can tell: a command that only lists does not load them."""
        if self.config.needs_drivers and not self._checked:
            from netctl.definitions import defaults

            defaults.check(self.config)
        self._checked = True

    @cached_property
    def networks(self) -> Networks:
        """The networks of the host."""
        from netctl.networks import Networks

        self.check_config()
        return Networks(self)

    @cached_property
    def endpoints(self) -> Endpoints:
        """The endpoints of all networks."""
        from netctl.endpoints import Endpoints

        return Endpoints(self)

    @cached_property
    def sandboxes(self) -> Sandboxes:
        """The sandboxes of the host."""
        from netctl.sandboxes import Sandboxes

        return Sandboxes(self)

    @contextmanager
    def operation(self, name: str) -> Iterator[Operation]:
        """Enter an operation called ``name``: see ``netctl.operation``."""
        self.check_config()
        if self.dry_run:
            with self.noticing():
                yield self._dry_operation()
            return
        self._reap()
        self.left.clear()
        self.proceed()
        with operation(
            name,
            self.store,
            self.kernel,
            observe=self._observe,
            notices=self.notices,
            progress=self._progress,
            entered=self.signals.hold if self.signals else lambda: None,
        ) as entered:
            self._revive()
            with self.noticing():
                yield entered
            self._advance(name)
            if not self._in_batch:
                self._revive()

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Lend a block whose notices are dropped where it is refused: what they are about does not
        come to be. Those of what happened on the way stay (``happened``)."""
        before = len(self.notices)
        try:
            yield
        except BaseException:
            kept = [notice for notice in self.notices[before:] if notice in self._happened]
            self.notices[before:] = kept
            raise

    def happened(self, did: str, would: str) -> None:
        """Give notice of something that was done on the way to what was asked for, whatever becomes
        of that; ``would`` says it of a dry run, in which nothing is done."""
        notice = would if self.dry_run else did
        self.notices.append(notice)
        self._happened.add(self.notices[-1])

    def _revive(self) -> None:
        """Bring back a resolver that was killed: it is missed by every sandbox, whatever this
        operation is about. One may be killed in the middle of it, too."""
        if not self.kernel.resolver_lost(self.config.run_dir):
            return
        try:
            self.kernel.resolver_start(self.config.run_dir, self.config.state_dir, anew=False)
        except NetctlError as error:
            self.notices.append(
                f"the resolver was killed and does not come back: {error.command_message}"
            )
        else:
            self.notices.append("the resolver was killed: it is back")

    def proceed(self) -> None:
        """Go on with something new, unless a signal came that ends this command."""
        if self.signals:
            self.signals.begin()

    def through(self, items: Sequence[T], name: Callable[[T], str]) -> Iterator[T]:
        """Yield the objects of one operation, and say how far it is. Once a signal waits for the
        operation's end, the others are ``left``."""
        for number, item in enumerate(items):
            if self.is_stopping():
                self.left += map(name, items[number:])
                return
            self.tell_progress(name(item), number, len(items))
            yield item

    def is_stopping(self) -> bool:
        """Whether a signal came, which is to end this command before the next object."""
        return is_stopping() or bool(self.signals and self.signals.number)

    def tell_progress(self, what: str, done: int, total: int | None) -> None:
        """Say how far long work is."""
        if self._progress and not self.dry_run:
            self._progress(what, done, total)

    def _advance(self, name: str) -> None:
        if self._in_batch:
            self._batched += 1
            if self._batch_progress:
                self._batch_progress(name, self._batched, None)

    def _dry_operation(self) -> Operation:
        from netctl.dryrun import DryOperation

        return DryOperation(self._dry_reader, self._dry_kernel, self._observe)

    def _reap(self) -> None:
        # It is there while a run is alive, or when one was killed.
        if self._reaping or not os.path.isdir(f"{self.config.run_dir}/run"):
            return
        self._reaping = True
        from netctl.running import reap

        reap(self)

    def look_around(self, network: Network, *, published: bool = False) -> None:
        """Give notice of what somebody else's firewall drops of a network's traffic; with
        ``published`` of connections to its published ports too."""
        if "bridge" in network.facts:
            aim = "around ports" if published else "around"
            self.once(network.id, aim, lambda: self._look_around(network, published))

    def _look_around(self, network: Network, published: bool) -> None:
        from netctl.noticing import notices

        found = notices(
            network,
            self.kernel,
            self.config.run_dir,
            published=published,
            dry_run=self.dry_run,
        )
        self.notices += [notice for notice in found if notice not in self.notices]

    def once(self, object_id: str, aim: str, look: Callable[[], None]) -> None:
        """Look at an object with some aim; in a batch, until it is found in order."""
        if (object_id, aim) not in self._looked:
            look()
            if self._in_batch:
                self._looked.add((object_id, aim))

    def guard(self, op: Operation, networks: Iterable[Network]) -> None:
        """Put netctl's rules back where somebody took away what those networks need. What an
        operation brings into a new table would be all that is protected."""
        from netctl.backends import firewall

        if firewall.stands(self.kernel, networks):
            return
        from netctl import reloading

        if plan := reloading.plan(op.reader, self.kernel, self.config):
            op.commit(plan, forward=True)
            gone = "netctl's firewall rules {} gone, as after 'nft flush ruleset': they {}"
            self.happened(gone.format("were", "are back"), gone.format("are", "would be put back"))

    def boot_id(self) -> str:
        """Return what tells this boot from every other."""
        return self.kernel.boot_id()

    def forget_notices(self, network: Network) -> None:
        """Forget what was told of a network, which goes."""
        from netctl.noticing import forget

        if not self.dry_run:
            forget(network, self.config.run_dir)

    @contextmanager
    def batch(self, name: str = "batch", *, progress: Progress | None = None) -> Iterator[None]:
        """Hold the lock over many operations. Each operation still succeeds or fails on its own.
        Names resolve at the end of the batch at the latest; ``KernelError`` then says which the
        resolver refused. ``progress`` is called after each operation, with its name and the number
        of finished ones."""
        if self.dry_run or self._in_batch:
            yield
            return
        with unstopped(), self.store.locked(name):
            with self.kernel.batch():
                self._in_batch, self._batched, self._batch_progress = True, 0, progress
                try:
                    yield
                finally:
                    self._in_batch = False
                    self._looked.clear()
            self._revive()

    def check(self) -> list[Finding]:
        """Return every difference between the store and the kernel."""
        from netctl.upkeep.check import check

        return check(self)

    def examine(self, *, probe: bool = False) -> list[Symptom]:
        """Return the problems of the host, and possible ones, the worst first; nothing is changed.
        ``probe`` also checks that the name servers answer."""
        from netctl.doctor.examination import examine

        return examine(self, probe=probe)

    def follow(self, sandbox: Ref, destination: str | None = None) -> list[Station]:
        """Send one packet from a sandbox and return the stations of its way; the last one says
        whether it arrives.

        ``destination`` is ``ADDRESS[:PORT[/tcp|udp]]``, with an endpoint or a sandbox in place of
        the address if wanted. The default is the host's gateway. Raises ``NotFound``,
        ``InvalidInput``, ``Unsupported`` or ``NotPermitted``.
        """
        from netctl.doctor import path

        return path.of(self, sandbox, destination)

    def repair(self) -> Repaired:
        """Finish or undo what dead processes left, and make the kernel match the store. Only
        differences are repaired."""
        return self._repaired("repair", lambda repairs: repairs.everything())

    def restore(self) -> Repaired:
        """Recreate what a reboot removed, and repair what else differs: the same as ``repair``."""
        return self._repaired("restore", lambda repairs: repairs.everything())

    def gives_way(self, op: Operation, document: Network | Sandbox) -> bool:
        """Whether a document whose name is wanted had expired, or lost its owner, and is gone."""
        if document.lease is None:
            return False
        from netctl.upkeep import leases

        return leases.give_way(op, self, document)

    def reclaiming(
        self,
        op: Operation,
        choose: Callable[[], T],
        *kept: str,
        short: type[NetctlError] | tuple[type[NetctlError], ...] = Exhausted,
    ) -> T:
        """Return what ``choose`` returns; where it is ``short`` of something, what has expired or
        whose owner is gone is removed first, but for the documents whose ids are ``kept``."""
        try:
            return choose()
        except short:
            from netctl.upkeep import leases

            if not leases.reclaim(op, self, kept):
                raise
            return choose()

    def leftovers(self) -> list[Leftover | Ended]:
        """Return what ``collect`` removes: networks and sandboxes that have expired, or whose owner
        or namespace is gone, and what netctl created and no document needs."""
        from netctl.upkeep import leases, leftovers

        ended = (*leases.find(self.store, self), *leases.for_good(self.store, self))
        return [*ended, *leftovers.find(self.store, self)]

    def expiring(self) -> list[Network | Sandbox]:
        """Return the networks and sandboxes that expire, the next one first."""
        from netctl.upkeep import leases

        return leases.upcoming(self.store, self)

    def collect(self) -> Repaired:
        """Remove the leftovers."""
        return self._repaired("gc", lambda repairs: repairs.collect())

    def _repaired(self, name: str, mend: Callable[[Repairs], None]) -> Repaired:
        from netctl.upkeep.repair import Repairs

        pending = self.store.pending() if self.dry_run else None
        settled = [show_pending(pending, self.kernel, self._observe)] if pending else []
        with self.operation(name) as op:
            settled += self.notices
            self.notices.clear()
            repairs = Repairs(op, self)
            mend(repairs)
        # In a dry run the steps have been shown, and nothing was done.
        done = () if self.dry_run else repairs.result.done
        return replace(repairs.result, done=(*settled, *done), stopped=tuple(self.left))

    def reload(self) -> None:
        """Put the firewall's rules back in order, as after ``nft flush ruleset``."""
        from netctl import reloading

        with self.operation("reload") as op:
            plan = reloading.plan(op.reader, self.kernel, self.config)
            op.commit(plan, forward=True)

    def close(self) -> None:
        """Close the sockets to the kernel. They open again if the controller is used again."""
        self.kernel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
