"""The rules of nftables from netlink (linux/netfilter/nf_tables.h) to instructions."""

from __future__ import annotations

from collections.abc import Callable

from netctl.kernel import netlink
from netctl.kernel.instructions import (
    Compare,
    Immediate,
    Instruction,
    Load,
    Lookup,
    Mask,
    Match,
    Other,
    Rule,
    Translate,
    Verdict,
)
from netctl.kernel.netlink import big, signed, word

_HEADER_BYTES = 4
_META = {
    3: "mark", 4: "iif", 5: "oif", 6: "iifname", 7: "oifname", 1: "protocol", 15: "nfproto",
    16: "l4proto", 17: "ibrname", 18: "obrname",
}  # fmt: skip
_CT = {0: "state", 1: "direction", 2: "status", 3: "mark"}
_BASES = {1: "network", 2: "transport"}
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
_VERDICTS = {0: "drop", 1: "accept", -1: "continue", -2: "continue", -3: "jump", -4: "goto"}
_VERDICTS |= {-5: "return"}
_HARMLESS = frozenset(
    {"counter", "log", "notrack", "dup", "objref", "ct", "meta", "payload", "exthdr", "last"}
)
_HARMLESS_TARGETS = frozenset(
    {
        "AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "HL", "LED",
        "LOG", "MARK", "NFLOG", "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP",
        "TEE", "TOS", "TRACE", "TTL",
    }
)  # fmt: skip
_TRANSLATIONS = {
    "DNAT": "dnat",
    "SNAT": "snat",
    "MASQUERADE": "masquerade",
    "REDIRECT": "redirect",
    "NETMAP": "dnat",
}


def rule(body: bytes) -> Rule:
    """Return a rule from the body of a message about it."""
    found = netlink.attributes(body, _HEADER_BYTES)
    handle = int.from_bytes(found.get(3, b""), "big")
    items = (item for _, item in netlink.each_attribute(found.get(4, b""), 0))
    return Rule(handle, map(_instruction, items))


def _instruction(item: bytes) -> Instruction:
    expression = netlink.attributes(item, 0)
    name, data = word(expression, 1), netlink.attributes(expression.get(2, b""), 0)
    if read := READERS.get(name):
        return read(data)
    return Other(name, name in _HARMLESS)


def _meta(data: dict[int, bytes]) -> Instruction:
    if 1 not in data:
        return Other("meta", harmless=True)
    return Load(big(data, 1), f"meta {_META.get(big(data, 2), '?')}")


def _ct(data: dict[int, bytes]) -> Instruction:
    if 1 not in data:
        return Other("ct", harmless=True)
    return Load(big(data, 1), f"ct {_CT.get(big(data, 2), '?')}")


def _payload(data: dict[int, bytes]) -> Instruction:
    if 1 not in data:
        return Other("payload", harmless=True)
    base = _BASES.get(big(data, 2), "?")
    return Load(big(data, 1), base, big(data, 3), big(data, 4))


def _fib(data: dict[int, bytes]) -> Instruction:
    result, flags = big(data, 2), big(data, 3)
    kind = {1: "saddr type", 2: "daddr type"}.get(flags & 3, "?") if result == 3 else "?"
    return Load(big(data, 1), f"fib {kind}")


def _cmp(data: dict[int, bytes]) -> Instruction:
    number = big(data, 2)
    operator = _OPERATORS[number] if number < len(_OPERATORS) else "?"
    return Compare(big(data, 1), operator, _value(data.get(3, b"")))


def _bitwise(data: dict[int, bytes]) -> Instruction:
    if big(data, 6):  # A shift, or an operation that came later.
        return Load(big(data, 2), "?")
    mask, xor = _value(data.get(4, b"")), _value(data.get(5, b""))
    return Mask(big(data, 1), big(data, 2), mask, xor)


def _lookup(data: dict[int, bytes]) -> Instruction:
    target = big(data, 3) if 3 in data else None
    return Lookup(big(data, 2), word(data, 1), bool(big(data, 5) & 1), target)


def _immediate(data: dict[int, bytes]) -> Instruction:
    found = value_of(data.get(2, b""))
    return found if isinstance(found, Verdict) else Immediate(big(data, 1), found)


def _match(data: dict[int, bytes]) -> Instruction:
    return Match(word(data, 1), big(data, 2), data.get(3, b""))


def _target(data: dict[int, bytes]) -> Instruction:
    name = word(data, 1)
    if name in _TRANSLATIONS:
        return Translate(_TRANSLATIONS[name])
    if name in _HARMLESS_TARGETS:
        return Other(name, harmless=True)
    return Verdict("drop" if name == "REJECT" else "other")


def _nat(data: dict[int, bytes]) -> Instruction:
    return Translate("dnat" if big(data, 1) else "snat")


READERS: dict[str, Callable[[dict[int, bytes]], Instruction]] = {
    "meta": _meta,
    "ct": _ct,
    "payload": _payload,
    "fib": _fib,
    "cmp": _cmp,
    "bitwise": _bitwise,
    "byteorder": lambda data: Load(big(data, 2), "?"),
    "lookup": _lookup,
    "immediate": _immediate,
    "match": _match,
    "target": _target,
    "nat": _nat,
    "masq": lambda data: Translate("masquerade"),
    "redir": lambda data: Translate("redirect"),
    "reject": lambda data: Verdict("drop"),
    "queue": lambda data: Verdict("other"),
    "synproxy": lambda data: Verdict("other"),
}


def value_of(attribute: bytes) -> Verdict | bytes:
    """Return a value, or the verdict that it is (NFTA_DATA_VALUE, NFTA_DATA_VERDICT)."""
    found = netlink.attributes(attribute, 0)
    if 2 not in found:
        return found.get(1, b"")
    return verdict_of(found[2])


def verdict_of(attribute: bytes) -> Verdict:
    """Return a verdict (NFTA_VERDICT_CODE, NFTA_VERDICT_CHAIN)."""
    found = netlink.attributes(attribute, 0)
    return Verdict(_VERDICTS.get(signed(big(found, 1)), "other"), word(found, 2))


def _value(data: bytes) -> bytes:
    return netlink.attributes(data, 0).get(1, b"")
