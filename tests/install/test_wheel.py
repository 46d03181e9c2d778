"""The wheel in an empty environment: all packages in it, and nothing beside netctl."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.kernel.conftest import host
from tests.kernel.host import Host
from tests.waiting import PATIENCE

__all__ = ["host"]

ROOT = Path(__file__).resolve().parents[2]
TOP = ("netctl", "commands", "backends", "man", "completions")


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=4 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_installs_and_runs(host: Host, tmp_path: Path) -> None:
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
    check_installed(host, tmp_path / "venv", wheel)


def check_installed(host: Host, venv: Path, wheel: Path) -> None:
    """Install the wheel with what it needs, and nothing else, and use it."""
    run(sys.executable, "-m", "venv", "--without-pip", str(venv), cwd=venv.parent)
    pip = (sys.executable, "-m", "pip", "--python", f"{venv}/bin/python")
    run(*pip, "install", "-q", str(wheel), cwd=venv.parent)
    [site] = venv.glob("lib/*/site-packages")
    there = {path.name for path in site.iterdir()}
    assert "netctl" in there and not {"commands", "backends", "tests", "bench"} & there
    assert run(f"{venv}/bin/netctl", "--version", cwd=venv).startswith("netctl ")
    # In a directory without the sources, whatever is imported is the wheel's.
    done = host.run(f"{venv}/bin/netctl", "network", "create", "web", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ip link add br-" in done.stdout and "nft -f" in done.stdout
    done = host.run(f"{venv}/bin/netctl", "run", "--", "cat", "/etc/resolv.conf")
    assert (done.returncode, "nameserver 127.0.0.11" in done.stdout) == (0, True), done.stderr
    assert (venv / "share/man/man1/netctl.1").exists()
    assert (venv / "share/zsh/site-functions/_netctl").exists()
