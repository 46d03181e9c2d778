"""The host's own name servers, as its resolv.conf names them at the moment of a question.

What rewrites that file (DHCP, a VPN, NetworkManager, systemd-resolved) says nothing to us. Each
question for another server looks at the file's identity: some microseconds, once each.
"""

from __future__ import annotations

from collections.abc import Callable

from netctl.backends.dns.model import Server, host_server
from netctl.kernel.hostfile import HostFile
from netctl.nameservers import MOST_SERVERS, lines_of, servers_in

PATH = "/etc/resolv.conf"


class HostServers:
    """The name servers of the file at ``path``. Those that were read last stay where it is gone,
    cannot be read, or names none; ``tell`` gets a line for the log then."""

    def __init__(self, tell: Callable[[str], None], path: str = PATH) -> None:
        self._tell, self._path = tell, path
        self._file = HostFile(path)
        self._servers: tuple[Server, ...] = ()

    def current(self) -> tuple[Server, ...]:
        """Return them, the same object as long as they are the same; none where none were read."""
        text = self._file.changed()
        if text is not None:
            self._take(text)
        return self._servers

    def _take(self, text: str) -> None:
        named = servers_in(lines_of(text))[:MOST_SERVERS]
        found = tuple(dict.fromkeys(host_server(address) for address in named))
        if not found:
            self._tell(f"{self._path} names no name server: the ones before are still asked")
        elif found != self._servers:
            self._servers = found
