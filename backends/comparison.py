"""Our nftables tables as they should be and as they are, both as libnftables lists them in JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netctl.backends.firewall import TABLES, USER_CHAINS

Objects = Iterable[Mapping[str, Any]]
Found = dict[tuple[str, str], list[str]]
_CHANGING = frozenset({"handle", "packets", "bytes", "expires"})
_SHOWN = 3
"""Elements that a line names."""


def compare(wanted: Objects, there: Objects) -> Iterator[tuple[str, str, str]]:
    """Yield what differs: the object, what is expected of it, and what is found.

    What the operator added beside ours, sets, chains and the rules of ``user-pre`` and
    ``user-post``, is no difference.
    """
    wanted, there = list(wanted), list(there)
    for table in TABLES:
        yield from _compare(table, _by_name(wanted, table), _by_name(there, table))


def _compare(table: str, expected: Found, found: Found) -> Iterator[tuple[str, str, str]]:
    if expected and not found:
        yield f"table {table}", "there", "nothing"
        return
    for key, item in expected.items():
        what = f"{' '.join(key)} of table {table}"
        if key not in found:
            yield what, "there", "nothing"
        elif item != found[key] and f"{table} {key[1]}" not in USER_CHAINS:
            yield from _differing(what, item, found[key])


def surplus(wanted: Objects, there: Objects) -> Iterator[tuple[str, int]]:
    """Yield the rules that are not expected, each by its chain's place and handle."""
    expected = Counter(map(_rule, _rules_of(wanted)))
    for rule in _rules_of(there):
        known = _rule(rule)
        if expected[known] > 0:
            expected[known] -= 1
        else:
            yield _place(rule), rule["handle"]


def _rules_of(objects: Objects) -> list[Mapping[str, Any]]:
    return [item["rule"] for item in objects if "rule" in item]


def _place(rule: Mapping[str, Any]) -> str:
    return f"{rule['family']} {rule['table']} {rule['chain']}"


def _rule(rule: Mapping[str, Any]) -> tuple[str, str]:
    return _place(rule), _canonical(rule["expr"])


def _by_name(objects: Objects, table: str) -> Found:
    """Return for every set and map of a table its elements, for every chain its definition and its
    rules."""
    result: Found = {}
    for item in objects:
        for kind, value in item.items():
            if f"{value.get('family')} {value.get('table')}" != table:
                continue
            if kind in ("set", "map"):
                # What goes again by itself is in no document.
                there = () if "timeout" in value.get("flags", ()) else value.get("elem", ())
                result["set", value["name"]] = sorted(map(_text, there))
            elif kind == "chain":
                result["chain", value["name"]] = [_definition(value)]
            elif kind == "rule":
                result["chain", value["chain"]].append(_canonical(value["expr"]))
    return result


def _differing(what: str, wanted: list[str], there: list[str]) -> Iterator[tuple[str, str, str]]:
    if what.startswith("chain"):
        yield what, f"{len(wanted) - 1} rules of netctl", _rules(wanted, there)
        return
    missing, surplus = set(wanted) - set(there), set(there) - set(wanted)
    if missing:
        yield what, _some(missing), "nothing"
    if surplus:
        yield what, "nothing", _some(surplus)


def _rules(wanted: list[str], there: list[str]) -> str:
    if wanted[0] != there[0]:
        return f"another hook, priority or policy: {there[0]}"
    same = len(set(wanted[1:]) & set(there[1:]))
    return f"{len(there) - 1} rules, {same} of them netctl's"


def _some(elements: set[str]) -> str:
    shown = sorted(elements)[:_SHOWN]
    more = len(elements) - len(shown)
    return "; ".join(shown) + (f" and {more} more" if more else "")


def _definition(chain: Mapping[str, Any]) -> str:
    return " ".join(f"{k} {chain[k]}" for k in ("type", "hook", "prio", "policy") if k in chain)


def _canonical(value: Any) -> str:
    return json.dumps(_still(value), sort_keys=True)


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _still(item) for key, item in value.items() if key not in _CHANGING}
    return [_still(item) for item in value] if isinstance(value, list) else value


def _text(element: Any) -> str:
    """Return an element as nft writes it: ``br0 . 8080 : 172.18.0.2``."""
    if isinstance(element, list):
        return " : ".join(map(_text, element))
    if not isinstance(element, dict):
        return str(element)
    if "concat" in element:
        return " . ".join(map(_text, element["concat"]))
    if "range" in element:
        return "-".join(map(_text, element["range"]))
    if "prefix" in element:
        return f"{element['prefix']['addr']}/{element['prefix']['len']}"
    if "elem" in element:
        return _text(element["elem"]["val"])
    return _canonical(element)
