"""The running kernel behind ``netctl.kernel.interface.Kernel``.

Nothing is imported or opened before the first use: reading a file or a setting needs neither
ctypes nor netlink. One object serves one host's namespace; ``close`` gives everything back.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netctl.errors import KernelError
from netctl.kernel import files
from netctl.kernel.interface import Address, Ingress, Link, Message, Route, Shape, Shaper

if TYPE_CHECKING:
    from netctl.kernel.conntrack import Flow
    from netctl.kernel.inhabitants import Process
    from netctl.kernel.instructions import Rule, Verdict
    from netctl.kernel.links import Links
    from netctl.kernel.lookup import Neighbour, PolicyRule, Way
    from netctl.kernel.nftables import Nftables
    from netctl.kernel.nftlink import Ruleset
    from netctl.kernel.probing import Journey, Probe
    from netctl.kernel.routes import Routes
    from netctl.kernel.ruleset import Chain, LegacyChain
    from netctl.kernel.shaping import Shaping
    from netctl.kernel.sockets import Sockets
    from netctl.kernel.telling import Telling

_STARTTIME = 19
"""Its place after the name (proc(5), /proc/pid/stat)."""
_LEGACY_TABLES = {
    4: "/proc/thread-self/net/ip_tables_names",
    6: "/proc/thread-self/net/ip6_tables_names",
}
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class LinuxKernel:
    """See :class:`netctl.kernel.interface.Kernel` for what each method promises."""

    def __init__(self, *, boot_id: str | None = None) -> None:
        """``boot_id`` takes the place of the kernel's own: so a reboot can be played."""
        self._boot_id = boot_id
        self._held: dict[str, int] = {}
        """Descriptors of namespaces that have no pin yet, or no longer, by identity."""

    @cached_property
    def _sockets(self) -> Sockets:
        from netctl.kernel.sockets import Sockets

        return Sockets()

    @cached_property
    def _links(self) -> Links:
        from netctl.kernel.links import Links

        return Links(self._sockets)

    @cached_property
    def _routes(self) -> Routes:
        from netctl.kernel.routes import Routes

        return Routes(self._sockets)

    @cached_property
    def _shaping(self) -> Shaping:
        from netctl.kernel.shaping import Shaping

        return Shaping(self._sockets)

    @cached_property
    def _telling(self) -> Telling:
        from netctl.kernel.telling import Telling

        return Telling()

    @cached_property
    def _nftables(self) -> Nftables:
        from netctl.kernel.nftables import Nftables

        return Nftables()

    @cached_property
    def _ruleset(self) -> Ruleset:
        from netctl.kernel.nftlink import Ruleset

        return Ruleset()

    def netns_new(self, *, alias: str) -> str:
        from netctl.kernel import namespaces

        descriptor = namespaces.new(alias)
        try:
            identity = self._identity_of(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._held[identity] = descriptor
        return identity

    def _identity_of(self, descriptor: int) -> str:
        from netctl.kernel import namespaces

        path = f"/proc/self/fd/{descriptor}"
        try:
            identity = self._sockets.identity(path)
        finally:
            # An open socket would keep the namespace alive.
            self._sockets.forget(path)
        if identity is None:
            raise namespaces.unidentified(path)
        return identity

    def netns_create(self, path: str, *, identity: str) -> None:
        from netctl.kernel import namespaces

        if identity not in self._held:
            raise namespaces.lost(path)
        namespaces.place(self._held[identity], path)

    def netns_let_go(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])

    def netns_pin(self, source: str, path: str) -> None:
        from netctl.kernel import namespaces

        namespaces.pin(source, path)

    def netns_delete(self, path: str, *, identity: str) -> bool:
        from netctl.kernel import namespaces

        found = self._sockets.identity(path, identity)
        if found not in (None, identity):
            raise namespaces.foreign(path, found)
        # An open socket would keep the namespace alive.
        self._sockets.forget(path)
        held = None if found in (None, *self._held) else namespaces.hold(path)
        if found and held is not None:
            self._held[found] = held
        return namespaces.delete(path)

    def netns_clear(self, path: str) -> None:
        from netctl.kernel import namespaces

        namespaces.clear(path)

    def netns_identity(self, path: str, known: str = "") -> str | None:
        return self._sockets.identity(path, known)

    def netns_in_use(self, path: str) -> bool:
        from netctl.kernel import namespaces

        return namespaces.in_use(path)

    def netns_number(self, path: str) -> int:
        return self._links.netns_number(path)

    def netns_mark(self, path: str) -> str:
        return self._sockets.mark(path)

    def netns_exists(self, path: str) -> bool:
        return files.is_namespace(path)

    def bridge_add(self, name: str, *, alias: str, mac: str, mtu: int) -> None:
        self._links.bridge_add(name, alias=alias, mac=mac, mtu=mtu)

    def veth_add(
        self,
        name: str,
        *,
        alias: str,
        master: str,
        isolated: bool,
        mtu: int,
        netns: str,
        peer: str,
        peer_mac: str,
    ) -> None:
        self._links.veth_add(
            name,
            alias=alias,
            master=master,
            isolated=isolated,
            mtu=mtu,
            netns=netns,
            peer=peer,
            peer_mac=peer_mac,
        )

    def link_delete(self, netns: str, name: str, *, alias: str) -> bool:
        return self._links.delete(netns, name, alias=alias)

    def links_delete(self, links: Sequence[tuple[str, str]]) -> frozenset[str]:
        return self._links.delete_together(links)

    def link_set_up(self, netns: str, name: str, *, up: bool) -> None:
        self._links.set_up(netns, name, up=up)

    def link_change(
        self, netns: str, name: str, *, mtu: int, mac: str, master: str, isolated: bool | None
    ) -> None:
        self._links.change(netns, name, mtu=mtu, mac=mac, master=master, isolated=isolated)

    def port_hairpin(self, name: str, *, on: bool) -> bool:
        return self._links.hairpin(name, on=on)

    def port_isolated(self, name: str, *, on: bool) -> bool:
        return self._links.isolated(name, on=on)

    def link(self, netns: str, name: str) -> Link | None:
        return self._links.one(netns, name)

    def links(self, netns: str) -> list[Link]:
        return self._links.everything(netns)

    def link_exists(self, name: str) -> bool:
        from netctl.plainsocket import if_nametoindex

        try:
            return bool(if_nametoindex(name))
        except OSError:
            return False

    def address_add(self, netns: str, link: str, address: str) -> None:
        self._routes.address_add(netns, link, address)

    def address_delete(self, netns: str, link: str, address: str) -> bool:
        return self._routes.address_delete(netns, link, address)

    def addresses(self, netns: str) -> list[Address]:
        return self._routes.addresses(netns)

    def route_add(self, netns: str, route: Route) -> None:
        self._routes.route_add(netns, route)

    def route_delete(self, netns: str, route: Route) -> bool:
        return self._routes.route_delete(netns, route)

    def routes(self, netns: str) -> list[Route]:
        return self._routes.routes(netns)

    def dead_ends(self, netns: str) -> list[Route]:
        return self._routes.dead_ends(netns)

    def all_routes(self, netns: str) -> list[Route]:
        return self._routes.all_routes(netns)

    def way(
        self, netns: str, destination: str, *, source: str = "", iif: str = "", oif: str = ""
    ) -> Way:
        from netctl.kernel import lookup

        return lookup.way(self._sockets, netns, destination, source, iif, oif)

    def rules(self, version: int, netns: str = "") -> list[PolicyRule]:
        from netctl.kernel import lookup

        return lookup.rules(self._sockets, version, netns)

    def neighbours(self, netns: str) -> list[Neighbour]:
        from netctl.kernel import lookup

        return lookup.neighbours(self._sockets, netns)

    def has_link_kind(self, kind: str) -> bool:
        return self._links.has_kind(kind)

    def limiters(self) -> dict[str, bool]:
        from netctl.kernel import limiters

        return limiters.find(self._sockets)

    def ifb_add(self, name: str, *, alias: str, mtu: int) -> None:
        self._links.ifb_add(name, alias=alias, mtu=mtu)

    def shaper_set(self, link: str, *, alias: str, shape: Shape) -> None:
        self._shaping.shape(link, alias=alias, shape=shape)

    def shaper_delete(self, link: str, *, alias: str) -> bool:
        return self._shaping.unshape(link, alias=alias)

    def shaper(self, link: str) -> Shaper | None:
        return self._shaping.shaper(link)

    def divert_add(self, link: str, *, alias: str, to: str) -> None:
        self._shaping.divert(link, alias=alias, to=to)

    def police_add(self, link: str, *, alias: str, shape: Shape) -> None:
        self._shaping.police(link, alias=alias, shape=shape)

    def ingress_delete(self, link: str, *, alias: str) -> bool:
        return self._shaping.ingress_delete(link, alias=alias)

    def ingress(self, link: str) -> Ingress | None:
        return self._shaping.ingress(link)

    def neighbours_forget(self, link: str, addresses: Sequence[str]) -> None:
        from netctl.kernel import neighbours

        neighbours.forget(self._sockets, link, addresses)

    def announce(
        self, netns: str, link: str, *, port: str, mac: str, count: int, gap: float
    ) -> None:
        from netctl.kernel import neighbours

        neighbours.announce(self._sockets, netns, link, port=port, mac=mac, count=count, gap=gap)

    def probe(self, probe: Probe, source: str, seconds: float) -> Journey:
        from netctl.kernel import probing

        return probing.send(probe, source, seconds)

    def flow(self, source: str, destination: str, protocol: str, number: int) -> Flow | None:
        from netctl.kernel import conntrack

        return conntrack.flow(source, destination, protocol, number)

    def sysctl_get(self, netns: str, key: str) -> str | None:
        from netctl.kernel import sysctl

        return sysctl.get(netns, key)

    def sysctl_set(self, netns: str, key: str, value: str) -> None:
        from netctl.kernel import sysctl

        sysctl.set(netns, key, value)

    def conntrack_forget(
        self,
        addresses: Sequence[str],
        ports: Sequence[tuple[str, int]],
        *,
        spared: Sequence[str] = (),
        barred: str = "",
    ) -> None:
        from netctl.kernel import conntrack

        local = () if addresses else (item.address for item in self.addresses(""))
        found = conntrack.flows(addresses, ports, local, spared)
        # Barred first: a packet in between would begin the flow again.
        if barred and (text := conntrack.barring(found, barred, addresses)):
            self._nft_where_there(text)
        conntrack.delete(found)

    def port_holder(self, protocol: str, address: str, port: int) -> str | None:
        from netctl.kernel import ports

        return ports.holder(protocol, address, port)

    def nft(self, commands: str) -> None:
        self._nftables.run(commands)

    def _nft_where_there(self, commands: str) -> None:
        """Run nft commands; do nothing where the table or the set that they name is missing."""
        try:
            self.nft(commands)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise

    def nft_list(self, command: str) -> list[dict[str, Any]]:
        return self._nftables.find(command)

    def nft_preview(self, commands: str, command: str) -> list[dict[str, Any]]:
        from netctl.kernel import namespaces
        from netctl.kernel.nftables import Nftables

        with namespaces.scratch():
            preview = Nftables()
            try:
                preview.run(commands)
                return preview.find(command)
            finally:
                preview.close()

    def link_target(self, path: str) -> str | None:
        return files.link_target(path)

    def directory_list(self, path: str) -> list[str]:
        return files.directory_list(path)

    def nft_chains(self) -> list[Chain]:
        return self._ruleset.chains()

    def nft_has_chain(self, netns: str, chain: Chain) -> bool:
        if not netns:
            return self._ruleset.has(chain)
        from netctl.kernel import namespaces
        from netctl.kernel.nftlink import Ruleset

        with namespaces.entered(netns):
            ruleset = Ruleset()
        try:
            return ruleset.has(chain)
        finally:
            ruleset.close()

    def nft_rules(self, chain: Chain) -> list[Rule]:
        return self._ruleset.rules(chain)

    def nft_key_size(self, chain: Chain, name: str) -> int:
        return self._ruleset.key_size(chain, name)

    def nft_element(self, chain: Chain, name: str, key: bytes) -> Verdict | bytes | None:
        return self._ruleset.element(chain, name, key)

    def nft_text(self, chain: Chain, netns: str = "") -> dict[int, str]:
        if not netns:
            return self._nftables.text(chain.family, chain.table, chain.name)
        from netctl.kernel import nftables

        return nftables.text_in(netns, chain)

    def legacy_chain(self, version: int, hook: str) -> LegacyChain | None:
        if "filter" not in (files.read(_LEGACY_TABLES[version]) or "").split():
            return None
        from netctl.kernel import legacy

        return legacy.chain(version, hook)

    def file_read(self, path: str) -> str | None:
        return files.read(path)

    def file_write(self, path: str, content: str) -> None:
        files.write(path, content)

    def file_delete(self, path: str) -> bool:
        return files.delete(path)

    def directory_create(self, path: str) -> None:
        files.directory_create(path)

    def directory_delete(self, path: str) -> bool:
        return files.directory_delete(path)

    def symlink(self, path: str, target: str) -> None:
        files.symlink(path, target)

    def symlink_delete(self, path: str, target: str) -> bool:
        return files.symlink_delete(path, target)

    def process_start(self, pid: int) -> int | None:
        # The name may hold anything, but nothing after the last parenthesis is the name's.
        fields = (files.read(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()
        return int(fields[_STARTTIME]) if fields and fields[0] not in "ZX" else None

    def inhabitants(self, path: str) -> list[Process]:
        from netctl.kernel import inhabitants

        return inhabitants.of(path)

    def inhabited(self, paths: Collection[str]) -> set[str]:
        from netctl.kernel import inhabitants

        return inhabitants.inhabited(paths)

    def resolver_start(self, run_dir: str, state_dir: str, *, anew: bool) -> bool:
        return self._telling.start(run_dir, state_dir, anew=anew)

    def resolver_stop(self, run_dir: str) -> bool:
        return self._telling.stop(run_dir)

    def resolver_tell(self, run_dir: str, message: str) -> bool:
        return self._telling.tell(run_dir, message)

    def resolver_model(self, run_dir: str) -> list[Message] | None:
        return self._telling.model(run_dir)

    def resolver_lost(self, run_dir: str) -> bool:
        if "_telling" in vars(self):
            return self._telling.lost(run_dir)
        from netctl.kernel import resolver

        return resolver.lost(run_dir)

    def batch(self) -> AbstractContextManager[None]:
        return self._telling.batch()

    def boot_id(self) -> str:
        if self._boot_id is None:
            self._boot_id = (files.read(_BOOT_ID) or "").strip()
        return self._boot_id

    def close(self) -> None:
        self.netns_let_go()
        if "_telling" in vars(self):
            self._telling.close()
        if "_links" in vars(self):
            self._links.close()
        if "_sockets" in vars(self):
            self._sockets.close()
        if "_nftables" in vars(self):
            self._nftables.close()
        # Unlike the others it does not open again by itself.
        if ruleset := vars(self).pop("_ruleset", None):
            ruleset.close()
