"""Links: bridges and veth pairs.

A link and its mark come into being in one system call, so a kill leaves no unmarked link. The
kernel goes on after a failed message of a batch; were the mark set by name, it would hit the
foreign link whose name is taken. So a new link gets an index chosen here, high and free, and
everything after it names that index.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from netctl.errors import KernelError, NetctlError
from netctl.kernel import namespaces, netlink
from netctl.kernel.interface import Link
from netctl.kernel.netlink import (
    NLA_F_NESTED,
    Message,
    NetlinkSocket,
    Refusal,
    attribute,
    first_refusal,
)
from netctl.kernel.refusal import ABSENT, refused
from netctl.kernel.sockets import Sockets, absent

if TYPE_CHECKING:
    from netctl.kernel.departing import Departures

_CREATE = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
_FIRST_INDEX = 1 << 24
"""The kernel counts up from 1: far above that nobody else's links are."""
_INDEX_TRIES = 32
_ADDRESS, _MTU, _MASTER, _LINKINFO, _STATS64 = 1, 4, 10, 18, 23
_NET_NS_FD, _NUM_TX_QUEUES, _CARRIER = 28, 31, 33
_LINK, _LINK_NETNSID = 5, 37
_MOST_QUEUES = 4096
"""net/core/rtnetlink.c, rtnl_create_link"""
_INFO_KIND, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 4, 5
_VETH_INFO_PEER = 1
_RTM_GETNSID, _NETNSA_NSID, _NETNSA_FD = 90, 1, 3
"""linux/net_namespace.h"""
_BRPORT_STATE, _BRPORT_MODE, _BRPORT_ISOLATED = 1, 4, 33
"""linux/if_link.h"""
_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
"""linux/if_bridge.h, BR_STATE_DISABLED and so on."""
_STATS = struct.Struct("=8Q")
_COUNTERS = ("packets", "bytes", "errors", "dropped")


