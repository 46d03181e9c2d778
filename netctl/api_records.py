"""The records of the library's reference page: what methods return, with the fields.

A field's text stands below it in the source. Fields that only netctl uses, such as plans, are left
out, and so are properties without a docstring.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import pairwise
from textwrap import dedent

from netctl import models
from netctl.doctor.finding import Finding as Symptom
from netctl.doctor.finding import Severity
from netctl.doctor.station import Station
from netctl.kernel.inhabitants import Process
from netctl.kernel.interface import Link
from netctl.plan import Difference
from netctl.upkeep.check import Finding
from netctl.upkeep.leases import Ended
from netctl.upkeep.leftovers import Leftover
from netctl.upkeep.repair import Repaired

RESULTS: dict[str, type] = {
    "Finding": Finding,
    "Difference": Difference,
    "Repaired": Repaired,
    "Leftover": Leftover,
    "Ended": Ended,
    "Symptom": Symptom,
    "Severity": Severity,
    "Station": Station,
    "Link": Link,
    "Process": Process,
}
DOCUMENTS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(models.Network, models.Pool, models.Endpoint, models.Attachment, models.Port),
        *(models.Limits, models.StaticRoute, models.Sandbox, models.SandboxKind),
        *(models.EndpointRef, models.ResolvConf, models.Upstream, models.Lease),
    )
}
_INTERNAL = ("Plan", "Changes", "Interface", "ClassVar")
"""Types of fields that are netctl's own affair."""
Markup = Callable[[str], str]


def sections(markup: Markup) -> Iterator[str]:
    """Yield the page's sections of results and of documents."""
    yield "## Results\n\nThe records that methods return. They are compared by value and never"
    yield " change.\n\n"
    yield from _records(RESULTS, markup)
    yield "## Documents\n\nThe records of the store: `doc` of a handle, and what `expiring`"
    yield " returns. To change an object, call a method.\n\n"
    yield from _records(DOCUMENTS, markup)


def fields(kind: type, markup: Markup) -> Iterator[str]:
    """Yield a line for each field of a class and each property that has a docstring."""
    source = dedent(inspect.getsource(kind))
    said = texts(source)
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    for item in definition.body:
        if not (shown := _shown(item)):
            continue
        text = said.get(shown.partition(":")[0], "") or _docstring(item)
        yield f"- `{shown}`{': ' if text else ''}{markup(text)}\n"


def texts(source: str) -> dict[str, str]:
    """Return the texts that stand below assignments, by what is assigned."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(dedent(source))):
        body: list[ast.stmt] = getattr(node, "body", [])
        for item, text in pairwise(body) if isinstance(body, list) else ():
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                words = " ".join(str(text.value.value).split())
                found.update(dict.fromkeys(_targets(item), words))
    return found


def _records(kinds: dict[str, type], markup: Markup) -> Iterator[str]:
    for name, kind in kinds.items():
        text = "" if issubclass(kind, StrEnum) else inspect.getdoc(kind) or ""
        yield f"### {name}\n\n{markup(text)}".rstrip() + "\n\n"
        yield from fields(kind, markup)
        yield "\n"


def _targets(item: ast.stmt) -> list[str]:
    if isinstance(item, ast.AnnAssign):
        return [ast.unparse(item.target)]
    return [ast.unparse(each) for each in item.targets] if isinstance(item, ast.Assign) else []


def _shown(item: ast.stmt) -> str:
    """Return a field, a value of an enumeration or a property as the page shows it, or ""."""
    if isinstance(item, ast.AnnAssign):
        kind = ast.unparse(item.annotation)
        hidden = any(word in kind for word in _INTERNAL)
        return "" if hidden else f"{ast.unparse(item.target)}: {kind}"
    if isinstance(item, ast.Assign):
        return f"{ast.unparse(item.targets[0])}: {ast.unparse(item.value)}"
    if isinstance(item, ast.FunctionDef) and _docstring(item):
        made = any(ast.unparse(each) == "property" for each in item.decorator_list)
        return f"{item.name}: {ast.unparse(item.returns)}" if made and item.returns else ""
    return ""


def _docstring(item: ast.stmt) -> str:
    text = ast.get_docstring(item) if isinstance(item, ast.FunctionDef) else None
    return " ".join((text or "").split())
