"""Objects as ``ls`` and ``inspect`` print them, and what names one once it is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from netctl.cli import State
from netctl.errors import NetctlError

if TYPE_CHECKING:
    from netctl.columns import Row, View


def network(state: State, name: str) -> Row:
    """Return a network: see ``views.network_detail``."""
    from netctl import views

    controller = state.controller
    document = controller.networks.get(name).doc
    return views.network_detail(document, controller.store, controller.kernel)


def endpoint(state: State, name: str) -> Row:
    """Return an endpoint, with its limits as the kernel has them."""
    from netctl import views

    controller = state.controller
    document = controller.endpoints.get(name).doc
    names = views.Names(controller.store, controller.kernel)
    limits = views.limits_row(document, controller.kernel)
    return {**views.endpoint_detail(document, names), "limits": limits}


def sandbox(state: State, name: str) -> Row:
    """Return a sandbox: see ``views.sandbox_detail``."""
    from netctl import views

    controller = state.controller
    document = controller.sandboxes.get(name).doc
    return views.sandbox_detail(
        document, controller.store, controller.kernel, controller.config.state_dir
    )


def documents(state: State, what: str, network: str | None = None) -> Iterable[Any]:
    """Return all objects of a kind, those of one network where it is given."""
    from netctl import models

    store = state.controller.store
    if what == "network":
        return store.all(models.Network)
    if what in ("sandbox", "container"):
        return store.all(models.Sandbox)
    if not network:
        return store.all(models.Endpoint)
    from netctl import references

    return store.all(models.Endpoint, references.network(store, network).id)


def row_of(state: State, what: str) -> Callable[[Any], Row]:
    """Return what makes a row for ``ls`` of an object of a kind."""
    from netctl import views

    controller = state.controller
    if what == "network":
        return views.network_row
    if what in ("sandbox", "container"):
        return lambda document: views.sandbox_row(document, controller.kernel)
    seen = views.Names(controller.store, controller.kernel)
    row = views.service_row if what == "service" else views.endpoint_row
    return lambda document: row(document, seen)


def listed(
    state: State, what: str, filters: Sequence[str], view: View, network: str | None = None
) -> None:
    """Print the objects of a kind that pass the filters."""
    from netctl import columns, render

    passes = _filter(what, filters) if filters else lambda row: True
    rows = map(row_of(state, what), documents(state, what, network))
    render.listed(filter(passes, rows), columns.KNOWN[what], view)


def _filter(what: str, filters: Sequence[str]) -> Callable[[Row], bool]:
    from netctl.filters import KNOWN, compile_filters

    return compile_filters(filters, KNOWN[what])


def named(get: Callable[[str], Any]) -> Callable[[str], Row | None]:
    """Return what gives the id and the name of an object, None where a reference means none."""

    def row(reference: str) -> Row | None:
        try:
            document = get(reference).doc
        except NetctlError:
            return None
        return {"id": document.id, "name": document.name}

    return row
