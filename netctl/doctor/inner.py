"""The firewalls that inhabitants of sandboxes have made themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from netctl.doctor.crossing import passages
from netctl.doctor.destination import Destination
from netctl.doctor.machine import Machine
from netctl.doctor.station import Station, ends
from netctl.kernel.ruleset import Chain
from netctl.kernel.watching import Event
from netctl.models import Sandbox

_ANSWERS = "ct state established,related accept"
_NEIGHBOURS = "meta l4proto ipv6-icmp accept"
_WHAT = {
    "asked": "its own firewall drops it",
    "answered": "its own firewall drops what answers it",
    "neighbours": "its own firewall drops what it and its neighbours tell each other",
}


class OwnFirewall:
    """The nftables of a sandbox, which a packet leaves or comes to."""

    def __init__(self, machine: Machine, sandbox: Sandbox, to: Destination, source: str) -> None:
        self._kernel, self._sandbox = machine.kernel, sandbox
        self._to, self._source = to, source

    def stations(self, events: Sequence[Event]) -> Iterator[Station]:
        """Where it drops the packet, or what answers it; ``events`` is what was seen there."""
        lost = {
            self._kind(each[0]): each for each in passages(events) if each[-1].verdict == "drop"
        }
        for kind in _WHAT:
            if kind in lost:
                first, last = lost[kind][0], lost[kind][-1]
                evidence = f"chain {last.chain.place}: {self._text(last)}"
                where = f"sandbox {self._sandbox.name}"
                lines = self._remedy(first.chain, kind)
                yield ends("own-firewall", where, _WHAT[kind], evidence, *lines)

    def _kind(self, first: Event) -> str:
        asked = (self._source, self._to.address)
        there = (first.source[0], first.destination[0])
        return {asked: "asked", asked[::-1]: "answered"}.get(there, "neighbours")

    def _text(self, lost: Event) -> str:
        if lost.kind == "policy":
            return "policy drop"
        rules = self._kernel.nft_text(lost.chain, self._sandbox.netns)
        return f"{rules.get(lost.handle, 'a rule')} # handle {lost.handle}"

    def _remedy(self, chain: Chain, kind: str) -> Iterator[str]:
        """Yield the lines that let it through the chain with the hook."""
        to, netns = self._to, self._sandbox.netns
        directory, _, name = netns.rpartition("/")
        own = directory == "/run/netns"
        within = f"ip netns exec {name}" if own else f"nsenter --net={quote(netns)}"
        start = f"{within} nft insert rule {chain.family} {quote(chain.table)} {quote(chain.name)}"
        six = ":" in to.address
        if six:
            yield f"{start} {_NEIGHBOURS}"
        if kind == "answered":
            yield f"{start} {_ANSWERS}"
        elif kind == "asked" and to.port:
            yield f"{start} {to.protocol} dport {to.port} accept"
        elif kind == "asked" and not six:
            yield f"{start} icmp type echo-request accept"
