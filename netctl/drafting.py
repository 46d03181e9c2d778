"""The document of an endpoint to be: addresses, MAC and ports, all chosen before any step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netctl.allocation import allocate, check_mac_free
from netctl.backends import registry
from netctl.definitions import rates
from netctl.definitions.endpoint import EndpointDefinition, check_called, uncalled
from netctl.definitions.routes import check_on
from netctl.definitions.sysctls import check_known
from netctl.models import Document, Endpoint, Network, Sandbox, now
from netctl.names import mac_of, new_id
from netctl.record import replace
from netctl.references import check_endpoint_free, endpoint_of
from netctl.store import Reader

if TYPE_CHECKING:
    from netctl.controller import Controller


def draft(
    reader: Reader,
    network: Network,
    wanted: EndpointDefinition,
    controller: Controller,
    *,
    holder: Sandbox | None = None,
) -> tuple[Endpoint, tuple[Document, ...]]:
    """Return the document of a new endpoint, and what its choices are remembered in. One with a
    ``holder`` is transient: it lives as long as it is in that sandbox.

    Raises ``InvalidInput``, ``Conflict``, ``Exhausted`` or ``Unsupported``.
    """
    driver = registry.load(network.driver)
    asked = driver.has_pools and not wanted.anonymous
    transient = holder is not None
    hint = _other_than(endpoint_of(reader, network.id, wanted.name), holder)
    check_endpoint_free(reader, network, wanted.name, asked=asked, hint=hint)
    if asked and not transient:
        check_called(wanted.name)
    endpoint_id = new_id()
    if not driver.has_pools:
        wanted.check_bare(network)
    check_known(wanted.sysctls, controller.kernel)
    rates.check_on(network, wanted.limits)
    mac = wanted.mac or (mac_of(endpoint_id) if driver.has_pools else "")
    check_mac_free(reader, network, mac)
    families = {4: wanted.ip} if wanted.without_ipv6 else {4: wanted.ip, 6: wanted.ip6}
    addresses, cursor = allocate(reader, network, families)
    check_on(network, wanted.routes, addresses)
    endpoint = Endpoint(
        id=endpoint_id,
        name=wanted.name,
        network_id=network.id,
        created=now(),
        labels=wanted.labels,
        mac=mac,
        ipv4=addresses.get(4, ""),
        ipv6=addresses.get(6, ""),
        ifname=wanted.ifname,
        transient=transient,
        aliases=wanted.aliases,
        anonymous=wanted.anonymous,
        no_dns=wanted.no_dns,
        exposed=wanted.exposed,
        sysctls=wanted.sysctls,
        routes=wanted.routes,
        no_default_route=wanted.no_default_route,
        limits=wanted.limits,
        folded=asked,
    )
    if asked and transient:
        controller.notices += uncalled(network, wanted.name, "--name or --alias")
    if not wanted.ports:
        return endpoint, cursor
    from netctl.publishing import ports_for

    chosen = ports_for(reader, network, endpoint, wanted.ports, controller)
    return replace(endpoint, ports=chosen.ports), (*cursor, *chosen.cursor)


def _other_than(existing: Endpoint | None, holder: Sandbox | None) -> str:
    """Return what helps where the name is taken."""
    accepted = "--if-not-exists accepts one of the same definition"
    if holder is None:
        return accepted
    another = "--name gives the endpoint another name"
    place = existing.attachment if existing else None
    return f"{accepted}, {another}" if place and place.sandbox_id == holder.id else another
