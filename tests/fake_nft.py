"""As much of nftables as netctl's transactions need: tables, chains with rules, sets, elements."""

from __future__ import annotations

import copy
import errno
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from netctl.errors import KernelError, Unsupported

_COMMAND = re.compile(r"(add|create|delete|destroy|flush) (table|chain|set|map|rule|element) (.+)")
_SPLIT = re.compile(r",(?![^{]*\})")


@dataclass
class Table:
    chains: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, set[str]] = field(default_factory=dict)


class FakeNft:
    """The ruleset; a transaction takes effect as a whole or not at all."""

    def __init__(self, lacking: Collection[str] = ()) -> None:
        self.tables: dict[str, Table] = {}
        self.lacking = lacking
        """Families of tables that the kernel does not know."""

    def run(self, commands: str) -> None:
        draft = copy.deepcopy(self.tables)
        for line in commands.splitlines():
            if line.strip() and not line.strip().startswith("#"):
                if (words := line.split())[1] == "table" and words[2] in self.lacking:
                    raise Unsupported(f"change the firewall: no family {words[2]}")
                _apply(draft, line.strip().rstrip(";"))
        self.tables = draft

    def find(self, command: str) -> list[dict[str, Any]]:
        words = command.split()
        if words[:2] in (["list", "ruleset"], ["list", "tables"]):
            tables = list(self.tables)
            objects = [item for name in tables for item in self._table(name)]
            return objects if words[1] == "ruleset" else [_head(name) for name in tables]
        if words[0] != "list" or len(words) < 4:
            raise ValueError(f"the fake does not know {command!r}")
        name = f"{words[2]} {words[3]}"
        if name not in self.tables:
            return []
        objects = self._table(name)
        if words[1] == "table":
            return objects
        return [item for item in objects if _belongs(item, words[1], words[4])]

    def state(self) -> dict[str, Any]:
        return {
            name: (dict(table.chains), {key: sorted(value) for key, value in table.sets.items()})
            for name, table in self.tables.items()
        }

    def _table(self, name: str) -> list[dict[str, Any]]:
        family, title = name.split()
        place = {"family": family, "table": title}
        table = self.tables[name]
        objects = [_head(name)]
        objects += [
            {"set": {**place, "name": key, "elem": sorted(elements)}}
            for key, elements in table.sets.items()
        ]
        for chain, rules in table.chains.items():
            objects.append({"chain": {**place, "name": chain}})
            objects += [{"rule": {**place, "chain": chain, "expr": [rule]}} for rule in rules]
        return objects


def _head(name: str) -> dict[str, Any]:
    family, title = name.split()
    return {"table": {"family": family, "name": title}}


def _belongs(item: dict[str, Any], kind: str, name: str) -> bool:
    if kind == "chain":
        return name in (item.get("chain", {}).get("name"), item.get("rule", {}).get("chain"))
    return bool(item.get("set", {}).get("name") == name)


def _apply(tables: dict[str, Table], line: str) -> None:
    match = _COMMAND.fullmatch(line)
    if not match:
        raise ValueError(f"the fake does not know the nft command {line!r}")
    verb, kind, rest = match.groups()
    family, title, *more = rest.split(maxsplit=2)
    name, tail = f"{family} {title}", more[0] if more else ""
    if kind == "table":
        _on_table(tables, verb, name, line)
    elif name not in tables:
        if verb != "destroy":
            raise _refuse(errno.ENOENT, line)
    else:
        _on_object(tables[name], verb, kind, tail, line)


def _on_table(tables: dict[str, Table], verb: str, name: str, line: str) -> None:
    if verb in ("add", "create"):
        if verb == "create" and name in tables:
            raise _refuse(errno.EEXIST, line)
        tables.setdefault(name, Table())
    elif name in tables:
        if verb == "flush":
            tables[name].chains = {chain: [] for chain in tables[name].chains}
        else:
            del tables[name]
    elif verb != "destroy":
        raise _refuse(errno.ENOENT, line)


def _on_object(table: Table, verb: str, kind: str, tail: str, line: str) -> None:
    name, _, body = tail.partition(" ")
    if kind == "rule":
        if verb != "add":
            raise ValueError(f"the fake does not know the nft command {line!r}")
        _present(table.chains, name, line).append(body)
    elif kind == "element":
        _on_elements(_present(table.sets, name, line), verb, body, line)
    elif kind == "chain":
        _on_container(table.chains, verb, name, [], line)
    else:
        _on_container(table.sets, verb, name, set(), line)


def _on_container(there: dict[str, Any], verb: str, name: str, empty: Any, line: str) -> None:
    if verb in ("add", "create"):
        if verb == "create" and name in there:
            raise _refuse(errno.EEXIST, line)
        there.setdefault(name, empty)
    elif verb == "flush":
        _present(there, name, line).clear()
    elif name in there:
        del there[name]
    elif verb != "destroy":
        raise _refuse(errno.ENOENT, line)


def _on_elements(there: set[str], verb: str, body: str, line: str) -> None:
    items = {" ".join(item.split()) for item in _SPLIT.split(body.strip().strip("{}"))}
    if verb in ("add", "create"):
        keys = {item.split(" : ")[0]: item for item in there if " : " in item}
        for item in items:
            if keys.get(item.split(" : ")[0], item) != item:
                raise _refuse(errno.EEXIST, line)
        there |= items
        return
    for item in items:
        gone = {each for each in there if each.split(" : ")[0] == item.split(" : ")[0]}
        if not gone and verb != "destroy":
            raise _refuse(errno.ENOENT, line)
        there -= gone


def _present(there: dict[str, Any], name: str, line: str) -> Any:
    if name not in there:
        raise _refuse(errno.ENOENT, line)
    return there[name]


def _refuse(number: int, line: str) -> KernelError:
    return KernelError(f"change the firewall: {os.strerror(number)} in '{line}'", errno=number)
