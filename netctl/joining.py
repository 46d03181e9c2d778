"""What a sandbox holds, and the plans by which an endpoint comes into it and leaves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from ipaddress import ip_network

from netctl import files, naming
from netctl.backends import limits, registry
from netctl.backends.driver import Occasion, Publishing
from netctl.config import Config
from netctl.errors import Conflict, InvalidInput
from netctl.gateway import DEFAULT, Member, announce, ways_out, withdraw
from netctl.kernel import Kernel
from netctl.models import Attachment, Endpoint, EndpointRef, Network, Sandbox, SandboxKind
from netctl.names import mac_of, veth_ifname
from netctl.plan import Plan, Step, inverse
from netctl.record import record
from netctl.steps import RouteAdd
from netctl.steps.base import ip
from netctl.store import Reader

_TABLE = 1000
"""Of routes, for one to suggest."""


@record
class Change:
    """A plan with the documents as they are afterwards."""

    plan: Plan
    endpoints: tuple[Endpoint, ...]
    sandbox: Sandbox
    notices: tuple[str, ...] = ()
    way_out: tuple[int, ...] = ()
    """The families (4, 6) in which the endpoint that comes in is the way out."""


@record
class Astray:
    """Answers of published ports that take a default route which is not ours.

    They have the endpoint's source, and so lead back through this host or nowhere. moby's join ends
    here with an error, for its own default route is refused (osl/route_linux.go, RouteAdd).
    """

    version: int
    """4 or 6."""
    address: str
    """The endpoint's."""
    what: str
    remedy: tuple[str, ...]
    """The commands that send what comes from the address through its network."""

    @property
    def notice(self) -> str:
        return f"{self.what}; or else: {'; '.join(self.remedy)}"


@record
class Entrance:
    """What is said of an endpoint as it comes in."""

    priority: int = 0
    aliases: dict[str, str] = field(default_factory=dict)
    """Alias to the name that it stands for, in this sandbox alone."""


@record
class Room:
    """A sandbox with everything in it, and the kernel that it stands on."""

    sandbox: Sandbox
    members: tuple[Member, ...]
    kernel: Kernel
    config: Config

    @property
    def state_dir(self) -> str:
        return self.config.state_dir

    @property
    def families(self) -> tuple[int, ...]:
        """The families whose default route is ours to set: not those with somebody else's."""
        ours = {item.attachment.ifname for item in self.members}
        routes = self.kernel.routes(self.sandbox.netns)
        foreign = {route.destination for route in routes if route.link not in ours}
        return tuple(version for version, default in DEFAULT.items() if default not in foreign)

    @property
    def alive(self) -> bool:
        """Whether the namespace is there, and neither of another boot nor somebody else's."""
        sandbox = self.sandbox
        return sandbox.type is SandboxKind.HOST or (
            sandbox.boot_id == self.kernel.boot_id()
            and self.kernel.netns_identity(sandbox.netns) == sandbox.identity
        )

    @property
    def intruded(self) -> bool:
        """Whether a namespace that is not the sandbox's stands in its place."""
        sandbox = self.sandbox
        found = self.kernel.netns_identity(sandbox.netns) if sandbox.netns else None
        # The kernel counts anew after a reboot; our own mark is of one sandbox for ever.
        known = sandbox.type is SandboxKind.OWN or sandbox.boot_id == self.kernel.boot_id()
        return found is not None and not (known and found == sandbox.identity)


def enter(reader: Reader, sandbox: Sandbox, kernel: Kernel, config: Config) -> Room:
    """Return the sandbox with its endpoints, in the order in which they were joined."""
    members = tuple(members_of(reader, sandbox))
    return Room(sandbox=sandbox, members=members, kernel=kernel, config=config)


def members_of(reader: Reader, sandbox: Sandbox) -> Iterable[Member]:
    """Yield what is in a sandbox, in the order in which it was joined."""
    for ref in sandbox.endpoints:
        endpoint = reader.get(Endpoint, ref.endpoint_id, ref.network_id)
        network = reader.get(Network, ref.network_id)
        if endpoint and network and endpoint.attachment:
            yield member(network, endpoint, endpoint.attachment)


def member(network: Network, endpoint: Endpoint, attachment: Attachment) -> Member:
    """Return an endpoint as part of a sandbox."""
    driver = registry.load(network.driver)
    found = {
        4: driver.gateway(network, 4) if endpoint.ipv4 else None,
        6: driver.gateway(network, 6) if endpoint.ipv6 else None,
    }
    if endpoint.no_default_route:
        found = {}
    gateways = {version: address for version, address in found.items() if address}
    return Member(network=network, endpoint=endpoint, attachment=attachment, gateways=gateways)


