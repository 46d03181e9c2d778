"""Taking many things down at once: the commits of several removals become one."""

from __future__ import annotations

from collections.abc import Mapping

from netctl.errors import NetctlError
from netctl.models import Document, Sandbox
from netctl.plan import Assembly, Plan, Step, Undo
from netctl.store import Reader


def gathered(plan: Plan) -> Plan:
    """Return a plan that does the same, and takes interfaces away at once where they are several:
    see ``netctl.steps.together``."""
    away = [step for step in plan if isinstance(step, Undo) and isinstance(step.step, Assembly)]
    if len(away) < 2:
        return plan
    from netctl.steps.together import together  # of no use to all others

    return together(plan)


class Entangled(Exception):
    """A removal depends on what another one leaves in a sandbox, which is not done yet."""


class Gathering:
    """An operation that keeps what is committed to it, and shows it as if it had happened. It is
    for what takes down alone. ``commit`` raises ``Entangled``, and keeps nothing then."""

    def __init__(self, reader: Reader) -> None:
        from netctl.overlay import Overlay  # of no use to ``gathered``

        self.reader = Overlay(reader)
        self._steps: list[Step] = []
        self._documents: dict[tuple[str, str, str], tuple[Document, bool]] = {}

    @property
    def plan(self) -> Plan:
        from netctl.steps.together import together

        return together(tuple(self._steps))

    @property
    def put(self) -> tuple[Document, ...]:
        return tuple(document for document, stays in self._documents.values() if stays)

    @property
    def delete(self) -> tuple[Document, ...]:
        return tuple(document for document, stays in self._documents.values() if not stays)

    def commit(
        self,
        plan: Plan,
        *,
        put: tuple[Document, ...] = (),
        delete: tuple[Document, ...] = (),
        claims: Mapping[str, str | None] | None = None,
        forward: bool = False,
    ) -> tuple[NetctlError, ...]:
        assert forward and not claims, "only what takes down is gathered"
        if any(_key(document) in self._documents for document in put if _is_sandbox(document)):
            raise Entangled
        self._steps += plan
        self._documents.update((_key(document), (document, True)) for document in put)
        self._documents.update((_key(document), (document, False)) for document in delete)
        self.reader.put(put, delete)
        return ()


def _key(document: Document) -> tuple[str, str, str]:
    return (document.kind, document.parent, document.id)


def _is_sandbox(document: Document) -> bool:
    return document.kind == Sandbox.kind
