"""The library's reference page, made from docstrings so that it cannot drift.

``python -m netctl.manual .`` writes it to ``docs/library.md`` beside the man pages.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from textwrap import dedent
from typing import Any

from netctl import api_records, errors
from netctl.controller import Controller
from netctl.definitions.endpoint import EndpointOptions
from netctl.endpoints import Endpoints
from netctl.handles import EndpointHandle, NetworkEndpoints, NetworkHandle, SandboxHandle
from netctl.networks import Networks
from netctl.sandboxes import Sandboxes

CLASSES: dict[str, type] = {
    "Controller": Controller,
    "Networks": Networks,
    "Endpoints": Endpoints,
    "Sandboxes": Sandboxes,
    "NetworkHandle": NetworkHandle,
    "NetworkEndpoints": NetworkEndpoints,
    "EndpointHandle": EndpointHandle,
    "SandboxHandle": SandboxHandle,
}
_PLACES = {
    "Networks": "controller.networks",
    "Endpoints": "controller.endpoints",
    "Sandboxes": "controller.sandboxes",
    "NetworkEndpoints": "network.endpoints",
}
"""How a program gets the object of a class that has only one way to it."""
_ATTRIBUTES = {
    Controller: {"self.notices": "list[str]", "self.left": "list[str]"},
    NetworkHandle: {"doc": "Network"},
    EndpointHandle: {"doc": "Endpoint"},
    SandboxHandle: {"doc": "Sandbox"},
}
"""Attributes with their types; their texts stand below them in the source."""
_INTERNAL = frozenset(
    {
        *("operation", "check_config", "look_around", "once", "guard", "boot_id", "reader"),
        *("forget_notices", "gives_way", "reclaiming", "controller", "noticing", "happened"),
        *("proceed", "through", "is_stopping", "tell_progress"),
    }
)
"""Public for netctl's modules, not for programs; so is every method with a parameter ``op``."""
_WIDTH = 88
_EXAMPLE = re.compile(r"\n*Example::\n\n((?:    .*\n?|\n)+)")
_INTRODUCTION = """\
# The library

`import netctl` gives the class `Controller` and the exceptions. This page is generated from the
docstrings: `python -m netctl.manual .` writes it again.

A *reference* (`Ref`) to a network, an endpoint or a sandbox is its name, its id, the unique
beginning of its id, or its handle. An endpoint's name is `NETWORK/NAME`, or `NAME` where only one
network has an endpoint of that name. A wrong argument name, or the handle of another kind of
object, is a `TypeError`. A value of a type that the signature does not allow is a `TypeError` or a
`ValueError`. All other errors are subclasses of `netctl.NetctlError`.

All examples use `controller`:

```python
import netctl

controller = netctl.Controller()
```

"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for title, kind in CLASSES.items():
        place = f": `{_PLACES[title]}`" if title in _PLACES else ""
        parts += [f"## {title}{place}\n\n", _described(kind), *_attributes(kind), *_members(kind)]
    parts += ["## Options of an endpoint\n\n", *_options(), *api_records.sections(markdown)]
    parts += ["## Exceptions\n\n", *_exceptions()]
    return "".join(parts).rstrip() + "\n"


def example(kind: type) -> str:
    """Return the program in a class's docstring, "" where there is none."""
    found = _EXAMPLE.search(inspect.getdoc(kind) or "")
    return dedent(found[1]).strip() if found else ""


def _described(thing: object) -> str:
    text = inspect.getdoc(thing) or ""
    shown = _EXAMPLE.sub(lambda found: f"\n\n```python\n{dedent(found[1]).strip()}\n```\n\n", text)
    return f"{markdown(shown.strip())}\n\n"


def markdown(text: str) -> str:
    """Return a docstring's text as Markdown has it."""
    return re.sub(r"(?<!`)``(?!`)", "`", text)


def _attributes(kind: type) -> Iterator[str]:
    texts = api_records.texts(inspect.getsource(kind))
    for name, of in _ATTRIBUTES.get(kind, {}).items():
        yield f"### {name.removeprefix('self.')}: {of}\n\n{markdown(texts[name])}\n\n"


def _members(kind: type) -> Iterator[str]:
    for name in _public(kind):
        member = inspect.getattr_static(kind, name)
        if isinstance(member, property | cached_property):
            function: Any = member.fget if isinstance(member, property) else member.func
            result = inspect.signature(function).return_annotation
            yield f"### {name}: {result}\n\n{_described(function)}"
        elif callable(member):
            yield f"### {name}\n\n```python\n{_signature(name, member)}\n```\n\n"
            yield _described(member)


def _public(kind: type) -> list[str]:
    inherited = (base.__dict__ for base in kind.__mro__ if base.__module__.startswith("netctl"))
    names = dict.fromkeys(name for members in inherited for name in members)
    return [name for name in names if not name.startswith("_") and not _is_internal(kind, name)]


def _is_internal(kind: type, name: str) -> bool:
    member = inspect.getattr_static(kind, name)
    takes = inspect.signature(member).parameters if inspect.isfunction(member) else {}
    return name in _INTERNAL or "op" in takes or not (inspect.getdoc(member) or "").strip()


def _signature(name: str, function: Any) -> str:
    """Return a method's signature as its source has it, one argument a line where it is long."""
    (node,) = ast.parse(dedent(inspect.getsource(inspect.unwrap(function)))).body
    assert isinstance(node, ast.FunctionDef)
    arguments = list(_arguments(node.args))
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{name}({', '.join(arguments)}){result}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {each}," for each in arguments), f"){result}"])


def _arguments(given: ast.arguments) -> Iterator[str]:
    positional = given.args[1:]  # without self
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    yield from map(_argument, positional, defaults)
    if given.kwonlyargs:
        yield "*"
    yield from map(_argument, given.kwonlyargs, given.kw_defaults)
    if given.kwarg:
        yield f"**{ast.unparse(given.kwarg)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default else "")


def _options() -> Iterator[str]:
    """Yield what each key of ``EndpointOptions`` says; the text stands below it in the source."""
    yield "Keyword arguments of `endpoints.create` and `endpoints.connect`.\n\n"
    yield from api_records.fields(EndpointOptions, markdown)
    yield "\n"


def _exceptions() -> Iterator[str]:
    yield _described(errors.NetctlError)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    yield "| exception | `code` | `exit_code` | meaning |\n|---|---|---|---|\n"
    for kind in kinds:
        if issubclass(kind, errors.NetctlError) and kind is not errors.NetctlError:
            said = markdown(" ".join((inspect.getdoc(kind) or "").split()))
            yield f"| `{kind.__name__}` | {kind.code} | {kind.exit_code} | {said} |\n"
