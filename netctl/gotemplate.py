"""docker's templates, ``{{.Name}}``, over our rows: what of Go's text/template people use there.

Only keys of a row are looked up: a template reaches no attribute of any object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from netctl import cells
from netctl.columns import Column, Row
from netctl.errors import InvalidInput
from netctl.gofunctions import FUNCTIONS
from netctl.samples import Fixed
from netctl.streams import printable
from netctl.templates import unescaped

UNDERSTOOD = (
    "understood: {{.Field.Part}}, "
    + ", ".join(f"{{{{{name}}}}}" for name in ("json .", "index .A 0", 'join .A ","', "len .A"))
    + f", {', '.join(sorted({*FUNCTIONS} - {'json', 'index', 'join', 'len'}))}; a | b; "
    "range, if, with, else, end; 'table ' before it; \\t and \\n"
)
_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>-?\d{1,9})|(?P<sign>:=|[(),|])"""
    r"""|(?P<path>\$?\w*(?:\.\w+)+|\$\w*|\.)|(?P<word>[A-Za-z]\w*))""",
    re.ASCII,
)
_DEEPEST = 20
"""Blocks and parentheses within each other."""
_DOCKER = {
    "createdat": "created",
    "enableipv4": "ipv4",
    "enableipv6": "ipv6",
    "config": "pools",
    "containers": "endpoints",
    "auxiliaryaddresses": "auxaddresses",
    "networkinterface": "bridge",
    "macaddress": "mac",
    "ipv4address": "ipv4",
    "ipv6address": "ipv6",
    "endpointid": "id",
    "sandboxkey": "key",
    "status": "state",
}
"""docker's word for a field to ours, both as ``_plain`` gives them."""


class Token(NamedTuple):
    kind: str
    text: str


class Pipeline(NamedTuple):
    """Commands, each of which is given what the one before it returns."""

    commands: Sequence[Sequence[Any]]


class Block(NamedTuple):
    """``range``, ``if`` or ``with``, and what is done with an empty value."""

    word: str
    names: Sequence[str]
    value: Pipeline
    body: Sequence[Any]
    otherwise: Sequence[Any]


class Template(NamedTuple):
    """A template that was understood."""

    nodes: Sequence[Any]
    table: bool

    def filled(self, row: Row) -> str:
        """Return the template filled with a row's values."""
        return "".join(_filled(self.nodes, row, {"$": row}))

    def headings(self, columns: Sequence[Column]) -> str:
        """Return the headings of a table, which are texts and the fields' names."""
        return "".join(
            node if isinstance(node, str) else _heading(node, columns) for node in self.nodes
        )


@cache
def parsed(style: str) -> Template:
    """Return a template. Raises ``InvalidInput``, which says what is understood."""
    table = style.startswith("table ")
    text = unescaped(style.removeprefix("table "))
    parser = _Parser(text)
    nodes = parser.nodes(0)
    if parser.ended:
        raise _refused("{{" + parser.ended + "}} without a beginning")
    return Template(nodes, table)


def _refused(what: str) -> InvalidInput:
    return InvalidInput(f"--format: {what[:100]} is not understood", hint=UNDERSTOOD)


class _Parser:
    """Reads a template from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._parts = list(_parts(text))
        self.ended = ""
        """The action that ended the last list of nodes: ``end`` or ``else``."""

    def nodes(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self.ended = ""
        while self._parts:
            action, text = self._parts.pop(0)
            if not action:
                found.append(text)
            elif text in ("end", "else"):
                self.ended = text
                break
            elif text.partition(" ")[0] in ("range", "if", "with"):
                found.append(self._block(text, depth))
            else:
                found.append(_pipeline(text, list(_tokens(text)), depth))
        return found

    def _block(self, text: str, depth: int) -> Block:
        if depth > _DEEPEST:
            raise _refused("what is so deep")
        word, _, rest = text.partition(" ")
        names, tokens = _names(list(_tokens(rest)))
        if len(names) > (2 if word == "range" else 1):
            raise _refused("{{" + text + "}}")
        body = self.nodes(depth + 1)
        otherwise = self.nodes(depth + 1) if self.ended == "else" else []
        if self.ended != "end":
            raise _refused("{{" + text + "}} without {{end}}")
        self.ended = ""
        return Block(word, names, _pipeline(text, tokens, depth), body, otherwise)


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Yield texts and actions; ``{{- `` and `` -}}`` take the space before and behind them away."""
    place, trim = 0, False
    for match in _ACTION.finditer(text):
        before = text[place : match.start()]
        before = before.lstrip() if trim else before
        yield False, before.rstrip() if match[1] else before
        if not match[2].startswith("/*"):
            yield True, match[2].strip()
        place, trim = match.end(), bool(match[3])
    rest = text[place:].lstrip() if trim else text[place:]
    if "{{" in rest:
        raise _refused("{{ without }}")
    yield False, rest


