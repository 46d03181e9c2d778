"""Endpoints that a network keeps apart (``enable_icc=false``), on a bridge of netctl's own.

The ports' flag ``isolated`` keeps them apart without a rule. Where br_netfilter is loaded, the
bridge itself translates what is sent to a published port, and passes the packet on from port to
port. The flag forbids that, and no hook is in between. So the port of an endpoint that publishes
has no flag, and rules of the family bridge take its place: what is sent to one must be for the
bridge itself, which is asked before br_netfilter translates; what is sent to many goes to the host
alone. The answer has to come back by the bridge too, so the source is the host's.

On a bridge of somebody else's, which may lead further, all ports keep the flag. So they do where
the kernel has no nftables for bridges. The sets name the ports, and not the bridge, because a
kernel may lack ``ibrname`` (CONFIG_NFT_BRIDGE_META).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netctl.backends import access, firewall
from netctl.backends.firewall import BRIDGE_TABLE as TABLE
from netctl.errors import KernelError, Unsupported
from netctl.kernel import Kernel
from netctl.models import Attachment, Network
from netctl.names import mac_of
from netctl.record import replace
from netctl.steps.settings import Nft

_INET = firewall.TABLE
_MANY = "ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00"
"""Broadcast and multicast: the group bit (IEEE 802, section 8.2)."""

_OBJECTS = f"""\
add table {TABLE}
add set {TABLE} ports {{ type ifname; }}
add set {TABLE} ways {{ type ifname . ether_addr; }}
"""
_FRAME = f"""\
{_OBJECTS}\
add chain {TABLE} arriving {{ type filter hook prerouting priority -300; policy accept; }}
add chain {TABLE} forward {{ type filter hook forward priority -300; policy accept; }}
flush chain {TABLE} arriving
flush chain {TABLE} forward
add rule {TABLE} arriving iifname != @ports accept
add rule {TABLE} arriving {_MANY} accept
add rule {TABLE} arriving iifname . ether daddr != @ways drop
add rule {TABLE} forward iifname @ports {_MANY} drop
"""
GONE = f"add table {TABLE}\ndelete table {TABLE}\n"

# With br_netfilter no rule after the translation sees where the packet came in.
_INSIDE_OBJECTS = "".join(
    f"add set {_INET} inside{v} {{ type ifname . ipv{v}_addr; flags interval; }}\n" for v in (4, 6)
)
_INSIDE = f"""\
{_INSIDE_OBJECTS}\
add chain {_INET} inside {{ type nat hook postrouting priority 99; policy accept; }}
flush chain {_INET} inside
add rule {_INET} inside oifname . ip saddr @inside4 ct status dnat masquerade
add rule {_INET} inside oifname . ip6 saddr @inside6 ct status dnat masquerade
"""
_INSIDE_GONE = f"""\
{_INSIDE}\
flush chain {_INET} inside
delete chain {_INET} inside
delete set {_INET} inside4
delete set {_INET} inside6
"""


def facts(network: Network, kernel: Kernel) -> dict[str, str]:
    """Return what the network's facts say of it: whether rules keep its endpoints apart too."""
    known = network.facts["made"] == "true" and _are_known(kernel)
    return {"frames": "true" if known else "false"}


def _are_known(kernel: Kernel) -> bool:
    """Whether the kernel has what the rules need, which is tried out in a namespace of its own."""
    if firewall.has_table(kernel, TABLE):
        return True
    try:
        kernel.nft_preview(_FRAME, f"list table {TABLE}")
    except (KernelError, Unsupported):
        return False
    return True


def with_network(rules: Nft, network: Network, others: Iterable[Network]) -> Nft:
    """Return the transaction of a network, ``rules``, with what keeps its endpoints apart. With the
    last network of its kind all of that goes."""
    own = list(_sources(network))
    going = _INSIDE_OBJECTS + firewall.added_text(own) + firewall.removed_text(own)
    if not any(map(access.is_filtered, others)):
        going = _INSIDE_GONE + GONE
    return replace(
        rules,
        do=rules.do + _FRAME + _INSIDE + firewall.added_text(own),
        # With operator's chains to look for, it is the whole table inet netctl that goes.
        undo=rules.undo + (GONE if rules.chains else going),
        undo_kept=rules.undo_kept and rules.undo_kept + going,
    )


def port(network: Network, place: Attachment) -> Nft:
    """Return the transaction that keeps one port apart, to be done before the port is there."""
    own = list(_port(network, place))
    added = _text("add", own)
    return Nft(do=_FRAME + added, undo=_OBJECTS + added + _text("delete", own), protects=True)


def reload(networks: Iterable[Network], ports: Iterable[tuple[Network, Attachment]]) -> str:
    """Return the commands that put all of it in order, whatever is left of it."""
    flushed = f"flush set {TABLE} ports\nflush set {TABLE} ways\n"
    flushed += "".join(f"flush set {_INET} inside{v}\n" for v in (4, 6))
    sources = (item for network in networks for item in _sources(network))
    own = (item for network, place in ports for item in _port(network, place))
    return _FRAME + _INSIDE + flushed + firewall.added_text(sources) + _text("add", own)


def _sources(network: Network) -> Iterator[tuple[str, str]]:
    bridge = firewall.quoted(network.facts["bridge"])
    for pool in (pool for pool in network.pools if not pool.link_local):
        yield f"inside{pool.version}", f"{bridge} . {pool.subnet}"


def _port(network: Network, place: Attachment) -> Iterator[tuple[str, str]]:
    name = firewall.quoted(place.host_ifname)
    yield "ports", name
    yield "ways", f"{name} . {mac_of(network.id)}"


def _text(verb: str, elements: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{verb} element {TABLE} {name} {{ {item} }}\n" for name, item in elements)
