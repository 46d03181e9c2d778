"""What a ruleset does with a packet, without sending one.

The packet is known in part: where a rule asks for what is not known, it may match or not. So a
chain drops a packet for certain, or lets it pass, or drops it unless a rule makes an exception.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Protocol

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
from netctl.kernel.ruleset import Chain
from netctl.record import Record

_DEPTH = 16
"""Of jumps, which is the kernel's limit too (NFT_JUMP_STACK_SIZE)."""
_REGISTERS = 80
"""Bytes: the verdict, and four registers of 16 bytes or 16 of 4."""
_STATES = {"new": 8, "established": 2}
"""Bits of linux/netfilter/nf_conntrack_common.h, which xt_conntrack shares."""
_STATUSES = {"new": 0, "established": 0x0E}
"""Seen reply, assured and confirmed."""
_DNAT, _XT_DNAT = 0x20, 0x80
_XT_STATE, _XT_STATE_ALIAS = 0x0001, 0x2000
_UNICAST, _LOCAL = 1, 2
"""RTN_UNICAST and RTN_LOCAL (linux/rtnetlink.h)."""
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}


class Packet(Record):
    """What is known of a packet; empty is not known."""

    version: int
    iif: str = ""
    oif: str = ""
    source: str = ""
    destination: str = ""
    protocol: str = ""
    port: int = 0
    """Its destination's."""
    state: str = "new"
    """``new`` or ``established``."""
    translated: bool = False
    """Whether its destination was (ct status dnat)."""
    local: bool = False
    """Whether it is for an address of the host."""


class Outcome(Record):
    """What becomes of a packet in a chain with a hook."""

    word: str
    """``accept``, ``drop``, ``dnat`` and other translations, or ``other``: a program decides."""
    chain: Chain
    """Where that is said."""
    handle: int = 0
    """Of the rule that says it; 0 is the chain's policy."""
    exceptions: tuple[tuple[Chain, int], ...] = ()
    """Rules before it that may say otherwise: chain and handle."""


class Ruleset(Protocol):
    """Where rules come from."""

    def nft_rules(self, chain: Chain) -> list[Rule]: ...

    def nft_key_size(self, chain: Chain, name: str) -> int: ...

    def nft_element(self, chain: Chain, name: str, key: bytes) -> Verdict | bytes | None: ...


class TooMany(Exception):
    """There are more rules than were to be looked at."""


class Evaluation:
    """One ruleset, of which each chain is read at most once."""

    def __init__(self, ruleset: Ruleset, chains: Iterable[Chain], *, limit: int) -> None:
        """``limit`` is how many rules a packet may go through."""
        self._ruleset = ruleset
        self._chains = {(c.family, c.table, c.name): c for c in chains}
        self._rules: dict[Chain, list[Rule]] = {}
        self.limit = limit

    def outcome(self, chain: Chain, packet: Packet) -> Outcome:
        """Return what becomes of a packet in a chain with a hook. Raises ``TooMany``."""
        walk = _Walk(self, packet)
        found = walk.through(chain, sure=True, depth=0)
        word, where, handle = found or (chain.policy, chain, 0)
        exceptions = tuple(item[1:] for item in walk.uncertain if item[0] != word)
        return Outcome(word=word, chain=where, handle=handle, exceptions=exceptions)

    def rules(self, chain: Chain) -> list[Rule]:
        if chain not in self._rules:
            self._rules[chain] = self._ruleset.nft_rules(chain)
        return self._rules[chain]

    def led_to(self, chain: Chain, name: str) -> Chain | None:
        return self._chains.get((chain.family, chain.table, name))

    def looked_up(self, chain: Chain, name: str, registers: _Registers, register: int) -> _Found:
        """Return what a set holds, and whether that is sure."""
        key = registers.read(register, self._ruleset.nft_key_size(chain, name))
        return (self._ruleset.nft_element(chain, name, key), True) if key else (None, False)


_Found = tuple[Verdict | bytes | None, bool]
_Said = tuple[str, Chain, int]


