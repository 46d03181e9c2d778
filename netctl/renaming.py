"""Plans that change what networks and endpoints are called, while they are in sandboxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from netctl import joining, naming, rooms
from netctl.backends import registry
from netctl.definitions.endpoint import uncalled
from netctl.gateway import Member, ways_out
from netctl.kernel import Message
from netctl.models import Endpoint, Network, Sandbox
from netctl.plan import Plan, Step
from netctl.record import Record, replace
from netctl.references import check_endpoint_free
from netctl.store import Reader


class Renaming(Record):
    """A plan, and what the user should know of it."""

    plan: Plan = ()
    notices: tuple[str, ...] = ()


def network(found: Sequence[rooms.Room], new: Network) -> Renaming:
    """Return how sandboxes come to know one of their networks by its new name."""

    def renamed(item: Member) -> Member:
        return replace(item, network=new) if item.network.id == new.id else item

    return _changed(found, renamed)


def endpoint(found: Sequence[rooms.Room], new: Endpoint) -> Renaming:
    """Return how a network comes to know an endpoint by other names."""

    def renamed(item: Member) -> Member:
        return replace(item, endpoint=new) if item.endpoint.id == new.id else item

    return _changed(found, renamed)


def of_sandbox(reader: Reader, item: Member, name: str) -> list[str]:
    """Return what is to be said of an endpoint that gets its sandbox's new name; raise ``Conflict``
    where its network has another of that name."""
    known = registry.load(item.network.driver).has_pools and not item.endpoint.anonymous
    check_endpoint_free(reader, item.network, name, asked=known, but=item.endpoint.id)
    remedy = f"netctl endpoint rename {item.network.name}/{name} NAME"
    told = uncalled(item.network, name, remedy) if known else ()
    return [*told, *dangling(reader, item.network, item.endpoint)]


def _changed(found: Sequence[rooms.Room], renamed: Callable[[Member], Member]) -> Renaming:
    """Return the plan of all sandboxes; the resolver is told once, of everything."""
    steps: list[Step] = []
    notices: list[str] = []
    before: dict[tuple[str, str], Message] = {}
    after: dict[tuple[str, str], Message] = {}
    for room in found:
        members = tuple(map(renamed, room.members))
        # A name decides where everything else is equal: the way out may be another one now.
        if ways_out(members) != ways_out(room.members):
            steps += joining.reordered(room, members)
            notices.append(_other_way(room, members))
        before.update(joining.model(room))
        after.update(joining.model(replace(room, members=members)))
    told = naming.change(before, after, found[0].config) if found else ()
    return Renaming(plan=(*steps, *told), notices=tuple(notices))


def _other_way(room: rooms.Room, members: Sequence[Member]) -> str:
    ways = ways_out(members)
    chosen = [
        f"{item.network.name}/{item.endpoint.name}" for item in members if item.endpoint.id in ways
    ]
    return (
        f"the way out of sandbox {room.sandbox.name} is {' and '.join(chosen)} now: where all else"
        " is equal the first name decides, and a higher --priority would"
    )


def sandboxes_of(reader: Reader, endpoints: Iterable[Endpoint]) -> list[Sandbox]:
    """Return the sandboxes that endpoints are in, each once."""
    ids = dict.fromkeys(each.attachment.sandbox_id for each in endpoints if each.attachment)
    found = (reader.get(Sandbox, sandbox_id) for sandbox_id in ids)
    return [sandbox for sandbox in found if sandbox]


def dangling(reader: Reader, network: Network, old: Endpoint) -> list[str]:
    """Return a notice of each alias of a single sandbox that stands for a name which ``old`` is
    losing, and which no other endpoint of its network has."""
    others = [each for each in reader.all(Endpoint, network.id) if each.id != old.id]
    name = old.name.lower()
    if any(name in _lower((each.name, *each.aliases)) for each in others):
        return []
    return [
        f"in sandbox {sandbox.name} the alias {alias} stands for {old.name}, which no endpoint of"
        f" network {network.name} is called any more"
        for each in others
        if each.attachment
        for alias, wanted in each.attachment.aliases.items()
        if wanted.lower() == name
        for sandbox in sandboxes_of(reader, [each])
    ]


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
