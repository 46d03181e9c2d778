"""The README as a new user reads it: every block marked ``sh`` is run, from top to bottom.

All blocks run as written in one host and one after the other, so that each may use what those
before it made. The section "See it work" is what runs this suite; everything else has to be there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.kernel.conftest import host
from tests.kernel.host import Host
from tests.waiting import PATIENCE

__all__ = ["host"]

README = Path(__file__).resolve().parents[2] / "README.md"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_KINDS = {"sh", "python", "yaml", "console", "text", "ini"}
"""``console`` and ``text`` show what a command prints; ``ini`` is for the environment."""
_ELSEWHERE = {
    "See it work": "test_demo.py, and whoever runs this suite",
    "Install": "test_the_documented_install_gives_man_pages_and_completion",
}


def blocks() -> Iterator[tuple[str, str, str]]:
    """Yield the section, the kind and the text of every block."""
    for section in re.split(r"^## ", README.read_text(), flags=re.MULTILINE):
        title = section.partition("\n")[0]
        for kind, text in _FENCED.findall(section):
            yield title, kind, text


def test_every_block_says_what_it_is() -> None:
    assert {kind for _, kind, _ in blocks()} <= _KINDS


def script() -> str:
    """Return the README as one program that says which line fails."""
    parts = ["set -e", "trap 'echo \"README failed at: $BASH_COMMAND\" >&2' ERR"]
    for title, kind, text in blocks():
        if title in _ELSEWHERE:
            continue
        if kind == "sh":
            parts.append(text)
        if kind == "python":
            parts.append(f"python3 - <<'PROGRAM'\n{text}PROGRAM")
    return "\n".join(parts)


_NETCTL = (sys.executable, "-m", "netctl")
_PROLOGUE = f"""\
mkdir -p /run/stubs
printf '#!/bin/sh\\n' >/run/stubs/systemctl; chmod +x /run/stubs/systemctl
PATH=/run/stubs:{Path(sys.executable).parent}:$PATH
"""
"""No systemd runs in the host."""


def test_the_readme_runs_from_top_to_bottom(host: Host) -> None:
    done = host.run("bash", "-c", _PROLOGUE + script(), timeout=4 * PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    left = host.netctl("check")
    assert (left.returncode, left.stderr) == (0, ""), left.stdout


def test_the_documented_install_gives_man_pages_and_completion(tmp_path: Path) -> None:
    """The section "Install" as written, over an /opt and a /usr/local that are thrown away."""
    install = "".join(text for title, kind, text in blocks() if (title, kind) == ("Install", "sh"))
    assert "pip install ." in install
    inside = f"""set -e
mount -t tmpfs none /opt
mkdir /opt/up /opt/work
mount -t overlay overlay -o lowerdir=/usr/local,upperdir=/opt/up,workdir=/opt/work /usr/local
{install}
/usr/local/bin/netctl --version
test -e /usr/local/share/man/man1/netctl-network.1
test -e /usr/local/share/man/man5/netctl.yaml.5
! command -v man || man -w netctl netctl-network netctl.yaml
"""
    source = tmp_path / "netctl"
    shutil.copytree(README.parent, source, symlinks=True, ignore=shutil.ignore_patterns(".*"))
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", inside],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_examples_of_the_configuration_are_accepted(host: Host) -> None:
    shown = {kind: text for title, kind, text in blocks() if title == "Configuration"}
    host.run("mkdir", "-p", "/etc/netctl", check=True)
    host.run("tee", "/etc/netctl/netctl.yaml", input=shown["yaml"], check=True)
    info = host.run("sh", "-c", f'set -a\n{shown["ini"]}\nexec "$@"', "sh", *_NETCTL, "info")
    assert info.returncode == 0, info.stderr
    assert "10.64.0.0/12" in info.stdout and "/etc/netctl/netctl.yaml" in info.stdout
