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
    from netctl.store import Store

STYLES = ("table", "json", "jsonl", "yaml", "name")


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
    """Return what offers ``KEY=``, and once there is one the values that are known of it."""

    def offered(ctx: click.Context, incomplete: str) -> Iterable[str]:
        key, equals, _ = incomplete.partition("=")
        known = values(ctx)
        return [f"{key}={v}" for v in known.get(key, ())] if equals else [f"{k}=" for k in known]

    return _answered(offered)


def _answered(values: Callable[[click.Context, str], Iterable[str]]) -> Completer:
    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            return [CompletionItem(v) for v in values(ctx, incomplete) if v.startswith(incomplete)]
        except Exception:
            # A Tab must not print an error into the line that is being typed.
            return []

    return complete


def _networks(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Network

    return [network.name for network in _store(ctx).all(Network)]


def _sandboxes(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Sandbox

    return [sandbox.name for sandbox in _store(ctx).all(Sandbox)]


def _endpoints(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Endpoint, Network

    store = _store(ctx)
    names = {network.id: network.name for network in store.all(Network)}
    found = [(endpoint.name, names.get(endpoint.network_id)) for endpoint in store.all(Endpoint)]
    counted = Counter(name for name, _ in found)
    unique = (name for name, count in counted.items() if count == 1)
    return [*unique, *(f"{network}/{name}" for name, network in found)]


def _services(ctx: click.Context) -> Iterable[str]:
    from netctl.models import Endpoint, Network

    store = _store(ctx)
    names = {network.id: network.name for network in store.all(Network)}
    return [f"{each.name}.{names.get(each.network_id)}" for each in store.all(Endpoint)]


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
run_networks = _answered(
    lambda ctx, word: dict.fromkeys((*_networks(ctx), *(("none", "host") if word else ())))
)
sandboxes = _completer(_sandboxes)
endpoints = _completer(_endpoints)
services = _completer(_services)
drivers = _completer(_drivers)
ipam_drivers = _completer(_ipam_drivers)
driver_options = _keyed(_driver_options)
endpoint_options = _keyed(lambda ctx: {"endpoint.ifname": (), "endpoint.sysctls": ()})
network_filters = _keyed(_network_filters)
endpoint_filters = _keyed(_endpoint_filters)
sandbox_filters = _keyed(_sandbox_filters)
styles = _completer(lambda ctx: STYLES)
