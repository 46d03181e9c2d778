"""What netctl puts into the operating system: units of systemd, and words for network managers.

The files lie beside this module. Enabling a unit is a symbolic link, as ``systemctl enable`` makes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from netctl.errors import NotFound
from netctl.kernel import files
from netctl.models import Sandbox, SandboxKind
from netctl.names import IFNAME_LIMIT, SHORT_ID_DIGITS
from netctl.record import Record

UNITS = "/etc/systemd/system"
_HERE = Path(__file__).parent / "units"
_PLACES = {
    ".service": UNITS,
    ".timer": UNITS,
    ".network": "/etc/systemd/network",
    ".conf": "/etc/NetworkManager/conf.d",
}
_WANTED_BY = "WantedBy="
RESTORE = "netctl-restore.service"


class Installed(Record):
    """A file of ours in the operating system: its text, or where it leads."""

    path: str
    text: str = ""
    target: str = ""


def plan(root: str) -> Iterator[Installed]:
    """Yield the files and links that make up the installation below ``root`` (``""``: the host's).

    Raises ``NotFound`` where the command netctl, which the units start, is not found.
    """
    words = {
        "@netctl@": command(),
        "@bridges@": "br-" + "?" * SHORT_ID_DIGITS,
        "@endpoints@": "nc" + "?" * (IFNAME_LIMIT - len("nc")),
        "@limits@": "ni" + "?" * (IFNAME_LIMIT - len("ni")),
    }
    for source in sorted(_HERE.iterdir()):
        text = source.read_text(encoding="utf-8")
        for word, meaning in words.items():
            text = text.replace(word, meaning)
        place = f"{root}{_PLACES[source.suffix]}"
        yield Installed(path=f"{place}/{source.name}", text=text)
        for line in text.splitlines():
            if line.startswith(_WANTED_BY):
                wants = f"{place}/{line.removeprefix(_WANTED_BY)}.wants/{source.name}"
                yield Installed(path=wants, target=f"{UNITS}/{source.name}")


def install(root: str = "") -> list[str]:
    """Write the files; return their paths. What is there of an older netctl is replaced.

    Raises ``NotFound`` where ``root`` is no directory, ``KernelError``.
    """
    if root and not os.path.isdir(root):
        raise NotFound(f"there is no directory {root}", hint=f"mkdir -p {quote(root)}")
    done = []
    for item in plan(root):
        files.directory_create(os.path.dirname(item.path))
        if item.target:
            files.symlink(item.path, item.target)
        else:
            files.write(item.path, item.text)
        done.append(item.path)
    return done


def remove(root: str = "") -> list[str]:
    """Remove the files; return the paths of those that were there. Directories stay."""
    gone = []
    for item in plan(root):
        there = (
            files.symlink_delete(item.path, item.target) if item.target else files.delete(item.path)
        )
        if there:
            gone.append(item.path)
    return gone


def command() -> str:
    """Return the path of the command netctl, for others to start."""
    mine = os.path.abspath(sys.argv[0])
    found = mine if os.path.basename(mine) == "netctl" else shutil.which("netctl")
    if found is None or not os.access(found, os.X_OK):
        raise NotFound(
            "the command netctl is not found",
            hint="install it where services find it, for instance in /usr/local/bin",
        )
    return found


def drop_in(sandbox: Sandbox, hosts: str, resolv_conf: str) -> str:
    """Return the drop-in that puts a service of systemd into a sandbox."""
    lines = ["[Unit]", f"Requires={RESTORE}", f"After={RESTORE}", "", "[Service]"]
    if sandbox.type is not SandboxKind.HOST:
        lines.append(f"NetworkNamespacePath={_escaped(sandbox.netns)}")
        lines += [
            f'BindReadOnlyPaths="{_escaped(source)}:{target}"'
            for source, target in ((hosts, "/etc/hosts"), (resolv_conf, "/etc/resolv.conf"))
        ]
    return "\n".join(lines) + "\n"


def _escaped(path: str) -> str:
    """Return a path as unit files take it within quotes (systemd.syntax(7), specifiers)."""
    return path.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"').replace(":", "\\:")
