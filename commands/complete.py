"""Live values for completion. Nothing here imports rich, PyYAML or pyroute2, and nothing fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

    from netctl.store import Store

STYLES = ("table", "json", "yaml", "name")


def _store(ctx: click.Context) -> Store:
    import os

    from netctl.config import load
    from netctl.store import Store

    root = ctx.find_root()
    given = {key: root.params.get(key) for key in ("state_dir", "run_dir")}
    overrides = {key: value for key, value in given.items() if value}
    config = load(root.params.get("config"), overrides, os.environ)
    return Store(config.state_dir, config.run_dir)


def _completer(values: Callable[[click.Context], Iterable[str]]) -> Completer:
    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            return [CompletionItem(v) for v in values(ctx) if v.startswith(incomplete)]
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


def _driver_options(ctx: click.Context) -> Iterable[str]:
    from netctl.backends import registry
    from netctl.backends.options import PREFIX

    driver: Any = registry.load(ctx.params.get("driver") or "bridge")
    return [f"{label.removeprefix(PREFIX)}=" for label in driver.options]


networks = _completer(_networks)
sandboxes = _completer(_sandboxes)
endpoints = _completer(_endpoints)
services = _completer(_services)
drivers = _completer(_drivers)
driver_options = _completer(_driver_options)
styles = _completer(lambda ctx: STYLES)
