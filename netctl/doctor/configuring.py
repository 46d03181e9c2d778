"""Lines that add to a list of the configuration, where that was given."""

from __future__ import annotations

from collections.abc import Iterable
from os.path import dirname
from shlex import quote

from netctl.config import DEFAULT_PATH, Config


def added(config: Config, key: str, items: Iterable[str], known: Iterable[str] = ()) -> str:
    """Return the line that adds ``items``, written as in YAML, to a list; ``known`` are those that
    it has where nobody gave it, and a value of its own would replace."""
    shown, source = ", ".join(items), config.sources.get(key, "default")
    if source == "default":
        file = next(filter(None, map(_file, config.sources.values())), DEFAULT_PATH)
        value = ", ".join((*known, shown))
        return f"mkdir -p {quote(dirname(file))}; echo '{key}: [{value}]' >> {quote(file)}"
    if file := _file(source):
        return f"sed -i '/^{key}:/s|]|, {shown}]|' {quote(file)}"
    return f"# add {shown} to {key} ({source})"


def _file(source: str) -> str:
    """Return the file of a source of the configuration, ``FILE:LINE``, else nothing."""
    path, _, line = source.rpartition(":")
    return path if line.isdigit() else ""
