"""What the resolver is told: the documents as its messages (``netctl.backends.dns.model``).

It is told of the ports, too, that it relays from [::1], where the kernel cannot translate.

A name resolves while its endpoint is in a sandbox. The host's stack and networks whose driver makes
no interface have no names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from netctl.backends import access, registry
from netctl.config import Config
from netctl.gateway import Member, ways_out
from netctl.kernel import Message
from netctl.models import LOOPBACK6, RELAYED, Endpoint, Network, Port, Sandbox, SandboxKind
from netctl.nameservers import MOST_SERVERS, RESOLVER
from netctl.plan import Plan, inverse
from netctl.resolv import follows_host, ndots
from netctl.steps.names import Names, Resolver

Model = Mapping[tuple[str, str], Message]
"""Kind and id of an object to the message that tells of it."""
_WORK = ("sandbox", "relay")
"""The kinds that keep the resolver at work."""


def wanted(network: Network, endpoint: Endpoint, sandbox: Sandbox) -> bool:
    """Whether a sandbox gets a name server for the sake of an endpoint."""
    named = registry.load(network.driver).has_pools
    return named and not endpoint.no_dns and sandbox.type is not SandboxKind.HOST


def model(sandbox: Sandbox, members: Sequence[Member], boot_id: str) -> Model:
    """Return what there is to tell of a sandbox and of what came into it in this boot."""
    here = [m for m in sorted(members, key=Member.rank) if m.attachment.boot_id == boot_id]
    named = [m for m in here if registry.load(m.network.driver).has_pools]
    found: dict[tuple[str, str], Message] = {}
    for item in named:
        found["network", item.network.id] = _network(item.network)
    for item in named:
        found["endpoint", item.endpoint.id] = _endpoint(item.endpoint)
    if sandbox.served and sandbox.boot_id == boot_id:
        found["sandbox", sandbox.id] = _sandbox(sandbox, named)
    for relay in _relays(here):
        found["relay", str(relay["id"])] = relay
    return found


def change(before: Model, after: Model, config: Config) -> Plan:
    """Return how the resolver is told of a change, all at once."""
    do, undo = _puts(before, after), _puts(after, before)
    if not do and not undo:
        return ()
    return (Names(run_dir=config.run_dir, do=_all(do), undo=_all(undo)),)


def begin(model: Model, config: Config) -> Plan:
    """Return how the resolver comes to work, where it has something to do."""
    if not any(kind in _WORK for kind, _ in model):
        return ()
    return (Resolver(run_dir=config.run_dir, state_dir=config.state_dir),)


def forget(messages: Sequence[Message], config: Config) -> Plan:
    """Return how the resolver forgets what was told by some messages, and ends if it serves nobody
    then."""
    before = {(str(message["do"]), str(message["id"])): message for message in messages}
    names = Names(run_dir=config.run_dir, do=_all(messages), undo=_all(_gone(before)))
    return inverse((Resolver(run_dir=config.run_dir, state_dir=config.state_dir), names))


def network_gone(network: Network, config: Config) -> Plan:
    """Return how the resolver forgets a network that is removed."""
    if not registry.load(network.driver).has_pools:
        return ()
    gone = _gone([("network", network.id)])
    return (Names(run_dir=config.run_dir, do=_all(gone), undo=_all([_network(network)])),)


def _puts(before: Model, after: Model) -> list[Message]:
    """Return what tells of ``after`` to one who knows ``before``.

    Networks stay known: others may be in them.
    """
    gone = [key for key in before if key not in after and key[0] != "network"]
    return [*(m for key, m in after.items() if before.get(key) != m), *_gone(gone)]


def _gone(keys: Iterable[tuple[str, str]]) -> list[Message]:
    """Return what takes objects away: sandboxes before what is in them."""
    return [{"do": f"{kind}-gone", "id": object_id} for kind, object_id in reversed(list(keys))]


def _all(messages: Sequence[Message]) -> str:
    return json.dumps({"do": "all", "of": messages}, separators=(",", ":"))


def _network(network: Network) -> Message:
    return {
        "do": "network",
        "id": network.id,
        "name": network.name,
        "forward": not network.internal,
    }


def _endpoint(endpoint: Endpoint) -> Message:
    names = endpoint.aliases if endpoint.anonymous else (endpoint.name, *endpoint.aliases)
    return {
        "do": "endpoint",
        "id": endpoint.id,
        "network": endpoint.network_id,
        "names": list(names),
        "addresses": [address.partition("/")[0] for address in endpoint.routed_addresses],
    }


def _sandbox(sandbox: Sandbox, members: Sequence[Member]) -> Message:
    servers = [
        {"address": upstream.address, "host": upstream.host}
        for upstream in sandbox.resolv.upstream
        if upstream.host or upstream.address != RESOLVER
    ]
    return {
        "do": "sandbox",
        "id": sandbox.id,
        "netns": sandbox.netns,
        "members": [
            {
                "endpoint": item.endpoint.id,
                "network": item.network.id,
                "aliases": {**_own_names(sandbox, item.endpoint), **item.attachment.aliases},
            }
            for item in members
        ],
        "servers": servers[:MOST_SERVERS],
        "ndots": ndots(sandbox.resolv.options),
        **({"follows": True} if follows_host(sandbox) else {}),
    }


def _relays(members: Sequence[Member]) -> Iterable[Message]:
    """Yield what tells of the ports that are reached by [::1]: those of endpoints with IPv6."""
    if not any(item.endpoint.ports for item in members):
        return
    ways = ways_out(members)
    for item in members:
        lent = access.translated(item.network, item.endpoint, ways.get(item.endpoint.id, ()))
        if 6 in lent and (ports := _relayed(item.endpoint.ports)):
            # Whose server knows only IPv4 is reached all the same, as from 127.0.0.1.
            found = access.addresses(item.endpoint, (6, 4))
            addresses = list(found.values())
            yield {"do": "relay", "id": item.endpoint.id, "addresses": addresses, "ports": ports}


def _relayed(ports: Iterable[Port]) -> list[Message]:
    found = [
        port
        for port in ports
        if port.host_first and port.protocol in RELAYED and port.host_ip in ("", "::", LOOPBACK6)
    ]
    # The same ports make the same message, in whatever order they came.
    return [_lent(port) for port in sorted(found, key=lambda p: (p.protocol, p.host_first))]


def _lent(port: Port) -> Message:
    return {
        "protocol": port.protocol,
        "outer": port.host_first,
        "inner": port.first,
        "count": port.size,
    }


def _own_names(sandbox: Sandbox, endpoint: Endpoint) -> dict[str, str]:
    """Return the names by which a sandbox knows itself, as in its hosts file, but for that of the
    endpoint. One that is anonymous is not known by any that is its alone."""
    if endpoint.anonymous:
        return {}
    names = {sandbox.name, *sandbox.own_names}
    return {name: endpoint.name for name in sorted(names) if name != endpoint.name}
