"""Who answers: netctl's resolver and aardvark-dns, in the same namespace of the same world."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.installed import Installed
from bench.worlds import World

AARDVARK = "/usr/lib/podman/aardvark-dns"
UPSTREAM = "198.18.0.2"
_TICK = 100
"""Ticks of a processor's clock in a second (USER_HZ)."""
_SETUP = """\
ip netns add client
ip netns add upstream
ip -n client link set lo up
ip -n client address add 198.18.1.1/32 dev lo
ip link add up0 type veth peer name eth0 netns upstream
ip link add up1 type veth peer name eth1 netns upstream
ip link set up1 netns client
ip address add 198.18.0.1/31 dev up0
ip link set up0 up
ip -n client address add 198.18.2.1/24 dev up1
ip -n client link set up1 up
ip -n upstream link set lo up
for link in eth0 eth1; do ip -n upstream link set $link up; done
ip address del 198.18.0.1/31 dev up0
ip address add 198.18.0.1/24 dev up0
ip -n upstream address add 198.18.0.2/24 dev eth0
ip -n upstream address add 198.18.2.2/24 dev eth1
"""


def missing() -> list[str]:
    """Return the Debian packages that the measurement lacks."""
    needed = (("aardvark-dns", AARDVARK), ("dnsperf", shutil.which("dnsperf") or ""))
    return [package for package, path in needed if not Path(path).exists() or not path]


def build(world: World, installed: Installed) -> None:
    """Make the namespaces ``client``, where both peers answer, and ``upstream``."""
    world.sh(_SETUP)
    upstream = Path(__file__).with_name("dns_upstream.py")
    for address in (UPSTREAM, "198.18.2.2"):
        enter = ("nsenter", "--net=/run/netns/upstream")
        world.start(*enter, installed.python, "-S", "-E", str(upstream), address)


class Peer(Protocol):
    name: str
    address: str

    def start(self) -> None: ...

    def tell(self, names: Sequence[str]) -> None:
        """Have it answer for these names and no others."""
        ...

    def pid(self) -> int: ...


def address_of(index: int) -> str:
    return f"10.{90 + index // 62500}.{index // 250 % 250}.{index % 250 + 1}"


@dataclass(slots=True)
class Netctl:
    """The sockets on 127.0.0.11 of the namespace; forwards from the host's."""

    world: World
    installed: Installed
    name: str = "netctl"
    address: str = "127.0.0.11"

    def start(self) -> None:
        self.python("resolver.start('/run/netctl')")

    def tell(self, names: Sequence[str]) -> None:
        self.python(f"""
names = {list(names)!r}
resolver.stop('/run/netctl')
resolver.start('/run/netctl')
resolver.tell('/run/netctl', [
    dict(do='network', id='n', name='web', forward=True),
    *(dict(do='endpoint', id=f'e{{i}}', network='n', names=[name], addresses=[address_of(i)])
      for i, name in enumerate(names)),
    dict(do='sandbox', id='client', netns='/run/netns/client',
         members=[dict(endpoint='e0', network='n', aliases={{}})],
         servers=[dict(address='{UPSTREAM}', host=True)], ndots=None),
])""")

    def pid(self) -> int:
        return int(self.world.sh("cat /run/netctl/resolver.pid").output)

    def python(self, code: str) -> str:
        """Run code with the library, and ``address_of`` of this module."""
        path = str(Path(__file__).resolve().parents[1])
        head = (
            f"import sys; sys.path.append({path!r})\n"
            "from netctl.kernel import resolver\nfrom bench.dns_peers import address_of\n"
        )
        script = self.world.directory / "script.py"
        script.write_text(head + code)
        return self.world.run(self.installed.python, "-P", str(script)).output


@dataclass(slots=True)
class Aardvark:
    """An address on the loopback of the namespace, which spares it the way over a bridge."""

    world: World
    name: str = "aardvark-dns"
    address: str = "198.18.1.1"

    def start(self) -> None:
        self.world.sh("mkdir -m 700 -p /run/aardvark")
        self.world.sh("echo nameserver 198.18.2.2 >/run/etc/resolv.conf")
        self._write(["first"])
        # It goes into the background by itself.
        self.world.sh(
            f"nsenter --net=/run/netns/client {AARDVARK} --config /run/aardvark -p 53 run"
            " </dev/null >/dev/null 2>&1"
        )

    def tell(self, names: Sequence[str]) -> None:
        self._write(names)
        self.world.sh(f"kill -HUP {self.pid()}; sleep 1")

    def pid(self) -> int:
        return int(self.world.sh("cat /run/aardvark/aardvark.pid").output)

    def _write(self, names: Sequence[str]) -> None:
        lines = [f"{i:064x} {address_of(i)}  {name}" for i, name in enumerate(names)]
        config = self.world.directory / "aardvark"
        config.write_text("\n".join([self.address, *lines]) + "\n")
        self.world.sh(f"cp {config} /run/aardvark/web")


def processor_time(world: World, pid: int) -> float:
    """Return the seconds of processor time that a process has used so far."""
    fields = world.sh(f"cat /proc/{pid}/stat").output.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory(world: World, pid: int) -> int:
    """Return the resident memory of a process, KiB."""
    return int(world.sh(f"grep VmRSS /proc/{pid}/status").output.split()[1])
