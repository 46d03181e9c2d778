"""The names, by network, and what each sandbox sees of them.

Lookup is libnetwork's (``Sandbox.ResolveName``, ``Network.ResolveName``) in its form of 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from weakref import WeakSet, WeakValueDictionary

from netctl.backends.dns.model import Endpoint, Member, Network

A, PTR, AAAA, ANY = 1, 12, 28, 255
_OF_DOMAINS = (2, 6, 43, 48)
"""NS, SOA, DS and DNSKEY, which are asked of the domains above a name."""
Record = tuple[int, bytes]
"""Type and data."""
Key = bytes | tuple[bytes]
"""Under what answers are kept: a query without its id, and in a tuple for those over TCP."""

_BUDGET = 64 << 20
"""Bytes of prepared answers that are kept, over all sandboxes."""
_ENTRY = 400
"""Bytes that one costs beside its texts, about."""


class Entry:
    """An endpoint as it is looked up: names in lower case, addresses as records."""

    __slots__ = ("names", "ptr", "records", "reverse")

    def __init__(self, endpoint: Endpoint) -> None:
        addresses = [ip_address(address) for address in endpoint.addresses]
        self.ptr = endpoint.names[0] if endpoint.names else ""
        self.names = tuple(dict.fromkeys(name.lower() for name in endpoint.names))
        self.records: tuple[Record, ...] = tuple(
            (A if address.version == 4 else AAAA, address.packed) for address in addresses
        )
        self.reverse = tuple(address.reverse_pointer for address in addresses)


class Zone:
    """The names of one network."""

    __slots__ = ("by_address", "by_name", "forward", "lower", "name", "views")

    def __init__(self) -> None:
        self.name, self.lower, self.forward = "", "", False
        self.by_name: dict[str, dict[str, Entry]] = {}
        self.by_address: dict[str, dict[str, Entry]] = {}
        self.views: WeakSet[View] = WeakSet()

    def add(self, id: str, entry: Entry) -> None:
        for index, keys in ((self.by_name, entry.names), (self.by_address, entry.reverse)):
            for key in keys:
                index.setdefault(key, {})[id] = entry

    def remove(self, id: str, entry: Entry) -> None:
        for index, keys in ((self.by_name, entry.names), (self.by_address, entry.reverse)):
            for key in keys:
                found = index.get(key, {})
                found.pop(id, None)
                if not found:
                    index.pop(key, None)

    def forget(self, entry: Entry) -> None:
        """Drop the answers that an endpoint's coming or going makes wrong."""
        full = (f"{name}.{self.lower}" for name in entry.names)
        asked = [*entry.names, *full, *entry.reverse]
        for view in self.views:
            view.forget(asked)
            view.forget_aliases()