class Links:
    """Link operations by netlink."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    @cached_property
    def _departures(self) -> Departures:
        from netctl.kernel.departing import Departures

        return Departures()

    def bridge_add(self, name: str, *, alias: str, mac: str, mtu: int) -> None:
        """``ip link add NAME address MAC mtu MTU type bridge``; an empty MAC is the kernel's."""
        attributes = netlink.named(name) + _mac(mac) + netlink.link_kind("bridge")
        # The MTU of birth is lost with the last port: br_mtu_auto_adjust (net/bridge/br_if.c) keeps
        # only one that is set on the bridge afterwards.
        with self._sockets.at("") as sock:
            _add(sock, f"add bridge {name}", attributes, alias, _mtu(mtu))

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
        """``ip link add NAME master BRIDGE type veth peer name PEER netns NS address MAC``."""
        what = f"add veth {name} with its peer {peer} in {netns or 'the host'}"
        with self._sockets.at("") as sock:
            port = _port(sock, what, master) if master else 0
            modes = _port_modes(isolated=isolated) if port else b""
            index = self._add_pair(sock, what, name, port, mtu, netns, peer, peer_mac, alias, modes)
            try:
                self._mark(netns, peer, alias)
            except BaseException:
                netlink.delete_link(sock, index)
                raise

    @staticmethod
    def _add_pair(
        sock: NetlinkSocket,
        what: str,
        name: str,
        master: int,
        mtu: int,
        netns: str,
        peer: str,
        peer_mac: str,
        alias: str,
        modes: bytes,
    ) -> int:
        near = netlink.named(name) + _mtu(mtu) + _master(master)
        far = netlink.named(peer) + _mtu(mtu) + _mac(peer_mac)
        if not netns:
            return _add(sock, what, near + _veth(far), alias, modes)
        with namespaces.opened(netns) as fd:
            far += attribute(_NET_NS_FD, struct.pack("=I", fd))
            return _add(sock, what, near + _veth(far), alias, modes)

    def ifb_add(self, name: str, *, alias: str, mtu: int) -> None:
        """``ip link add NAME mtu MTU type ifb``."""
        from netctl.kernel.messages import link_attributes, nested

        kind = ("IFLA_LINKINFO", nested(("IFLA_INFO_KIND", "ifb")))
        attributes = link_attributes([("IFLA_IFNAME", name), ("IFLA_MTU", mtu), kind])
        with self._sockets.at("") as sock:
            _add(sock, f"add ifb {name}", attributes, alias)

    def has_kind(self, kind: str) -> bool:
        """Whether the kernel makes links of a kind. It is asked for one with more queues than any
        can have, which it refuses after it has looked for the kind (since 4.14)."""
        impossible = attribute(_NUM_TX_QUEUES, struct.pack("=I", _MOST_QUEUES + 1))
        body = netlink.link_header() + impossible + netlink.link_kind(kind)
        with self._sockets.at("") as sock:
            [answer] = sock.ask([Message(netlink.RTM_NEWLINK, body, _CREATE)])
        return answer is not None and answer.errno == errno.EINVAL

    def _mark(self, netns: str, name: str, alias: str) -> None:
        # By name, for the pair could only be made because no other link in there had it.
        with self._sockets.at(netns) as sock:
            refusal = first_refusal(sock.ask([netlink.link_alias(alias, name=name)]))
        _raise(f"mark interface {name} in {netns or 'the host'}", refusal)

    def delete(self, netns: str, name: str, *, alias: str) -> bool:
        """``ip link delete NAME``, if it bears the alias. Returns whether it was there."""
        what = f"delete interface {name}" + (f" in {netns}" if netns else "")
        try:
            with self._sockets.at(netns) as sock:
                found = sock.get(netlink.link_query(name=name))
                if isinstance(found, Refusal):
                    raise _error(what, found)
                index = index_if_ours(found, what, alias)
                delete = netlink.delete_link if netns else self._departures.begin
                _raise(what, delete(sock, index))
                return True
        except KernelError as error:
            if not absent(error):
                raise
            return False

    def delete_together(self, links: Sequence[tuple[str, str]]) -> frozenset[str]:
        """``ip link delete group N``: see ``netctl.kernel.parting``."""
        from netctl.kernel import parting

        with self._sockets.at("") as sock:
            return parting.delete(sock, links)

    def close(self) -> None:
        if "_departures" in vars(self):
            self._departures.close()

    def set_up(self, netns: str, name: str, *, up: bool) -> None:
        """``ip link set NAME up|down``; that a link is gone is no error for ``down``."""
        what = f"set interface {name} {'up' if up else 'down'}" + (f" in {netns}" if netns else "")
        try:
            with self._sockets.at(netns) as sock:
                _raise(what, first_refusal(sock.ask([netlink.link_flags(name=name, up=up)])))
        except KernelError as error:
            if up or not absent(error):
                raise

    def change(
        self, netns: str, name: str, *, mtu: int, mac: str, master: str, isolated: bool | None
    ) -> None:
        """``ip link set NAME mtu MTU address MAC master BRIDGE``, ``bridge link set dev NAME
        isolated on|off``."""
        what = f"change interface {name}" + (f" in {netns}" if netns else "")
        with self._sockets.at(netns) as sock:
            index = _port(sock, what, master) if master else 0
            body = netlink.link_header() + netlink.named(name)
            body += _mtu(mtu) + _mac(mac) + _master(index)
            messages = [Message(netlink.RTM_NEWLINK, body)]
            if isolated is not None:
                port = netlink.link_header() + netlink.named(name) + _port_modes(isolated=isolated)
                messages.append(Message(netlink.RTM_NEWLINK, port))
            _raise(what, first_refusal(sock.ask(messages)))

    def hairpin(self, name: str, *, on: bool) -> bool:
        """``bridge link set dev NAME hairpin on|off``. Returns whether the port is there."""
        what = f"set hairpin of bridge port {name} {'on' if on else 'off'}"
        refusal = self._as_port(name, _port_modes(hairpin=on))
        if refusal and not on and _is_no_port(refusal):
            return False
        if refusal and refusal.errno == errno.EOPNOTSUPP:
            raise KernelError(
                f"{what}: it is not a port of a bridge",
                hint="netctl check shows what differs, netctl repair mends it",
                errno=errno.EOPNOTSUPP,
            )
        _raise(what, refusal)
        return True

    def isolated(self, name: str, *, on: bool) -> bool:
        """``bridge link set dev NAME isolated on|off``. Returns whether the port is there."""
        refusal = self._as_port(name, _port_modes(isolated=on))
        if refusal and _is_no_port(refusal):
            return False
        _raise(f"set isolation of bridge port {name} {'on' if on else 'off'}", refusal)
        return True

    def _as_port(self, name: str, modes: bytes) -> Refusal | None:
        body = netlink.link_header() + netlink.named(name) + modes
        with self._sockets.at("") as sock:
            return first_refusal(sock.ask([Message(netlink.RTM_NEWLINK, body)]))

    def netns_number(self, path: str) -> int:
        """``ip netns list-id target-nsid``: the number that links of the host have for it."""
        with namespaces.opened(path) as fd, self._sockets.at("") as sock:
            body = bytes(4) + attribute(_NETNSA_FD, struct.pack("=I", fd))
            found = sock.get(Message(_RTM_GETNSID, body))
        if isinstance(found, Refusal):
            raise _error(f"look for the number of namespace {path}", found)
        return _netns_id(netlink.attributes(found, 4).get(_NETNSA_NSID, b""))

    def one(self, netns: str, name: str) -> Link | None:
        """``ip link show NAME``, without counters."""
        with self._sockets.at(netns) as sock:
            found = sock.get(netlink.link_query(name=name))
        if isinstance(found, Refusal):
            if found.errno == errno.ENODEV:
                return None
            raise _error(f"look at interface {name} of {netns or 'the host'}", found)
        return _link(found)

    def everything(self, netns: str) -> list[Link]:
        """``ip -s link``."""
        found = self._sockets.dump(netns, netlink.link_query(mask=0))
        if isinstance(found, Refusal):
            raise _error(f"list the interfaces of {netns or 'the host'}", found)
        return [_link(body) for body in found]


