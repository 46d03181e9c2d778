"""From what the user typed to a document: a name, else a full id, else a unique id prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from netctl.errors import Conflict, NetctlError, NotFound
from netctl.models import Document, Endpoint, Network, Sandbox, folded_claim
from netctl.names import is_id, is_id_prefix, short
from netctl.store import Reader

_T = TypeVar("_T")
_Named = TypeVar("_Named", Network, Endpoint, Sandbox)


class Handle(Protocol):
    """What the library gives for an object: see ``netctl.handles``."""

    @property
    def doc(self) -> Document: ...


Ref = str | Handle
"""A name, an id, the unique beginning of one, or a handle."""


def _text(what: str, reference: Ref) -> str:
    """Return a reference as text. Raises ``TypeError`` for what is none, such as the handle of
    another kind of object: that is a mistake in a program, and no object can be meant."""
    if isinstance(reference, str):
        return reference
    document = getattr(reference, "doc", None)
    if document is None or document.kind != what:
        raise TypeError(f"{what}: a name, an id or its handle is expected, not {reference!r:.80}")
    return str(document.id)


def find_network(store: Reader, reference: Ref) -> Network | None:
    """Return the network of that name or id; None where there is none, ``Conflict`` for several."""
    reference = _text("network", reference)
    if holder := store.owner(f"network/{reference}"):
        return store.get(Network, holder)
    return _by_id(store, Network, reference)


def network(store: Reader, reference: Ref) -> Network:
    """Return the network of that name or id, or raise ``NotFound``."""
    return found(
        "network", reference, find_network(store, reference), lambda: _names(store, Network)
    )


def find_sandbox(store: Reader, reference: Ref) -> Sandbox | None:
    """Return the sandbox of that name or id; None where there is none, ``Conflict`` for several."""
    reference = _text("sandbox", reference)
    if holder := store.owner(f"sandbox/{reference}"):
        return store.get(Sandbox, holder)
    return _by_id(store, Sandbox, reference)


def sandbox(store: Reader, reference: Ref) -> Sandbox:
    """Return the sandbox of that name or id, or raise ``NotFound``."""
    return found(
        "sandbox", reference, find_sandbox(store, reference), lambda: _names(store, Sandbox)
    )


def find_endpoint(store: Reader, reference: Ref) -> Endpoint | None:
    """Return the endpoint ``NET/NAME``, ``NAME`` or id; None where there is none."""
    reference = _text("endpoint", reference)
    if "/" in reference:
        place, _, name = reference.partition("/")
        parent = find_network(store, place)
        return endpoint_of(store, parent.id, name) if parent else None
    return _by_name(store, reference) or _by_id(store, Endpoint, reference)


def endpoint(store: Reader, reference: Ref) -> Endpoint:
    """Return the endpoint ``NET/NAME``, ``NAME`` where that is unique, or id; else ``NotFound``."""
    return found(
        "endpoint", reference, find_endpoint(store, reference), lambda: _paths(store, "{1}/{0}")
    )


def endpoint_of(store: Reader, network_id: str, name: str) -> Endpoint | None:
    """Return the endpoint of that name in a network."""
    holder = store.owner(f"endpoint/{network_id}/{name}")
    return store.get(Endpoint, holder, network_id) if holder else None


def check_endpoint_free(
    store: Reader,
    network: Network,
    name: str,
    *,
    asked: bool = True,
    but: str = "",
    hint: str = "choose another name",
) -> None:
    """Raise ``Conflict`` where a network has an endpoint of that name or, for one that is ``asked``
    for by its name, another that DNS does not tell from it. ``but`` is the id of one that changes
    its own name."""
    if endpoint_of(store, network.id, name):
        raise Conflict(f"network {network.name} has an endpoint {name} already", hint=hint)
    near = _differing_by_case(store, network, name) if asked else None
    if near and near.id != but:
        raise Conflict(
            f"network {network.name} has an endpoint {near.name} already, and DNS does not tell"
            f" {name} from it",
            hint="choose another name, or make one of them --anonymous, with an --alias",
        )


def _differing_by_case(store: Reader, network: Network, name: str) -> Endpoint | None:
    """Return an endpoint that its network knows by the same name but for capital letters."""
    for claim in (f"endpoint/{network.id}/{name.lower()}", folded_claim(network.id, name)):
        holder = store.owner(claim)
        found = store.get(Endpoint, holder, network.id) if holder else None
        if found and not found.anonymous and found.name != name:
            return found
    return None


def split_service(text: str) -> tuple[str, str]:
    """Return the name and network of dnet's ``SVC[.NET]``: the last dot splits, and without one the
    network is ``""``."""
    name, dot, network = text.rpartition(".")
    return (name, network) if dot else (text, "")


def service(store: Reader, reference: str, default_network: str) -> Endpoint:
    """Return the endpoint that dnet calls ``SVC[.NET]``, where SVC is a name or the beginning of an
    id; raise ``NotFound``. Without a network it is a name in the default one, else any id."""
    name, place = split_service(reference)
    parent = find_network(store, place or default_network)
    there = endpoint_of(store, parent.id, name) if parent else None
    if there or (place and not parent):
        return found("service", reference, there, lambda: _paths(store, "{0}.{1}"))
    scope = parent.id if place and parent else ""
    return found(
        "service",
        reference,
        _by_id(store, Endpoint, name, scope),
        lambda: _paths(store, "{0}.{1}"),
    )


def _names(store: Reader, kind: type[Network] | type[Sandbox]) -> list[str]:
    return [each.name for each in store.all(kind)]


def _paths(store: Reader, form: str) -> list[str]:
    """Return the endpoints by their names, and by those in a ``form`` with their networks."""
    networks = {network.id: network.name for network in store.all(Network)}
    found = store.all(Endpoint)
    return [
        *(each.name for each in found),
        *(form.format(each.name, networks.get(each.network_id, "")) for each in found),
    ]


def _by_name(store: Reader, name: str) -> Endpoint | None:
    owners = store.owners([name], "endpoint")
    if len(owners) > 1:
        networks = [store.get(Network, key.split("/")[1]) for key in owners]
        choices = sorted(f"{net.name}/{name}" for net in networks if net)
        raise _ambiguous("endpoint", name, choices)
    for key, holder in owners.items():
        return store.get(Endpoint, holder, key.split("/")[1])
    return None


def _by_id(store: Reader, kind: type[_Named], prefix: str, parent: str = "") -> _Named | None:
    if not is_id_prefix(prefix):
        return None
    if is_id(prefix):
        return store.get(kind, prefix, parent)
    matches = store.by_prefix(kind, prefix, parent)
    if len(matches) > 1:
        raise _ambiguous(kind.kind, prefix, [f"{m.name} ({short(m.id)})" for m in matches])
    return matches[0] if matches else None


def found(
    what: str,
    reference: Ref,
    document: _T | None,
    known: Callable[[], Iterable[str]] = lambda: (),
) -> _T:
    """Return ``document``, or raise ``NotFound`` for None, with the names of ``known`` that are
    near: they are read when somebody reads the hint."""
    if document is not None:
        return document
    word, shown = str(reference), f"netctl {what} ls shows what there is"

    def hint() -> str:
        from netctl.nearness import suggestion

        try:
            return f"{suggestion(word, set(known()))} {shown}".lstrip()
        except NetctlError:
            return shown  # The store cannot be read, which is another error.

    raise NotFound(f"no {what} {word[:80]!r}", hint=hint)


def _ambiguous(what: str, reference: str, choices: Iterable[str]) -> Conflict:
    return Conflict(
        f"{what} {reference!r} is ambiguous: {', '.join(choices)}",
        hint="give the full name, or more digits of the id",
    )
