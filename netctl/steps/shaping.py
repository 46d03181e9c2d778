"""Steps on how fast endpoints are: token buckets, and where what comes in is led to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netctl.kernel.interface import TICK_NANOSECONDS, Ingress, Kernel, Shape
from netctl.plan import Difference, Undo
from netctl.record import replace
from netctl.steps.base import Once, Setting, absent

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot


class IfbAdd(Once):
    """An interface, down, through which goes what came in at another one."""

    name: str
    alias: str
    mtu: int

    def apply(self, kernel: Kernel) -> None:
        kernel.ifb_add(self.name, alias=self.alias, mtu=self.mtu)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.link_delete("", self.name, alias=self.alias)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        link, gone = found.link("", self.name), (("", self.name),)
        what = f"interface {self.name}"
        if link is None:
            yield replace(absent(self, what, "there"), gone=gone)
        elif link.alias != self.alias:
            there = link.alias or link.type
            yield Difference(what=what, expected=self.alias, found=there, gone=gone)

    def describe(self) -> str:
        return f"ip link add {self.name} mtu {self.mtu} type ifb"

    def describe_revert(self) -> str:
        return f"ip link delete {self.name}"


class Shaped(Setting):
    """What an interface sends, limited; ``previous`` is how it was limited before, if it was."""

    link: str
    alias: str
    shape: Shape
    previous: Shape | None = None

    def apply(self, kernel: Kernel) -> None:
        kernel.shaper_set(self.link, alias=self.alias, shape=self.shape)

    def revert(self, kernel: Kernel) -> bool:
        if self.previous is None:
            return kernel.shaper_delete(self.link, alias=self.alias)
        kernel.shaper_set(self.link, alias=self.alias, shape=self.previous)
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        there = found.kernel.shaper(self.link)
        if there is None or not _alike(self.shape, there.shape):
            what = f"limit of interface {self.link}"
            yield absent(self, what, _text(self.shape), _text(there.shape) if there else "none")

    def describe(self) -> str:
        return _tbf(self.link, self.shape)

    def describe_revert(self) -> str:
        if self.previous:
            return _tbf(self.link, self.previous)
        return f"tc qdisc delete dev {self.link} root"


class Diverted(Once):
    """All that comes in at an interface, led to another one."""

    link: str
    alias: str
    to: str

    def apply(self, kernel: Kernel) -> None:
        kernel.divert_add(self.link, alias=self.alias, to=self.to)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.ingress_delete(self.link, alias=self.alias)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        there = found.kernel.ingress(self.link)
        if there is None or there.to != self.to:
            difference = _comes_in(self, self.link, f"led to {self.to}", there)
            yield replace(difference, on=(("", self.to),))

    def describe(self) -> str:
        return _ingress(self.link, f"mirred egress redirect dev {self.to}")

    def describe_revert(self) -> str:
        return f"tc qdisc delete dev {self.link} ingress"


class Policed(Once):
    """What comes in at an interface, dropped where it comes too fast."""

    link: str
    alias: str
    shape: Shape

    def apply(self, kernel: Kernel) -> None:
        kernel.police_add(self.link, alias=self.alias, shape=self.shape)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.ingress_delete(self.link, alias=self.alias)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        there = found.kernel.ingress(self.link)
        if there is None or there.shape is None or not _alike(self.shape, there.shape):
            yield _comes_in(self, self.link, _text(self.shape), there)

    def describe(self) -> str:
        rate, burst = self.shape.rate, self.shape.burst
        return _ingress(self.link, f"police rate {rate}bit burst {burst} drop")

    def describe_revert(self) -> str:
        return f"tc qdisc delete dev {self.link} ingress"


def _comes_in(
    step: Diverted | Policed, link: str, expected: str, there: Ingress | None
) -> Difference:
    found = "as it comes"
    if there:
        found = _text(there.shape) if there.shape else f"led to {there.to or '?'}"
    repair = (Undo(step=step), step)
    return Difference(
        what=f"what comes in at {link}", expected=expected, found=found, repair=repair
    )


def _alike(wanted: Shape, found: Shape) -> bool:
    # The kernel tells of a burst as a time, in whole ticks.
    tick = wanted.rate * TICK_NANOSECONDS // 8_000_000_000
    close = abs(wanted.burst - found.burst) <= wanted.burst // 100 + tick + 1
    return (wanted.rate, wanted.limit) == (found.rate, found.limit) and close


def _text(shape: Shape) -> str:
    return f"{shape.rate} bit/s, burst {shape.burst}"


def _tbf(link: str, shape: Shape) -> str:
    return (
        f"tc qdisc replace dev {link} root handle 1: tbf rate {shape.rate}bit"
        f" burst {shape.burst} limit {shape.limit}"
    )


def _ingress(link: str, action: str) -> str:
    return (
        f"tc qdisc add dev {link} ingress\n"
        f"tc filter add dev {link} ingress protocol all prio 1 u32 match u32 0 0 action {action}"
    )
