"""netctl as a wheel installs it, in a scratch environment.

An editable install would put its finder into the start of every Python process, which nobody has
who installs netctl.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What pip writes for an entry point of console_scripts.
_SCRIPT = """\
#!{python}
import re
import sys
from netctl.cli import main
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(main())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    python: str
    netctl: str


def install(scratch: Path) -> Installed:
    """Make the environment below ``scratch``; what netctl stands on is borrowed from this one."""
    venv = scratch / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    purelib = sysconfig.get_path("purelib", "venv", {"base": str(venv)})
    shutil.copytree(ROOT / "netctl", Path(purelib, "netctl"), ignore=_not_caches)
    Path(purelib, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = venv / "bin" / "netctl"
    script.write_text(_SCRIPT.format(python=python))
    script.chmod(0o755)
    return Installed(python=str(python), netctl=str(script))


def _not_caches(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}
