"""Rules of nftables as the instructions that the kernel runs, those of iptables-nft too.

As far as they matter for where a packet goes; what else there is stays a name, so that nothing
foreign is too strange to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Load(NamedTuple):
    """Something of the packet into a register: ``meta iifname``, ``ct state``, ``fib daddr type``,
    or ``network`` and ``transport`` header bytes from ``offset``."""

    register: int
    source: str
    offset: int = 0
    size: int = 0


class Mask(NamedTuple):
    """``(register & mask) ^ xor`` into another register."""

    register: int
    target: int
    mask: bytes
    xor: bytes


class Compare(NamedTuple):
    """End the rule unless a register is as it says."""

    register: int
    operator: str
    value: bytes


class Lookup(NamedTuple):
    """End the rule unless a register is in a set; of a map the value goes to ``target``, where 0 is
    the verdict and None is none."""

    register: int
    set: str
    inverted: bool
    target: int | None


class Immediate(NamedTuple):
    register: int
    value: bytes


class Verdict(NamedTuple):
    """``accept``, ``drop``, ``jump``, ``goto``, ``return``, ``continue``, or ``other``: what a
    program decides."""

    word: str
    chain: str = ""


class Translate(NamedTuple):
    """NAT, which ends the chain: ``dnat``, ``snat``, ``masquerade``, ``redirect``."""

    word: str


class Match(NamedTuple):
    """An extension of iptables."""

    name: str
    revision: int
    info: bytes


class Other(NamedTuple):
    """Anything else; ``harmless`` where it neither decides nor ends the rule."""

    name: str
    harmless: bool


Instruction = Load | Mask | Compare | Lookup | Immediate | Verdict | Translate | Match | Other


class Rule:
    """A rule of a chain. Most rules do not match, at the first or second of their instructions: the
    others are not even read."""

    __slots__ = ("_ahead", "_read", "handle")

    def __init__(self, handle: int, instructions: Iterable[Instruction]) -> None:
        self.handle = handle
        self._ahead = iter(instructions)
        self._read: list[Instruction] = []

    @property
    def instructions(self) -> Iterator[Instruction]:
        yield from self._read
        for instruction in self._ahead:
            self._read.append(instruction)
            yield instruction
