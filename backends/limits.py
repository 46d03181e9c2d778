"""How fast endpoints are, seen from the host's end of their wire, which no sandbox can change.

What goes to the sandbox leaves there through a token bucket. What it sends comes in there, where
nothing can wait: it is led through an interface of its own (ifb), which has one, or, where the
kernel has no such interfaces, dropped where it comes too fast.
"""

from __future__ import annotations

from collections.abc import Iterable

from netctl.backends.settings import ipv6_switch
from netctl.kernel import Kernel
from netctl.kernel.interface import Shape
from netctl.models import Attachment, Endpoint, Limits, Network
from netctl.names import alias_of, ifb_ifname
from netctl.plan import Assembly, Plan, Step, Undo
from netctl.steps.links import LinkUp
from netctl.steps.shaping import Diverted, IfbAdd, Policed, Shaped

_HEADER = 14
"""Of an Ethernet frame, bytes."""
_BURST, _QUEUE = 20, 20
"""One over the seconds, 50 ms, that a burst and a queue last. A burst also makes up for what a busy
machine had no time to send: with 10 ms, a fifth of a rate was lost where four processes wanted two
processors. What is handed over at once and is larger than a burst the kernel cuts into frames."""
_BURST_FRAMES, _QUEUE_FRAMES = 4, 12
"""At least: the queue takes what TCP begins with, 10 (RFC 6928)."""
_LARGEST = 1 << 30
"""Of a burst and of a queue, bytes: together they have to fit into 32 bits (linux/pkt_sched.h)."""
_POLICED, _POLICED_BURST = 5, 128 * 1024
"""What is only dropped is not cut, and a sender of TCP that loses some of all it hands over pauses:
200 ms, and not less than two of what is handed over at once, bring it to 90 % of the rate."""


def device(endpoint: Endpoint, kernel: Kernel, before: Attachment | None = None) -> str:
    """Return the name of the ifb that an endpoint needs, ``""`` for none."""
    if not endpoint.limits.rate_out:
        return ""
    if before and before.ifb:
        return before.ifb
    return ifb_ifname(endpoint.id) if kernel.has_link_kind("ifb") else ""


def beside(network: Network, endpoint: Endpoint, place: Attachment) -> Plan:
    """Return how the ifb is made, where the endpoint has one."""
    if not place.ifb:
        return ()
    alias = alias_of("endpoint", endpoint.id)
    made = IfbAdd(name=place.ifb, alias=alias, mtu=place.mtu)
    shape = _shape(endpoint.limits.rate_out, endpoint.limits, place)
    shaped = Shaped(link=place.ifb, alias=alias, shape=shape)
    quiet = ipv6_switch(network, "", place.ifb, None)
    return (Assembly(steps=(made, shaped, *quiet, LinkUp(netns="", name=place.ifb))),)


def at_port(endpoint: Endpoint, place: Attachment) -> Iterable[Step]:
    """Yield what limits at the host's end itself; all of it goes with that."""
    yield from _toward(endpoint, place)
    yield from _from(endpoint, place)


def change(network: Network, before: Endpoint, after: Endpoint) -> Plan:
    """Return how the limits of a joined endpoint become others."""
    old, new = before.attachment, after.attachment
    if old is None or new is None:
        return ()
    return (
        *_changed(list(_toward(before, old)), list(_toward(after, new))),
        *_changed_from(network, before, after, old, new),
    )


def _changed_from(
    network: Network, before: Endpoint, after: Endpoint, old: Attachment, new: Attachment
) -> Iterable[Step]:
    had, wanted = before.limits.rate_out, after.limits.rate_out
    if had and wanted and old.ifb and old.ifb == new.ifb:
        return _changed(_bucket(before, old), _bucket(after, new))
    gone = (*beside(network, before, old), *_from(before, old))
    come = (*beside(network, after, new), *_from(after, new))
    return () if gone == come else (*(Undo(step=step) for step in reversed(gone)), *come)


def _changed(old: list[Shaped], new: list[Shaped]) -> Iterable[Step]:
    """Return how a token bucket becomes another, which it does in its place."""
    if old == new:
        return ()
    if not new:
        return [Undo(step=step) for step in old]
    return [
        Shaped(link=s.link, alias=s.alias, shape=s.shape, previous=old[0].shape if old else None)
        for s in new
    ]


def _toward(endpoint: Endpoint, place: Attachment) -> Iterable[Shaped]:
    if rate := endpoint.limits.rate_in:
        alias = alias_of("endpoint", endpoint.id)
        shape = _shape(rate, endpoint.limits, place)
        yield Shaped(link=place.host_ifname, alias=alias, shape=shape)


def _bucket(endpoint: Endpoint, place: Attachment) -> list[Shaped]:
    alias = alias_of("endpoint", endpoint.id)
    shape = _shape(endpoint.limits.rate_out, endpoint.limits, place)
    return [Shaped(link=place.ifb, alias=alias, shape=shape)]


def _from(endpoint: Endpoint, place: Attachment) -> Iterable[Step]:
    alias, limits = alias_of("endpoint", endpoint.id), endpoint.limits
    if place.ifb:
        yield Diverted(link=place.host_ifname, alias=alias, to=place.ifb)
    elif limits.rate_out:
        burst = max(limits.burst or limits.rate_out // 8 // _POLICED, _POLICED_BURST)
        shape = Shape(rate=limits.rate_out, burst=burst)
        yield Policed(link=place.host_ifname, alias=alias, shape=shape)


def _shape(rate: int, limits: Limits, place: Attachment) -> Shape:
    frame, second = place.mtu + _HEADER, rate // 8
    burst = limits.burst or min(max(second // _BURST, _BURST_FRAMES * frame), _LARGEST)
    queue = min(max(second // _QUEUE, _QUEUE_FRAMES * frame), _LARGEST)
    return Shape(rate=rate, burst=burst, limit=burst + queue)
