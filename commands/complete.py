"""Live values for completion. Nothing here imports rich, PyYAML or pyroute2, and nothing fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import click

from netctl import universal

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

    from netctl.filters import Filter
    from netctl.models import Endpoint
    from netctl.store import Store


def _store(ctx: click.Context) -> Store:
    import os

    from netctl.config import load
    from netctl.store import Store

    given = universal.given(ctx)
    overrides = {key: given[key] for key in ("state_dir", "run_dir") if given.get(key)}
    config = load(given.get("config"), overrides, os.environ)
    return Store(config.state_dir, config.run_dir)


def _completer(values: Callable[[click.Context], Iterable[str]]) -> Completer:
    return _answered(lambda ctx, incomplete: values(ctx))


def _keyed(values: Callable[[click.Context], Mapping[str, Iterable[str]]]) -> Completer:
    """Return what offers ``KEY=``, and once there is one the values that are known of it. The last
    word of a key does as well, where no other ends so: it is offered once it is begun."""

    def offered(ctx: click.Context, incomplete: str) -> Iterable[str]:
        key, equals, _ = incomplete.partition("=")
        whole = values(ctx)
        last = Counter(each.rpartition(".")[2] for each in whole)
        short = {k.rpartition(".")[2]: v for k, v in whole.items() if "." in k}
        known = {**{k: v for k, v in short.items() if key and last[k] == 1}, **whole}
        return [f"{key}={v}" for v in known.get(key, ())] if equals else [f"{k}=" for k in known]

    return _answered(offered)


def _answered(values: Callable[[click.Context, str], Iterable[str]]) -> Completer:
    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            before = _given_before(ctx, parameter)
            found = dict.fromkeys(values(ctx, incomplete))
            fitting = [v for v in found if v.startswith(incomplete) and v not in before]
            return [CompletionItem(value) for value in fitting]
        except Exception:
            # A Tab must not print an error into the line that is being typed.
            return []

    return complete


def _given_before(ctx: click.Context, parameter: click.Parameter) -> tuple[str, ...]:
    """Return the values of an option or an argument that takes several: none is wanted twice."""
    given = ctx.params.get(parameter.name or "")
    return given if isinstance(given, tuple) else ()


def _networks(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Network

    return [network.name for network in _store(ctx).all(Network)]


def _run_networks(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return the networks; docker's words too once one is begun, or where they are all there is."""
    found = list(_networks(ctx))
    return [*found, *(("none", "host") if incomplete or not found else ())]


