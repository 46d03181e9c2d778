"""What identifies this machine."""

from __future__ import annotations

from pathlib import Path

_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def machine_id() -> str:
    """Return the machine id (machine-id(5)), where there is none the host's name.

    Private addresses derive from it, so it only has to be the same tomorrow.
    """
    from socket import gethostname

    for path in _FILES:
        try:
            if text := Path(path).read_text(encoding="ascii").strip():
                return text
        except (OSError, UnicodeDecodeError):
            continue
    return gethostname()
