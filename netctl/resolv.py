"""resolv.conf(5): the host's, and the one that a sandbox gets."""

from __future__ import annotations

from netctl.kernel import Kernel
from netctl.models import Sandbox

_RESOLV_CONF = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


def resolv_text(sandbox: Sandbox, host: str) -> str:
    """Return the content of resolv.conf(5): the host's, each section replaced where one is given.

    Name servers on the host's loopback cannot be reached from a sandbox and are left out.
    """
    lines = [line.split() for line in host.splitlines() if line.strip()]
    servers = sandbox.dns or tuple(
        words[1] for words in lines if _is_server(words) and _remote(words[1])
    )
    search = sandbox.dns_search or _last(lines, "search") or _last(lines, "domain")
    options = sandbox.dns_options or _last(lines, "options")
    text = "".join(f"nameserver {server}\n" for server in servers)
    # A search list of "." is libnetwork's way to ask for none.
    if search and search != (".",):
        text += f"search {' '.join(search)}\n"
    return text + (f"options {' '.join(options)}\n" if options else "")


def host_resolv_conf(kernel: Kernel) -> str:
    """Return the host's resolv.conf, the full one where systemd-resolved keeps a stub in /etc."""
    stub, full = (kernel.file_read(path) or "" for path in _RESOLV_CONF)
    servers = [words[1] for words in map(str.split, stub.splitlines()) if _is_server(words)]
    return full if full and servers and not any(map(_remote, servers)) else stub


def _is_server(words: list[str]) -> bool:
    return len(words) > 1 and words[0] == "nameserver"


def _remote(server: str) -> bool:
    return not server.startswith("127.") and server != "::1"


def _last(lines: list[list[str]], word: str) -> tuple[str, ...]:
    return next((tuple(words[1:]) for words in reversed(lines) if words[0] == word), ())