class _Walk:
    """One packet's way through a chain and those that it leads to."""

    def __init__(self, evaluation: Evaluation, packet: Packet) -> None:
        self._evaluation = evaluation
        self._packet = packet
        self._facts = _facts(packet)
        self._left = evaluation.limit
        self.uncertain: list[_Said] = []

    def through(self, chain: Chain, *, sure: bool, depth: int) -> _Said | None:
        """Return what is said for certain; None where the chain's end is reached."""
        for rule in self._evaluation.rules(chain):
            self._left -= 1
            if self._left < 0:
                raise TooMany
            verdict, certain = self._verdict(chain, rule)
            certain = certain and sure
            if verdict is None or verdict.word == "continue":
                continue
            if verdict.word == "return" and certain:
                return None
            if verdict.word in ("jump", "goto"):
                inner = self._evaluation.led_to(chain, verdict.chain)
                if inner and depth < _DEPTH:
                    said = self.through(inner, sure=certain, depth=depth + 1)
                    if said or (certain and verdict.word == "goto"):
                        return said
                continue
            if certain:
                return verdict.word, chain, rule.handle
            self.uncertain.append((verdict.word, chain, rule.handle))
        return None

    def _verdict(self, chain: Chain, rule: Rule) -> tuple[Verdict | None, bool]:
        """Return what a rule says, None where it does not match, and whether that is sure."""
        registers, sure = _Registers(), True
        for instruction in rule.instructions:
            match instruction:
                case Load():
                    registers.store(instruction.register, self._load(instruction))
                    continue
                case Compare():
                    matches = _compared(instruction, registers)
                case Verdict():
                    return instruction, sure
                case Translate():
                    return Verdict(instruction.word), sure
                case Lookup():
                    matches, verdict = self._lookup(chain, instruction, registers)
                    if verdict:
                        return verdict, sure and matches is not None
                case _:
                    matches = self._step(instruction, registers)
            if matches is False:
                return None, True
            sure = sure and matches is True
        return None, sure

    def _lookup(
        self, chain: Chain, instruction: Lookup, registers: _Registers
    ) -> tuple[bool | None, Verdict | None]:
        evaluation, register = self._evaluation, instruction.register
        found, sure = evaluation.looked_up(chain, instruction.set, registers, register)
        target = instruction.target
        if not sure:
            registers.forget()
            return None, Verdict("other") if target == 0 else None
        if isinstance(found, Verdict):
            return True, found
        if target:
            registers.store(target, found)
        return (found is None) == instruction.inverted, None

    def _step(self, instruction: Instruction, registers: _Registers) -> bool | None:
        """Carry out an instruction; return whether the rule still matches, None for perhaps."""
        match instruction:
            case Immediate():
                registers.store(instruction.register, instruction.value)
            case Mask():
                registers.store(instruction.target, _masked(instruction, registers))
            case Match():
                return _extension(instruction, self._packet)
            case Other() if not instruction.harmless:
                registers.forget()
                return None
        return True

    def _load(self, load: Load) -> bytes | None:
        found = self._facts.get(load.source)
        if found is None or not load.size:
            return found
        part = found[load.offset : load.offset + load.size]
        known = self._facts.get(f"{load.source} known", b"")[load.offset : load.offset + load.size]
        return part if len(part) == load.size and all(known) else None


class _Registers:
    """The kernel's registers, of which each byte is known or not."""

    def __init__(self) -> None:
        self._bytes = bytearray(_REGISTERS)
        self._known = bytearray(_REGISTERS)

    def store(self, register: int, value: bytes | None) -> None:
        """Put a value into a register, padded to four bytes; None is something unknown."""
        start, size = _start(register), len(value) if value else 16
        end = min(start + (size + 3 & ~3), _REGISTERS)
        self._bytes[start:end] = (value or b"").ljust(end - start, b"\0")[: end - start]
        self._known[start:end] = bytes([value is not None]) * (end - start)

    def read(self, register: int, size: int) -> bytes | None:
        """Return the bytes from a register on; None where one of them is not known."""
        start = _start(register)
        known = self._known[start : start + size]
        if not size or len(known) < size or not all(known):
            return None
        return bytes(self._bytes[start : start + size])

    def forget(self) -> None:
        self._known = bytearray(_REGISTERS)


def _start(register: int) -> int:
    """Return where a register begins: 1 to 4 are of 16 bytes, 8 to 23 the same in words."""
    return register * 16 if register <= 4 else 16 + (register - 8) * 4


