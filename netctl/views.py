"""Documents as the rows that ``ls`` and ``inspect`` print. These key names are API."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netctl.backends import exposure
from netctl.backends.exposure import Exposure, Presence
from netctl.errors import NetctlError, NotPermitted
from netctl.kernel.interface import Ingress, Kernel, Shape, Shaper
from netctl.kernel.ruleset import Chain
from netctl.models import Attachment, Endpoint, Lease, Network, Sandbox, SandboxKind, StaticRoute
from netctl.ports import inside, outside, shown
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.kernel.inhabitants import Process

Row = dict[str, Any]
_TABLE = Chain(family="inet", table="netctl", name="forward")


class Names:
    """What rows say of networks and sandboxes by id, each read once."""

    def __init__(self, reader: Reader, kernel: Kernel) -> None:
        self._reader = reader
        self._kernel = kernel
        self._networks: dict[str, Network | None] = {}
        self._sandboxes: dict[str, str] = {}
        self._ways_out: dict[str, dict[str, tuple[int, ...]]] = {}

    def network(self, network_id: str) -> Network | None:
        if network_id not in self._networks:
            self._networks[network_id] = self._reader.get(Network, network_id)
        return self._networks[network_id]

    def sandbox_of(self, endpoint: Endpoint) -> str | None:
        """Return the name of the sandbox that an endpoint is in; None where it is in none."""
        if endpoint.attachment is None:
            return None
        sandbox_id = endpoint.attachment.sandbox_id
        if sandbox_id not in self._sandboxes:
            found = self._reader.get(Sandbox, sandbox_id)
            self._sandboxes[sandbox_id] = found.name if found else sandbox_id
        return self._sandboxes[sandbox_id]

    def exposures(self, endpoint: Endpoint) -> tuple[Exposure, ...]:
        """Return who reaches an endpoint's ports at this moment."""
        network = self.network(endpoint.network_id)
        place = endpoint.attachment
        if not network or "bridge" not in network.facts:
            return ()
        presence = self._presence(place)
        if not place or presence is not Presence.JOINED:
            return exposure.of(network, endpoint, presence, ())
        unprotected = any(exposure.is_unprotected(network, v) for v in (4, 6))
        if self._guarded and not (endpoint.ports or unprotected):
            return ()
        way_out = self._way_out(endpoint, place.sandbox_id)
        return exposure.of(network, endpoint, presence, way_out, guarded=self._guarded)

    @cached_property
    def _guarded(self) -> bool:
        """Whether netctl's table is there; who may not look, believes it."""
        try:
            return self._kernel.nft_has_chain("", _TABLE)
        except NetctlError:
            return True

    def _presence(self, place: Attachment | None) -> Presence:
        if place is None:
            return Presence.NOWHERE
        if place.boot_id != self._kernel.boot_id():
            return Presence.BEFORE
        if place.netns and not self._kernel.netns_exists(place.netns):
            return Presence.GONE
        if place.host_ifname and not self._kernel.link_exists(place.host_ifname):
            return Presence.CUT_OFF
        return Presence.JOINED

    def _way_out(self, endpoint: Endpoint, sandbox_id: str) -> tuple[int, ...]:
        from netctl.gateway import ways_out
        from netctl.rooms import members_of

        if sandbox_id not in self._ways_out:
            sandbox = self._reader.get(Sandbox, sandbox_id)
            members = tuple(members_of(self._reader, sandbox)) if sandbox else ()
            self._ways_out[sandbox_id] = ways_out(members)
        return self._ways_out[sandbox_id].get(endpoint.id, ())


def network_row(network: Network) -> Row:
    """Return a network for ``ls``."""
    return {
        "id": network.id,
        "name": network.name,
        "driver": network.driver,
        "scope": network.scope,
        "subnets": [pool.subnet for pool in network.pools],
        "internal": network.internal,
        "ipv6": network.enable_ipv6,
        "created": network.created,
        "labels": network.labels,
        "ipv4": network.enable_ipv4,
        **_lease(network.lease),
    }


def _lease(lease: Lease | None) -> Row:
    return {
        "expires": lease.expires or None if lease else None,
        "owner_pid": lease.owner_pid or None if lease else None,
    }