def join(room: Room, network: Network, endpoint: Endpoint, entrance: Entrance) -> Change:
    """Return how an endpoint comes in. Raises ``Conflict`` where it does not fit."""
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
    plan = (
        *inverse(published(room, room.members, after)),
        *withdraw(room.members, after, families),
        *wiring(new),
        *announce(room.members, after, families),
        *published(room, after, room.members),
        *texts.plan,
        *naming.begin(naming.model(sandbox, after, room.kernel.boot_id()), room.config),
        *names(room, sandbox, after),
    )
    way_out = ways_out(after).get(endpoint.id, ())
    return Change(
        plan=plan,
        endpoints=(new.endpoint,),
        sandbox=texts.sandbox,
        notices=(
            *texts.notices,
            *(
                found.notice
                for found in astray(room, new, way_out)
                if found.version not in families
            ),
        ),
        way_out=way_out,
    )


def astray(room: Room, item: Member, versions: Iterable[int]) -> Iterable[Astray]:
    """Yield what to say where answers of the published ports of a member, which is the way out in
    ``versions``, take somebody else's default route."""
    endpoint, netns = item.endpoint, item.attachment.netns
    for version in versions:
        if not any(port.host_first and port.on(version) for port in endpoint.ports):
            continue
        address = (endpoint.ipv6 if version == 6 else endpoint.ipv4).partition("/")[0]
        there, table = f"{ip(netns)} -{version}", f"table {_TABLE}"
        yield Astray(
            version=version,
            address=address,
            what=f"sandbox {room.sandbox.name} has an IPv{version} default route of its own:"
            f" answers of the published ports of {item.network.name}/{endpoint.name} go there,"
            " which has to lead back through this host",
            remedy=(
                f"{there} rule add from {address} {table}",
                f"{there} route add default via {item.gateways[version]} {table}",
            ),
        )


def leave(room: Room, endpoints: Sequence[Endpoint]) -> Change:
    """Return how endpoints go; where the namespace is gone already, what is left of them."""
    leaving = {endpoint.id for endpoint in endpoints}
    gone = tuple(m for m in room.members if m.endpoint.id in leaving)
    after = tuple(m for m in room.members if m.endpoint.id not in leaving)
    kept = tuple(ref for ref in room.sandbox.endpoints if ref.endpoint_id not in leaving)
    sandbox = replace(room.sandbox, endpoints=kept)
    routes_away, routes_new = _routes(room, after)
    texts = _texts(room, sandbox, after)
    plan = (
        *names(room, sandbox, after),
        *inverse(published(room, room.members, after)),
        *routes_away,
        *(step for item in reversed(gone) for step in inverse(wiring(item, inside=room.alive))),
        *routes_new,
        *published(room, after, room.members),
        *texts.plan,
    )
    alone = tuple(replace(endpoint, attachment=None) for endpoint in endpoints)
    return Change(plan=plan, endpoints=alone, sandbox=texts.sandbox, notices=texts.notices)


def _texts(room: Room, sandbox: Sandbox, members: Sequence[Member]) -> files.Update:
    """Return how a sandbox's files follow a change of what is in it."""
    return files.update(room.sandbox, room.members, sandbox, members, room.state_dir, room.kernel)


def names(room: Room, sandbox: Sandbox, members: Sequence[Member]) -> Plan:
    """Return how the resolver is told of a change of what is in a sandbox; one whose namespace is
    gone is no longer served."""
    boot_id = room.kernel.boot_id()
    before = model(room)
    after = naming.model(
        sandbox if room.alive else replace(sandbox, served=False), members, boot_id
    )
    return naming.change(before, after, room.config)


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


def published(room: Room, members: Sequence[Member], others: Sequence[Member] = ()) -> Plan:
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
        )
        if item.endpoint.ports and item.attachment.boot_id == room.kernel.boot_id():
            driver = registry.load(item.network.driver)
            steps += driver.plan_publish(item.network, change, room.kernel)
    return tuple(steps)


def _routes(room: Room, after: Sequence[Member]) -> tuple[Plan, Plan]:
    if not room.alive:
        return (), ()
    links = {link.name for link in room.kernel.links(room.sandbox.netns)}
    there = tuple(m for m in after if m.attachment.ifname in links)
    families = room.families
    return withdraw(room.members, there, families), announce(room.members, there, families)


def everything(room: Room, families: Sequence[int], *, inside: bool = True) -> Plan:
    """Return how all that is in a sandbox is made, in the order of the joins."""
    return (
        *(step for item in room.members for step in wiring(item, inside=inside)),
        *announce((), room.members, families),
        *published(room, room.members),
        *naming.change({}, model(room), room.config),
    )


