"""The comparison of what should be there with what is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netctl import joining, naming, origin, reloading
from netctl.backends import comparison, firewall, forwarding
from netctl.errors import KernelError
from netctl.kernel import Kernel
from netctl.kernel.snapshot import Snapshot
from netctl.models import HostState, Network, SandboxKind
from netctl.plan import Difference, Plan, in_words
from netctl.record import Record, replace
from netctl.rooms import Room, intruder
from netctl.steps.settings import Nft, Sysctl
from netctl.store import NO_ROOM, Changes, Reader, Store, Writer
from netctl.store.memory import Memory
from netctl.upkeep import desired, documents
from netctl.upkeep.desired import Part

if TYPE_CHECKING:
    from netctl.controller import Controller


Listing = list[dict[str, Any]]
"""What nft lists."""


class Finding(Record):
    """A difference between the store and the kernel, and the object that it concerns."""

    title: str
    """``network web``, ``sandbox c1``, ``firewall``, ``operation``."""
    difference: Difference
    lost: bool = False
    """Whether the whole object is missing, so that ``repair`` makes all of it."""
    changes: Changes | None = None
    """For documents that contradict each other: the ones that put it right."""
    because: str = ""
    """The line of the finding that causes this one: an interface that is missing has no addresses
    either."""
    remedy: str = "take away what is in its place, which is not netctl's to do; then: netctl repair"
    """What to do if it is not repairable, in words."""

    @property
    def line(self) -> str:
        """The object and what differs of it, in one line."""
        return f"{self.title}: {self.difference.what}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The commands that mend it; empty if commands alone cannot."""
        return ("netctl repair",) if self.repairable else self.difference.remedy

    @property
    def repairable(self) -> bool:
        """Whether ``repair`` mends it."""
        return self.lost or bool(self.difference.repair) or self.changes is not None


def check(controller: Controller) -> list[Finding]:
    """Return every difference between store and kernel.

    Without a lock first: another netctl at work looks like a difference, so that one is believed
    only with the lock held; where nothing can be written nobody else is at work either.
    """
    store = controller.store
    if not findings(store, controller) and store.pending() is None:
        return []
    try:
        with store.locked("check") as writer:
            return _settled_findings(writer, controller)
    except KernelError as error:
        if error.errno not in NO_ROOM:
            raise
        return _settled_findings(store, controller)


def _settled_findings(reader: Store | Writer, controller: Controller) -> list[Finding]:
    """Return the differences, or that an operation is unfinished, which explains them all."""
    pending = reader.pending()
    if pending is not None:
        left = f"left by process {pending.pid}"
        unsettled = Difference(what=pending.operation, expected="finished", found=left)
        return [Finding(title="operation", difference=unsettled)]
    return findings(reader, controller)


def findings(
    reader: Reader, controller: Controller, found: Snapshot | None = None
) -> list[Finding]:
    """Return the differences as they are now, or as they were in ``found``. Documents that
    contradict each other come alone: what they would lead to is not to be believed. Within an
    operation a signal ends it: the sandboxes that were not looked at are ``controller.left``."""
    memory = Memory(reader)
    if contradictions := list(contradicting(memory, controller.kernel)):
        return contradictions
    found = found or Snapshot(controller.kernel)
    rooms = list(desired.rooms(memory, controller))
    return _explained(
        [
            *_of_networks(memory, controller, found),
            *_of_sandboxes(rooms, found, controller),
            *lost_sandboxes(rooms),
            *_of_resolver(rooms, found, controller),
            *firewall_findings(memory, controller),
        ]
    )


def _explained(found: list[Finding]) -> list[Finding]:
    """Return the findings, with the cause of those that follow from another."""
    causes = {place: each.line for each in found for place in each.difference.gone}

    def cause(each: Finding) -> str:
        return next((causes[place] for place in each.difference.on if place in causes), "")

    return [replace(each, because=cause(each)) for each in found]


def contradicting(reader: Reader, kernel: Kernel) -> Iterator[Finding]:
    """Yield the documents that contradict each other."""

    def taken(netns: str, name: str) -> bool:
        try:
            return kernel.link(netns, name) is not None
        except KernelError:
            return False  # The namespace is gone, and what was in it.

    for item in documents.find(reader, taken):
        difference = Difference(what=item.what, expected=item.expected, found=item.found)
        yield Finding(title=item.title, difference=difference, changes=item.changes)


def _of_networks(reader: Reader, controller: Controller, found: Snapshot) -> Iterator[Finding]:
    for network, part in desired.networks(reader, controller):
        if old(network, controller):
            difference = _of_another_boot("network")
            yield Finding(title=part.title, difference=difference, lost=True)
        else:
            yield from _lent(network, part, found)
            yield from differing(part, found)
            yield from _forwarding(network, part, found, reader)


def _lent(network: Network, part: Part, found: Snapshot) -> Iterator[Finding]:
    """Yield that the bridge of the operator's own is gone, which only he can make again."""
    name = network.facts.get("bridge", "")
    if network.facts.get("made") == "false" and not found.link("", name):
        missing = Difference(
            what=f"bridge {name}",
            expected="there",
            found="nothing",
            gone=(("", name),),
            remedy=(
                f"ip link add {name} type bridge && ip link set {name} up  # and its addresses",
                "netctl repair",
            ),
        )
        remedy = f"make {name} again, with its addresses: it was not netctl's; then: netctl repair"
        yield Finding(title=part.title, difference=missing, remedy=remedy)


