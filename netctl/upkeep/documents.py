"""Documents that contradict each other, as after a file was put back from an older copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from netctl.models import KINDS, Attachment, Document, Endpoint, EndpointRef, Network, Sandbox
from netctl.names import short
from netctl.record import Record, replace
from netctl.store import Changes, Reader

Taken = Callable[[str, str], bool]
_SHOWN = 3
"""Claims that a line names."""
_PREFIX = 11
"""Bytes of an interface's name that a number may follow."""
_MOST_NAMES = 1024


class Contradiction(Record):
    """What does not fit together, and the changes after which it does; None where nobody can
    know."""

    title: str
    what: str
    expected: str
    found: str
    changes: Changes | None = None


def find(reader: Reader, taken: Taken) -> Iterator[Contradiction]:
    """Yield the contradictions: a claim first, for nothing can be put while another holds it.

    ``taken`` says whether a namespace has an interface of a name.
    """
    yield from _claims(reader)
    networks = {network.id for network in reader.all(Network)}
    sandboxes = {sandbox.id: sandbox for sandbox in reader.all(Sandbox)}
    within: dict[str, list[Endpoint]] = {}
    for endpoint in reader.all(Endpoint):
        place = endpoint.attachment
        if endpoint.network_id not in networks:
            yield _orphan(endpoint)
        elif place and place.sandbox_id not in sandboxes:
            yield _adrift(endpoint)
        elif place:
            within.setdefault(place.sandbox_id, []).append(endpoint)
            yield from _misplaced(endpoint, place, sandboxes[place.sandbox_id])
    for sandbox in sandboxes.values():
        yield from _refs(sandbox, within.get(sandbox.id, []))
        yield from _ifnames(sandbox, within.get(sandbox.id, []), taken)


def _claims(reader: Reader) -> Iterator[Contradiction]:
    wanted: dict[str, str] = {}
    for document in chain.from_iterable(_all(reader)):
        for claim in document.claims():
            if wanted.setdefault(claim, document.id) != document.id:
                both = f"{short(wanted[claim])} and {short(document.id)}"
                yield Contradiction(title="store", what=claim, expected="one holder", found=both)
    there = reader.claims()
    wrong: dict[str, str | None] = {
        claim: wanted.get(claim)
        for claim in {*wanted, *there}
        if wanted.get(claim) != there.get(claim)
    }
    if wrong:
        names = sorted(wrong)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield Contradiction(
            title="store",
            what=f"claims {', '.join(names[:_SHOWN])}{more}",
            expected="held by those whose they are",
            found="held by others, or not held",
            changes=Changes(claims=wrong),
        )


def _all(reader: Reader) -> Iterator[list[Document]]:
    for kind in KINDS:
        yield list(reader.all(kind))


def _orphan(endpoint: Endpoint) -> Contradiction:
    return Contradiction(
        title=f"endpoint {endpoint.name}",
        what="network",
        expected=short(endpoint.network_id),
        found="nothing",
        changes=Changes(delete=(endpoint,)),
    )


def _adrift(endpoint: Endpoint) -> Contradiction:
    alone = replace(endpoint, attachment=None)
    assert endpoint.attachment
    return Contradiction(
        title=f"endpoint {endpoint.name}",
        what="sandbox",
        expected=short(endpoint.attachment.sandbox_id),
        found="nothing",
        changes=Changes(delete=(endpoint,)) if endpoint.transient else Changes(put=(alone,)),
    )


def _misplaced(endpoint: Endpoint, place: Attachment, sandbox: Sandbox) -> Iterator[Contradiction]:
    """The sandbox has been renamed, or has another key, since the endpoint's copy was written."""
    if place.netns != sandbox.netns:
        moved = replace(endpoint, attachment=replace(place, netns=sandbox.netns))
        yield Contradiction(
            title=f"endpoint {endpoint.name}",
            what="namespace",
            expected=sandbox.netns,
            found=place.netns,
            changes=Changes(put=(moved,)),
        )


def _refs(sandbox: Sandbox, within: list[Endpoint]) -> Iterator[Contradiction]:
    known = {ref.endpoint_id for ref in sandbox.endpoints}
    if known == {endpoint.id for endpoint in within}:
        return
    orders = {endpoint.id: endpoint.attachment.order for endpoint in within if endpoint.attachment}
    refs = tuple(
        EndpointRef(network_id=endpoint.network_id, endpoint_id=endpoint.id)
        for endpoint in sorted(within, key=lambda each: orders[each.id])
    )
    joins = max([sandbox.joins, *orders.values()])
    yield Contradiction(
        title=f"sandbox {sandbox.name}",
        what="endpoints",
        expected=", ".join(sorted(endpoint.name for endpoint in within)) or "none",
        found=f"{len(known)} of which it knows",
        changes=Changes(put=(replace(sandbox, endpoints=refs, joins=joins),)),
    )


def _ifnames(sandbox: Sandbox, within: Iterable[Endpoint], taken: Taken) -> Iterator[Contradiction]:
    """One whose interface was lost, and whose name another was given, gets another name."""
    places = [(endpoint, place) for endpoint in within if (place := endpoint.attachment)]
    used: set[str] = set()
    # The last one has the interface.
    for endpoint, place in sorted(places, key=lambda each: -each[1].order):
        if place.ifname and place.ifname in used:
            known = used.union(other.ifname for _, other in places)
            name = _other_name(place.ifname, lambda n: n in known or taken(sandbox.netns, n))  # noqa: B023  # asked at once
            used.add(name)
            renamed = replace(endpoint, attachment=replace(place, ifname=name))
            yield Contradiction(
                title=f"endpoint {endpoint.name}",
                what=f"interface name in sandbox {sandbox.name}",
                expected=name,
                found=f"{place.ifname}, as another endpoint has",
                changes=Changes(put=(renamed,)),
            )
        used.add(place.ifname)


def _other_name(name: str, taken: Callable[[str], bool]) -> str:
    prefix = name.rstrip("0123456789")[:_PREFIX] or "eth"
    numbered = (f"{prefix}{number}" for number in range(_MOST_NAMES))
    return next((each for each in numbered if not taken(each)), name)
