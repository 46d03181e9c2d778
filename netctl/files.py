"""The hosts and resolv.conf of a sandbox, as text and as steps.

Both are functions of the documents. A file whose content is not what the documents said was
edited by somebody, and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netctl.gateway import Member
from netctl.kernel import Kernel
from netctl.models import Sandbox, SandboxKind
from netctl.plan import Step
from netctl.steps import DirectoryCreate, FileWrite, Symlink

ETC_NETNS = "/etc/netns"
"""Where ``ip netns exec NAME`` looks for files that it binds over /etc."""
_RESOLV_CONF = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")

_LOCALHOST = "127.0.0.1\tlocalhost\n"
_LOCALHOST6 = (
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where the files of one sandbox are."""

    directory: str
    hosts: str
    resolv_conf: str
    etc: str
    """Directory of links to them, under the name of the namespace."""


def paths(sandbox: Sandbox, state_dir: str) -> Paths:
    directory = f"{state_dir}/files/{sandbox.id}"
    return Paths(
        directory=directory,
        hosts=sandbox.hosts_path or f"{directory}/hosts",
        resolv_conf=sandbox.resolv_conf_path or f"{directory}/resolv.conf",
        etc=f"{ETC_NETNS}/{sandbox.netns.rpartition('/')[2]}",
    )


def has_files(sandbox: Sandbox) -> bool:
    """Whether the sandbox has files of its own: the host's stack uses the host's."""
    return sandbox.type is not SandboxKind.HOST


def plan_files(
    sandbox: Sandbox, members: Sequence[Member], state_dir: str, resolv: str
) -> list[Step]:
    """Return the steps that make the files and the links to them."""
    where = paths(sandbox, state_dir)
    return [
        DirectoryCreate(path=f"{state_dir}/files"),
        DirectoryCreate(path=where.directory),
        FileWrite(path=where.hosts, content=hosts_text(sandbox, members)),
        FileWrite(path=where.resolv_conf, content=resolv),
        *plan_links(sandbox, state_dir),
    ]


def plan_links(sandbox: Sandbox, state_dir: str) -> list[Step]:
    """Return the steps that make /etc/netns/NAME."""
    where = paths(sandbox, state_dir)
    return [
        DirectoryCreate(path=ETC_NETNS),
        DirectoryCreate(path=where.etc),
        Symlink(path=f"{where.etc}/hosts", target=where.hosts),
        Symlink(path=f"{where.etc}/resolv.conf", target=where.resolv_conf),
    ]


def plan_hosts(
    before: Sandbox,
    members_before: Sequence[Member],
    after: Sandbox,
    members_after: Sequence[Member],
    state_dir: str,
    kernel: Kernel,
) -> list[Step]:
    """Return the step that brings the hosts file up to date, none where nothing changes."""
    path = paths(before, state_dir).hosts
    old, new = hosts_text(before, members_before), hosts_text(after, members_after)
    if old == new or not has_files(before) or kernel.file_read(path) != old:
        return []
    return [FileWrite(path=path, content=new, previous=old)]


def hosts_text(sandbox: Sandbox, members: Sequence[Member]) -> str:
    """Return the content of hosts(5): localhost, the extra hosts, then the sandbox's own names."""
    ipv6 = any(member.endpoint.ipv6 for member in members)
    own = "".join(_own_lines(sandbox, members))
    extra = "".join(f"{address}\t{name}\n" for name, address in sandbox.extra_hosts)
    return _LOCALHOST + (_LOCALHOST6 if ipv6 else "") + extra + own


def _own_lines(sandbox: Sandbox, members: Sequence[Member]) -> Iterable[str]:
    short = sandbox.hostname or sandbox.name
    full = f"{short}.{sandbox.domainname} {short}" if sandbox.domainname else short
    for member in members:
        for address in member.endpoint.addresses:
            yield f"{address.partition('/')[0]}\t{full}\n"


def resolv_text(sandbox: Sandbox, host: str) -> str:
    """Return the content of resolv.conf(5): the host's, each section replaced where one is given.

    Name servers on the host's loopback cannot be reached from a sandbox and are left out.
    """
    lines = [line.split() for line in host.splitlines() if line.strip()]
    servers = sandbox.dns or tuple(
        words[1] for words in lines if words[0] == "nameserver" and words[1:] and _remote(words[1])
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
    servers = [line.split()[1] for line in stub.splitlines() if line.startswith("nameserver ")]
    return full if full and servers and not any(map(_remote, servers)) else stub


def _remote(server: str) -> bool:
    return not server.startswith("127.") and server != "::1"


def _last(lines: list[list[str]], word: str) -> tuple[str, ...]:
    return next((tuple(words[1:]) for words in reversed(lines) if words[0] == word), ())
