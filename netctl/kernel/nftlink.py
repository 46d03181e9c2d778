"""Reading nftables by netlink (linux/netfilter/nf_tables.h), without libnftables.

A listing of all chains takes 50 us, the library's 1 ms and an error for what it cannot print.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from netctl.errors import NetctlError
from netctl.kernel import netlink
from netctl.kernel.netlink import NLA_F_NESTED, Message, NetlinkSocket, Refusal, attribute
from netctl.kernel.refusal import refused
from netctl.kernel.ruleset import Chain

if TYPE_CHECKING:
    from netctl.kernel.instructions import Rule, Verdict

NETFILTER = 12
_GET_CHAIN, _GET_RULE, _GET_SET, _GET_ELEMENT = (10 << 8 | kind for kind in (4, 7, 10, 13))
_HEADER = struct.Struct("=BBH")
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_NUMBERS = {name: number for number, name in FAMILIES.items()}
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
_HOOKS_OF = {"netdev": ("ingress", "egress"), "arp": ("input", "output", "forward")}
_ABSENT = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL)
"""No such thing, or a kernel without nftables: there is nothing then."""


class Ruleset:
    """The ruleset of the namespace that this is made in."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETFILTER)

    def close(self) -> None:
        self._socket.close()

    def chains(self) -> list[Chain]:
        """``nft list chains``."""
        return [_chain(body) for body in self._dump("list the chains", _GET_CHAIN, 0, b"")]

    def some_chains(self, limit: int) -> list[Chain]:
        """Return the first chains of many; this object is for nothing else afterwards."""
        found = self._socket.some(Message(_GET_CHAIN, _HEADER.pack(0, 0, 0)), limit)
        return [] if isinstance(found, Refusal) else [_chain(body) for body in found]

    def has(self, chain: Chain) -> bool:
        """``nft list chain CHAIN``: whether there is one of that table and name."""
        body = _HEADER.pack(_family(chain), 0, 0) + _text(1, chain.table) + _text(3, chain.name)
        answer = self._socket.get(Message(_GET_CHAIN, body))
        if isinstance(answer, Refusal) and answer.errno not in _ABSENT:
            raise _error(f"look at chain {chain.place}", answer)
        return not isinstance(answer, Refusal)

    def rules(self, chain: Chain) -> list[Rule]:
        """``nft -a list chain CHAIN``."""
        from netctl.kernel import decoding

        found = self._dump(f"list {chain.place}", _GET_RULE, _family(chain), _rules_of(chain))
        return [decoding.rule(body) for body in found]

    def has_more_rules(self, chain: Chain, most: int) -> bool:
        """Whether a chain has more rules; this object is for nothing else afterwards."""
        body = _HEADER.pack(_family(chain), 0, 0) + _rules_of(chain)
        answer = self._socket.dump(Message(_GET_RULE, body), most)
        return isinstance(answer, Refusal) and answer.errno == errno.EFBIG

    def key_size(self, chain: Chain, name: str) -> int:
        """Return the length of a set's keys, bytes; 0 where there is no such set."""
        body = _HEADER.pack(_family(chain), 0, 0) + _text(1, chain.table) + _text(2, name)
        answer = self._socket.get(Message(_GET_SET, body))
        if isinstance(answer, Refusal):
            if answer.errno in _ABSENT:
                return 0
            raise _error(f"look at set {name} of {chain.family} {chain.table}", answer)
        return netlink.big(netlink.attributes(answer, _HEADER.size), 5)

    def element(self, chain: Chain, name: str, key: bytes) -> Verdict | bytes | None:
        """Return what a set or map of a chain's table holds for a key: a verdict, or a value that
        is empty for a set; None for nothing. The kernel looks, however large the set is."""
        from netctl.kernel import decoding

        one = attribute(1 | NLA_F_NESTED, attribute(1, key))
        body = _HEADER.pack(_family(chain), 0, 0) + _text(1, chain.table) + _text(2, name)
        body += attribute(3 | NLA_F_NESTED, attribute(1 | NLA_F_NESTED, one))
        answer = self._socket.get(Message(_GET_ELEMENT, body))
        if isinstance(answer, Refusal):
            if answer.errno in _ABSENT:
                return None
            raise _error(f"look into set {name} of {chain.family} {chain.table}", answer)
        found = netlink.attributes(answer, _HEADER.size)
        for _, item in netlink.each_attribute(found.get(3, b""), 0):
            return decoding.value_of(netlink.attributes(item, 0).get(2, b""))
        return None

    def _dump(self, what: str, kind: int, family: int, which: bytes) -> list[bytes]:
        answer = self._socket.dump(Message(kind, _HEADER.pack(family, 0, 0) + which))
        if not isinstance(answer, Refusal):
            return answer
        if answer.errno in _ABSENT:
            return []
        raise _error(what, answer)


def _error(what: str, refusal: Refusal) -> NetctlError:
    return refused(f"nftables: {what}", refusal.errno, words=refusal.words)


def _family(chain: Chain) -> int:
    return _NUMBERS[chain.family] if chain.family in _NUMBERS else int(chain.family)


def _rules_of(chain: Chain) -> bytes:
    return _text(1, chain.table) + _text(2, chain.name)


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode(errors="surrogateescape") + b"\0")


def _chain(body: bytes) -> Chain:
    found = netlink.attributes(body, _HEADER.size)
    family = FAMILIES.get(body[0], str(body[0]))
    hook = netlink.attributes(found.get(4, b""), 0)
    hooks, number = _HOOKS_OF.get(family, _HOOKS), netlink.big(hook, 1)
    policy = "drop" if 5 in found and not netlink.big(found, 5) else "accept"
    return Chain(
        family=family,
        table=netlink.word(found, 1),
        name=netlink.word(found, 3),
        type=netlink.word(found, 7),
        hook="" if not hook else hooks[number] if number < len(hooks) else str(number),
        priority=netlink.signed(netlink.big(hook, 2)),
        policy=policy if hook else "",
    )
