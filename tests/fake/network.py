"""Namespaces, links, addresses and routes in memory."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Sequence
from typing import Any

from netctl.errors import InvalidInput
from netctl.kernel.conntrack import Flow
from netctl.kernel.interface import Address, Link, Route
from netctl.kernel.lookup import Neighbour, PolicyRule, Way
from netctl.kernel.probing import Journey, Probe
from netctl.names import MARK
from netctl.record import replace
from tests.fake.base import Base, mutating
from tests.fake.stack import Stack, need, on_link, refused, with_metric

_LOCALHOST = Address(link="lo", address="::1/128")


class FakeNamespaces(Base):
    """Namespaces by their pins."""

    def netns_new(self, *, alias: str) -> str:
        self._check_alive()
        stack = self._new_stack()
        stack.links["lo"] = replace(stack.links["lo"], alias=alias)
        self.held.add(stack.inode)
        return f"cookie:{stack.inode}"

    @mutating
    def netns_create(self, path: str, *, identity: str) -> None:
        inode = int(identity.removeprefix("cookie:"))
        if inode not in self.held:
            raise refused(errno.ENOENT, f"create namespace {path}: it was never pinned")
        self._new_pin(path)
        self.pins[path] = inode

    def netns_let_go(self) -> None:
        held, self.held = self.held, set()
        for inode in held.difference(self.pins.values()):
            self._end_stack(inode)

    @mutating
    def netns_pin(self, source: str, path: str) -> None:
        if source in self.files:
            raise InvalidInput(f"{source} is not a network namespace")
        stack = self._stack(source)
        self._new_pin(path)
        self.pins[path] = stack.inode

    @mutating
    def netns_delete(self, path: str, *, identity: str) -> bool:
        if self._identity(path, identity) not in (None, identity):
            raise refused(errno.EPERM, f"delete namespace {path}: it is not netctl's")
        inode = self.pins.pop(path, None)
        if inode is None:
            return False
        if not self.stacks[inode].kept:
            self.held.add(inode)
        return True

    def _end_stack(self, inode: int) -> None:
        for name in list(self.stacks[inode].links):
            self._delete_link(self.stacks[inode], name)
        del self.stacks[inode]

    def netns_clear(self, path: str) -> None:
        """No file is left here: a pin is made as a whole."""

    def netns_identity(self, path: str, known: str = "") -> str | None:
        self._check_alive()
        return self._identity(path, known)

    def netns_exists(self, path: str) -> bool:
        return path in self.pins

    def netns_in_use(self, path: str) -> bool:
        return self._stack(path).kept

    def netns_number(self, path: str) -> int:
        return self._stack(path).inode

    def netns_mark(self, path: str) -> str:
        alias = self._stack(path).links["lo"].alias
        return alias if alias.startswith(MARK) else ""

    def _identity(self, path: str, known: str = "") -> str | None:
        inode = self.pins.get(path) if path else self.host.inode
        if inode is None:
            return None
        by_mark = known.startswith(MARK) and self.stacks[inode].links["lo"].alias == known
        return known if by_mark else f"cookie:{inode}"

    def _new_pin(self, path: str) -> None:
        if path in self.pins or path in self.files:
            raise refused(errno.EEXIST, f"create namespace {path}")


class FakeLinks(Base):
    """Links, and the ports of bridges."""

    def link_exists(self, name: str) -> bool:
        return name in self.host.links

    @mutating
    def bridge_add(self, name: str, *, alias: str, mac: str, mtu: int) -> None:
        self._put(
            self.host,
            name,
            type="bridge",
            mac=mac or "0e:00:00:00:00:01",
            mtu=mtu or 1500,
            alias=alias,
        )

    @mutating
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
        what = f"add veth {name} with its peer {peer}"
        far = self._stack(netns)
        if name in self.host.links or peer in far.links:
            raise refused(errno.EEXIST, what)
        if master and master not in self.host.links:
            raise refused(errno.ENODEV, f"{what}: find bridge {master}")
        index = self.host.links[master].index if master else 0
        common: dict[str, Any] = {"type": "veth", "mtu": mtu or 1500, "alias": alias}
        self._put(self.host, name, mac="0e:00:00:00:00:02", master=index, **common)
        self._put(far, peer, mac=peer_mac or "0e:00:00:00:00:03", **common)
        self.host.ports[name] = (isolated, False)
        self.host.peers[name] = (far.inode, peer)
        far.peers[peer] = (self.host.inode, name)

    @mutating
    def link_delete(self, netns: str, name: str, *, alias: str) -> bool:
        stack = self._stack_or_none(netns)
        link = stack.links.get(name) if stack else None
        if stack is None or link is None:
            return False
        if link.alias != alias or not alias:
            raise refused(errno.EPERM, f"delete interface {name}: it is not netctl's")
        self._delete_link(stack, name)
        return True

    @mutating
    def links_delete(self, links: Sequence[tuple[str, str]]) -> frozenset[str]:
        there = {name: alias for name, alias in links if name in self.host.links}
        for name, alias in there.items():
            if self.host.links[name].alias != alias or not alias:
                raise refused(errno.EPERM, f"delete interface {name}: it is not netctl's")
        for name in there:
            # The port of a bridge may have gone with it.
            if name in self.host.links:
                self._delete_link(self.host, name)
        return frozenset(there)

    @mutating
    def link_set_up(self, netns: str, name: str, *, up: bool) -> None:
        stack = self._stack_or_none(netns)
        if stack is None or name not in stack.links:
            if up:
                raise refused(errno.ENODEV, f"set interface {name} up")
            return
        stack.links[name] = replace(stack.links[name], up=up)
        if not up:
            stack.drop_ipv6(name)
            stack.routes = [r for r in stack.routes if r.link != name]
        elif name == "lo" and _LOCALHOST not in stack.addresses:
            stack.addresses.append(_LOCALHOST)

    @mutating
    def link_change(
        self, netns: str, name: str, *, mtu: int, mac: str, master: str, isolated: bool | None
    ) -> None:
        stack = self._stack(netns)
        need(stack, name, f"change interface {name}")
        found = stack.links[name]
        index = stack.links[master].index if master else found.master
        stack.links[name] = replace(found, mtu=mtu or found.mtu, mac=mac or found.mac, master=index)
        if isolated is not None:
            stack.ports[name] = (isolated, stack.ports[name][1])

    @mutating
    def port_hairpin(self, name: str, *, on: bool) -> bool:
        if name not in self.host.ports or not self.host.links[name].master:
            if on:
                raise refused(errno.EOPNOTSUPP, f"set hairpin of bridge port {name}")
            return False
        self.host.ports[name] = (self.host.ports[name][0], on)
        return True

    @mutating
    def port_isolated(self, name: str, *, on: bool) -> bool:
        if name not in self.host.ports or not self.host.links[name].master:
            return False
        self.host.ports[name] = (on, self.host.ports[name][1])
        return True

    def link(self, netns: str, name: str) -> Link | None:
        return next((link for link in self.links(netns) if link.name == name), None)

    def links(self, netns: str) -> list[Link]:
        stack = self._stack(netns)
        return [
            replace(link, isolated=isolated, hairpin=hairpin, peer=peer, peer_netns=there)
            for link in stack.links.values()
            for isolated, hairpin in [stack.ports.get(link.name, (False, False))]
            for there, peer in [self._peer(stack, link.name)]
        ]

    def _peer(self, stack: Stack, name: str) -> tuple[int, int]:
        there, far = stack.peers.get(name, (-1, ""))
        link = self.stacks[there].links.get(far) if there in self.stacks else None
        return (there, link.index) if link and there != stack.inode else (-1, 0)


class FakeRoutes(Base):
    """Addresses, routes and neighbours."""

    @mutating
    def address_add(self, netns: str, link: str, address: str) -> None:
        stack = self._stack(netns)
        what = f"add address {address} to {link}"
        need(stack, link, what)
        item = Address(link=link, address=address)
        if item in stack.addresses:
            raise refused(errno.EEXIST, what)
        if ":" in address and stack.settings.get(f"net/ipv6/conf/{link}/disable_ipv6") == "1":
            raise refused(errno.EACCES, what)
        stack.addresses.append(item)

    @mutating
    def address_delete(self, netns: str, link: str, address: str) -> bool:
        item = Address(link=link, address=address)
        stack = self._stack_or_none(netns)
        if not stack or item not in stack.addresses:
            return False
        stack.addresses.remove(item)
        return True

    def addresses(self, netns: str) -> list[Address]:
        return list(self._stack(netns).addresses)

    @mutating
    def route_add(self, netns: str, route: Route) -> None:
        stack = self._stack(netns)
        what = f"add route {route.destination} dev {route.link}"
        if route.kind == "unicast":
            need(stack, route.link, what)
            if not stack.links[route.link].up:
                raise refused(errno.ENETDOWN, what)
        if route.gateway and not on_link(stack, route):
            raise refused(errno.ENETUNREACH, what)
        route = with_metric(route)
        key = (route.destination, route.metric)
        if key in ((r.destination, r.metric) for r in stack.routes):
            raise refused(errno.EEXIST, what)
        stack.routes.append(route)

    def way(
        self, netns: str, destination: str, *, source: str = "", iif: str = "", oif: str = ""
    ) -> Way:
        address = ipaddress.ip_address(destination)
        stack = self._stack(netns)
        routes = [*stack.connected(), *stack.routes]
        fitting = [r for r in routes if address in ipaddress.ip_network(r.destination)]
        fitting = [r for r in fitting if oif in ("", r.link)]
        if any(item.address.partition("/")[0] == destination for item in stack.addresses):
            return Way(kind="local")
        best = max(fitting, key=lambda r: int(r.destination.split("/")[1]), default=None)
        if best is None:
            return Way(kind="none")
        return Way(kind="unicast", link=best.link, gateway=best.gateway, table=254)

    def probe(self, probe: Probe, source: str, seconds: float) -> Journey:
        return Journey(answer="answered", source=source, port=0, number=1, events=())

    def flow(self, source: str, destination: str, protocol: str, number: int) -> Flow | None:
        return None

    def rules(self, version: int, netns: str = "") -> list[PolicyRule]:
        return [PolicyRule(preference=32766, table=254)]

    def neighbours(self, netns: str) -> list[Neighbour]:
        return []

    @mutating
    def route_delete(self, netns: str, route: Route) -> bool:
        stack = self._stack_or_none(netns)
        if not stack or with_metric(route) not in stack.routes:
            return False
        stack.routes.remove(with_metric(route))
        return True

    def routes(self, netns: str) -> list[Route]:
        stack = self._stack(netns)
        unicast = (route for route in stack.routes if route.kind == "unicast")
        return [*unicast, *stack.connected()]

    def dead_ends(self, netns: str) -> list[Route]:
        return [route for route in self._stack(netns).routes if route.kind != "unicast"]

    def all_routes(self, netns: str) -> list[Route]:
        return [*self.routes(netns), *self.dead_ends(netns)]

    @mutating
    def neighbours_forget(self, link: str, addresses: Sequence[str]) -> None:
        pass

    @mutating
    def announce(
        self, netns: str, link: str, *, port: str, mac: str, count: int, gap: float
    ) -> None:
        need(self._stack(netns), link, f"announce {link}")
        need(self.host, port, f"announce {link}")
