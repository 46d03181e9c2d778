"""Errors in the library's words: ``force=True`` in the place of ``--force``.

Messages, hints and notices are written for the command line. A program that catches an error wants
to read what it can call; so :func:`translated` turns commands into calls and options into keyword
arguments.
"""

from __future__ import annotations

import re

_METHODS = {"rm": "remove", "ls": "list", "inspect": "get", "set-key": "set_key"}
_WHOLE = {
    "check": "check",
    "repair": "repair",
    "restore": "restore",
    "reload": "reload",
    "gc": "collect",
    "doctor": "examine",
}
"""Commands of the whole host, and the methods of ``Controller`` that do the same."""

_LISTS = {
    "subnet": "subnets",
    "ip-range": "ip_ranges",
    "gateway": "gateways",
    "publish": "ports",
    "expose": "exposed",
    "route": "routes",
    "network": "networks",
    "dns": "dns",
    "dns-search": "dns_search",
    "dns-opt": "dns_options",
    "label-rm": "labels_gone",
    "alias-rm": "aliases_gone",
}
_MAPPINGS = {
    "opt": "options",
    "label": "labels",
    "sysctl": "sysctls",
    "aux-address": "aux_addresses",
    "alias": "aliases",
    "add-host": "extra_hosts",
}
_TEXTS = {"netns": "netns_path"}
_FLAGS = {
    "ipv6": "ipv6=True",
    "no-ipv4": "ipv4=False",
    "internal": "internal=True",
    "force": "force=True",
    "host": "host=True",
    "anonymous": "anonymous=True",
    "no-dns": "no_dns=True",
    "no-default-route": "no_default_route=True",
    "if-not-exists": "if_not_exists=True",
    "probe": "probe=True",
    "dry-run": "dry_run=True",
}
_ALIKE = frozenset(
    {
        *("config", "lock-timeout", "state-dir", "run-dir", "driver", "ipam-driver", "id", "ttl"),
        *("owner-pid", "pid", "name", "hostname", "domainname", "ip", "ip6", "mac", "ifname"),
        *("priority", "rate-in", "rate-out", "burst", "hosts-path", "resolv-conf-path"),
        *("origin-hosts-path", "origin-resolv-conf-path"),
    }
)
"""Options whose keyword is their own name."""

_PROSE = r"(?!(?:shows|makes|recreates|removes|runs|gives|uses|mends?|brings|and|or|it|to)\b)"
"""Words of the sentence that a command stands in."""
_WORD = r"[\w./:\[\]-]*[\w/\]]"
_COMMAND = re.compile(rf"netctl (network|endpoint|sandbox) ([a-z-]+)((?: {_PROSE}(?!-){_WORD})*)")
_OF_HOST = re.compile(rf"netctl ({'|'.join(_WHOLE)})\b(?! [A-Z])")
_VALUE = r"[A-Z][A-Z0-9:,=]*\b|auto/\d+|[0-9a-f]*[.:][0-9a-f.:/]*[0-9a-f]|/[\w./-]+|[\w.]+=[\w.-]+"
_OPTION = re.compile(rf"(?<![\w-])(?:--([a-z][a-z0-9-]*)|-(o))(?![\w-])(?: ({_VALUE}))?")

_FOREIGN = re.compile(r"(?:hint: )?ip6?tables(?:-legacy)? ")
"""A line for a program whose ``-o`` is an interface."""
_BESIDE_CALL = re.compile(r"(controller\.\w+\.\w+)\(([^()]*)\) (\w+=[^\s;,]+)")


def translated(text: str) -> str:
    """Return a text with calls in the place of commands, and keywords in that of options. What
    other programs are told (``mkdir -p``) stays."""
    lines = text.split("\n")
    return "\n".join(line if _FOREIGN.match(line) else _translated(line) for line in lines)


def _translated(text: str) -> str:
    with_calls = _OF_HOST.sub(lambda found: f"controller.{_WHOLE[found[1]]}()", text)
    with_keywords = _OPTION.sub(_keyword, _COMMAND.sub(_call, with_calls))
    return _BESIDE_CALL.sub(_inside, with_keywords)


def _call(match: re.Match[str]) -> str:
    group, verb, words = match.groups()
    arguments = ", ".join(repr(word) for word in words.split())
    return f"controller.{group}{'es' if group == 'sandbox' else 's'}.{_method(verb)}({arguments})"


def _method(verb: str) -> str:
    return _METHODS.get(verb, verb.replace("-", "_"))


def _inside(match: re.Match[str]) -> str:
    call, arguments, keyword = match.groups()
    return f"{call}({arguments + ', ' if arguments else ''}{keyword})"


def _keyword(match: re.Match[str]) -> str:
    name, value = match[1] or "opt", match[3] or ""
    if name in _FLAGS:
        return f"{_FLAGS[name]} {value}".rstrip()
    if name in _LISTS:
        return f"{_LISTS[name]}=[{_quoted(value)}]" if value else _LISTS[name]
    if name in _MAPPINGS:
        key, equals, text = value.partition("=")
        return f"{_MAPPINGS[name]}={{{key!r}: {text!r}}}" if equals else f"{_MAPPINGS[name]}"
    if name not in _ALIKE and name not in _TEXTS:
        return match[0]
    keyword = _TEXTS.get(name, name.replace("-", "_"))
    return f"{keyword}={_quoted(value)}" if value else keyword


def _quoted(value: str) -> str:
    # A word in capitals stands for the value.
    return value if value.isupper() else repr(value)