def _is_no_port(refusal: Refusal) -> bool:
    # EOPNOTSUPP is what the kernel says of a link without a bridge (net/core/rtnetlink.c).
    return refusal.errno == errno.EOPNOTSUPP or refusal.errno in ABSENT


def index_of(sock: NetlinkSocket, name: str) -> int | Refusal:
    """Return the index of an interface name."""
    found = sock.get(netlink.link_query(name=name))
    return found if isinstance(found, Refusal) else _index(found)


def _add(
    sock: NetlinkSocket,
    what: str,
    attributes: bytes,
    alias: str,
    more: bytes = b"",
) -> int:
    """Make a link and set what cannot be set at birth: the mark, and ``more``, such as how it is a
    port. Return its index."""
    index = _free_index(sock, what)
    birth = Message(netlink.RTM_NEWLINK, netlink.link_header(index=index) + attributes, _CREATE)
    mark = netlink.link_alias(alias, index=index)
    answers = sock.ask([birth, Message(netlink.RTM_NEWLINK, mark.body + more, mark.flags)])
    refusal = first_refusal(answers)
    if refusal and not answers[0]:
        netlink.delete_link(sock, index)
    _raise(what, refusal)
    return index


def _free_index(sock: NetlinkSocket, what: str) -> int:
    for _ in range(_INDEX_TRIES):
        index = _FIRST_INDEX + int.from_bytes(os.urandom(3), "little")
        if not sock.name_of(index):
            return index
    raise KernelError(f"{what}: no free interface index found", errno=errno.ENOSPC)


