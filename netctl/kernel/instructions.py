"""Rules of nftables as the instructions that the kernel runs, those of iptables-nft too.

As far as they matter for where a packet goes; what else there is stays a name, so that nothing
foreign is too strange to be read. The classes are written out, for one that is made of its
annotations takes 0.2 ms to import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Load:
    """Something of the packet into a register: ``meta iifname``, ``ct state``, ``fib daddr type``,
    or ``network`` and ``transport`` header bytes from ``offset``."""

    __slots__ = ("offset", "register", "size", "source")

    def __init__(self, register: int, source: str, offset: int = 0, size: int = 0) -> None:
        self.register, self.source, self.offset, self.size = register, source, offset, size


class Mask:
    """``(register & mask) ^ xor`` into another register."""

    __slots__ = ("mask", "register", "target", "xor")

    def __init__(self, register: int, target: int, mask: bytes, xor: bytes) -> None:
        self.register, self.target, self.mask, self.xor = register, target, mask, xor


class Compare:
    """End the rule unless a register is as it says; ``operator`` is ``==``, ``<``, ..."""

    __slots__ = ("operator", "register", "value")

    def __init__(self, register: int, operator: str, value: bytes) -> None:
        self.register, self.operator, self.value = register, operator, value


class Lookup:
    """End the rule unless a register is in a set; of a map the value goes to ``target``, where 0 is
    the verdict and None is none."""

    __slots__ = ("inverted", "register", "set", "target")

    def __init__(self, register: int, set: str, inverted: bool, target: int | None) -> None:
        self.register, self.set, self.inverted, self.target = register, set, inverted, target


class Immediate:
    """A value into a register."""

    __slots__ = ("register", "value")

    def __init__(self, register: int, value: bytes) -> None:
        self.register, self.value = register, value


class Verdict:
    """``accept``, ``drop``, ``jump``, ``goto``, ``return``, ``continue``, or ``other``: what a
    program decides."""

    __slots__ = ("chain", "word")

    def __init__(self, word: str, chain: str = "") -> None:
        self.word, self.chain = word, chain


class Translate:
    """NAT, which ends the chain: ``dnat``, ``snat``, ``masquerade``, ``redirect``."""

    __slots__ = ("word",)

    def __init__(self, word: str) -> None:
        self.word = word


class Match:
    """An extension of iptables."""

    __slots__ = ("info", "name", "revision")

    def __init__(self, name: str, revision: int, info: bytes) -> None:
        self.name, self.revision, self.info = name, revision, info


class Other:
    """Anything else; ``harmless`` where it neither decides nor ends the rule."""

    __slots__ = ("harmless", "name")

    def __init__(self, name: str, harmless: bool) -> None:
        self.name, self.harmless = name, harmless


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
