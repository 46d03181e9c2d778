"""The hosts and resolv.conf of a sandbox, as text and as steps.

Both are functions of the documents. A file whose content is not what the documents said was
edited by somebody, and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netctl.gateway import Member
from netctl.kernel import Kernel
from netctl.models import Sandbox, SandboxKind
from netctl.plan import Step
from netctl.record import record
from netctl.steps import DirectoryCreate, FileWrite, Symlink

ETC_NETNS = "/etc/netns"
"""Where ``ip netns exec NAME`` looks for files that it binds over /etc."""

_LOCALHOST = "127.0.0.1\tlocalhost\n"
_LOCALHOST6 = (
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


@record
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
    """Return the steps that make /etc/netns/NAME; /etc/netns itself belongs to the host, and stays
    when it is empty."""
    where = paths(sandbox, state_dir)
    return [
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