def _facts(packet: Packet) -> Mapping[str, bytes]:
    """Return what is known of a packet, by what loads it."""
    four = packet.version == 4
    status = _STATUSES[packet.state] | (_DNAT if packet.translated else 0)
    facts = {
        "meta nfproto": bytes([2 if four else 10]),
        "meta protocol": (0x0800 if four else 0x86DD).to_bytes(2, "big"),
        "meta mark": bytes(4),
        "ct mark": bytes(4),
        "ct state": _native(_STATES[packet.state]),
        "ct status": _native(status),
        "fib daddr type": _native(_LOCAL if packet.local else _UNICAST),
        "fib saddr type": _native(_UNICAST),
        **_names(packet),
    }
    if number := _PROTOCOLS.get(packet.protocol):
        facts["meta l4proto"] = bytes([number])
    header, known = _network_header(packet)
    facts |= {"network": header, "network known": known}
    if packet.port:
        facts["transport"] = bytes(2) + packet.port.to_bytes(2, "big")
        facts["transport known"] = b"\0\0\1\1"
    return facts


def _names(packet: Packet) -> dict[str, bytes]:
    """Return the interfaces' names, as a register holds them."""
    given = {"iifname": packet.iif, "oifname": packet.oif}
    given |= {"ibrname": packet.iif, "obrname": packet.oif}
    return {
        f"meta {key}": name.encode(errors="surrogateescape").ljust(16, b"\0")
        for key, name in given.items()
        if name
    }


def _network_header(packet: Packet) -> tuple[bytes, bytes]:
    """Return the IP header, and which of its bytes are known."""
    four = packet.version == 4
    header, known = bytearray(20 if four else 40), bytearray(20 if four else 40)
    protocol = bytes([_PROTOCOLS[packet.protocol]]) if packet.protocol in _PROTOCOLS else b""
    for offset, value in (
        (0, b"\x45" if four else b""),
        (9 if four else 6, protocol),
        (12 if four else 8, _packed(packet.source)),
        (16 if four else 24, _packed(packet.destination)),
    ):
        header[offset : offset + len(value)] = value
        known[offset : offset + len(value)] = b"\1" * len(value)
    return bytes(header), bytes(known)


def _packed(address: str) -> bytes:
    return ip_address(address).packed if address else b""


def _native(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _masked(instruction: Mask, registers: _Registers) -> bytes | None:
    mask, xor = instruction.mask, instruction.xor
    value = registers.read(instruction.register, len(mask))
    if value is None or len(xor) != len(mask):
        return None
    return bytes(v & m ^ x for v, m, x in zip(value, mask, xor, strict=True))


def _compared(compare: Compare, registers: _Registers) -> bool | None:
    value = registers.read(compare.register, len(compare.value))
    holds = _OPERATORS.get(compare.operator)
    return None if value is None or holds is None else holds(value, compare.value)


_OPERATORS: Mapping[str, Callable[[bytes, bytes], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""Bytes are compared as memcmp does it."""


def _extension(match: Match, packet: Packet) -> bool | None:
    if match.name == "comment":
        return True
    if match.name == "conntrack" and match.revision in (1, 2, 3) and len(match.info) >= 154:
        return _conntrack(match.info, packet)
    if match.name == "addrtype" and match.revision == 1 and len(match.info) >= 8:
        return _addrtype(match.info, _LOCAL if packet.local else _UNICAST)
    return None


def _conntrack(info: bytes, packet: Packet) -> bool | None:
    """``-m conntrack``: struct xt_conntrack_mtinfo3; what it asks beside the state is not known."""
    flags, inverted, states = (
        int.from_bytes(info[at : at + 2], sys.byteorder) for at in (146, 148, 150)
    )
    if flags & _XT_STATE:
        has = _STATES[packet.state] | (_XT_DNAT if packet.translated else 0)
        if bool(has & states) == bool(inverted & _XT_STATE):
            return False
    return None if flags & ~(_XT_STATE | _XT_STATE_ALIAS) else True


def _addrtype(info: bytes, destination: int) -> bool | None:
    """``-m addrtype``: struct xt_addrtype_info_v1."""
    froms, tos = (int.from_bytes(info[at : at + 2], sys.byteorder) for at in (0, 2))
    flags = int.from_bytes(info[4:8], sys.byteorder)
    for types, kind, inverted in ((froms, _UNICAST, flags & 1), (tos, destination, flags & 2)):
        if types and bool(types & 1 << kind) == bool(inverted):
            return False
    return True
