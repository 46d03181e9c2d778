"""The values that somebody gave, in ``netctl.yaml``, the environment or by option."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netctl.config_keys import KEYS
from netctl.errors import BadConfig, InvalidInput

if TYPE_CHECKING:
    from yaml import Node

_SIZE_LIMIT = 1 << 20
"""Bytes of a configuration file."""


def take_texts(
    texts: Iterable[tuple[str, str, str]], values: dict[str, Any], sources: dict[str, str]
) -> None:
    """Take values of keys as text, each with where it stands. Raises ``BadConfig``."""
    for key, text, source in texts:
        known = KEYS[key]
        with _placed(source, text, f"for instance {known.text or known.example}"):
            values[key] = known.check(known.parse(text))
        sources[key] = source


@contextmanager
def _placed(place: str, value: object, hint: str) -> Iterator[None]:
    """Say of a value that is wrong where it is, and what it is where the error does not."""
    try:
        yield
    except InvalidInput as error:
        shown = f"{value!r:.80}"
        what = (
            error.command_message
            if shown in error.command_message
            else f"{shown}: {error.command_message}"
        )
        raise BadConfig(f"{place}: {what}", hint=error.command_hint or hint) from error


def take_file(path: str, required: bool, values: dict[str, Any], sources: dict[str, str]) -> None:
    """Take what is in a file, which must be there if it is ``required``. Raises ``BadConfig``."""
    content = _read(path, required)
    if content is None:
        return
    for key, node in _entries(path, content):
        place = f"{path}:{node.start_mark.line + 1}"
        if key not in KEYS:
            raise BadConfig(f"{place}: unknown key {key!r:.80}", hint=_near(key))
        if key in values and sources[key] != "default":
            raise BadConfig(
                f"{place}: {key} is given twice ({sources[key]})", hint="leave one of them out"
            )
        value = _plain(node, path)
        with _placed(f"{place}: {key}", value, f"for instance {key}: {KEYS[key].example}"):
            values[key] = KEYS[key].check(value)
        sources[key] = place


def _near(key: str) -> str:
    from netctl.nearness import nearest

    near = nearest(key, KEYS)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(KEYS)}"


def _read(path: str, required: bool) -> str | None:
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            _check_file(path, found)
            return file.read(_SIZE_LIMIT).decode()
    except FileNotFoundError:
        if not required:
            return None
        raise BadConfig(f"{path}: no such file", hint="check --config, or NETCTL_CONFIG") from None
    except OSError as error:
        raise BadConfig(
            f"{path}: {error.strerror}", hint="check --config, or NETCTL_CONFIG"
        ) from error
    except UnicodeDecodeError:
        raise BadConfig(f"{path}: not UTF-8 text", hint="KEY: VALUE lines are expected") from None


def _check_file(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_size >= _SIZE_LIMIT:
        raise BadConfig(f"{path}: not a regular file of less than 1 MiB", hint="see netctl.yaml(5)")
    if os.geteuid() == 0 and (found.st_mode & 0o022 or found.st_uid != 0):
        raise BadConfig(
            f"{path}: other users can write to it",
            hint=f"chown root {path} && chmod go-w {path}",
        )


def _entries(path: str, content: str) -> list[tuple[str, Node]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(content, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise BadConfig(
            f"{path}{line}: not YAML ({getattr(error, 'problem', error)})",
            hint="KEY: VALUE, with a space after the colon; values with colons in quotes",
        ) from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise BadConfig(f"{path}:1: KEY: VALUE lines are expected", hint=", ".join(KEYS))
    return [(str(key.value), value) for key, value in root.value]


def _plain(node: Node, path: str, depth: int = 0) -> Any:
    """Return a node's value. An alias inside itself, or a nest of them, ends at a small depth."""
    import yaml

    if depth > 4:
        raise BadConfig(
            f"{path}:{node.start_mark.line + 1}: nested too deeply", hint="see netctl.yaml(5)"
        )
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, path, depth + 1) for item in node.value[:1000]]
    if isinstance(node, yaml.MappingNode):
        pairs = node.value[:1000]
        return {str(key.value): _plain(value, path, depth + 1) for key, value in pairs}
    if node.tag == "tag:yaml.org,2002:bool":
        return str(node.value).lower() in ("true", "yes", "on")
    return node.value
