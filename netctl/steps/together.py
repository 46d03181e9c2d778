"""What many removals have in common, done once.

The kernel takes as long to delete 200 interfaces as to delete one, where it is asked for all of
them at once; the same holds for a look through the tracked connections, and for a word to the
resolver. So a plan that takes much down is rearranged: what goes together goes at the place of the
first one, and what is forgotten afterwards at the place of the last one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

from netctl.kernel.interface import Kernel
from netctl.plan import Assembly, Attempt, Difference, Interface, Plan, Step, Undo, execute
from netctl.record import replace
from netctl.steps.addresses import RouteAdd
from netctl.steps.base import Once, Setting
from netctl.steps.files import DirectoryCreate
from netctl.steps.links import BridgeAdd, Hairpin, LinkGone, VethAdd
from netctl.steps.names import Names, Resolver
from netctl.steps.neighbours import NeighboursForgotten
from netctl.steps.settings import FlowsForgotten, Nft
from netctl.steps.shaping import IfbAdd

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot

S = TypeVar("S", bound=Step)
Steps = list[Step]
Belongs = Callable[[Step], bool]
Merge = Callable[[Steps], Iterable[Step]]
_MOST = 500
"""Interfaces that go at once: the kernel's lock on all of them is held for some 100 ms then."""


class Together(Once):
    """Interfaces of the host, each with what is built upon it: they go at once."""

    steps: tuple[Step, ...]
    """``Assembly``, or the step that makes an interface; in the order in which they are made."""

    def apply(self, kernel: Kernel) -> None:
        execute(self.steps, kernel)

    def revert(self, kernel: Kernel) -> bool | Step:
        """Return what of it was there."""
        marks = {_maker(step): step for step in reversed(self.steps)}
        there = kernel.links_delete([(maker.name, maker.alias) for maker in marks])
        gone = tuple(step for step in self.steps if _maker(step).name in there)
        return replace(self, steps=gone) if gone else False

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return "\n".join(step.describe() for step in self.steps)

    def describe_revert(self) -> str:
        return _deletion([_maker(step).name for step in reversed(self.steps)])


class LinksGone(Setting):
    """Interfaces of ours that no document knows, deleted for good, at once."""

    links: tuple[tuple[str, str], ...]
    """The name and the alias of each."""

    def apply(self, kernel: Kernel) -> bool:
        return bool(kernel.links_delete(self.links))

    def revert(self, kernel: Kernel) -> bool:
        return False

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return _deletion([name for name, _ in self.links])

    def describe_revert(self) -> str:
        return f": {', '.join(name for name, _ in self.links)} stay away"


def together(plan: Plan) -> Plan:
    """Return a plan that does the same, and at once what can be done at once."""
    steps = _folded(plan)
    for belongs, merge, last in _KINDS:
        steps = _gathered(steps, belongs, merge, last=last)
    return tuple(steps)


def _gathered(steps: Steps, belongs: Belongs, merge: Merge, *, last: bool) -> Steps:
    """Put one step for all that belong together at the place of the first of them, or the last."""
    places = [index for index, step in enumerate(steps) if belongs(step)]
    if len(places) < 2:
        return steps
    merged = list(merge([steps[index] for index in places]))
    where = places[-1] if last else places[0]
    others = set(places)
    before = [step for index, step in enumerate(steps[:where]) if index not in others]
    after = [step for index, step in enumerate(steps[where:], where) if index not in others]
    return [*before, *merged, *after]


def _folded(plan: Plan) -> Steps:
    """Let what hangs on an interface go with it, and be made with it where that is taken back."""
    going = {
        interface: index
        for index, step in enumerate(plan)
        if _makes_link(step)
        for interface in _interfaces(_maker(_undone(step)))
    }
    hanging: dict[int, list[Step]] = {}
    steps: Steps = []
    for index, step in enumerate(plan):
        place = going.get(_on(step), -1)
        if place > index:
            hanging.setdefault(place, []).append(_undone(step))
        elif index in hanging:
            # What was to be taken back first is made last.
            steps.append(Undo(step=_with(_undone(step), reversed(hanging[index]))))
        else:
            steps.append(step)
    return steps


def _with(step: Step, others: Iterable[Step]) -> Assembly:
    own = step.steps if isinstance(step, Assembly) else (step,)
    return Assembly(steps=(*own, *others))


def _on(step: Step) -> Interface:
    """Return the interface without which what a step takes back is not there."""
    # Nothing is attempted any more of what goes with an interface.
    step = step.step if isinstance(step, Attempt) else step
    inner = _undone(step)
    if isinstance(step, Undo) and isinstance(inner, RouteAdd):
        return (inner.netns, inner.link)
    return ("", inner.name if isinstance(step, Undo) and isinstance(inner, Hairpin) else "")


def _undone(step: Step) -> Step:
    step = step.step if isinstance(step, Attempt) else step
    return step.step if isinstance(step, Undo) else step


def _undoes(step: Step, *kinds: type[Step]) -> bool:
    return isinstance(step, Undo) and isinstance(step.step, kinds)


def _makes_link(step: Step) -> bool:
    inner = _undone(step)
    first = inner.steps[0] if isinstance(inner, Assembly) else inner
    return isinstance(step, Undo) and isinstance(first, _MAKERS)


