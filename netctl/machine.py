"""What identifies this machine."""

from __future__ import annotations

import os

_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def machine_id() -> str:
    """Return the machine id (machine-id(5)), where there is none the host's name.

    Private addresses derive from it, so it only has to be the same tomorrow.
    """
    for path in _FILES:
        try:
            with open(path, encoding="utf-8") as file:
                if text := file.read(100).strip():
                    return text
        except (OSError, UnicodeDecodeError):
            continue
    return os.uname().nodename
