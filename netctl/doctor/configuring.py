"""Lines that add to a list of the configuration, where that was given."""

from __future__ import annotations

import re
from collections.abc import Iterable
from os.path import dirname
from shlex import quote
from typing import Any

from netctl.config import DEFAULT_PATH
from netctl.doctor.machine import Machine


def added(machine: Machine, key: str, items: Iterable[str], known: Iterable[str] = ()) -> str:
    """Return the line that adds ``items``, written as in YAML, to a list; ``known`` are those that
    it has where nobody gave it, and a value of its own would replace.

    Where the file is written so that no simple command adds to it, the line is a comment that says
    what to add by hand.
    """
    shown, sources = ", ".join(items), machine.config.sources
    source = sources.get(key, "default")
    if source == "default":
        file = next(filter(None, map(_file, sources.values())), DEFAULT_PATH)
        line = _appended(machine, file, key, ", ".join((*known, shown)))
    else:
        line = _longer(machine, _file(source), key, shown)
    return line or f"# add {shown} to {key} ({source if source != 'default' else file})"


def _file(source: str) -> str:
    """Return the file of a source of the configuration, ``FILE:LINE``, else nothing."""
    path, _, line = source.rpartition(":")
    return path if line.isdigit() else ""


def _appended(machine: Machine, file: str, key: str, value: str) -> str:
    """Return the line that appends a key to a file, nothing where the file does not take it."""
    text = machine.kernel.file_read(file) or ""
    ended = "" if text.endswith("\n") or not text else "\n"
    if not _adds(text, f"{text}{ended}{key}: [{value}]\n", key, value):
        return ""
    newline = f"echo >> {quote(file)}; " if ended else ""
    return f"mkdir -p {quote(dirname(file))}; {newline}echo '{key}: [{value}]' >> {quote(file)}"


def _longer(machine: Machine, file: str, key: str, value: str) -> str:
    """Return the line that makes a list longer, nothing where it is not in a file, or in another
    form than ``KEY: [ITEM, ...]`` on one line."""
    text = machine.kernel.file_read(file) or "" if file else ""
    after = re.sub(rf"(?m)^({key}:[^\]\n]*)\]", lambda m: f"{m[1]}, {value}]", text)
    if not _adds(text, after, key, value):
        return ""
    return f"sed -i '/^{key}:/s|]|, {value}]|' {quote(file)}"


def _adds(before: str, after: str, key: str, value: str) -> bool:
    """Whether two texts differ in nothing but that a list has more items at its end."""
    import yaml

    def read(text: str) -> Any:
        return yaml.safe_load(text) or {}

    try:
        old, new, items = read(before), read(after), read(f"[{value}]")
        return bool(new == {**old, key: [*old.get(key, ()), *items]})
    except (yaml.YAMLError, TypeError):
        return False