def _forwarding(network: Network, part: Part, found: Snapshot, reader: Reader) -> Iterator[Finding]:
    """Yield the forwarding that is off; what netctl had not turned on it does not turn on again."""
    stored = reader.get(HostState, HostState.ID) or HostState()
    host = stored.believed(found.kernel.boot_id())
    wanted = forwarding.wanted(network)
    for key in wanted:
        step = Sysctl(netns="", key=key, value="1", previous="0")
        for difference in step.differences(found):
            repair = difference.repair if key in host.forwarding else ()
            yield Finding(
                title=part.title,
                difference=replace(difference, repair=repair, remedy=(step.describe(),)),
                remedy=f"{step.describe()} turns on what had been on before netctl",
            )
    for link in host.advertised if forwarding.SYSCTLS[6] in wanted else ():
        # An interface that is gone heeds nothing, and needs not to.
        if found.sysctl("", forwarding.advertisements(link)) is not None:
            yield from differing(Part(title=part.title, plan=(forwarding.heeding(link),)), found)


def _of_sandboxes(
    rooms: Sequence[Room], found: Snapshot, controller: Controller
) -> Iterator[Finding]:
    for room in controller.through(rooms, lambda room: f"sandbox {room.sandbox.name}"):
        if room.alive and not room.unfurnished:
            yield from differing(desired.sandbox(room), found)


def _of_resolver(
    rooms: Iterable[Room], found: Snapshot, controller: Controller
) -> Iterator[Finding]:
    """Yield that the resolver is not at work, where a sandbox needs it."""
    plans = (naming.begin(joining.model(room), controller.config) for room in rooms)
    if plan := next(filter(None, plans), ()):
        yield from differing(Part(title="names", plan=plan), found)


def lost_sandboxes(rooms: Iterable[Room]) -> Iterator[Finding]:
    """Yield the sandboxes whose namespace is gone: ``lost`` are those that can be made anew."""
    for room in rooms:
        if room.alive and room.unfurnished:
            gone = Difference(
                what="interfaces", expected="made in this boot", found="of an earlier boot"
            )
            yield Finding(title=f"sandbox {room.sandbox.name}", difference=gone, lost=True)
        elif room.alive and origin.is_left(room.sandbox, room.kernel):
            left = Difference(
                what=f"namespace {room.sandbox.netns}",
                expected=f"that of {room.sandbox.source}",
                found="a namespace that was left: no process is in it",
            )
            yield Finding(
                title=f"sandbox {room.sandbox.name}",
                difference=left,
                remedy=origin.remedy(room.sandbox, room.kernel),
            )
        elif not room.alive:
            name = room.sandbox.name
            own = room.sandbox.type is SandboxKind.OWN
            error = intruder(room.sandbox) if room.intruded else None
            remedy = f"netctl sandbox set-key {name} PATH, or: netctl sandbox rm {name} --force"
            yield Finding(
                title=f"sandbox {name}",
                difference=_gone(room),
                lost=own and not error,
                remedy=(error and error.command_hint) or remedy,
            )


def differing(part: Part, found: Snapshot) -> Iterable[Finding]:
    """Yield what of a part's steps does not hold."""
    for step in part.plan:
        for difference in step.differences(found):
            finding = Finding(title=part.title, difference=difference)
            lines = difference.remedy
            yield replace(finding, remedy=in_words(lines)) if lines else finding


def firewall_findings(reader: Reader, controller: Controller) -> Iterator[Finding]:
    """Yield what differs in our tables; one transaction mends all of it."""
    plan = reloading.plan(reader, controller.kernel, controller.config)
    tables = _tables(plan, reader, controller.kernel)
    if tables is None:
        return
    yield from _open_loopbacks(plan)
    for what, expected, is_there in comparison.compare(*tables):
        difference = Difference(what=what, expected=expected, found=is_there, repair=plan)
        yield Finding(title="firewall", difference=difference)


def foreign_rules(reader: Reader, controller: Controller) -> set[tuple[str, int]]:
    """Return the rules in our tables that somebody added, each by its chain's place and handle."""
    plan = reloading.plan(reader, controller.kernel, controller.config)
    tables = _tables(plan, reader, controller.kernel)
    return set(comparison.surplus(*tables)) if tables else set()


def _tables(plan: Plan, reader: Reader, kernel: Kernel) -> tuple[Listing, Listing] | None:
    """Return our tables as they should be and as they are; None where there should be none."""
    rules = next((step for step in plan if isinstance(step, Nft)), None)
    if rules is None:
        return None
    names = firewall.tables(reader.all(Network))
    there = [item for table in names for item in kernel.nft_list(f"list table {table}")]
    return kernel.nft_preview(rules.do, "list ruleset"), there


def _open_loopbacks(plan: Plan) -> Iterator[Finding]:
    """Yield the bridges by which the host's loopback is open though no port needs it; where one
    does and it is closed, that is the endpoint's."""
    for step in plan:
        if (
            isinstance(step, Sysctl)
            and step.key.endswith("/route_localnet")
            and (step.value, step.previous) == ("0", "1")
        ):
            difference = Difference(
                what=f"sysctl {step.key}", expected="0", found="1", repair=(step,)
            )
            yield Finding(title="firewall", difference=difference)


def old(network: Network, controller: Controller) -> bool:
    """Whether a network's objects were made in another boot, and are gone with it."""
    return bool(network.facts) and network.boot_id != controller.kernel.boot_id()


def _of_another_boot(what: str) -> Difference:
    return Difference(what=what, expected="made in this boot", found="of an earlier boot")


def _gone(room: Room) -> Difference:
    sandbox = room.sandbox
    if room.intruded:
        found = "another namespace"
    elif sandbox.boot_id != room.kernel.boot_id():
        found = "nothing: it was of an earlier boot"
    else:
        found = "nothing"
    whose = "netctl's" if sandbox.type is SandboxKind.OWN else "the one it was given"
    return Difference(what=f"namespace {sandbox.netns}", expected=whose, found=found)
