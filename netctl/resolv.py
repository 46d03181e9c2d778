"""resolv.conf(5): the host's, and the one that a sandbox gets."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from netctl.config import Config
from netctl.kernel import Kernel
from netctl.models import ResolvConf, Sandbox, SandboxKind, Upstream
from netctl.nameservers import RESOLVER

_STUB, _FULL = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"
_SECTIONS = ("nameserver", "search", "domain", "options")
_HEAD = "# Made by netctl, which leaves it alone once somebody has edited it.\n"


def choose(sandbox: Sandbox, config: Config, kernel: Kernel) -> ResolvConf:
    """Return what a sandbox's resolv.conf says: the host's, or that of its origin, each section
    replaced where the sandbox or the configuration gives one."""
    dns = sandbox.dns or config.dns
    search = sandbox.dns_search or config.dns_search
    options = sandbox.dns_options or config.dns_options
    origin = sandbox.origin_resolv_conf_path
    stub, full = (kernel.file_read(origin) or "",) * 2 if origin else host_files(kernel)
    lines = _lines(stub)
    at_host = sandbox.type is SandboxKind.HOST
    return ResolvConf(
        servers=dns or (_servers(lines) if at_host else _reachable(_lines(full))),
        search=search or _last(lines, "search") or _last(lines, "domain"),
        options=options or _last(lines, "options"),
        others=tuple(" ".join(words) for words in lines if words[0] not in _SECTIONS),
        upstream=tuple(
            Upstream(address=address, host=not dns) for address in dns or _servers(lines)
        ),
        overridden=bool(dns or search or options),
    )


def resolv_text(sandbox: Sandbox) -> str:
    """Return the content of resolv.conf(5), for a sandbox with the resolver in it or without."""
    conf = sandbox.resolv
    servers, options = conf.servers, conf.options
    if sandbox.served:
        servers = (RESOLVER,)
        if ndots(options) is None:
            # A name of one word is asked for as it is, before the search list is gone through.
            options = (*(o for o in options if not o.startswith("ndots:")), "ndots:0")
    text = "".join(f"nameserver {server}\n" for server in servers)
    # A search list of "." is libnetwork's way to ask for none.
    if conf.search and conf.search != (".",):
        text += f"search {' '.join(conf.search)}\n"
    text += f"options {' '.join(options)}\n" if options else ""
    return _HEAD + text + "".join(f"{line}\n" for line in conf.others)


def ndots(options: Sequence[str]) -> int | None:
    """Return the ``ndots`` of resolv.conf's options, the last one counts; None for none."""
    found = [option.removeprefix("ndots:") for option in options if option.startswith("ndots:")]
    return int(found[-1]) if found and found[-1].isdecimal() else None


def host_resolv_conf(kernel: Kernel) -> str:
    """Return the host's resolv.conf with the servers that more than the host itself can reach."""
    return host_files(kernel)[1]


def host_files(kernel: Kernel) -> tuple[str, str]:
    """Return the host's resolv.conf as it is, and the one to use where its loopback is out of
    reach: that of systemd-resolved, where /etc has only its stub."""
    stub, full = (kernel.file_read(path) or "" for path in (_STUB, _FULL))
    servers = _servers(_lines(stub))
    return stub, full if full and servers and not _reachable(_lines(stub)) else stub


def _lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip() and line[0] not in "#;"]


def _servers(lines: list[list[str]]) -> tuple[str, ...]:
    found = (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return tuple(dict.fromkeys(filter(_is_address, found)))


def _reachable(lines: list[list[str]]) -> tuple[str, ...]:
    """Return the servers that are reached from a namespace of its own: neither the host's loopback
    nor an address that needs one of its interfaces."""
    return tuple(
        s for s in _servers(lines) if not s.startswith("127.") and s != "::1" and "%" not in s
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _last(lines: list[list[str]], word: str) -> tuple[str, ...]:
    return next((tuple(words[1:]) for words in reversed(lines) if words[0] == word), ())
