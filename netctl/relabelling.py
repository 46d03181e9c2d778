"""Labels of networks and sandboxes, which nothing else depends on."""

from __future__ import annotations

from typing import TypeVar

from netctl.definitions.alterations import LabelChange, label_change
from netctl.models import Network, Sandbox
from netctl.operation import Operation
from netctl.record import replace

__all__ = ["label_change", "relabelled"]

D = TypeVar("D", Network, Sandbox)


def relabelled(op: Operation, document: D, change: LabelChange) -> D:
    """Change the labels of a document, and return it. Raises ``NotFound`` for a label to be taken
    away that it does not have."""
    what = f"{document.kind} {document.name}"
    after = replace(document, labels=change.applied(what, document.labels))
    op.commit((), put=(after,))
    return after
