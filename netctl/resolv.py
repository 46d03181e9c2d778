"""resolv.conf(5): the host's, and the one that a sandbox gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netctl.config import Config
from netctl.errors import KernelError
from netctl.kernel import Kernel
from netctl.models import ResolvConf, Sandbox, SandboxKind, Upstream
from netctl.nameservers import RESOLVER, lines_of, servers_in

_STUB, _FULL = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"
_SECTIONS = ("nameserver", "search", "domain", "options")
_HEAD = "# Made by netctl, which leaves it alone once somebody has edited it.\n"


def follows_host(sandbox: Sandbox) -> bool:
    """Whether the servers that the resolver asks for a sandbox are the host's, whichever those are
    by then: neither ``--dns`` nor the configuration nor a file of the sandbox's own names them."""
    return (
        sandbox.type is not SandboxKind.HOST
        and not (sandbox.dns or sandbox.origin_resolv_conf_path)
        and all(upstream.host for upstream in sandbox.resolv.upstream)
    )


def choose(sandbox: Sandbox, config: Config, kernel: Kernel) -> ResolvConf:
    """Return what a sandbox's resolv.conf says: the host's, or that of its origin, each section
    replaced where the sandbox or the configuration gives one."""
    dns = sandbox.dns or config.dns
    search = sandbox.dns_search or config.dns_search
    options = sandbox.dns_options or config.dns_options
    origin = sandbox.origin_resolv_conf_path
    stub, full = (kernel.file_read(origin) or "",) * 2 if origin else host_files(kernel)
    lines = lines_of(stub)
    asked = dns or servers_in(lines) or _asked_before(sandbox)
    at_host = sandbox.type is SandboxKind.HOST
    return ResolvConf(
        servers=dns or (servers_in(lines) if at_host else _reachable(lines_of(full))),
        search=search or _last(lines, "search") or _last(lines, "domain"),
        options=options or _last(lines, "options"),
        others=tuple(filter(str.isprintable, _others(lines))),
        upstream=tuple(Upstream(address=address, host=not dns) for address in asked),
        overridden=bool(dns or search or options),
    )


def _asked_before(sandbox: Sandbox) -> tuple[str, ...]:
    """Return the host's servers that a sandbox had when its resolv.conf named some."""
    if not follows_host(sandbox):
        return ()
    return tuple(upstream.address for upstream in sandbox.resolv.upstream)


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
    stub, full = (_host_text(kernel, path) for path in (_STUB, _FULL))
    named = servers_in(lines_of(stub))
    return stub, full if full and named and not _reachable(lines_of(stub)) else stub


def _host_text(kernel: Kernel, path: str) -> str:
    """Return the beginning of a file of the host's, which is no reason to refuse anything: nothing
    where it is missing or cannot be read."""
    try:
        text = kernel.file_read(path) or ""
    except KernelError:
        return ""
    from netctl.kernel.hostfile import LIMIT

    return text if len(text) <= LIMIT else text[: text.rfind("\n", 0, LIMIT) + 1]


def _reachable(found: list[list[str]]) -> tuple[str, ...]:
    """Return the servers that are reached from a namespace of its own: neither the host's loopback
    nor an address that needs one of its interfaces."""
    return tuple(
        s for s in servers_in(found) if not s.startswith("127.") and s != "::1" and "%" not in s
    )


def _others(found: list[list[str]]) -> Iterable[str]:
    return (" ".join(words) for words in found if words[0] not in _SECTIONS)


def _last(found: list[list[str]], word: str) -> tuple[str, ...]:
    return next((tuple(words[1:]) for words in reversed(found) if words[0] == word), ())