class View:
    """What a sandbox sees, and the answers prepared for it; the same for all that see the same.

    ``answers`` maps queries without their ids to their answers without theirs, which take turns.
    """

    __slots__ = ("__weakref__", "_asked", "_budget", "_passes", "answers", "members")

    def __init__(
        self, members: Sequence[tuple[Zone, Mapping[str, str]]], budget: Budget | None = None
    ) -> None:
        self.members = members
        self.answers: dict[Key, Iterator[bytes]] = {}
        aliased = any(aliases for _, aliases in members)
        self._passes = (True, False) if aliased else (False,)
        """Whether aliases are looked up, one after the other."""
        self._asked: dict[str, list[Key]] = {}
        self._budget = budget or Budget()
        self._budget.views.add(self)
        for zone, _ in members:
            zone.views.add(self)

    @property
    def forward(self) -> bool:
        """Whether one of its networks leads outside."""
        # Every question asks, and a generator takes 1 us more.
        return True in [zone.forward for zone, _ in self.members]

    def governs(self, name: str, kind: int) -> bool:
        """Whether a name that is not here is nowhere: names of one word are those of endpoints, as
        are those that end with a network's. A top-level domain is no name of ours."""
        if "." not in name:
            return bool(name) and kind not in _OF_DOMAINS
        return any(zone.lower and name.endswith(f".{zone.lower}") for zone, _ in self.members)

    def remember(self, name: str, query: Key, answers: Iterator[bytes], size: int) -> None:
        """Keep the answers, of ``size`` bytes in all, to a query for a name."""
        self._budget.spend(size + _ENTRY)
        self.answers[query] = answers
        self._asked.setdefault(name, []).append(query)

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            for query in self._asked.pop(name, ()):
                self.answers.pop(query, None)

    def forget_aliases(self) -> None:
        for zone, aliases in self.members:
            self.forget(aliases)
            self.forget(f"{alias}.{zone.lower}" for alias in aliases)

    def forget_all(self) -> None:
        self._asked.clear()
        self.answers.clear()

    def find(self, name: str, kind: int) -> list[Record] | None:
        """Return the records of a name (lower case, without the last dot) and type.

        None is for a name that nobody here bears: another server may know it. A name without
        records of that type gives [], and is asked of nobody else.
        """
        found = self._find_name(name, kind)
        return self._find_address(name, kind) if found is None else found

    def _find_name(self, name: str, kind: int) -> list[Record] | None:
        for host, network in self._readings(name):
            for by_alias in self._passes:
                known = False
                for entries in self._bearers(host, network, by_alias):
                    known = True
                    if records := _records(entries, kind):
                        return records
                if known:
                    return []
        return None

    def _readings(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the ways to read a.b.c: as a name, a.b in network c, a in network b.c."""
        yield name, ""
        at = name.rfind(".")
        while at > 0:
            network = name[at + 1 :]
            for zone, _ in self.members:
                if zone.lower == network:
                    yield name[:at], network
                    break
            at = name.rfind(".", 0, at)

    def _bearers(self, host: str, network: str, by_alias: bool) -> Iterator[Iterable[Entry]]:
        """Yield who bears a name, network by network."""
        for zone, aliases in self.members:
            if network and network != zone.lower:
                continue
            if by_alias != (host in aliases):
                # What is an alias is not the name of somebody else as well.
                continue
            if entries := zone.by_name.get(aliases[host] if by_alias else host):
                yield entries.values()

    def _find_address(self, name: str, kind: int) -> list[Record] | None:
        if not name.endswith(".arpa"):
            return None
        known = False
        for zone, _ in self.members:
            for entry in zone.by_address.get(name, {}).values():
                known = True
                target = _encoded(f"{entry.ptr}.{zone.name}") if entry.ptr else None
                if target and kind in (PTR, ANY):
                    return [(PTR, target)]
        return [] if known else None


class Budget:
    """The memory that all views share for their answers; when it is spent they begin anew."""

    def __init__(self, limit: int = _BUDGET) -> None:
        self.views: WeakSet[View] = WeakSet()
        self._limit, self._spent = limit, 0

    def spend(self, size: int) -> None:
        # What is forgotten meanwhile is not given back: it only lets them begin anew sooner.
        self._spent += size
        if self._spent > self._limit:
            self._spent = size
            for view in self.views:
                view.forget_all()


class Zones:
    """All networks."""

    def __init__(self) -> None:
        self.budget = Budget()
        self._zones: dict[str, Zone] = {}
        self._entries: dict[str, tuple[Zone, Entry]] = {}
        self._views: WeakValueDictionary[object, View] = WeakValueDictionary()

    def put_network(self, network: Network) -> None:
        zone = self._zone(network.id)
        if zone.name != network.name:
            # Every answer may bear the name: this is rare.
            for view in zone.views:
                view.forget_all()
        zone.name, zone.lower = network.name, network.name.lower()
        zone.forward = network.forward

    def drop_network(self, id: str) -> None:
        """Forget the network's name; its endpoints go one by one."""
        self.put_network(Network(id=id, name="", forward=False))
        zone = self._zones[id]
        if not zone.views and not zone.by_name and not zone.by_address:
            del self._zones[id]

    def put_endpoint(self, endpoint: Endpoint) -> None:
        self.drop_endpoint(endpoint.id)
        zone, entry = self._zone(endpoint.network), Entry(endpoint)
        zone.add(endpoint.id, entry)
        zone.forget(entry)
        self._entries[endpoint.id] = zone, entry

    def drop_endpoint(self, id: str) -> None:
        zone, entry = self._entries.pop(id, (None, None))
        if zone and entry:
            zone.remove(id, entry)
            zone.forget(entry)

    def view(self, members: Sequence[Member]) -> View:
        """Return what a sandbox with these members sees."""
        key = tuple((m.network, m.aliases) for m in members)
        view = self._views.get(key)
        if view is None:
            seen = [(self._zone(m.network), _lower(m.aliases)) for m in members]
            view = self._views[key] = View(seen, self.budget)
        return view

    def _zone(self, id: str) -> Zone:
        return self._zones.setdefault(id, Zone())


def _lower(aliases: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {alias.lower(): name.lower() for alias, name in aliases}


def _records(entries: Iterable[Entry], kind: int) -> list[Record]:
    found = [r for entry in entries for r in entry.records if kind in (r[0], ANY)]
    return list(dict.fromkeys(found))


def _encoded(name: str) -> bytes | None:
    """Return a name as it stands in a message; None where it cannot stand there."""
    labels = [label.encode() for label in name.split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        return None
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return wire if len(wire) <= 255 else None
