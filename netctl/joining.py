"""The plans by which an endpoint comes into a sandbox and leaves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netctl import files, naming
from netctl.backends import access, registry
from netctl.backends.driver import Occasion, Publishing
from netctl.errors import Conflict, Exhausted, InvalidInput
from netctl.gateway import FAMILIES, Member, announce, ways_out, withdraw
from netctl.models import Attachment, Endpoint, EndpointRef, Network, Sandbox
from netctl.names import mac_of, veth_ifname
from netctl.plan import Plan, Step, attempted, inverse
from netctl.record import Record, field, replace
from netctl.rooms import Room, member, members_of
from netctl.steps.addresses import RouteAdd

_MOST_NAMES = 1024
"""Names that are tried for an interface: a bridge has no more ports."""


class Change(Record):
    """A plan with the documents as they are afterwards."""

    plan: Plan
    endpoints: tuple[Endpoint, ...]
    sandbox: Sandbox
    notices: tuple[str, ...] = ()
    way_out: tuple[int, ...] = ()
    """The families (4, 6) in which the endpoint that comes in is the way out."""


class Entrance(Record):
    """What is said of an endpoint as it comes in."""

    priority: int = 0
    aliases: dict[str, str] = field(default_factory=dict)
    """Alias to the name that it stands for, in this sandbox alone."""


def join(room: Room, network: Network, endpoint: Endpoint, entrance: Entrance) -> Change:
    """Return how an endpoint comes in. Raises ``Conflict`` where it does not fit."""
    from netctl.fitting import check_fits

    check_fits(room, network, endpoint)
    sandbox = replace(
        room.sandbox,
        joins=room.sandbox.joins + 1,
        endpoints=(*room.sandbox.endpoints, _ref(endpoint)),
        served=room.sandbox.served or naming.wanted(network, endpoint, room.sandbox),
    )
    attachment = _attachment(room, network, endpoint, entrance, sandbox.joins)
    new = member(network, replace(endpoint, attachment=attachment), attachment)
    after = (*room.members, new)
    families = room.families
    texts = _texts(room, sandbox, after)
    told = naming.model(sandbox, after, room.kernel.boot_id())
    plan = (
        *inverse(published(room, room.members, after, ending=True)),
        *withdraw(room.members, after, families),
        *wiring(new),
        *announce(room.members, after, families),
        *published(room, after, room.members),
        *texts.plan,
        *naming.begin(told, room.config),
        *naming.change(model(room), told, room.config),
        *_announced(new),
    )
    way_out = ways_out(after).get(endpoint.id, ())
    return Change(
        plan=plan,
        endpoints=(new.endpoint,),
        sandbox=texts.sandbox,
        notices=(
            *texts.notices,
            *_idle(room, after),
            *astray_answers(room, new, set(way_out).difference(families)),
        ),
        way_out=way_out,
    )


def astray_answers(room: Room, item: Member, versions: Iterable[int]) -> Iterable[str]:
    """Yield the notices of a member whose answers take somebody else's default route in those
    families: see ``netctl.astray``."""
    if item.endpoint.ports and versions:
        from netctl.astray import astray

        for found in astray(room, item, versions):
            yield found.notice


def idle_ports(room: Room, item: Member, versions: Iterable[int]) -> Iterable[str]:
    """Yield the notice of a member that is not the way out in those families, which its published
    ports need."""
    lent = access.translated(item.network, item.endpoint, sorted(versions))
    idle = [f"IPv{v}" for v in lent if any(p.host_first and p.on(v) for p in item.endpoint.ports)]
    if idle and not item.network.internal:
        yield (
            f"endpoint {item.network.name}/{item.endpoint.name} is not the way out of sandbox"
            f" {room.sandbox.name} ({', '.join(idle)}), so the ports that it publishes cannot"
            " be reached; a higher --priority makes it the way out"
        )


def _idle(room: Room, after: Sequence[Member]) -> Iterable[str]:
    """Yield the notices of a join: the way out may be one of the others now, or have been."""
    was, now = ways_out(room.members), ways_out(after)
    for item in after:
        before = was.get(item.endpoint.id, ()) if item in room.members else FAMILIES
        yield from idle_ports(room, item, set(before).difference(now.get(item.endpoint.id, ())))


def leave(room: Room, endpoints: Sequence[Endpoint]) -> Change:
    """Return how endpoints go; where the namespace is gone already, what is left of them."""
    leaving = {endpoint.id for endpoint in endpoints}
    gone = tuple(m for m in room.members if m.endpoint.id in leaving)
    after = tuple(m for m in room.members if m.endpoint.id not in leaving)
    kept = tuple(ref for ref in room.sandbox.endpoints if ref.endpoint_id not in leaving)
    sandbox = replace(room.sandbox, endpoints=kept)
    routes_away, routes_new = map(attempted, _routes(room, after))
    texts = _texts(room, sandbox, after)
    plan = (
        *_names_gone(room, sandbox, after),
        *inverse(published(room, room.members, after, ending=True)),
        *routes_away,
        *(step for item in reversed(gone) for step in _unwired(item, inside=room.alive)),
        *routes_new,
        *published(room, after, room.members),
        *texts.plan,
    )
    alone = tuple(replace(endpoint, attachment=None) for endpoint in endpoints)
    return Change(plan=plan, endpoints=alone, sandbox=texts.sandbox, notices=texts.notices)


def reordered(room: Room, after: Sequence[Member]) -> Plan:
    """Return how the default routes and the published ports follow a change of what decides which
    of a sandbox's endpoints is the way out."""
    routes_away, routes_new = _routes(room, after)
    return (
        *inverse(published(room, room.members, after, ending=True)),
        *routes_away,
        *routes_new,
        *published(room, after, room.members),
    )