def network_detail(network: Network, reader: Reader, kernel: Kernel) -> Row:
    """Return a network for ``inspect``: with its pools, options and endpoints."""
    names = Names(reader, kernel)
    endpoints = reader.all(Endpoint, network.id)
    return {
        **network_row(network),
        "options": network.options,
        "ipam": {
            "driver": network.ipam_driver,
            "options": network.ipam_options,
            "pools": [_pool_row(network, pool.version, endpoints) for pool in network.pools],
        },
        "bridge": network.facts.get("bridge"),
        "mtu": int(network.facts["mtu"]) if "mtu" in network.facts else None,
        "endpoints": [
            {
                "id": endpoint.id,
                "name": endpoint.name,
                "ipv4": endpoint.ipv4 or None,
                "ipv6": endpoint.ipv6 or None,
                "mac": endpoint.mac or None,
                "sandbox": names.sandbox_of(endpoint),
                **_ports(endpoint, names.exposures(endpoint)),
            }
            for endpoint in endpoints
        ],
    }


def _pool_row(network: Network, version: int, endpoints: list[Endpoint]) -> Row:
    pool = network.pool(version)
    assert pool is not None  # called for versions that have one
    held = sum(bool(endpoint.ipv6 if version == 6 else endpoint.ipv4) for endpoint in endpoints)
    return {
        "subnet": pool.subnet,
        "ip_range": pool.ip_range,
        "gateway": pool.gateway,
        "aux_addresses": pool.aux,
        "addresses_in_use": held + len(pool.aux) + bool(pool.gateway),
    }


def endpoint_row(endpoint: Endpoint, names: Names) -> Row:
    """Return an endpoint for ``ls``."""
    network = names.network(endpoint.network_id)
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "network": network.name if network else None,
        "sandbox": names.sandbox_of(endpoint),
        "ipv4": endpoint.ipv4 or None,
        "ipv6": endpoint.ipv6 or None,
        "mac": endpoint.mac or None,
        **_ports(endpoint, names.exposures(endpoint)),
        "created": endpoint.created,
        "labels": endpoint.labels,
    }


def _ports(endpoint: Endpoint, found: Sequence[Exposure]) -> Row:
    """Return the published ports, and who reaches each; what else is reached comes last."""
    return {
        "ports": [shown(port) for port in endpoint.ports],
        "reached_from": exposure.words(endpoint, found),
    }


def _exposure_row(item: Exposure) -> Row:
    port = item.port
    return {
        "port": inside(port) if port else None,
        "protocol": port.protocol if port else None,
        "family": f"ipv{item.version}",
        "host_address": item.host_address or None,
        "host_port": outside(port) if port and item.host_address else None,
        "address": item.address or None,
        "from": list(item.reach.sources),
        "why": item.reach.why,
    }


def endpoint_detail(endpoint: Endpoint, names: Names) -> Row:
    """Return an endpoint for ``inspect``: with its place in a sandbox."""
    network = names.network(endpoint.network_id)
    place = endpoint.attachment
    gateways = {v: pool.gateway for v in (4, 6) if network and (pool := network.pool(v))}
    return {
        **endpoint_row(endpoint, names),
        "network_id": endpoint.network_id,
        "options": endpoint.options,
        "ifname": place.ifname or None if place else endpoint.ifname or None,
        "sysctls": endpoint.sysctls,
        "routes": [_route_row(route) for route in endpoint.routes],
        "no_default_route": endpoint.no_default_route,
        "rate_in": endpoint.limits.rate_in or None,
        "rate_out": endpoint.limits.rate_out or None,
        "burst": endpoint.limits.burst or None,
        "gateway": gateways.get(4),
        "gateway6": gateways.get(6),
        "transient": endpoint.transient,
        "aliases": list(endpoint.aliases),
        "anonymous": endpoint.anonymous,
        "no_dns": endpoint.no_dns,
        "exposed": list(endpoint.exposed),
        "exposure": [_exposure_row(item) for item in names.exposures(endpoint)],
        "attachment": {
            "sandbox_id": place.sandbox_id,
            "key": place.netns,
            "ifname": place.ifname or None,
            "host_ifname": place.host_ifname or None,
            "mtu": place.mtu or None,
            "priority": place.priority,
            "aliases": place.aliases,
        }
        if place
        else None,
    }


def limits_row(endpoint: Endpoint, kernel: Kernel) -> Row:
    """Return how fast an endpoint is for ``inspect``, live from the kernel; None for no limit."""
    place = endpoint.attachment
    here = place if place and place.boot_id == kernel.boot_id() and endpoint.limits else None
    found = kernel.shaper(here.host_ifname) if here else None
    return {
        "in": _limit_row("tbf", found.shape, found) if found else None,
        "out": _limit_out(here, kernel) if here else None,
    }


