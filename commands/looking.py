"""One object as ``inspect`` prints it, and what names it once it is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netctl.cli import State
from netctl.errors import NetctlError

if TYPE_CHECKING:
    from netctl.columns import Row


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


def named(get: Callable[[str], Any]) -> Callable[[str], Row | None]:
    """Return what gives the id and the name of an object, None where a reference means none."""

    def row(reference: str) -> Row | None:
        try:
            document = get(reference).doc
        except NetctlError:
            return None
        return {"id": document.id, "name": document.name}

    return row
