"""A kernel in memory, with the meaning of ``netctl.kernel.interface``, that can be told to fail.

It behaves as Linux does where netctl could stumble: a link takes its peer, its addresses and its
routes along; setting a link down loses its routes and its IPv6 addresses; switching IPv6 off on a
link loses the addresses too; a gateway has to be on a connected subnet.
"""

from __future__ import annotations

import copy
import errno
import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from netctl.errors import InvalidInput, KernelError
from netctl.kernel.conntrack import Flow
from netctl.kernel.instructions import Rule, Verdict
from netctl.kernel.interface import (
    NAMES_TABLE,
    Address,
    Ingress,
    Link,
    Message,
    Route,
    Shape,
    Shaper,
)
from netctl.kernel.lookup import Neighbour, Way
from netctl.kernel.probing import Journey, Probe
from netctl.kernel.ruleset import Chain, LegacyChain
from tests.fake_nft import FakeNft

P = ParamSpec("P")
R = TypeVar("R")
_COUNTERS = {
    f"{way}_{name}": 0 for way in ("rx", "tx") for name in ("bytes", "packets", "errors", "dropped")
}
_SETTINGS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/forwarding": "0",
    "net/ipv6/conf/all/forwarding": "0",
    "net/ipv6/conf/default/forwarding": "0",
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
}
_LINK_SETTING = re.compile(r"net/ipv[46]/(?:conf|neigh)/(.+)/[a-z0-9_]+")
_LINK_DEFAULTS = {"accept_ra": "1"}
_IPV6_METRIC = 1024
_LOCALHOST = Address(link="lo", address="::1/128")


class Killed(BaseException):
    """What SIGKILL is to the tests: nothing of netctl runs after it."""


@dataclass
class Stack:
    """A network stack: the host's, or that of a namespace."""

    inode: int
    kept: bool = False
    """Whether it lives on without a pin: the host's, or one that somebody else's process holds."""
    links: dict[str, Link] = field(default_factory=dict)
    peers: dict[str, tuple[int, str]] = field(default_factory=dict)
    ports: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    """Of a bridge's port: isolated, hairpin."""
    shapers: dict[str, Shape] = field(default_factory=dict)
    ingresses: dict[str, str | Shape] = field(default_factory=dict)
    """Of a link: what comes in goes to another, or is limited."""
    addresses: list[Address] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=lambda: dict(_SETTINGS))

    def drop(self, name: str) -> None:
        """Take a link out with all that hangs on it."""
        index = self.links.pop(name).index
        self.addresses = [a for a in self.addresses if a.link != name]
        self.routes = [r for r in self.routes if r.link != name]
        self.settings = {k: v for k, v in self.settings.items() if _setting_of(k) != name}
        self.peers.pop(name, None)
        for facts in (self.ports, self.shapers, self.ingresses):
            facts.pop(name, None)
        for port, link in self.links.items():
            if link.master == index:
                self.links[port] = replace(link, master=0)

    def drop_ipv6(self, name: str) -> None:
        self.addresses = [a for a in self.addresses if a.link != name or ":" not in a.address]
        self.routes = [r for r in self.routes if r.link != name or ":" not in r.destination]

    def connected(self) -> Iterator[Route]:
        for item in self.addresses:
            net = ipaddress.ip_interface(item.address).network
            if self.links[item.link].up and item.link != "lo":
                metric = 256 if net.version == 6 else 0
                yield Route(destination=str(net), gateway="", link=item.link, metric=metric)


def _setting_of(key: str) -> str:
    match = _LINK_SETTING.fullmatch(key)
    return match[1] if match and match[1] not in ("all", "default") else ""


Method = Callable[Concatenate["FakeKernel", P], R]


