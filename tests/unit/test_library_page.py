"""docs/library.md: what programs may use is on it, with all that methods return, and no more."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cached_property

import pytest

from netctl import api_page, api_records
from netctl.controller import Controller

PAGE = api_page.page()
PLAIN = {"Any", "CompletedProcess", "NoReturn", "None", "Sequence", "bool", "int", "list", "str"}
PLAIN |= {
    "Iterator",
    "contextmanager",
    "dict",
    "frozenset",
    "range",
    "tuple",
    "Mapping",
    "Iterable",
}
"""Of the language and its library."""
FOR_PROGRAMS = {
    *("networks", "endpoints", "sandboxes", "batch", "check", "examine", "follow", "repair"),
    *("restore", "leftovers", "expiring", "collect", "reload", "close"),
}
"""The controller's methods that are on the page. One that is not here is for netctl's own modules:
say which of the two a new one is."""


def returned(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the methods of a class that are on the page, with what their annotations return."""
    for name in api_page._public(kind):
        member = inspect.getattr_static(kind, name)
        function = getattr(member, "fget", None) or getattr(member, "func", member)
        if callable(function):
            yield name, str(inspect.signature(function).return_annotation)


def names(annotation: str) -> set[str]:
    found = ast.walk(ast.parse(annotation, mode="eval"))
    return {node.id for node in found if isinstance(node, ast.Name)} - PLAIN


def section(title: str) -> str:
    """Return the part of the page below a heading of a class or a record."""
    found = re.search(rf"^##+ {title}\b.*?(?=^##+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/library.md does not describe {title}"
    return found[0]


@pytest.mark.parametrize("kind", api_page.CLASSES.values(), ids=api_page.CLASSES)
def test_what_a_method_returns_is_on_the_page(kind: type) -> None:
    for name, annotation in returned(kind):
        for each in names(annotation):
            assert section(each), f"{kind.__name__}.{name}"


@pytest.mark.parametrize("record", [*api_records.RESULTS, *api_records.DOCUMENTS])
def test_a_record_is_on_the_page_with_its_fields_and_their_types(record: str) -> None:
    fields = re.findall(r"^- `(\w+): ([^`]+)`", section(record), re.MULTILINE)
    assert fields
    for _, annotation in fields:
        for each in names(annotation):
            assert section(each)


def test_the_controllers_methods_are_those_for_programs() -> None:
    assert {name for name, _ in returned(Controller)} == FOR_PROGRAMS
    own = {
        name
        for name, member in vars(Controller).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, cached_property))
    }
    assert own - FOR_PROGRAMS <= api_page._INTERNAL


def test_what_a_controller_collects_is_on_the_page() -> None:
    controller = PAGE.partition("## Networks")[0]
    assert "### notices: list[str]" in controller and "### left: list[str]" in controller