def _texts(room: Room, sandbox: Sandbox, members: Sequence[Member]) -> files.Update:
    """Return how a sandbox's files follow a change of what is in it."""
    return files.update(room.sandbox, room.members, sandbox, members, room.state_dir, room.kernel)


def names(room: Room, sandbox: Sandbox, members: Sequence[Member]) -> Plan:
    """Return how the resolver is told of a change of what is in a sandbox; one whose namespace is
    gone is no longer served."""
    return naming.change(model(room), _model_after(room, sandbox, members), room.config)


def _names_gone(room: Room, sandbox: Sandbox, members: Sequence[Member]) -> Plan:
    """Return the same where something goes: as what is taken back."""
    return inverse(naming.change(_model_after(room, sandbox, members), model(room), room.config))


def _model_after(room: Room, sandbox: Sandbox, members: Sequence[Member]) -> naming.Model:
    there = sandbox if room.alive else replace(sandbox, served=False)
    return naming.model(there, members, room.kernel.boot_id())


def relayed(room: Room, before: Endpoint, after: Endpoint) -> Plan:
    """Return how the resolver is told of a change of the ports of an endpoint that is here."""
    models = [
        naming.model(room.sandbox, _with(room.members, item), room.kernel.boot_id())
        for item in (before, after)
    ]
    told = naming.change(models[0], models[1], room.config)
    return (*naming.begin(models[1], room.config), *told) if told else ()


def _with(members: Sequence[Member], endpoint: Endpoint) -> list[Member]:
    return [
        replace(item, endpoint=endpoint) if item.endpoint.id == endpoint.id else item
        for item in members
    ]


def wiring(item: Member, *, inside: bool = True) -> Plan:
    """Return how one member's interface is made, and with ``inside`` what goes into the sandbox
    beside it."""
    driver = registry.load(item.network.driver)
    interface = driver.plan_join(item.network, item.endpoint, item.attachment)
    return (*interface, *_static_routes(item)) if inside else interface


def _unwired(item: Member, *, inside: bool) -> Plan:
    """Return how one member's interface goes. It goes with its end on the host, wherever the other
    one is by now and whatever it is called."""
    routes = attempted(inverse(tuple(_static_routes(item)))) if inside else ()
    return (*routes, *inverse(wiring(item, inside=False)))


def _announced(item: Member) -> Plan:
    """Return how the network is told of a member. It is last: until the bridge forwards at the new
    port there is other work to do."""
    return registry.load(item.network.driver).plan_announce(item.network, item.attachment)


def _static_routes(item: Member) -> Iterable[Step]:
    for route in item.endpoint.routes:
        yield RouteAdd(
            netns=item.attachment.netns,
            destination=route.destination,
            gateway=route.gateway,
            link=item.attachment.ifname if route.kind == "unicast" else "",
            metric=route.metric,
            kind=route.kind,
        )


def published(
    room: Room,
    members: Sequence[Member],
    others: Sequence[Member] = (),
    *,
    ending: bool = False,
) -> Plan:
    """Return how the ports of those members are published that were not among ``others``, or not
    as the way out. What was published in another boot is gone."""
    before, after = ways_out(others), ways_out(members)
    known = {item.endpoint.id for item in others}
    steps: list[Step] = []
    for item in members:
        versions, there = (ways.get(item.endpoint.id, ()) for ways in (after, before))
        change = Publishing(
            endpoint=item.endpoint,
            versions=tuple(version for version in versions if version not in there),
            staying=tuple(version for version in versions if version in there),
            occasion=Occasion.MOVE if item.endpoint.id in known else Occasion.JOIN,
            ending=ending,
            beside=ending and beside(room, item.network, item.endpoint),
        )
        if item.endpoint.ports and item.attachment.boot_id == room.kernel.boot_id():
            driver = registry.load(item.network.driver)
            steps += driver.plan_publish(item.network, change, room.kernel)
    return tuple(steps)