def _limit_out(place: Attachment, kernel: Kernel) -> Row | None:
    way = kernel.ingress(place.host_ifname)
    if way and way.shape:
        return _limit_row("police", way.shape, way)
    found = kernel.shaper(place.ifb) if way and way.to == place.ifb else None
    return _limit_row("tbf", found.shape, found) if found else None


def _limit_row(by: str, shape: Shape, so_far: Shaper | Ingress) -> Row:
    return {
        "by": by,
        "rate": shape.rate,
        "burst": shape.burst,
        "sent_bytes": so_far.sent_bytes,
        "dropped_packets": so_far.dropped,
    }


def _route_row(route: StaticRoute) -> Row:
    return {
        "destination": route.destination,
        "gateway": route.gateway or None,
        "metric": route.metric or None,
        "type": route.kind,
    }


def service_row(endpoint: Endpoint, names: Names) -> Row:
    """Return an endpoint for ``service ls``, in dnet's words."""
    network, place = names.network(endpoint.network_id), endpoint.attachment
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "network": network.name if network else None,
        "container": names.sandbox_of(endpoint),
        "sandbox_id": place.sandbox_id if place else None,
    }


def sandbox_row(sandbox: Sandbox, kernel: Kernel) -> Row:
    """Return a sandbox for ``ls``."""
    return {
        "id": sandbox.id,
        "name": sandbox.name,
        "type": sandbox.type.value,
        "state": _state(sandbox, kernel),
        "key": sandbox.key,
        "endpoint_count": len(sandbox.endpoints),
        "created": sandbox.created,
        "labels": sandbox.labels,
        **_lease(sandbox.lease),
    }


def _state(sandbox: Sandbox, kernel: Kernel) -> str:
    if not _alive(sandbox, kernel):
        return "gone"
    if _is_left(sandbox, kernel):
        return "left"
    return "expired" if sandbox.lease and _has_ended(sandbox.lease, kernel) else "ready"


def _is_left(sandbox: Sandbox, kernel: Kernel) -> bool:
    if sandbox.type is not SandboxKind.EXTERNAL:
        return False
    from netctl import origin

    return origin.is_left(sandbox, kernel)


def _has_ended(lease: Lease, kernel: Kernel) -> bool:
    from netctl.definitions.lease import ended

    return bool(ended(lease, kernel))


def _alive(sandbox: Sandbox, kernel: Kernel) -> bool:
    """Whether the namespace is there, and none that somebody put in its place."""
    if sandbox.type is SandboxKind.HOST:
        return True
    if sandbox.boot_id != kernel.boot_id():
        return False
    try:
        return kernel.netns_identity(sandbox.netns, sandbox.identity) == sandbox.identity
    except NotPermitted:
        return os.path.exists(sandbox.netns)


def sandbox_detail(sandbox: Sandbox, reader: Reader, kernel: Kernel, state_dir: str) -> Row:
    """Return a sandbox for ``inspect``: with its endpoints, names and files."""
    from netctl import files

    where = files.paths(sandbox, state_dir)
    names = Names(reader, kernel)
    found = [reader.get(Endpoint, ref.endpoint_id, ref.network_id) for ref in sandbox.endpoints]
    return {
        **sandbox_row(sandbox, kernel),
        "hostname": sandbox.hostname or None,
        "domainname": sandbox.domainname or None,
        "dns": list(sandbox.dns),
        "dns_search": list(sandbox.dns_search),
        "dns_options": list(sandbox.dns_options),
        "extra_hosts": [
            {"name": name, "address": address} for name, address in sandbox.extra_hosts
        ],
        "hosts_path": where.hosts,
        "resolv_conf_path": where.resolv_conf,
        "origin_hosts_path": sandbox.origin_hosts_path or None,
        "origin_resolv_conf_path": sandbox.origin_resolv_conf_path or None,
        "endpoints": [endpoint_detail(endpoint, names) for endpoint in found if endpoint],
    }


def process_row(process: Process) -> Row:
    """Return a process for ``sandbox ps``."""
    return {
        "pid": process.pid,
        "user": _user(process.uid),
        "uid": process.uid,
        "command": process.command,
    }


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
