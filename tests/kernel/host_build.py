"""How a throw-away host is made: called in a child, which it brings into new namespaces."""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
import traceback
from pathlib import Path

from netctl.kernel import syscalls
from tests.waiting import until

CLONE_NEWUTS = 0x04000000
_PRIVATE = 1 << 18
_OWN_ETC = {
    "hosts": "127.0.0.1 localhost\n::1 localhost\n192.0.2.1 testhost\n",
    "resolv.conf": "nameserver 192.0.2.254\nsearch example.net\n",
    "hostname": "testhost\n",
    "machine-id": "0123456789abcdef0123456789abcdef\n",
}
"""What the host must not take over from the machine, so that tests see the same everywhere."""

_HOST_SETUP = """\
link set lo up
link add uplink address 02:00:00:ff:00:01 type veth peer name world address 02:00:00:ff:00:fe \
netns {outside}
link set uplink addrgenmode none
address add 192.0.2.1/24 dev uplink
address add 2001:db8::1/64 dev uplink nodad
link set uplink up
"""
_OUTSIDE_SETUP = """\
link set lo up
link set world addrgenmode none
address add 192.0.2.254/24 dev world
address add 2001:db8::fe/64 dev world nodad
link set world up
"""
_HOST_ROUTES = """\
route add default via 192.0.2.254
-6 route add default via 2001:db8::fe
neighbour add 2001:db8::fe lladdr 02:00:00:ff:00:fe dev uplink nud permanent
"""
"""Without a link-local address the uplink asks for no neighbour in the name of others: what comes
from sandboxes would be lost after half a minute."""
_WRITTEN_ETC = ("systemd", "NetworkManager")
"""Directories below which ``system install`` writes: empty ones, not the machine's."""


def build_in_child(scratch: str, tell: int, done: int, release: int) -> None:
    try:
        os.close(release)
        _build(scratch)
        os.write(tell, b"ready")
        os.close(tell)
        os.read(done, 1)
    except BaseException:
        os.write(tell, traceback.format_exc().encode()[-4000:])
    finally:
        os._exit(0)


def _build(scratch: str) -> None:
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | CLONE_NEWUTS)
    syscalls.mount("none", "/", _PRIVATE | syscalls.MS_REC)
    socket.sethostname("testhost")
    syscalls.mount_kind("scratch", scratch, "tmpfs")
    _build_etc(scratch)
    for directory in ("/run", "/var/lib"):
        syscalls.mount_kind("own", directory, "tmpfs")
        os.chmod(directory, 0o755)
    if os.access("/sys", os.W_OK):
        syscalls.mount_kind("sysfs", "/sys", "sysfs")
    _build_network(f"{scratch}/outside")


def _build_etc(scratch: str) -> None:
    """Put a tmpfs over /etc that leads to the machine's files, but for those of our own."""
    lower, etc = f"{scratch}/etc.machine", f"{scratch}/etc"
    os.mkdir(lower)
    os.mkdir(etc)
    os.chmod(scratch, 0o755)
    syscalls.mount("/etc", lower, syscalls.MS_BIND | syscalls.MS_REC)
    for name in os.listdir(lower):
        if name not in ("netns", "netctl", *_WRITTEN_ETC, *_OWN_ETC):
            os.symlink(f"{lower}/{name}", f"{etc}/{name}")
    for name in _WRITTEN_ETC:
        if os.path.isdir(f"{lower}/{name}"):
            os.mkdir(f"{etc}/{name}")
    for name, content in _OWN_ETC.items():
        Path(etc, name).write_text(content)
    syscalls.mount(etc, "/etc", syscalls.MS_BIND)


def _build_network(outside: str) -> None:
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    Path(outside).touch()
    syscalls.unshare(syscalls.CLONE_NEWNET)
    syscalls.mount("/proc/self/ns/net", outside, syscalls.MS_BIND)
    there = os.open(outside, os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(home, syscalls.CLONE_NEWNET)
    _batch(_HOST_SETUP.format(outside=outside))
    syscalls.setns(there, syscalls.CLONE_NEWNET)
    _batch(_OUTSIDE_SETUP)
    syscalls.setns(home, syscalls.CLONE_NEWNET)
    _batch(_HOST_ROUTES)
    _await_local_route()
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


def _await_local_route() -> None:
    """Wait for the route to the host's own IPv6 address, which the kernel adds when it gets round
    to it: a snapshot before that would differ from every later one."""
    wanted = ipaddress.IPv6Address("2001:db8::1").packed.hex() + " 80 "
    until(lambda: wanted in Path("/proc/net/ipv6_route").read_text(), "the route to 2001:db8::1")


def _batch(commands: str) -> None:
    families = {"-4": [], "-6": []}  # type: dict[str, list[str]]
    for line in commands.splitlines():
        family = "-6" if line.startswith("-6 ") else "-4"
        families[family].append(line.removeprefix("-6 "))
    for family, lines in families.items():
        if lines:
            option = [family] if family == "-6" else []
            subprocess.run(
                ["ip", *option, "-batch", "-"], input="\n".join(lines), text=True, check=True
            )
