"""The tools that read the code, as tests."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]

TOOLS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "imports": ["importlinter.cli", "lint"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tool(tool: str) -> None:
    module, *arguments = TOOLS[tool]
    script = Path(sys.executable).with_name("lint-imports")
    command = [str(script)] if tool == "imports" else [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=4 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_list_is_the_tree() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("netctl", "commands", "backends")
        for path in (ROOT / top).rglob("__init__.py")
        if not path.is_symlink() and "__pycache__" not in path.parts
    }
    # The folders beside netctl are packages inside it.
    inside = {name if name.split(".")[0] == "netctl" else f"netctl.{name}" for name in found}
    assert listed == inside


@pytest.mark.parametrize("name", ["commands", "backends"])
def test_the_links_lead_beside(name: str) -> None:
    assert (ROOT / "netctl" / name).is_symlink()
    assert (ROOT / "netctl" / name).resolve() == ROOT / name


def test_a_text_under_a_constant_has_its_constant() -> None:
    """A string that stands alone in a module or class is about the assignment before it."""
    orphans = []
    for top in ("netctl", "commands", "backends"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Module | ast.ClassDef):
                    orphans += [f"{path}:{each.lineno}" for each in _orphans(node.body)]
    assert orphans == []


def _orphans(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the strings that follow anything else than an assignment; the first is a docstring."""
    return [
        each
        for before, each in pairwise(body)
        if isinstance(each, ast.Expr)
        and isinstance(each.value, ast.Constant)
        and not isinstance(before, ast.Assign | ast.AnnAssign | ast.AugAssign)
    ]
