"""Putting the firewall back in order, as after ``nft flush ruleset`` or a firewall's reload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netctl import rooms
from netctl.backends import access, forwarding, publication, registry
from netctl.backends.publication import Standing
from netctl.config import Config
from netctl.gateway import ways_out
from netctl.kernel import Kernel
from netctl.models import Attachment, Endpoint, HostState, Network, Sandbox
from netctl.plan import Plan
from netctl.steps.settings import Sysctl
from netctl.store import Reader


def plan(reader: Reader, kernel: Kernel, config: Config) -> Plan:
    """Return how everything of this boot gets its rules again, in one transaction; nothing where
    nothing of netctl's needs any."""
    boot_id = kernel.boot_id()
    stored = reader.get(HostState, HostState.ID) or HostState()
    host = stored.believed(boot_id)
    networks = [
        network
        for network in reader.all(Network)
        if "bridge" in network.facts and network.boot_id == boot_id
    ]
    # The guard stands as long as the forwarding that netctl turned on is on.
    if not networks and not host.forwarding:
        return ()
    spared = config.ip_forward_interfaces
    published = list(_published(reader, kernel, config))
    ports = _ports(reader, filter(access.is_filtered, networks), boot_id)
    rules = publication.reload(networks, host, published, spared, ports)
    return (
        rules,
        *_settings({**forwarding.settings(host), **_loopbacks(networks, published)}, kernel),
    )


def _ports(
    reader: Reader, networks: Iterable[Network], boot_id: str
) -> Iterator[tuple[Network, Attachment]]:
    """Yield the places of the endpoints that are joined in this boot."""
    for network in networks:
        for endpoint in reader.all(Endpoint, network.id):
            if endpoint.attachment and endpoint.attachment.boot_id == boot_id:
                yield network, endpoint.attachment


def _loopbacks(networks: Iterable[Network], published: Iterable[Standing]) -> dict[str, str]:
    """Return the settings by which the host's loopback leads into networks: on where it does."""
    leading = {
        item.network.id
        for item in published
        if publication.leads_from_loopback(item.network, item.endpoint, item.versions)
    }
    return {
        key: str(int(network.id in leading))
        for network in networks
        for key in registry.load(network.driver).settings(network)
    }


def _settings(wanted: Mapping[str, str], kernel: Kernel) -> Iterator[Sysctl]:
    """Yield the host's settings that the rules rely on, which ``sysctl --system`` may have put
    back; those of a bridge that is gone are not to be had."""
    for key, value in wanted.items():
        found = kernel.sysctl_get("", key)
        if found is not None:
            yield Sysctl(netns="", key=key, value=value, previous=found)


def _published(reader: Reader, kernel: Kernel, config: Config) -> Iterator[Standing]:
    for sandbox in reader.all(Sandbox):
        members = [
            item
            for item in rooms.enter(reader, sandbox, kernel, config).members
            if item.attachment.boot_id == kernel.boot_id()
        ]
        ways = ways_out(members)
        for item in members:
            if item.endpoint.ports:
                versions = ways.get(item.endpoint.id, ())
                yield Standing(network=item.network, endpoint=item.endpoint, versions=versions)