def mutating(method: Method[P, R]) -> Method[P, R]:
    """Log the call, and fail or die where the test said so."""

    def wrapper(self: FakeKernel, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._before(method.__name__, args, kwargs)
        result = method(self, *args, **kwargs)
        self._after()
        return result

    update_wrapper(wrapper, method)
    return wrapper


class FakeKernel:
    """See the module. ``calls`` logs every call that changes something."""

    def __init__(self, *, boot_id: str = "11111111-1111-4111-8111-111111111111") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.closed = False
        self._boot_id = boot_id
        self._fail_in = self._kill_in = 0
        self._dead = False
        self._serial = 0
        self.bound: dict[tuple[str, int], str] = {}
        self.kinds = {"bridge", "veth", "ifb"}
        self.processes: dict[int, int] = {}
        self.foreign: dict[Chain, list[Rule]] = {}
        """Somebody else's chains of nftables."""
        self.elements: dict[tuple[str, str], dict[bytes, Verdict | bytes | None]] = {}
        """Of foreign sets and maps, by table and name."""
        self.legacy: dict[tuple[int, str], LegacyChain] = {}
        self.files: dict[str, str] = {}
        self.links_to: dict[str, str] = {}
        self.directories: set[str] = set()
        self._implied: set[str] = {"/", "/etc", "/run", "/tmp", "/var/lib"}
        self._start()

    def _start(self) -> None:
        self.pins: dict[str, int] = {}
        self.stacks: dict[int, Stack] = {}
        self.firewall = FakeNft()
        self.names: dict[str, Message] | None = None
        self.astray: set[str] = set()
        """Namespaces whose questions for names are not led to the resolver any more."""
        self.lost = False
        self.host = self._new_stack(kept=True)
        self.add_link("uplink", address="192.0.2.1/24", mac="02:00:00:ff:00:01")
        self.host.addresses.append(Address(link="uplink", address="2001:db8::1/64"))
        for destination, gateway, metric in (
            ("0.0.0.0/0", "192.0.2.254", 0),
            ("::/0", "2001:db8::fe", _IPV6_METRIC),
        ):
            route = Route(destination=destination, gateway=gateway, link="uplink", metric=metric)
            self.host.routes.append(route)

    # what a test does to it

    def fail_at(self, number: int) -> None:
        """Refuse the ``number``-th change from now (1 is the next), once."""
        self._fail_in = number

    def kill_at(self, number: int) -> None:
        """Raise ``Killed`` after the ``number``-th change from now, and at every call until
        ``revive``."""
        self._kill_in = number

    def revive(self) -> None:
        """Let the next process use the kernel that a killed one left."""
        self._dead = False
        self._fail_in = self._kill_in = 0

    def reboot(self, boot_id: str = "22222222-2222-4222-8222-222222222222") -> None:
        """Forget everything but the files outside /run."""
        self.revive()
        self._boot_id = boot_id
        self.files = {k: v for k, v in self.files.items() if not k.startswith("/run/")}
        self.links_to = {k: v for k, v in self.links_to.items() if not k.startswith("/run/")}
        self.directories = {d for d in self.directories if not d.startswith("/run/")}
        self._start()

    def state(self) -> object:
        """Return all there is, in a form that can be compared.

        Indices and inodes do not count: what was taken down and put back is the same again.
        """
        titles = {
            inode: " ".join(sorted(path for path, pinned in self.pins.items() if pinned == inode))
            for inode in self.stacks
        }
        return {
            "stacks": {
                titles[inode]: _stack_state(stack, titles) for inode, stack in self.stacks.items()
            },
            "nft": self.firewall.state(),
            "files": dict(self.files),
            "symlinks": dict(self.links_to),
            "directories": sorted(self.directories),
            "names": self._known(),
            "astray": sorted(self.astray),
        }

    def add_link(
        self, name: str, *, address: str = "", mac: str = "", alias: str = "", kind: str = "veth"
    ) -> None:
        """Add a foreign link to the host, up."""
        self._put(self.host, name, type=kind, mac=mac, mtu=1500, alias=alias, up=True)
        if address:
            self.host.addresses.append(Address(link=name, address=address))

    def add_external(self, path: str) -> None:
        """Add a namespace that somebody else made, such as ``/proc/42/ns/net``."""
        self.pins[path] = self._new_stack(kept=True).inode

    def _before(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._check_alive()
        self.calls.append((name, *args, *kwargs.values()))
        self._fail_in -= 1
        if self._fail_in == 0:
            raise KernelError(f"{name} {args}: refused by the test", errno=errno.EIO)

    def _after(self) -> None:
        self._kill_in -= 1
        if self._kill_in == 0:
            self._dead = True
            raise Killed

    def _check_alive(self) -> None:
        if self._dead:
            raise Killed

    # namespaces

    @mutating
    def netns_create(self, path: str, *, alias: str) -> None:
        self._new_pin(path)
        stack = self._new_stack()
        stack.links["lo"] = replace(stack.links["lo"], alias=alias)
        self.pins[path] = stack.inode

    @mutating
    def netns_pin(self, source: str, path: str) -> None:
        if source in self.files:
            raise InvalidInput(f"{source} is not a network namespace")
        stack = self._stack(source)
        self._new_pin(path)
        self.pins[path] = stack.inode

    @mutating
    def netns_delete(self, path: str, *, identity: str) -> bool:
        if self._identity(path) not in (None, identity):
            raise _refused(errno.EPERM, f"delete namespace {path}: it is not netctl's")
        inode = self.pins.pop(path, None)
        if inode is None:
            return False
        if inode not in self.pins.values() and not self.stacks[inode].kept:
            self._end_stack(inode)
        return True

    def _end_stack(self, inode: int) -> None:
        for name in list(self.stacks[inode].links):
            self._delete_link(self.stacks[inode], name)
        del self.stacks[inode]

    def netns_identity(self, path: str) -> str | None:
        self._check_alive()
        return self._identity(path)

    def _identity(self, path: str) -> str | None:
        inode = self.pins.get(path) if path else self.host.inode
        return None if inode is None else self.stacks[inode].links["lo"].alias or f"cookie:{inode}"

    def _new_pin(self, path: str) -> None:
        if path in self.pins or path in self.files:
            raise _refused(errno.EEXIST, f"create namespace {path}")

    def _new_stack(self, *, kept: bool = False) -> Stack:
        self._serial += 1
        stack = Stack(inode=4026532000 + len(self.stacks) + self._serial, kept=kept)
        self.stacks[stack.inode] = stack
        self._put(stack, "lo", type="", mac="00:00:00:00:00:00", mtu=65536, alias="", up=True)
        stack.addresses += [
            Address(link="lo", address=address) for address in ("127.0.0.1/8", "::1/128")
        ]
        return stack

    def _stack(self, netns: str) -> Stack:
        self._check_alive()
        if not netns:
            return self.host
        if netns not in self.pins:
            raise _refused(errno.ENOENT, f"enter namespace {netns}")
        return self.stacks[self.pins[netns]]

    # links

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
            raise _refused(errno.EEXIST, what)
        if master and master not in self.host.links:
            raise _refused(errno.ENODEV, f"{what}: find bridge {master}")
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
            raise _refused(errno.EPERM, f"delete interface {name}: it is not netctl's")
        self._delete_link(stack, name)
        return True

    @mutating
    def link_set_up(self, netns: str, name: str, *, up: bool) -> None:
        stack = self._stack_or_none(netns)
        if stack is None or name not in stack.links:
            if up:
                raise _refused(errno.ENODEV, f"set interface {name} up")
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
        _need(stack, name, f"change interface {name}")
        found = stack.links[name]
        index = stack.links[master].index if master else found.master
        stack.links[name] = replace(found, mtu=mtu or found.mtu, mac=mac or found.mac, master=index)
        if isolated is not None:
            stack.ports[name] = (isolated, stack.ports[name][1])

    @mutating
    def port_hairpin(self, name: str, *, on: bool) -> bool:
        if name not in self.host.ports or not self.host.links[name].master:
            if on:
                raise _refused(errno.EOPNOTSUPP, f"set hairpin of bridge port {name}")
            return False
        self.host.ports[name] = (self.host.ports[name][0], on)
        return True

    def link(self, netns: str, name: str) -> Link | None:
        return next((link for link in self.links(netns) if link.name == name), None)

    def links(self, netns: str) -> list[Link]:
        stack = self._stack(netns)
        return [
            replace(link, isolated=isolated, hairpin=hairpin)
            for link in stack.links.values()
            for isolated, hairpin in [stack.ports.get(link.name, (False, False))]
        ]

    def _put(self, stack: Stack, name: str, **facts: Any) -> None:
        if name in stack.links:
            raise _refused(errno.EEXIST, f"add link {name}")
        self._serial += 1
        defaults = {"index": self._serial, "up": False, "master": 0, "counters": dict(_COUNTERS)}
        stack.links[name] = Link(name=name, **{**defaults, **facts})

    def _delete_link(self, stack: Stack, name: str) -> None:
        peer = stack.peers.get(name)
        stack.drop(name)
        if peer and peer[0] in self.stacks and peer[1] in self.stacks[peer[0]].links:
            self.stacks[peer[0]].drop(peer[1])

    def _stack_or_none(self, netns: str) -> Stack | None:
        self._check_alive()
        return self._stack(netns) if not netns or netns in self.pins else None

    # addresses and routes

    @mutating
    def address_add(self, netns: str, link: str, address: str) -> None:
        stack = self._stack(netns)
        what = f"add address {address} to {link}"
        _need(stack, link, what)
        item = Address(link=link, address=address)
        if item in stack.addresses:
            raise _refused(errno.EEXIST, what)
        if ":" in address and stack.settings.get(f"net/ipv6/conf/{link}/disable_ipv6") == "1":
            raise _refused(errno.EACCES, what)
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
            _need(stack, route.link, what)
            if not stack.links[route.link].up:
                raise _refused(errno.ENETDOWN, what)
        if route.gateway and not _on_link(stack, route):
            raise _refused(errno.ENETUNREACH, what)
        route = _with_metric(route)
        key = (route.destination, route.metric)
        if key in ((r.destination, r.metric) for r in stack.routes):
            raise _refused(errno.EEXIST, what)
        stack.routes.append(route)

    def way(self, netns: str, destination: str, *, source: str = "", iif: str = "") -> Way:
        address = ipaddress.ip_address(destination)
        stack = self._stack(netns)
        routes = [*stack.connected(), *stack.routes]
        fitting = [r for r in routes if address in ipaddress.ip_network(r.destination)]
        if any(item.address.partition("/")[0] == destination for item in stack.addresses):
            return Way(kind="local")
        best = max(fitting, key=lambda r: int(r.destination.split("/")[1]), default=None)
        if best is None:
            return Way(kind="none")
        return Way(kind="unicast", link=best.link, gateway=best.gateway)

    def probe(self, probe: Probe, source: str, seconds: float) -> Journey:
        return Journey(answer="answered", source=source, port=0, number=1, events=())

    def flow(self, source: str, destination: str, protocol: str, number: int) -> Flow | None:
        return None

    def neighbours(self, netns: str) -> list[Neighbour]:
        return []

    @mutating
    def route_delete(self, netns: str, route: Route) -> bool:
        stack = self._stack_or_none(netns)
        if not stack or _with_metric(route) not in stack.routes:
            return False
        stack.routes.remove(_with_metric(route))
        return True

    def routes(self, netns: str) -> list[Route]:
        stack = self._stack(netns)
        unicast = (route for route in stack.routes if route.kind == "unicast")
        return [*unicast, *stack.connected()]

    def dead_ends(self, netns: str) -> list[Route]:
        return [route for route in self._stack(netns).routes if route.kind != "unicast"]

    @mutating
    def neighbours_forget(self, link: str, addresses: Sequence[str]) -> None:
        pass

    @mutating
    def announce(
        self, netns: str, link: str, *, port: str, mac: str, count: int, gap: float
    ) -> None:
        _need(self._stack(netns), link, f"announce {link}")
        _need(self.host, port, f"announce {link}")

    # traffic control

    def has_link_kind(self, kind: str) -> bool:
        return kind in self.kinds

    def limiters(self) -> dict[str, bool]:
        return {"tbf": True, "ifb": "ifb" in self.kinds, "police": True}

    @mutating
    def ifb_add(self, name: str, *, alias: str, mtu: int) -> None:
        self._put(self.host, name, type="ifb", mac="0e:00:00:00:00:04", mtu=mtu, alias=alias)

    @mutating
    def shaper_set(self, link: str, *, alias: str, shape: Shape) -> None:
        self._need_ours(link, alias)
        self.host.shapers[link] = shape

    @mutating
    def shaper_delete(self, link: str, *, alias: str) -> bool:
        return self.host.shapers.pop(link, None) is not None

    def shaper(self, link: str) -> Shaper | None:
        shape = self.host.shapers.get(link)
        return Shaper(shape=shape, sent_bytes=0, dropped=0) if shape else None

    @mutating
    def divert_add(self, link: str, *, alias: str, to: str) -> None:
        _need(self.host, to, f"divert {link}")
        self._add_ingress(link, alias, to)

    @mutating
    def police_add(self, link: str, *, alias: str, shape: Shape) -> None:
        self._add_ingress(link, alias, shape)

    @mutating
    def ingress_delete(self, link: str, *, alias: str) -> bool:
        return self.host.ingresses.pop(link, None) is not None

    def ingress(self, link: str) -> Ingress | None:
        found = self.host.ingresses.get(link)
        if found is None:
            return None
        to, shape = (found, None) if isinstance(found, str) else ("", found)
        return Ingress(to=to, shape=shape, sent_bytes=0, dropped=0)

    def _add_ingress(self, link: str, alias: str, what: str | Shape) -> None:
        self._need_ours(link, alias)
        if link in self.host.ingresses:
            raise _refused(errno.EEXIST, f"add ingress to {link}")
        self.host.ingresses[link] = what

    def _need_ours(self, link: str, alias: str) -> None:
        _need(self.host, link, f"limit {link}")
        if self.host.links[link].alias != alias:
            raise _refused(errno.EPERM, f"limit {link}: it is not netctl's")

    # settings and firewall

    def sysctl_get(self, netns: str, key: str) -> str | None:
        stack = self._stack(netns)
        link = _setting_of(key)
        if (link and link not in stack.links) or key.endswith("/nothing"):
            return None
        default = _LINK_DEFAULTS.get(key.rpartition("/")[2], "0") if link else None
        return stack.settings.get(key, default)

    @mutating
    def sysctl_set(self, netns: str, key: str, value: str) -> None:
        before = self.sysctl_get(netns, key)
        if before is None:
            raise _refused(errno.ENOENT, f"set sysctl {key}")
        if before == value:
            return
        stack = self._stack(netns)
        stack.settings[key] = value
        if key.endswith("/disable_ipv6") and value == "1" and (link := _setting_of(key)):
            stack.drop_ipv6(link)

    @mutating
    def conntrack_forget(self, addresses: Sequence[str], ports: Sequence[tuple[str, int]]) -> None:
        pass

    def port_holder(self, protocol: str, address: str, port: int) -> str | None:
        return self.bound.get((protocol, port))

    @mutating
    def nft(self, commands: str) -> None:
        self.firewall.run(commands)

    def nft_list(self, command: str) -> list[dict[str, Any]]:
        self._check_alive()
        return self.firewall.find(command)

    def nft_chains(self, netns: str = "") -> list[Chain]:
        if not netns:
            return list(self.foreign)
        family, table = NAMES_TABLE
        served = {each["netns"] for each in (self.names or {}).values() if "netns" in each}
        chain = Chain(family=family, table=table, name="output")
        return [chain] if netns in served - self.astray else []

    def nft_rules(self, chain: Chain) -> list[Rule]:
        return self.foreign[chain]

    def nft_key_size(self, chain: Chain, name: str) -> int:
        return len(next(iter(self.elements.get((chain.table, name), {b"": None}))))

    def nft_element(self, chain: Chain, name: str, key: bytes) -> Verdict | bytes | None:
        return self.elements[chain.table, name].get(key)

    def nft_text(self, chain: Chain) -> dict[int, str]:
        return {rule.handle: "the rule's text" for rule in self.foreign[chain]}

    def legacy_chain(self, version: int, hook: str) -> LegacyChain | None:
        return self.legacy.get((version, hook))

    def nft_preview(self, commands: str, command: str) -> list[dict[str, Any]]:
        preview = FakeNft()
        preview.run(commands)
        return preview.find(command)

    # files

    def link_target(self, path: str) -> str | None:
        self._check_alive()
        return self.links_to.get(path)

    def directory_list(self, path: str) -> list[str]:
        self._check_alive()
        inside = [*self.files, *self.links_to, *self.directories, *self.pins]
        below = {name.removeprefix(f"{path}/") for name in inside if name.startswith(f"{path}/")}
        return sorted({name.partition("/")[0] for name in below})

    def file_read(self, path: str) -> str | None:
        self._check_alive()
        return self.files.get(self.links_to.get(path, path))

    @mutating
    def file_write(self, path: str, content: str) -> None:
        self._need_directory(os.path.dirname(path), f"write {path}")
        self.links_to.pop(path, None)
        self.files[path] = content

    @mutating
    def file_delete(self, path: str) -> bool:
        link = self.links_to.pop(path, None)
        return self.files.pop(path, link) is not None

    @mutating
    def directory_create(self, path: str) -> None:
        if path in self.files:
            raise _refused(errno.EEXIST, f"make directory {path}")
        if path not in self._implied:
            self.directories.add(path)
        parent = os.path.dirname(path)
        while parent not in ("", "/"):
            if parent not in self.directories:
                self._implied.add(parent)
            parent = os.path.dirname(parent)

    @mutating
    def directory_delete(self, path: str) -> bool:
        inside = [*self.files, *self.links_to, *self.directories]
        if path not in self.directories or any(name.startswith(path + "/") for name in inside):
            return False
        self.directories.discard(path)
        return True

    @mutating
    def symlink(self, path: str, target: str) -> None:
        if self.links_to.get(path) == target:
            return
        if path in self.links_to or path in self.files or path in self.directories:
            raise _refused(errno.EEXIST, f"link {path} to {target}")
        self._need_directory(os.path.dirname(path), f"link {path}")
        self.links_to[path] = target

    @mutating
    def symlink_delete(self, path: str, target: str) -> bool:
        if self.links_to.get(path) != target:
            return False
        del self.links_to[path]
        return True

    def _need_directory(self, path: str, what: str) -> None:
        # The store makes its own directories, on the disk.
        if path not in self.directories | self._implied and not os.path.isdir(path):
            raise _refused(errno.ENOENT, what)

    def process_start(self, pid: int) -> int | None:
        return self.processes.get(pid)

    # the resolver

    @mutating
    def resolver_start(self, run_dir: str, state_dir: str, *, anew: bool) -> bool:
        if self.names is not None and not anew:
            return False
        self.names = self.names or {}
        return True

    @mutating
    def resolver_stop(self, run_dir: str) -> bool:
        if self.names is None or self._serves():
            return False
        self.names = None
        return True

    @mutating
    def resolver_tell(self, run_dir: str, message: str) -> bool:
        if self.names is None:
            return False
        for item in json.loads(message)["of"]:
            self.astray.discard(str(item.get("netns")))
            kind, _, gone = item["do"].partition("-")
            before = self.names.pop(f"{kind} {item['id']}", None)
            if gone:
                continue
            if kind == "sandbox" and not before:
                self._stack(item["netns"])
            self.names[f"{kind} {item['id']}"] = item
        return True

    def _known(self) -> object:
        """Return what the resolver knows; that of a network stays when its last endpoint goes."""
        if self.names is None:
            return None
        return {key: m for key, m in self.names.items() if not key.startswith("network ")}

    def _serves(self) -> bool:
        return any(key.startswith(("sandbox", "relay")) for key in self.names or ())

    def batch(self) -> AbstractContextManager[None]:
        return nullcontext()

    def resolver_model(self, run_dir: str) -> list[Message] | None:
        return None if self.names is None else list(self.names.values())

    def resolver_lost(self, run_dir: str) -> bool:
        return self.lost

    def boot_id(self) -> str:
        return self._boot_id

    def close(self) -> None:
        self.closed = True


def _stack_state(stack: Stack, titles: dict[int, str]) -> object:
    masters = {link.index: name for name, link in stack.links.items()}
    links = {
        name: (replace(link, index=0, master=0, counters={}), masters.get(link.master, ""))
        for name, link in stack.links.items()
    }
    peers = {name: (titles.get(inode), far) for name, (inode, far) in stack.peers.items()}
    facts = (stack.ports, stack.settings, stack.shapers, stack.ingresses)
    kept = copy.deepcopy((links, peers, *facts))
    by_text = sorted(map(repr, stack.addresses)), sorted(map(repr, stack.routes))
    return (*kept, *by_text)


def _with_metric(route: Route) -> Route:
    if ":" in route.destination and not route.metric:
        return replace(route, metric=_IPV6_METRIC)
    return route


def _on_link(stack: Stack, route: Route) -> bool:
    gateway = ipaddress.ip_address(route.gateway)
    return gateway.is_link_local or any(
        gateway in ipaddress.ip_network(r.destination)
        for r in (*stack.connected(), *stack.routes)
        if r.link == route.link and not r.gateway
    )


def _need(stack: Stack, link: str, what: str) -> None:
    if link not in stack.links:
        raise _refused(errno.ENODEV, f"{what}: find interface {link}")


def _refused(number: int, what: str) -> KernelError:
    return KernelError(f"{what}: {os.strerror(number)}", errno=number)
