"""Whatever a user may do wrong: the error names a remedy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ERRORS = ("InvalidInput", "NotFound", "Conflict", "Exhausted", "Unsupported", "BadConfig")
WITHOUT = ("backends/dns", "netctl/config_keys.py")
"""What only netctl itself says to the resolver; and what is given a hint with its place."""


def sources() -> list[Path]:
    found = [
        path for top in ("netctl", "commands", "backends") for path in (ROOT / top).rglob("*.py")
    ]
    own = (path for path in found if not any(parent.is_symlink() for parent in path.parents))
    return [p for p in own if not str(p.relative_to(ROOT)).startswith(WITHOUT)]


def without_hint(path: Path) -> Iterator[str]:
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    for call in calls:
        if not (isinstance(call.func, ast.Name) and call.func.id in ERRORS):
            continue
        hints = [keyword.value for keyword in call.keywords if keyword.arg == "hint"]
        parts = [part for hint in hints for part in ast.walk(hint)]
        nothing = any(isinstance(part, ast.Constant) and part.value is None for part in parts)
        if nothing or not hints:
            yield f"{path}:{call.lineno}: {ast.unparse(call)}"


def test_every_error_has_a_hint() -> None:
    assert len(sources()) > 100
    assert [line for path in sources() for line in without_hint(path)] == []
