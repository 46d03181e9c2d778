"""The wheel in an empty environment: all packages in it, and nothing beside netctl."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOP = ("netctl", "commands", "backends", "man", "completions")


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_installs_and_runs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in TOP:
        shutil.copytree(
            ROOT / name,
            source / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        str(tmp_path),
        ".",
        cwd=source,
    )
    [wheel] = tmp_path.glob("netctl-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in names if name.endswith(".py")}
    expected = {
        path.relative_to(ROOT).as_posix()
        if top == "netctl"
        else f"netctl/{path.relative_to(ROOT).as_posix()}"
        for top in ("netctl", "commands", "backends")
        for path in (ROOT / top).rglob("*.py")
        if not any(parent.is_symlink() for parent in path.parents)
    }
    assert packed == expected
    assert "netctl/py.typed" in names
    units = {path.name for path in (ROOT / "netctl/units").iterdir()}
    assert {name.rpartition("/")[2] for name in names if name.startswith("netctl/units/")} == units
    site = tmp_path / "site"
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(site),
        str(wheel),
        cwd=tmp_path,
    )
    assert {path.name.split("-")[0] for path in site.iterdir()} <= {"netctl", "bin", "share"}
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from netctl.cli import main; main(['--version'])"
    assert run(sys.executable, "-c", code, cwd=tmp_path).startswith("netctl ")
