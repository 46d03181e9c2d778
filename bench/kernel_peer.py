"""The same kernel objects by ``ip`` and ``nft``: as scripts, in the fastest form that is honest.

Batches wherever these tools know them: one process for what is on the host's side, one for each
namespace entered (a batch cannot change namespaces), one nftables transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

BULK_BRIDGE = "br-bulk"
_PREFIX = 16

FRAME = """\
table inet peer {
  set networks { type ifname; }
  set internal { type ifname; }
  set same-bridge { type ifname . ifname; }
  set masquerade4 { type ifname; }
  chain forward {
    type filter hook forward priority filter;
    ct state established,related accept
    iifname . oifname @same-bridge accept
    iifname @internal drop
    oifname @networks drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    iifname . oifname @same-bridge accept
    meta nfproto ipv4 iifname @masquerade4 masquerade
  }
}
"""
"""What netctl's table holds, too. It stands from the beginning, like netctl's and docker's."""


def prepare() -> str:
    """Return the script that makes what stands all the time."""
    forwarding = "echo 1 >/proc/sys/net/ipv4/ip_forward\n"
    return forwarding + _nft(FRAME) + network_create("br-work", "10.201.0.1/16")


def network_create(bridge: str, address: str) -> str:
    return _batch(*_bridge(bridge, address)) + _nft(_elements("add", bridge))


def network_remove(bridge: str) -> str:
    return f"ip link delete {bridge}\n" + _nft(_elements("delete", bridge))


def sandbox_create(name: str) -> str:
    return f"ip netns add {name}\nip -n {name} link set lo up\n"


def sandbox_remove(name: str) -> str:
    return f"ip netns delete {name}\n"


def join(veth: str, netns: str, address: str) -> str:
    inside = _batch(*_inside(address, "10.201.0.1"), options=f"-n {netns}")
    return _batch(*_pair(veth, netns, "br-work")) + inside


def leave(veth: str) -> str:
    return f"ip link delete {veth}\n"


def _bridge(bridge: str, address: str) -> tuple[str, ...]:
    return (
        f"link add {bridge} mtu 1500 type bridge",
        f"link set {bridge} alias peer:{bridge} addrgenmode none up",
        f"address add {address} dev {bridge}",
    )


def _pair(veth: str, netns: str, bridge: str) -> tuple[str, ...]:
    return (
        f"link add {veth} mtu 1500 type veth peer name eth0 netns {netns} mtu 1500",
        f"link set {veth} alias peer:{veth} addrgenmode none master {bridge} up",
    )


def _inside(address: str, gateway: str) -> tuple[str, ...]:
    return (
        "link set eth0 addrgenmode none up",
        f"address add {address} dev eth0",
        f"route add default via {gateway} dev eth0",
    )


def _elements(verb: str, bridge: str) -> str:
    table = f"{verb} element inet peer"
    return (
        f'{table} networks {{ "{bridge}" }}\n'
        f'{table} same-bridge {{ "{bridge}" . "{bridge}" }}\n'
        f'{table} masquerade4 {{ "{bridge}" }}\n'
    )


def _batch(*lines: str, options: str = "") -> str:
    text = "\n".join(lines)
    return f"ip {options} -batch - <<END\n{text}\nEND\n"


def _nft(text: str) -> str:
    return f"nft -f - <<END\n{text}END\n"


def write_bulk(directory: Path, count: int) -> tuple[Path, Path]:
    """Write the batches for ``count`` namespaces; return the scripts that make and remove all."""
    directory.mkdir()
    (directory / "host").write_text("\n".join(_bulk_host(count)) + "\n")
    (directory / "nft").write_text(_elements("add", BULK_BRIDGE))
    (directory / "nft.away").write_text(_elements("delete", BULK_BRIDGE))
    (directory / "away").write_text("".join(f"netns delete bulk{n}\n" for n in range(count)))
    for n in range(count):
        lines = ("link set lo up", *_inside(bulk_address(n), "10.200.0.1"))
        (directory / f"bulk{n}").write_text("\n".join(lines) + "\n")
    make, remove = directory / "make.sh", directory / "remove.sh"
    make.write_text(_bulk_make(directory, count))
    remove.write_text(_bulk_remove(directory))
    return make, remove


def bulk_address(index: int) -> str:
    high, low = divmod(index + 2, 256)
    return f"10.200.{high}.{low}/{_PREFIX}"


def _bulk_host(count: int) -> Iterator[str]:
    yield from _bridge(BULK_BRIDGE, f"10.200.0.1/{_PREFIX}")
    for n in range(count):
        yield f"netns add bulk{n}"
        yield from _pair(f"pb{n}", f"bulk{n}", BULK_BRIDGE)


def _bulk_make(directory: Path, count: int) -> str:
    inside = "".join(f"ip -n bulk{n} -batch bulk{n}\n" for n in range(count))
    return f"set -e\ncd {directory}\nip -batch host\n{inside}nft -f nft\n"


def _bulk_remove(directory: Path) -> str:
    # The kernel takes a namespace apart after the command that deleted it has gone, all of them
    # at once; it is done when the pairs that reached into them have gone too. 60 s at most.
    wait = (
        "n=0\n"
        "while ip -o link show type veth | grep -q ': pb'; do\n"
        "  n=$((n + 1)); [ $n -lt 3000 ] || exit 1; sleep 0.02\n"
        "done\n"
    )
    away = f"ip -batch away\n{wait}ip link delete {BULK_BRIDGE}\nnft -f nft.away\n"
    return f"set -e\ncd {directory}\n{away}"
