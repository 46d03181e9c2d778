"""What happens to a host behind netctl's back. Each fault runs inside the host."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.waiting import PATIENCE

STATE = Path("/var/lib/netctl")
FOREIGN = """
ip link add their0 type bridge
ip address add 198.51.100.1/24 dev their0
ip link set their0 addrgenmode none up
ip netns add theirs
"""
FOREIGN_RULES = """
table inet theirs {
  chain forward {
    type filter hook forward priority 5
    iifname "their0" accept
  }
}
"""

Fault = Callable[[random.Random], None]


def shell(script: str) -> str:
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.stdout


def _ours(pattern: str) -> list[str]:
    listed = shell("ip -o link show").splitlines()
    names = [line.split(": ")[1].partition("@")[0] for line in listed]
    return [name for name in names if name.startswith(pattern)]


def nothing(choose: random.Random) -> None:
    pass


def flush(choose: random.Random) -> None:
    shell(choose.choice(["nft flush ruleset", "nft delete table bridge netctl"]))


def links(choose: random.Random) -> None:
    for name in _ours("nc") + _ours("br-"):
        if choose.random() < 0.4:
            shell(f"ip link delete {name}")


def changes(choose: random.Random) -> None:
    scripts = ("mtu 1400", "down", "nomaster", "type bridge_slave isolated off")
    for name in _ours("nc"):
        if choose.random() < 0.5:
            shell(f"ip link set {name} {choose.choice(scripts)}")
    for name in _ours("br-"):
        if choose.random() < 0.3:
            shell(f"ip address flush dev {name}")


def namespaces(choose: random.Random) -> None:
    for name in _namespaces():
        if choose.random() < 0.5:
            shell(f"ip netns delete {name}")


def inside(choose: random.Random) -> None:
    for name in _namespaces():
        if choose.random() < 0.5:
            shell(f"ip -n {name} route flush default; ip -n {name} address flush dev eth0")


def limits(choose: random.Random) -> None:
    for name in _ours("nc"):
        if choose.random() < 0.5:
            shell(f"tc qdisc delete dev {name} {choose.choice(('root', 'ingress'))}")
    for name in _ours("ni"):
        if choose.random() < 0.3:
            shell(f"ip link delete {name}")


def resolver(choose: random.Random) -> None:
    """Kill the resolver, which the pid file names, or take its rules in the namespaces away."""
    if choose.random() < 0.5:
        _kill_resolver()
    for name in _namespaces():
        if choose.random() < 0.5:
            shell(f"ip netns exec {name} nft flush ruleset")


def _kill_resolver() -> None:
    with suppress(OSError, ValueError):
        pid = int(Path("/run/netctl/resolver.pid").read_text())
        # A number that another process has by now is none of ours.
        if b"netctl.backends.dns" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def files(choose: random.Random) -> None:
    for path in sorted(STATE.glob("files/*/*")):
        if choose.random() < 0.5:
            path.unlink()


def _namespaces() -> list[str]:
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    return sorted(name for name in names if name not in ("theirs", "outside"))


def _shards(choose: random.Random) -> list[Path]:
    found = sorted(path for path in STATE.rglob("*.json") if path.name != "schema.json")
    return choose.sample(found, min(len(found), 2))


def truncated(choose: random.Random) -> None:
    for path in _shards(choose):
        data = path.read_bytes()
        path.write_bytes(data[: choose.randrange(len(data))])


def flipped(choose: random.Random) -> None:
    for path in _shards(choose):
        data = bytearray(path.read_bytes())
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        path.write_bytes(data)


def reboot(choose: random.Random) -> None:
    """Take what a reboot takes: processes, interfaces, rules, namespaces, /run. Its new number comes
    after."""
    _kill_resolver()
    for name in [*os.listdir("/run/netns")] if os.path.isdir("/run/netns") else []:
        if name != "outside":
            shell(f"ip netns delete {name}")
    for name in _ours("nc") + _ours("ni") + _ours("br-") + _ours("their"):
        shell(f"ip link delete {name}")
    shell(
        "nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0;"
        " rm -rf /run/netctl"
    )


def full(choose: random.Random) -> None:
    shell(f"dd if=/dev/zero of={STATE}/filler bs=4k count=100000 2>/dev/null")


def readonly(choose: random.Random) -> None:
    shell(f"mount -o remount,ro {STATE}")


def relieve() -> None:
    """End ``full`` and ``readonly``."""
    shell(f"mount -o remount,rw {STATE}; rm -f {STATE}/filler")


DURING: dict[str, Fault] = {
    "nothing": nothing,
    "ruleset flushed": flush,
    "interfaces deleted": links,
    "interfaces changed": changes,
    "namespaces deleted": namespaces,
    "resolver killed": resolver,
    "full disk": full,
    "read-only state": readonly,
}
"""Faults while processes are at work."""
AFTER: dict[str, Fault] = {
    "nothing": nothing,
    "ruleset flushed": flush,
    "interfaces deleted": links,
    "interfaces changed": changes,
    "namespaces deleted": namespaces,
    "addresses and routes deleted": inside,
    "limits lifted": limits,
    "resolver killed": resolver,
    "files deleted": files,
    "store truncated": truncated,
    "bits of the store flipped": flipped,
    "reboot": reboot,
}
"""Faults when they have ended."""
DAMAGING = ("store truncated", "bits of the store flipped")