def _sandboxes(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Sandbox

    return [sandbox.name for sandbox in _store(ctx).all(Sandbox)]


def _placed(
    ctx: click.Context, fits: Callable[[Endpoint], bool]
) -> list[tuple[Endpoint, str | None]]:
    """Return the endpoints that fit, with the names of their networks."""
    from netctl.models import Endpoint, Network

    store = _store(ctx)
    names = {network.id: network.name for network in store.all(Network)}
    found = [each for each in store.all(Endpoint) if fits(each)]
    return [(endpoint, names.get(endpoint.network_id)) for endpoint in found]


def _endpoints_that(fits: Callable[[Endpoint], bool]) -> Completer:
    """Return what offers endpoints, each once: by NAME where that is enough, else, and once a
    network is typed, by NETWORK/NAME."""

    def offered(ctx: click.Context, incomplete: str) -> Iterable[str]:
        counted = Counter(each.name for each, _ in _placed(ctx, lambda endpoint: True))
        found = _placed(ctx, fits)
        whole = {f"{network}/{each.name}": each.name for each, network in found}
        before = ctx.params.get("endpoints") or ()
        left = {k: v for k, v in whole.items() if k not in before and v not in before}
        short = [name if counted[name] == 1 else path for path, name in left.items()]
        fitting = [word for word in short if word.startswith(incomplete)]
        return left if "/" in incomplete or not fitting else short

    return _answered(offered)


def _services_that(fits: Callable[[click.Context, Endpoint], bool]) -> Completer:
    return _completer(
        lambda ctx: [
            f"{each.name}.{network}"
            for each, network in _placed(ctx, lambda endpoint: fits(ctx, endpoint))
        ]
    )


def _is_free(endpoint: Endpoint) -> bool:
    return endpoint.attachment is None


def _is_joined(endpoint: Endpoint) -> bool:
    return endpoint.attachment is not None


def _is_in_container(ctx: click.Context, endpoint: Endpoint) -> bool:
    """Whether an endpoint is in the container that was given before it."""
    from netctl import references

    found = references.find_sandbox(_store(ctx), ctx.params["container"])
    return bool(found and endpoint.attachment and endpoint.attachment.sandbox_id == found.id)


def _members(ctx: click.Context) -> set[str]:
    """Return the ids of the sandboxes in the network that was given first."""
    from netctl import references
    from netctl.models import Endpoint

    store = _store(ctx)
    network = references.find_network(store, ctx.params["name"])
    endpoints = store.all(Endpoint, network.id) if network else []
    return {each.attachment.sandbox_id for each in endpoints if each.attachment}


def _inside(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Sandbox

    members = _members(ctx)
    return [each.name for each in _store(ctx).all(Sandbox) if each.id in members]


def _outside(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Sandbox

    members = _members(ctx)
    return [each.name for each in _store(ctx).all(Sandbox) if each.id not in members]


def _inhabited_networks(ctx: click.Context) -> Iterable[str]:
    return [network for _, network in _placed(ctx, _is_joined) if network]


def _inhabited_sandboxes(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Sandbox

    return [sandbox.name for sandbox in _store(ctx).all(Sandbox) if sandbox.endpoints]


def _sandbox_of_endpoint(ctx: click.Context) -> Iterable[str]:
    from netctl import references
    from netctl.models import Sandbox

    store = _store(ctx)
    found = references.find_endpoint(store, ctx.params["name"])
    place = found.attachment if found else None
    sandbox = store.get(Sandbox, place.sandbox_id) if place else None
    return [sandbox.name] if sandbox else []


def _published_ports(ctx: click.Context) -> Iterable[str]:
    from netctl import references
    from netctl.ports import spec

    found = references.find_endpoint(_store(ctx), ctx.params["name"])
    return [spec(port) for port in found.ports] if found else []


def _destinations(ctx: click.Context) -> Iterable[str]:
    """Return what ``doctor`` may send to: other sandboxes, and endpoints."""
    own = ctx.params.get("sandbox")
    endpoints = [f"{network}/{each.name}" for each, network in _placed(ctx, lambda each: True)]
    return [*(name for name in _sandboxes(ctx) if name != own), *endpoints]


def _commands(ctx: click.Context) -> Iterable[str]:
    """Return the commands below the words that were given to ``help``."""
    at = ctx.find_root().command
    for word in ctx.params.get("words") or ():
        found = at.get_command(ctx, word) if isinstance(at, click.Group) else None
        if found is None:
            return ()
        at = found
    return at.list_commands(ctx) if isinstance(at, click.Group) else ()


def _drivers(ctx: click.Context) -> Iterable[str]:
    from netctl.backends import registry

    return registry.names()


def _ipam_drivers(ctx: click.Context) -> Iterable[str]:
    from netctl.backends import ipam

    return sorted(ipam.BUILT_IN)


def _driver_options(ctx: click.Context) -> Mapping[str, Iterable[str]]:
    from netctl.backends import registry
    from netctl.backends.options import PREFIX
    from netctl.definitions.network import OPTIONS

    driver = registry.load(ctx.params.get("driver") or "bridge")
    known = {**driver.options, **OPTIONS}
    return {label.removeprefix(PREFIX): option.words for label, option in known.items()}


def _network_filters(ctx: click.Context) -> Mapping[str, Iterable[str]]:
    from netctl.filters import NETWORK

    return {**_words_of(NETWORK), "name": _networks(ctx), "driver": _drivers(ctx)}


def _endpoint_filters(ctx: click.Context) -> Mapping[str, Iterable[str]]:
    from netctl.filters import ENDPOINT

    return {**_words_of(ENDPOINT), "network": _networks(ctx), "sandbox": _sandboxes(ctx)}


def _sandbox_filters(ctx: click.Context) -> Mapping[str, Iterable[str]]:
    from netctl.filters import SANDBOX

    return {**_words_of(SANDBOX), "name": _sandboxes(ctx)}


def _styles(ctx: click.Context) -> Iterable[str]:
    from netctl.formats import FORMS

    return FORMS


def _column_words(ctx: click.Context) -> Iterable[str]:
    """Return the columns of an ``ls``."""
    from netctl.columns import KNOWN, word_of

    group = ctx.parent.command.name if ctx.parent else None
    return map(word_of, KNOWN[group or ""])


def _columns(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return lists of columns with commas, one longer than what is typed."""
    before, comma, _ = incomplete.rpartition(",")
    return [f"{before}{comma}{w}" for w in _column_words(ctx) if w not in before.split(",")]


def _words_of(known: Mapping[str, Filter]) -> dict[str, Iterable[str]]:
    return {key: each.words for key, each in known.items()}


def _path(kind: str) -> Completer:
    """Return what leaves it to the shell to offer paths of a kind, ``file`` or ``dir``."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type=kind)]

    return complete


def programs(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer programs for the first word of a command, files for the others."""
    import os
    from contextlib import suppress

    found: set[str] = set()
    first = ctx.params.get("command") in (None, (), ("--",))
    if first and incomplete and "/" not in incomplete:
        for directory in os.get_exec_path():
            with suppress(OSError):
                found.update(os.listdir(directory))
    return _completer(lambda ctx: sorted(found))(ctx, parameter, incomplete) or file(
        ctx, parameter, incomplete
    )


file = _path("file")
networks = _completer(_networks)
run_networks = _answered(_run_networks)
sandboxes = _completer(_sandboxes)
endpoints = _endpoints_that(lambda endpoint: True)
free_endpoints = _endpoints_that(_is_free)
joined_endpoints = _endpoints_that(_is_joined)
publishing_endpoints = _endpoints_that(lambda endpoint: bool(endpoint.ports))
services = _services_that(lambda ctx, endpoint: True)
free_services = _services_that(lambda ctx, endpoint: _is_free(endpoint))
attached_services = _services_that(_is_in_container)
sandboxes_inside = _completer(_inside)
sandboxes_outside = _completer(_outside)
inhabited_networks = _completer(_inhabited_networks)
inhabited_sandboxes = _completer(_inhabited_sandboxes)
sandbox_of_endpoint = _completer(_sandbox_of_endpoint)
published_ports = _completer(_published_ports)
destinations = _completer(_destinations)
commands = _completer(_commands)
drivers = _completer(_drivers)
ipam_drivers = _completer(_ipam_drivers)
driver_options = _keyed(_driver_options)
endpoint_options = _keyed(lambda ctx: {"endpoint.ifname": (), "endpoint.sysctls": ()})
network_filters = _keyed(_network_filters)
endpoint_filters = _keyed(_endpoint_filters)
sandbox_filters = _keyed(_sandbox_filters)
styles = _completer(_styles)
columns = _answered(_columns)
sorting = _completer(_column_words)