def model(room: Room) -> naming.Model:
    """Return what there is to tell the resolver of a sandbox."""
    return naming.model(room.sandbox, room.members, room.kernel.boot_id())


def takedown(room: Room) -> Plan:
    """Return how all that is in a sandbox goes; of a namespace that is not its own any more,
    what is left on the host's side."""
    alive = room.alive
    return inverse(everything(room, room.families if alive else (), inside=alive))


def check_fits(room: Room, network: Network, endpoint: Endpoint) -> None:
    """Raise ``Conflict`` where the endpoint cannot come into this sandbox."""
    sandbox = room.sandbox
    host_network = registry.load(network.driver).host_stack
    if host_network != (sandbox.type is SandboxKind.HOST):
        raise Conflict(
            f"network {network.name} (driver {network.driver}) and sandbox {sandbox.name}"
            f" ({sandbox.type}) do not go together",
            hint="the host's stack takes endpoints of driver host, and only it does",
        )
    if not room.alive:
        raise absent(room)
    if sandbox.type is SandboxKind.EXTERNAL:
        check_routes(room, network)
    _check_static_routes(room, endpoint)


def check_routes(room: Room, network: Network) -> None:
    """Raise ``Conflict`` where a route that the namespace brought along covers the new subnet."""
    ours = {item.attachment.ifname for item in room.members}
    foreign = [r for r in room.kernel.routes(room.sandbox.netns) if r.link not in ours]
    for pool in network.pools:
        subnet = ip_network(pool.subnet)
        for route in foreign:
            taken = ip_network(route.destination, strict=False)
            if taken.prefixlen and taken.version == subnet.version and taken.overlaps(subnet):
                raise Conflict(
                    f"subnet {subnet} of network {network.name} conflicts with the route"
                    f" {taken} dev {route.link} in sandbox {room.sandbox.name}",
                    hint="remove the route, or use a network with another --subnet",
                )


def _check_static_routes(room: Room, endpoint: Endpoint) -> None:
    """Raise ``Conflict`` where another endpoint of the sandbox has brought the same route."""
    holders = {(r.destination, r.metric): m for m in room.members for r in m.endpoint.routes}
    for route in endpoint.routes:
        if holder := holders.get((route.destination, route.metric)):
            raise Conflict(
                f"sandbox {room.sandbox.name} has the route {route.destination} already, of"
                f" endpoint {holder.network.name}/{holder.endpoint.name}",
                hint="give one of them another metric: --route DST,GATEWAY,METRIC",
            )


def absent(room: Room) -> Conflict:
    """Return the error for a sandbox whose namespace is gone, or not its own any more."""
    sandbox = room.sandbox
    if room.intruded:
        return intruder(sandbox)
    return Conflict(
        f"the namespace of sandbox {sandbox.name} ({sandbox.netns}) is gone",
        hint=f"netctl sandbox refresh {sandbox.name} makes it anew, netctl sandbox rm removes it",
    )


def intruder(sandbox: Sandbox) -> Conflict:
    """Return the error for a sandbox in whose place somebody put another namespace."""
    return Conflict(
        f"the namespace at {sandbox.netns} is not that of sandbox {sandbox.name}",
        hint=f"remove or rename that namespace, or: netctl sandbox rm {sandbox.name}",
    )


def misfit(sandbox: Sandbox, reason: str, hint: str) -> Conflict:
    """Return the error for a sandbox of a kind that cannot do what was asked."""
    return Conflict(f"sandbox {sandbox.name} ({sandbox.type}) {reason}", hint=hint)


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
        ifb=limits.device(endpoint, room.kernel),
        mac=endpoint.mac or mac_of(endpoint.id),
        mtu=int(network.facts["mtu"]),
    )


def _check_nameless(network: Network, entrance: Entrance) -> None:
    if entrance.aliases:
        raise InvalidInput(
            f"network {network.name} (driver {network.driver}) knows no names",
            hint="leave out --alias",
        )


def _ifname(room: Room, network: Network, endpoint: Endpoint) -> str:
    """Return the name asked for, else the lowest free number after the driver's prefix."""
    used = {link.name for link in room.kernel.links(room.sandbox.netns)}
    if endpoint.ifname in used:
        raise Conflict(
            f"sandbox {room.sandbox.name} has an interface {endpoint.ifname} already",
            hint="make the endpoint with another --ifname",
        )
    prefix = registry.load(network.driver).ifname_prefix(network)
    numbered = (f"{prefix}{number}" for number in range(len(used) + 1))
    return endpoint.ifname or next(name for name in numbered if name not in used)
