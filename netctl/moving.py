"""Plans that move a whole sandbox: under another name, into another namespace, or anew."""

from __future__ import annotations

from netctl import files, fitting, joining, naming, rooms
from netctl.errors import Conflict
from netctl.gateway import Member
from netctl.models import Document, ResolvConf, Sandbox, SandboxKind
from netctl.names import short
from netctl.pinning import plan_namespace
from netctl.plan import Plan, inverse
from netctl.record import Record, replace
from netctl.steps.namespaces import NetnsRelease, NetnsRename


class Move(Record):
    """A plan with the sandbox as it is afterwards."""

    plan: Plan
    sandbox: Sandbox
    members: tuple[Member, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def documents(self) -> tuple[Document, ...]:
        return (self.sandbox, *(member.endpoint for member in self.members))


def rename(room: rooms.Room, name: str, path: str) -> Move:
    """Return how a sandbox gets another name, and what bears its name with it: the endpoints that
    connect made and, to ``path``, the namespace; one that stays where it is has no path."""
    old = room.sandbox
    new = replace(old, name=name, netns=path or old.netns)
    members = tuple(_renamed(_moved(item, new.netns), old.name, name) for item in room.members)
    pin = NetnsRename(old=old.netns, new=new.netns, identity=old.identity)
    texts = files.update(old, room.members, new, members, room.state_dir, room.kernel)
    plan = (
        *((pin,) if path and room.alive else ()),
        *(inverse(files.plan_links(old, room.state_dir)) if path else ()),
        *(files.plan_links(new, room.state_dir) if path else ()),
        *texts.plan,
        *joining.names(room, new, members),
    )
    return Move(plan=plan, sandbox=texts.sandbox, members=members, notices=texts.notices)


def set_key(room: rooms.Room, source: str, identity: str) -> Move:
    """Return how a sandbox moves into the namespace at ``source``, its endpoints with it.

    The old namespace keeps a pin until all stands in the new one: without it there would be no
    way back. Raises ``Conflict`` where something in the new one is in the way.
    """
    old = room.sandbox
    new = replace(
        old,
        type=SandboxKind.EXTERNAL,
        boot_id=room.kernel.boot_id(),
        identity=identity,
        source=source,
        pinned=source != old.netns,
    )
    _check_movable(room, new, source)
    fitting.check_distinct(room)
    moved = tuple(_moved(m, new.netns, new.boot_id) for m in room.members)
    there = replace(room, sandbox=new, members=moved)
    families = _look_into(there, source)
    parked, released = _parked(room)
    plan = (
        *joining.takedown(room),
        *parked,
        *plan_namespace(new, source),
        *naming.begin(joining.model(there), room.config),
        *joining.everything(there, families),
        *released,
    )
    return Move(plan=plan, sandbox=new, members=moved)


def _check_movable(room: rooms.Room, new: Sandbox, source: str) -> None:
    old = room.sandbox
    if old.type is SandboxKind.HOST:
        raise rooms.misfit(
            old, "has no namespace of its own to be moved from", "make another with --netns PATH"
        )
    if new.identity == old.identity and room.alive:
        raise rooms.misfit(
            old,
            f"is in the namespace at {source} already",
            f"netctl sandbox refresh {old.name} recreates its interfaces",
        )
    if not new.pinned:
        return
    if not old.pinned and room.alive:
        raise rooms.misfit(
            old,
            f"is the namespace {old.netns} itself, which stays where it is",
            "make another sandbox with --netns PATH, and move its endpoints there",
        )
    if room.intruded:
        raise rooms.intruder(old)


def _look_into(there: rooms.Room, source: str) -> tuple[int, ...]:
    """Return the families without a default route at ``source``; see that all else fits in."""
    room = replace(there, sandbox=replace(there.sandbox, netns=source), members=())
    for item in there.members:
        fitting.check_routes(room, item.network)
        if room.kernel.link(source, item.attachment.ifname):
            raise Conflict(
                f"the namespace at {source} has an interface {item.attachment.ifname} already,"
                f" the name of {item.network.name}/{item.endpoint.name} in {there.sandbox.name}",
                hint=f"netctl endpoint leave {item.network.name}/{item.endpoint.name}, and join it"
                " again afterwards",
            )
    return room.families


def _parked(room: rooms.Room) -> tuple[Plan, Plan]:
    """Return how the old namespace gives up its place but not its pin, and how that goes too."""
    old = room.sandbox
    if not old.pinned:
        return (), ()
    if not room.alive:
        return inverse(plan_namespace(old, "")), ()
    # No sandbox's name begins with a dot.
    directory = old.netns.rpartition("/")[0]
    aside = f"{directory}/.{short(old.id)}"
    parked = NetnsRename(old=old.netns, new=aside, identity=old.identity)
    return (parked,), (NetnsRelease(path=aside, identity=old.identity),)


def refresh(room: rooms.Room, resolv: ResolvConf) -> Move:
    """Return how a sandbox's interfaces and files are made anew."""
    old = room.sandbox
    boot_id = room.kernel.boot_id()
    if old.type is not SandboxKind.HOST and room.intruded:
        raise rooms.intruder(old)
    if not room.alive:
        raise rooms.misfit(
            old,
            "had a namespace that is gone",
            f"netctl sandbox set-key {old.name} PATH gives it another",
        )
    fitting.check_distinct(room)
    fitting.check_names_free(room)
    new = replace(old, boot_id=boot_id, resolv=resolv)
    members = tuple(
        _moved(item, new.netns, boot_id, joining.ifb_of(room, item.endpoint))
        for item in room.members
    )
    there = replace(room, sandbox=new, members=members)
    texts = files.make(new, members, room.state_dir, room.kernel)
    plan = (
        *joining.takedown(room),
        *texts.plan,
        *naming.begin(joining.model(there), room.config),
        *joining.everything(there, room.families),
    )
    return Move(plan=plan, sandbox=texts.sandbox, members=members, notices=texts.notices)


def _moved(item: Member, netns: str, boot_id: str = "", ifb: str | None = None) -> Member:
    was = item.attachment
    place = replace(
        was, netns=netns, boot_id=boot_id or was.boot_id, ifb=was.ifb if ifb is None else ifb
    )
    return replace(item, attachment=place, endpoint=replace(item.endpoint, attachment=place))


def _renamed(item: Member, old: str, new: str) -> Member:
    endpoint = item.endpoint
    if not endpoint.transient or endpoint.name != old:
        return item
    return replace(item, endpoint=replace(endpoint, name=new))