def _routes(room: Room, after: Sequence[Member]) -> tuple[Plan, Plan]:
    if not room.alive:
        return (), ()
    look, netns = room.kernel.link, room.sandbox.netns
    there = tuple(m for m in after if (name := m.attachment.ifname) and look(netns, name))
    families = room.families
    return withdraw(room.members, there, families), announce(room.members, there, families)


def beside(room: Room, network: Network, endpoint: Endpoint) -> bool:
    """Whether the host's loopback leads to an endpoint of the network in another sandbox, which
    stays, as it does to this one."""
    reader = room.reader
    if reader is None or not endpoint.ports:
        return False
    from netctl.backends import publication  # for ports alone

    if not publication.leads_from_loopback(network, endpoint, FAMILIES):
        return False
    leaving = room.gone.union(item.endpoint.id for item in room.members)
    for other in reader.all(Endpoint, network.id):
        place = other.attachment
        if place and other.id not in leaving and place.boot_id == room.kernel.boot_id():
            sandbox = reader.get(Sandbox, place.sandbox_id)
            if (
                publication.leads_from_loopback(network, other, FAMILIES)
                and sandbox
                and 4 in ways_out(tuple(members_of(reader, sandbox))).get(other.id, ())
            ):
                return True
    return False


def everything(room: Room, families: Sequence[int]) -> Plan:
    """Return how all that is in a sandbox is made, in the order of the joins."""
    return (
        *(step for item in room.members for step in wiring(item)),
        *announce((), room.members, families),
        *published(room, room.members),
        *naming.change({}, model(room), room.config),
        *(step for item in room.members for step in _announced(item)),
    )


def model(room: Room) -> naming.Model:
    """Return what there is to tell the resolver of a sandbox."""
    return naming.model(room.sandbox, room.members, room.kernel.boot_id())


def takedown(room: Room) -> Plan:
    """Return how all that is in a sandbox goes; of a namespace that is not its own any more,
    what is left on the host's side."""
    alive = room.alive
    return (
        *inverse(naming.change({}, model(room), room.config)),
        *inverse(published(room, room.members, ending=True)),
        *attempted(inverse(announce((), room.members, room.families if alive else ()))),
        *(step for item in reversed(room.members) for step in _unwired(item, inside=alive)),
    )


def _ref(endpoint: Endpoint) -> EndpointRef:
    return EndpointRef(network_id=endpoint.network_id, endpoint_id=endpoint.id)


def _attachment(
    room: Room, network: Network, endpoint: Endpoint, entrance: Entrance, order: int
) -> Attachment:
    sandbox = room.sandbox
    bare = Attachment(
        sandbox_id=sandbox.id,
        netns=sandbox.netns,
        priority=entrance.priority,
        order=order,
        boot_id=room.kernel.boot_id(),
        aliases=entrance.aliases,
    )
    if not registry.load(network.driver).has_pools:
        _check_nameless(network, entrance)
        return bare
    return replace(
        bare,
        ifname=_ifname(room, network, endpoint),
        host_ifname=veth_ifname(endpoint.id),
        ifb=ifb_of(room, endpoint),
        mac=endpoint.mac or mac_of(endpoint.id),
        mtu=int(network.facts["mtu"]),
    )


def ifb_of(room: Room, endpoint: Endpoint) -> str:
    """Return the name of the ifb that limits what an endpoint sends, ``""`` for none."""
    if not endpoint.limits.rate_out:
        return ""
    from netctl.backends import limits

    return limits.device(endpoint, room.kernel)


def _check_nameless(network: Network, entrance: Entrance) -> None:
    if entrance.aliases:
        raise InvalidInput(
            f"network {network.name} (driver {network.driver}) knows no names",
            hint="leave out --alias",
        )


def _ifname(room: Room, network: Network, endpoint: Endpoint) -> str:
    """Return the name asked for, else the lowest free number after the driver's prefix.

    Free is what neither an endpoint of the sandbox has, whose interface may be lost, nor an
    interface in there, which may be the inhabitant's own.
    """
    holders = {item.attachment.ifname: item for item in room.members}
    netns, look = room.sandbox.netns, room.kernel.link
    if wanted := endpoint.ifname:
        holder = holders.get(wanted)
        if holder or look(netns, wanted):
            whose = f", of endpoint {holder.network.name}/{holder.endpoint.name}" if holder else ""
            raise Conflict(
                f"sandbox {room.sandbox.name} has an interface {wanted} already{whose}",
                hint="make the endpoint with another --ifname",
            )
        return wanted
    prefix = registry.load(network.driver).ifname_prefix(network)
    numbered = (f"{prefix}{number}" for number in range(_MOST_NAMES))
    free = (name for name in numbered if name not in holders and not look(netns, name))
    if not (name := next(free, "")):
        raise Exhausted(
            f"sandbox {room.sandbox.name} has interfaces {prefix}0 to {prefix}{_MOST_NAMES - 1}",
            hint="make the endpoint with an --ifname of its own",
        )
    return name
