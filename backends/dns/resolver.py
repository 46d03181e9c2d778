"""The resolver: what it was told, the names, the sandboxes in which it answers, and the relays."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence

import netctl
from netctl.backends.dns.following import HostServers
from netctl.backends.dns.forwarding import Forwarder
from netctl.backends.dns.loop import Loop
from netctl.backends.dns.model import (
    Change,
    Endpoint,
    Gone,
    Item,
    Network,
    Relay,
    Sandbox,
    changes,
    message,
)
from netctl.backends.dns.relays import Relays
from netctl.backends.dns.sites import Site
from netctl.backends.dns.zones import Zones
from netctl.errors import Conflict, InvalidInput, KernelError, NetctlError
from netctl.kernel import nameserver
from netctl.kernel.nameserver import Place, Places

_SETTLE = 0.3
"""Seconds after which a namespace is let go of."""


class Resolver:
    """Answers in all sandboxes that it was told of."""

    def __init__(self, loop: Loop, tell: Callable[[str], None], report: Callable[[], None]) -> None:
        self._loop, self._report, self._tell = loop, report, tell
        self._places = Places()
        self._settling = False
        self._forwarder = Forwarder(loop, tell)
        self._host = HostServers(tell)
        self._zones = Zones()
        self._networks: dict[str, Network] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._sites: dict[str, Site] = {}
        self._relays = Relays(loop, tell, nameserver.raise_limits())
        self._home = nameserver.own_identity()

    @property
    def in_use(self) -> bool:
        """Whether somebody needs it."""
        return bool(self._sites or self._relays)

    @property
    def namespaces(self) -> set[nameserver.Identity]:
        """The network namespaces that it is in, or answers in."""
        return {self._home, *(site.place.identity for site in self._sites.values())}

    def state(self) -> dict[str, object]:
        """Return counts, and all that it was told as the messages that tell it."""
        items: tuple[Item, ...]
        items = (*self._networks.values(), *self._endpoints.values(), *self._sandboxes.values())
        return {
            "pid": os.getpid(),
            "version": netctl.__version__,
            "networks": len(self._networks),
            "endpoints": len(self._endpoints),
            "sandboxes": len(self._sandboxes),
            "asked": self._forwarder.asked,
            "relayed": self._relays.streams,
            "model": [*(message(item) for item in items), *self._relays.messages()],
        }

    def tell(self, told: object) -> None:
        """Do what a message says, wholly or not at all.

        Raises ``InvalidInput`` for one that cannot be understood, ``KernelError`` where a
        sandbox's namespace is gone or refuses, ``Conflict`` where two sandboxes share one.
        """
        try:
            self._apply(_last_of_each(changes(told)))
        finally:
            self._settle_later()

    def close(self) -> None:
        """Leave all namespaces as they were found."""
        for site in self._sites.values():
            site.close(self._places)
        self._sites.clear()
        self._relays.close()
        self._places.close()

    def end_relays(self) -> None:
        """Give the ports back that another resolver is about to need."""
        self._relays.close()

    def _settle_later(self) -> None:
        if not self._settling:
            self._settling = True
            self._loop.after(_SETTLE, self._settle)

    def _settle(self) -> None:
        self._settling = False
        if self._places.settle():
            self._settle_later()

    def _apply(self, todo: Sequence[Change]) -> None:
        taken = self._take_places(todo)
        before = set(self._sites.values())
        # A port is given up before another takes it, in whatever order that is told.
        for change in todo:
            if isinstance(change, Relay):
                self._relays.release(change)
            elif isinstance(change, Gone) and change.kind == "relay":
                self._relays.drop(change.id)
        for change in todo:
            if isinstance(change, Gone):
                self._remove(change)
            else:
                self._put(change, taken)
        left = {site.place.identity for site in before.difference(self._sites.values())}
        for site in self._sites.values() if left else ():
            if site.place.identity in left:
                # One sandbox has left the namespace that another has come into, and took its table.
                self._places.lead(site.place)

    # the sandboxes' places: all that can fail, before anything is changed

    def _take_places(self, todo: Iterable[Change]) -> dict[str, Place]:
        """Open the sockets in the namespaces where there are none yet."""
        wanted = [change for change in todo if isinstance(change, Sandbox)]
        touched = {change.id for change in todo if isinstance(change, Gone | Sandbox)}
        owners = {s.place.identity: id for id, s in self._sites.items() if id not in touched}
        taken: dict[str, Place] = {}
        try:
            for sandbox in wanted:
                found = self._identity(sandbox)
                owner = owners.setdefault(found, sandbox.id)
                if owner != sandbox.id:
                    raise Conflict(f"sandboxes {owner} and {sandbox.id} are the same namespace")
                site = self._sites.get(sandbox.id)
                if site and site.place.identity == found:
                    self._lead_again(site.place, sandbox)
                else:
                    mark = f"netctl:sandbox:{sandbox.id}"
                    taken[sandbox.id] = self._places.take(sandbox.netns, mark)
        except NetctlError:
            for place in taken.values():
                self._places.leave(place)
            raise
        return taken

    def _lead_again(self, place: Place, sandbox: Sandbox) -> None:
        """Put the table there again. Where somebody inside keeps it away, with a table of their own
        that nobody else may change, that is no reason to keep what else changes from the others;
        it is one for whoever tells the same again to get the table back."""
        try:
            self._places.lead(place)
        except NetctlError as error:
            if self._sandboxes.get(sandbox.id) == sandbox:
                raise
            self._tell(f"{sandbox.netns}: {error.command_message}")

    def _identity(self, sandbox: Sandbox) -> nameserver.Identity:
        found = self._where(sandbox) if sandbox.netns else self._home
        if found == self._home:
            raise InvalidInput(f"sandbox {sandbox.id} is the host's own stack: it has its resolver")
        return found

    def _where(self, sandbox: Sandbox) -> nameserver.Identity:
        """Return the namespace that a sandbox is in. One whose path leads nowhere has gone nowhere
        else: its namespace lives on with the sockets in it."""
        try:
            return nameserver.identity(sandbox.netns)
        except KernelError as error:
            site = self._sites.get(sandbox.id)
            if site is None or error.errno != errno.ENOENT:
                raise
            return site.place.identity

    # one object; nothing of this fails

    def _put(self, change: Item, taken: dict[str, Place]) -> None:
        if isinstance(change, Network):
            self._networks[change.id] = change
            self._zones.put_network(change)
        elif isinstance(change, Endpoint):
            if self._endpoints.get(change.id) != change:
                self._endpoints[change.id] = change
                self._zones.put_endpoint(change)
        elif isinstance(change, Relay):
            self._relays.put(change)
        else:
            self._put_sandbox(change, taken.pop(change.id, None))

    def _put_sandbox(self, sandbox: Sandbox, place: Place | None) -> None:
        if place:
            self._close(sandbox.id)
            self._sites[sandbox.id] = Site(
                self._loop, self._forwarder, self._host, self._report, place
            )
        self._sandboxes[sandbox.id] = sandbox
        self._sites[sandbox.id].update(sandbox, self._zones.view(sandbox.members))

    def _remove(self, change: Gone) -> None:
        if change.kind == "network":
            self._networks.pop(change.id, None)
            for endpoint in [e for e in self._endpoints.values() if e.network == change.id]:
                self._remove(Gone(kind="endpoint", id=endpoint.id))
            self._zones.drop_network(change.id)
        elif change.kind == "endpoint":
            self._endpoints.pop(change.id, None)
            self._zones.drop_endpoint(change.id)
        elif change.kind == "sandbox":
            self._sandboxes.pop(change.id, None)
            self._close(change.id)

    def _close(self, id: str) -> None:
        if site := self._sites.pop(id, None):
            site.close(self._places)


def _last_of_each(todo: Iterable[Change]) -> list[Change]:
    """Return the changes without those that a later one of the same object makes void."""
    last: dict[tuple[str, str], Change] = {}
    for change in todo:
        kind = change.kind if isinstance(change, Gone) else type(change).__name__.lower()
        last.pop((kind, change.id), None)
        last[kind, change.id] = change
    return list(last.values())