def _port(sock: NetlinkSocket, what: str, master: str) -> int:
    found = index_of(sock, master)
    if isinstance(found, Refusal):
        raise _error(f"{what}: find bridge {master}", found)
    return found


def _veth(peer: bytes) -> bytes:
    return netlink.link_kind("veth", attribute(_VETH_INFO_PEER, netlink.link_header() + peer))


def _mac(mac: str) -> bytes:
    return attribute(_ADDRESS, bytes.fromhex(mac.replace(":", ""))) if mac else b""


def _mtu(mtu: int) -> bytes:
    return attribute(_MTU, struct.pack("=I", mtu)) if mtu else b""


def _master(index: int) -> bytes:
    return attribute(_MASTER, struct.pack("=I", index)) if index else b""


def _port_modes(*, hairpin: bool | None = None, isolated: bool | None = None) -> bytes:
    """Return how a link is a bridge's port: ``bridge link set dev NAME hairpin on isolated on``."""
    modes = ((_BRPORT_MODE, hairpin), (_BRPORT_ISOLATED, isolated))
    data = b"".join(attribute(kind, bytes([on])) for kind, on in modes if on is not None)
    kind = attribute(_INFO_SLAVE_KIND, b"bridge\0")
    return attribute(_LINKINFO, kind + attribute(_INFO_SLAVE_DATA | NLA_F_NESTED, data))


def _index(body: bytes) -> int:
    return netlink.number(body[4:8])


def index_if_ours(body: bytes, what: str, alias: str) -> int:
    """Return the index in an answer about a link; raise ``KernelError`` if it has another alias."""
    found = netlink.alias_in(body)
    if found != alias or not alias:
        raise KernelError(
            f"{what}: it is not netctl's (its alias is {found!r}, not {alias!r})",
            hint="nothing foreign is removed; rename that interface, or remove it by hand",
            errno=errno.EPERM,
        )
    return _index(body)


def _link(body: bytes) -> Link:
    found = netlink.attributes(body, netlink.IFINFO_BYTES)
    info = netlink.attributes(found.get(_LINKINFO, b""), 0)
    port = netlink.attributes(info.get(_INFO_SLAVE_DATA, b""), 0)
    return Link(
        index=_index(body),
        name=netlink.text(found[netlink.IFLA_IFNAME]),
        type=netlink.text(info.get(_INFO_KIND, b"")),
        mac=found.get(_ADDRESS, b"").hex(":"),
        mtu=netlink.number(found.get(_MTU, b"")),
        up=bool(body[8] & 1 if netlink.LITTLE else body[11] & 1),
        alias=netlink.text(found.get(netlink.IFLA_IFALIAS, b"")),
        master=netlink.number(found.get(_MASTER, b"")),
        counters=_counters(found.get(_STATS64, b"")),
        isolated=port.get(_BRPORT_ISOLATED, b"\0") != b"\0",
        hairpin=port.get(_BRPORT_MODE, b"\0") != b"\0",
        state=_STATES[min(port[_BRPORT_STATE][0], 4)] if _BRPORT_STATE in port else "",
        carrier=found.get(_CARRIER, b"\1") != b"\0",
        peer=netlink.number(found.get(_LINK, b"")) if _LINK_NETNSID in found else 0,
        peer_netns=_netns_id(found.get(_LINK_NETNSID, b"")),
    )


def _netns_id(value: bytes) -> int:
    return netlink.signed(netlink.number(value)) if value else -1


def _counters(stats: bytes) -> dict[str, int]:
    """Read struct rtnl_link_stats64, in which rx and tx alternate."""
    if len(stats) < _STATS.size:
        return {}
    values = iter(_STATS.unpack_from(stats))
    return {f"{way}_{name}": next(values) for name in _COUNTERS for way in ("rx", "tx")}


def _raise(what: str, refusal: Refusal | None) -> None:
    if refusal:
        raise _error(what, refusal)


def _error(what: str, refusal: Refusal) -> NetctlError:
    return refused(what, refusal.errno, words=refusal.words)
