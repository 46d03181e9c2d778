"""Whether a value of ``--format`` is one, found out before anything is done: a template is tried on
a sample of the rows that it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netctl.errors import InvalidInput

if TYPE_CHECKING:
    from netctl.gotemplate import Pipeline

FORMS = ("table", "json", "jsonl", "yaml", "name")


def check(style: str, kind: str) -> str:
    """Return the value of ``--format`` if it is one for rows of a kind (see ``samples.ROWS``), else
    raise ``InvalidInput``."""
    if style in FORMS:
        return style
    from netctl.templates import fill, is_template

    if not is_template(style):
        raise InvalidInput(
            f"--format {style[:60]!r} is neither {', '.join(FORMS)} nor a template",
            hint="a template names fields in braces: '{name} {id}', or as docker's: '{{.Name}}'",
        )
    from netctl.samples import ROWS

    if "{{" in style:
        _try(style, ROWS[kind])
    else:
        fill(style, ROWS[kind])
    return style


def _try(style: str, sample: Any) -> None:
    from netctl.gotemplate import parsed

    _walk(parsed(style).nodes, sample, {"$": sample})


def _walk(nodes: Sequence[Any], dot: Any, names: Mapping[str, Any]) -> None:
    """Evaluate all there is in a template, whichever way a value would lead."""
    from netctl.gotemplate import Block, Pipeline, items

    for node in nodes:
        if isinstance(node, Pipeline):
            _value(node, dot, names)
        elif isinstance(node, Block):
            value = _value(node.value, dot, names)
            given: tuple[Any, ...] = (value,)
            if node.word == "range":
                given = next(iter(() if value is None else items(value)), (None, None))
            inner = dot if node.word == "if" else given[-1]
            named = given[len(given) - len(node.names) :]
            _walk(node.body, inner, {**names, **dict(zip(node.names, named, strict=True))})
            _walk(node.otherwise, dot, names)


def _value(pipeline: Pipeline, dot: Any, names: Mapping[str, Any]) -> Any:
    from netctl.gofunctions import OutOfRange
    from netctl.gotemplate import value_of

    try:
        return value_of(pipeline, dot, names)
    except OutOfRange:
        return None  # A sample is shorter than what there may be.