def _tokens(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if not match or not match.lastgroup:
            raise _refused("{{" + text + "}}")
        yield Token(match.lastgroup, match[match.lastgroup])
        place = match.end()


def _names(tokens: list[Token]) -> tuple[list[str], list[Token]]:
    """Split ``$k, $v :=`` off."""
    if Token("sign", ":=") not in tokens:
        return [], tokens
    place = tokens.index(Token("sign", ":="))
    return [token.text for token in tokens[:place] if token.kind == "path"], tokens[place + 1 :]


def _pipeline(text: str, tokens: list[Token], depth: int) -> Pipeline:
    commands: list[list[Any]] = [[]]
    while tokens:
        token = tokens.pop(0)
        if token.text == "|" and token.kind == "sign":
            commands.append([])
        elif token.text == "(" and token.kind == "sign":
            commands[-1].append(_inner(text, tokens, depth))
        elif token.kind == "sign":
            raise _refused("{{" + text + "}}")
        else:
            commands[-1].append(token)
    for command in commands:
        _check(text, command)
    return Pipeline(commands)


def _inner(text: str, tokens: list[Token], depth: int) -> Any:
    """Return what is in parentheses, with the path behind it."""
    level, inner = 1, []
    while tokens and level:
        token = tokens.pop(0)
        level += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
        inner.append(token)
    if level or depth > _DEEPEST:
        raise _refused("{{" + text + "}}")
    found = _pipeline(text, inner[:-1], depth + 1)
    behind = tokens and tokens[0].kind == "path" and re.fullmatch(r"(\.\w+)+", tokens[0].text)
    return (found, tokens.pop(0).text) if behind else (found, "")


def _check(text: str, command: Sequence[Any]) -> None:
    first = command[0] if command else None
    if isinstance(first, Token) and first.kind == "word":
        known = first.text in FUNCTIONS
    else:
        method = isinstance(first, Token) and first.text == ".Label"
        known = first is not None and (len(command) == 1 or method)
    words = any(isinstance(each, Token) and each.kind == "word" for each in command[1:])
    if not known or words:
        raise _refused("{{" + text + "}}")


def _filled(nodes: Sequence[Any], dot: Any, names: Mapping[str, Any]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, Pipeline):
            yield printable(cells.text(value_of(node, dot, names)))
        else:
            yield from _carried_out(node, dot, names)


def _carried_out(block: Block, dot: Any, names: Mapping[str, Any]) -> Iterator[str]:
    value = value_of(block.value, dot, names)
    if not value:
        yield from _filled(block.otherwise, dot, names)
    elif block.word == "range":
        for key, item in items(value):
            given = (key, item)[-len(block.names) :] if block.names else ()
            yield from _filled(
                block.body, item, {**names, **dict(zip(block.names, given, strict=True))}
            )
    else:
        inner = value if block.word == "with" else dot
        yield from _filled(block.body, inner, {**names, **dict.fromkeys(block.names, value)})


def items(value: Any) -> Iterator[tuple[Any, Any]]:
    """Return what ``range`` goes over, each with its key or its place. Raises ``InvalidInput``."""
    if isinstance(value, Mapping):
        return iter(value.items())
    if isinstance(value, list):
        return iter(enumerate(value))
    raise InvalidInput("--format: range goes over a list or a mapping", hint=UNDERSTOOD)


def value_of(pipeline: Pipeline, dot: Any, names: Mapping[str, Any]) -> Any:
    """Return what a pipeline gives, with ``.`` and the ``$names``. Raises ``InvalidInput``."""
    passed: list[Any] = []
    for command in pipeline.commands:
        first, *rest = command
        operands = [_operand(each, dot, names) for each in rest] + passed
        if isinstance(first, Token) and first.kind == "word":
            passed = [FUNCTIONS[first.text](*operands)]
        elif isinstance(first, Token) and first.text == ".Label" and operands:
            passed = [(dot.get("labels") or {}).get(str(operands[0]), "")]
        else:
            passed = [_operand(first, dot, names)]
    return passed[0]


def _operand(each: Any, dot: Any, names: Mapping[str, Any]) -> Any:
    if not isinstance(each, Token):
        pipeline, path = each
        return _walked(value_of(pipeline, dot, names), path)
    if each.kind == "number":
        return int(each.text)
    if each.kind == "text":
        return re.sub(r"\\(.)", r"\1", each.text[1:-1]) if each.text[0] == '"' else each.text[1:-1]
    if each.text[0] != "$":
        return _walked(dot, each.text)
    name, dotted, path = each.text.partition(".")
    if name not in names:
        raise _refused(name)
    return _walked(names[name], dotted + path)


def _walked(value: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        value = _field(value, part)
    return value


def _field(value: Any, name: str) -> Any:
    if value is None:
        return None
    known = value if isinstance(value, Mapping) else {}
    key = _key(known, name)
    if key is not None:
        return known[key]
    if isinstance(value, Mapping) and not isinstance(value, Fixed):
        return None  # What a map lacks is empty; which fields there are is checked before.
    fields = f"fields: {', '.join(map(str, known))}" if known else "it has no fields"
    raise InvalidInput(f"--format: no field .{name[:60]}", hint=fields)


def _key(known: Mapping[str, Any], name: str) -> str | None:
    """Return the key that docker's or our word stands for."""
    plain = {_plain(key): key for key in known}
    word = _plain(name)
    return name if name in known else plain.get(word) or plain.get(_DOCKER.get(word, ""))


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()


def _heading(node: Any, columns: Sequence[Column]) -> str:
    """Return what stands above a field: its column's heading, else its name."""
    tokens = [each for command in getattr(node, "commands", ()) for each in command]
    paths = [each.text for each in tokens if isinstance(each, Token) and each.kind == "path"]
    word = _plain(paths[0].rpartition(".")[2]) if paths else ""
    word = _DOCKER.get(word, word)
    for column in columns:
        if word in (_plain(column.key), _plain(column.heading.replace(" ", ""))):
            return column.heading
    return word.upper()
