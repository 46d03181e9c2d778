"""netctl as a wheel installs it, in a scratch environment.

An editable install would put its finder into the start of every Python process, which nobody has
who installs netctl.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What pip writes for an entry point of console_scripts.
_SCRIPT = """\
#!{python}
import re
import sys
from {module} import {function}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
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
    module, function = _entry_point()
    script.write_text(_SCRIPT.format(python=python, module=module, function=function))
    script.chmod(0o755)
    return Installed(python=str(python), netctl=str(script))


def _entry_point() -> tuple[str, str]:
    """Return module and function of the command ``netctl``."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    line = setup["options.entry_points"]["console_scripts"].strip()
    module, _, function = line.partition("=")[2].strip().partition(":")
    return module, function


def _not_caches(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}
