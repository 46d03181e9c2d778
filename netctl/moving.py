"""Plans that move a whole sandbox: under another name, into another namespace, or anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netctl import files, joining
from netctl.gateway import DEFAULT, Member
from netctl.kernel import Kernel
from netctl.models import Document, Sandbox, SandboxKind
from netctl.plan import Plan, Step, Undo, inverse
from netctl.record import record
from netctl.steps import FileWrite, NetnsCreate, NetnsPin, NetnsRename, Symlink


@record
class Move:
    """A plan with the sandbox as it is afterwards."""

    plan: Plan
    sandbox: Sandbox
    members: tuple[Member, ...] = ()

    @property
    def documents(self) -> tuple[Document, ...]:
        return (self.sandbox, *(member.endpoint for member in self.members))


def plan_namespace(sandbox: Sandbox, source: str) -> Plan:
    """Return how a sandbox's namespace is made, or the one at ``source`` pinned."""
    if sandbox.type is SandboxKind.OWN:
        return (NetnsCreate(path=sandbox.netns),)
    return (NetnsPin(source=source, path=sandbox.netns),) if sandbox.pinned else ()


def default_families(kernel: Kernel, netns: str) -> tuple[int, ...]:
    """Return the families in which a namespace has a default route already."""
    there = {route.destination for route in kernel.routes(netns)}
    return tuple(version for version, default in DEFAULT.items() if default in there)


def rename(room: joining.Room, name: str, path: str) -> Move:
    """Return how a sandbox and its namespace get another name."""
    old = room.sandbox
    if old.type is SandboxKind.HOST or not old.pinned:
        return Move(plan=(), sandbox=replace(old, name=name))
    new = replace(old, name=name, netns=path)
    members = tuple(_moved(item, path) for item in room.members)
    plan = (
        NetnsRename(old=old.netns, new=path),
        *inverse(tuple(files.plan_links(old, room.state_dir))),
        *files.plan_links(new, room.state_dir),
        *files.plan_hosts(old, room.members, new, members, room.state_dir, room.kernel),
    )
    return Move(plan=plan, sandbox=new, members=members)


def set_key(room: joining.Room, source: str) -> Move:
    """Return how a sandbox moves into the namespace at ``source``, its endpoints with it."""
    old = room.sandbox
    if old.type is SandboxKind.HOST:
        raise joining.misfit(old, "has no namespace of its own to be moved from")
    if not old.pinned:
        raise joining.misfit(old, f"is the namespace {old.netns} itself, which stays where it is")
    new = replace(
        old,
        type=SandboxKind.EXTERNAL,
        boot_id=room.kernel.boot_id(),
        default_routes=default_families(room.kernel, source),
    )
    there = replace(room, sandbox=new, members=tuple(_moved(m, new.netns) for m in room.members))
    plan = (
        *inverse(joining.everything(room)),
        *inverse(plan_namespace(old, "")),
        *plan_namespace(new, source),
        *joining.everything(there),
    )
    return Move(plan=plan, sandbox=new, members=there.members)


def refresh(room: joining.Room, resolv: str) -> Move:
    """Return how a sandbox's interfaces, files and, if it is gone, namespace are made anew."""
    old = room.sandbox
    if old.type is SandboxKind.HOST:
        return Move(plan=(), sandbox=replace(old, boot_id=room.kernel.boot_id()))
    if not room.alive and old.type is SandboxKind.EXTERNAL:
        raise joining.misfit(
            old,
            f"had a namespace that is gone; netctl sandbox set-key {old.name} PATH gives another",
        )
    boot_id = room.kernel.boot_id()
    new = replace(old, boot_id=boot_id)
    members = tuple(_moved(item, new.netns, boot_id) for item in room.members)
    there = replace(room, sandbox=new, members=members)
    make = (
        () if room.alive else (Undo(step=NetnsCreate(path=old.netns)), NetnsCreate(path=old.netns))
    )
    plan = (
        *inverse(joining.everything(room)),
        *make,
        *_texts(there, resolv),
        *joining.everything(there),
    )
    return Move(plan=plan, sandbox=new, members=members)


def _texts(room: joining.Room, resolv: str) -> Iterable[Step]:
    for step in files.plan_files(room.sandbox, room.members, room.state_dir, resolv):
        if isinstance(step, FileWrite):
            yield replace(step, previous=room.kernel.file_read(step.path))
        elif not isinstance(step, Symlink) or room.kernel.file_read(step.path) is None:
            yield step


def _moved(item: Member, netns: str, boot_id: str | None = None) -> Member:
    place = replace(item.attachment, netns=netns, boot_id=boot_id or item.attachment.boot_id)
    return replace(item, attachment=place, endpoint=replace(item.endpoint, attachment=place))