def _maker(step: Step) -> BridgeAdd | VethAdd | IfbAdd:
    first = step.steps[0] if isinstance(step, Assembly) else step
    assert isinstance(first, _MAKERS)
    return first


def _interfaces(maker: BridgeAdd | VethAdd | IfbAdd) -> Iterable[Interface]:
    yield "", maker.name
    if isinstance(maker, VethAdd):
        yield maker.netns, maker.peer


def _links(steps: Steps) -> Iterator[Step]:
    for start in range(0, len(steps), _MOST):
        making = [_undone(step) for step in reversed(steps[start : start + _MOST])]
        yield Undo(step=Together(steps=tuple(making)))


def _strays(steps: Steps) -> Iterator[Step]:
    marks = [(step.name, step.alias) for step in steps if isinstance(step, LinkGone)]
    for start in range(0, len(marks), _MOST):
        yield LinksGone(links=tuple(marks[start : start + _MOST]))


def _forgets(step: Step) -> bool:
    inner = _undone(step)
    return isinstance(step, Undo) and isinstance(inner, FlowsForgotten) and not inner.coming


def _names(steps: Steps) -> Iterator[Step]:
    for run_dir, found in _sorted(steps, Names, lambda names: names.run_dir).items():
        do = _all_told(names.do for names in reversed(found))
        undo = _all_told(names.undo for names in found)
        yield Undo(step=Names(run_dir=run_dir, do=do, undo=undo))


def _all_told(messages: Iterable[str]) -> str:
    told = [each for message in messages for each in json.loads(message)["of"]]
    return json.dumps({"do": "all", "of": told}, separators=(",", ":"))


def _is_transaction(step: Step) -> bool:
    inner = _undone(step)
    # One that looks at the operator's rules first is on its own.
    return isinstance(step, Undo) and isinstance(inner, Nft) and not inner.chains


def _protects(step: Step) -> bool:
    inner = _undone(step)
    return isinstance(inner, Nft) and inner.protects


def _transactions(steps: Steps) -> Iterator[Step]:
    found = [inner for inner in map(_undone, steps) if isinstance(inner, Nft)]
    do = _commands([nft.do for nft in reversed(found)])
    undo = _commands([nft.undo for nft in found])
    yield Undo(step=Nft(do=do, undo=undo, protects=found[0].protects))


def _commands(texts: Sequence[str]) -> str:
    """Return transactions as one. Most begin with the frame of the table, which is made once, and
    again after one that takes something of it away."""
    lines: list[str] = []
    frame: list[str] = []
    for text in texts:
        each = text.splitlines(keepends=True)
        pairs = zip(frame, each, strict=False)
        known = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        lines += each[known:]
        # An element is made before it is taken, each time.
        own = takewhile(lambda line: not line.startswith("add element "), each)
        frame = [] if any(map(_takes_object, each)) else frame or [*own]
    return "".join(lines)


def _takes_object(command: str) -> bool:
    return command.startswith("delete ") and not command.startswith("delete element ")


def _flows(steps: Steps) -> Iterator[Step]:
    found = [inner for inner in map(_undone, steps) if isinstance(inner, FlowsForgotten)]
    whole = {address for flows in found if not flows.ports for address in flows.addresses}
    if whole:
        yield Undo(step=FlowsForgotten(addresses=tuple(sorted(whole)), coming=False))
    for flows in found:
        # Of an address whose flows all go none is left.
        if flows.ports and not (flows.addresses and whole.issuperset(flows.addresses)):
            yield Undo(step=flows)


def _neighbours(steps: Steps) -> Iterator[Step]:
    for link, found in _sorted(steps, NeighboursForgotten, lambda step: step.link).items():
        addresses = dict.fromkeys(address for step in found for address in step.addresses)
        yield Undo(step=NeighboursForgotten(link=link, addresses=tuple(addresses)))


def _once(steps: Steps) -> Iterator[Step]:
    # Of the same the last one counts: a directory goes when it is empty.
    yield from reversed(dict.fromkeys(reversed(steps)))


def _sorted(steps: Steps, kind: type[S], key: Callable[[S], str]) -> dict[str, list[S]]:
    found: dict[str, list[S]] = {}
    for inner in map(_undone, steps):
        assert isinstance(inner, kind)
        found.setdefault(key(inner), []).append(inner)
    return found


def _deletion(names: Sequence[str]) -> str:
    # The kernel door takes one at random that is free; a script has one that it finds again.
    group = crc32(" ".join(names).encode()) >> 1 or 1
    into = "\n".join(f"ip link set {name} group {group}" for name in names)
    return f"{into}\nip link delete group {group}"


_MAKERS = (BridgeAdd, VethAdd, IfbAdd)
_KINDS: tuple[tuple[Belongs, Merge, bool], ...] = (
    (_makes_link, _links, False),
    (lambda step: isinstance(step, LinkGone) and not step.netns, _strays, False),
    (lambda step: _undoes(step, Names), _names, False),
    (lambda s: _is_transaction(s) and not _protects(s), _transactions, False),
    (lambda s: _is_transaction(s) and _protects(s), _transactions, True),
    (_forgets, _flows, True),
    (lambda step: _undoes(step, NeighboursForgotten), _neighbours, True),
    (lambda step: _undoes(step, Resolver, DirectoryCreate), _once, True),
)
"""What belongs together, how it is done at once, and whether that is at the place of the last."""
