"""What ``netctl doctor`` asks of the machine beside what the commands ask of the kernel.

Nothing is changed: where something has to be tried out, it is in a namespace of its own, which is
gone afterwards.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from netctl.errors import NetctlError
from netctl.kernel import diag, namespaces, netlink, nftables, nftlink, ports, refusal
from netctl.kernel.diag import Socket
from netctl.kernel.namespaces import OWN
from netctl.kernel.ruleset import Chain
from netctl.record import Record

_NEEDED = ("CAP_NET_ADMIN", "CAP_SYS_ADMIN")
_TABLE = """\
add table inet netctl-try
add set inet netctl-try names { type ifname . ifname; }
add map inet netctl-try ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
add chain inet netctl-try forward { type filter hook forward priority 0; }
add rule inet netctl-try forward ct state established accept
"""
_NAT = """\
add chain inet netctl-try nat { type nat hook postrouting priority 100; }
add rule inet netctl-try nat masquerade
"""
_FIB = """\
add chain inet netctl-try prerouting { type filter hook prerouting priority 0; }
add rule inet netctl-try prerouting fib daddr type local accept
"""
_DNS_QUERY = bytes.fromhex("4e43010000010000000000000000020001")
"""For the name servers of the root (RFC 1035 section 4.1), which every resolver knows."""
_DNS_PORT = 53


class Filesystem(Record):
    """A directory, and the file system that it is on."""

    mode: int
    """Permission bits."""
    owner: int
    free: int
    """Bytes."""
    free_files: int | None
    """None where the file system does not count them."""
    read_only: bool


class Vitals:
    """The machine as it is."""

    def lacking(self) -> list[str]:
        """Return the capabilities that netctl needs and this process has not."""
        return [name for name in _NEEDED if not refusal.has_capability(name)]

    def library(self) -> str | None:
        """Return the version of libnftables, None where it cannot be loaded."""
        return nftables.library_version()

    def processes(self) -> dict[int, str]:
        """Return the names of the processes that are in our network stack, by number."""
        ours = os.stat(OWN).st_ino
        found = {}
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError, UnicodeDecodeError):
                if os.stat(f"/proc/{pid}/ns/net").st_ino == ours:
                    with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                        found[int(pid)] = file.read().strip()
        return found

    def listener(self, protocol: str, port: int) -> str | None:
        """Return the process that serves a port of the host, None where none does."""
        return ports.listener(protocol, port)

    def hears(
        self, netns: str, index: int, asked: Sequence[tuple[str, str, int]]
    ) -> list[bool | None]:
        """Return for each (protocol, address, port) of a namespace whether a socket takes what a
        stranger sends there by the interface of that index; None where the kernel cannot say."""
        with diag.Ears(netns) as ears:
            return [ears.hears(*each, index) for each in asked]

    def listening(self, netns: str, protocol: str) -> list[Socket]:
        """Return the sockets of a namespace that take what comes to them, some of many."""
        return diag.sockets(protocol, 0, netns, listening=True)

    def chains(self, netns: str) -> list[Chain]:
        """Return the chains of nftables in a namespace, some of many."""
        with namespaces.entered(netns):
            ruleset = nftlink.Ruleset()
        try:
            return ruleset.some_chains(diag.LIMIT)
        finally:
            ruleset.close()

    def filesystem(self, path: str) -> Filesystem | None:
        """Return what is known of a directory, None where it is not there."""
        try:
            there, system = os.stat(path), os.statvfs(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refusal.file_refused(f"look at {path}", error) from error
        return Filesystem(
            mode=stat.S_IMODE(there.st_mode),
            owner=there.st_uid,
            free=system.f_bavail * system.f_frsize,
            free_files=system.f_favail if system.f_files else None,
            read_only=bool(system.f_flag & os.ST_RDONLY),
        )

    def missing(self) -> list[tuple[str, str]]:
        """Return the features that the kernel lacks, each with its answer. Needs CAP_SYS_ADMIN."""
        with namespaces.scratch(), netlink.NetlinkSocket() as sock:
            return [*_links(sock), *_nftables()]

    def dns_delay(self, server: str, limit: float) -> float | None:
        """Ask a name server; return the seconds its answer took, None where none comes in
        ``limit`` seconds."""
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        began = time.monotonic()
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(limit)
            sock.connect((server, _DNS_PORT))
            sock.send(_DNS_QUERY)
            # Whatever it answers: it is there.
            sock.recv(4096)
            return time.monotonic() - began
        return None


def _links(sock: netlink.NetlinkSocket) -> Iterator[tuple[str, str]]:
    for kind in ("bridge", "veth"):
        refused = netlink.first_refusal(sock.ask([netlink.link_birth(f"try-{kind}", kind)]))
        if refused:
            yield f"interfaces of type {kind}", os.strerror(refused.errno)


def _nftables() -> Iterator[tuple[str, str]]:
    with _context() as context:
        for feature, text in (
            ("nf_tables with sets and connection tracking", _TABLE),
            ("nf_tables NAT", _NAT),
            ("nf_tables fib", _FIB),
        ):
            try:
                context.run(text)
            except NetctlError as error:
                yield feature, error.command_message
                if text == _TABLE:
                    return


@contextmanager
def _context() -> Iterator[nftables.Nftables]:
    context = nftables.Nftables()
    try:
        yield context
    finally:
        context.close()
