"""The hosts and resolv.conf of a sandbox, as text and as steps.

Their text is a function of the documents, but for what is copied from an origin. The sandbox's
document has a digest of what was written last: a file that is not that any more was edited by
somebody, and is left alone from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zlib import crc32

from netctl.errors import NotFound
from netctl.gateway import Member
from netctl.kernel import Kernel
from netctl.models import Sandbox, SandboxKind
from netctl.names import MARK
from netctl.plan import Plan, Step
from netctl.record import Record, replace
from netctl.resolv import resolv_text
from netctl.steps.files import DirectoryCreate, FileWrite, Symlink

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


class Paths(Record):
    """Where the files of one sandbox are."""

    directory: str
    hosts: str
    resolv_conf: str
    identity: str
    """Says which namespace is the sandbox's own, for a document that was put back from a copy."""
    etc: str
    """Directory of links to them, under the name of the namespace; empty for the host's."""


class Update(Record):
    """How the files come up to date, with the sandbox that says so."""

    plan: Plan
    sandbox: Sandbox
    notices: tuple[str, ...] = ()


def paths(sandbox: Sandbox, state_dir: str) -> Paths:
    directory = f"{state_dir}/files/{sandbox.id}"
    name = sandbox.netns.rpartition("/")[2]
    return Paths(
        directory=directory,
        hosts=sandbox.hosts_path or f"{directory}/hosts",
        resolv_conf=sandbox.resolv_conf_path or f"{directory}/resolv.conf",
        identity=f"{directory}/namespace",
        etc=f"{ETC_NETNS}/{name}" if name else "",
    )


def make(sandbox: Sandbox, members: Sequence[Member], state_dir: str, kernel: Kernel) -> Update:
    """Return how the files and the links to them are made, over what netctl made of them before.

    Raises ``NotFound`` for a file that is to be copied and is not there.
    """
    _check_origins(sandbox, kernel)
    steps: list[Step] = []
    after, notices = sandbox, []
    for step in everything(sandbox, members, state_dir, kernel):
        if isinstance(step, Symlink):
            steps += [step] if kernel.link_target(step.path) != step.target else []
        elif not isinstance(step, FileWrite):
            steps.append(step)
        elif not _is_ours(there := kernel.file_read(step.path), step.content, sandbox, step.path):
            notices.append(_edited(step.path, sandbox))
        else:
            after = _digested(after, step.path, step.content)
            steps += [replace(step, previous=there)] if there != step.content else []
    return Update(plan=tuple(steps), sandbox=after, notices=tuple(notices))


def everything(sandbox: Sandbox, members: Sequence[Member], state_dir: str, kernel: Kernel) -> Plan:
    """Return how the files and the links to them are made where there is nothing."""
    where = paths(sandbox, state_dir)
    texts = _texts(sandbox, members, state_dir)
    return (
        DirectoryCreate(path=f"{state_dir}/files"),
        DirectoryCreate(path=where.directory),
        *(
            FileWrite(path=path, content=kernel.file_read(origin) or "" if text is None else text)
            for (path, text), origin in zip(texts.items(), origins(sandbox), strict=True)
        ),
        *plan_links(sandbox, state_dir),
    )


def identity_text(boot_id: str, identity: str) -> str:
    """Return how a file says which namespace is a sandbox's own."""
    return f"{boot_id} {identity}\n"


def recorded(sandbox: Sandbox, state_dir: str, previous: str | None = None) -> Plan:
    """Return how it is written down which namespace is the sandbox's own. An older netctl, which
    knew it by its mark, did not."""
    if sandbox.type is not SandboxKind.OWN or sandbox.identity.startswith(MARK):
        return ()
    where = paths(sandbox, state_dir)
    text = identity_text(sandbox.boot_id, sandbox.identity)
    return (
        DirectoryCreate(path=f"{state_dir}/files"),
        DirectoryCreate(path=where.directory),
        FileWrite(path=where.identity, content=text, previous=previous),
    )


def standing(sandbox: Sandbox, state_dir: str, kernel: Kernel) -> Plan:
    """Return how the files came into being as they are by now: edited, or removed by somebody."""
    where = paths(sandbox, state_dir)
    ours = (where.hosts, where.resolv_conf, where.identity)
    found = {path: kernel.file_read(path) for path in ours}
    return (
        DirectoryCreate(path=f"{state_dir}/files"),
        DirectoryCreate(path=where.directory),
        *(FileWrite(path=path, content=text) for path, text in found.items() if text is not None),
        *plan_links(sandbox, state_dir),
    )


def plan_links(sandbox: Sandbox, state_dir: str) -> Plan:
    """Return the steps that make /etc/netns/NAME; /etc/netns itself belongs to the host, and stays
    when it is empty."""
    where = paths(sandbox, state_dir)
    if not where.etc:
        return ()
    return (
        DirectoryCreate(path=where.etc),
        Symlink(path=f"{where.etc}/hosts", target=where.hosts),
        Symlink(path=f"{where.etc}/resolv.conf", target=where.resolv_conf),
    )


def update(
    before: Sandbox,
    members_before: Sequence[Member],
    after: Sandbox,
    members_after: Sequence[Member],
    state_dir: str,
    kernel: Kernel,
) -> Update:
    """Return how the files come up to date after a change, with a notice of each that somebody
    edited or removed, and that therefore does not."""
    steps: list[Step] = []
    notices: list[str] = []
    sandbox = after
    old = _texts(before, members_before, state_dir)
    for path, content in _texts(after, members_after, state_dir).items():
        if content is None or content == old[path]:
            continue
        there = kernel.file_read(path)
        if there is None or not _is_ours(there, old[path], before, path):
            notices.append(_edited(path, after))
            continue
        steps.append(FileWrite(path=path, content=content, previous=there))
        sandbox = _digested(sandbox, path, content)
    return Update(plan=tuple(steps), sandbox=sandbox, notices=tuple(notices))


def hosts_text(sandbox: Sandbox, members: Sequence[Member]) -> str:
    """Return the content of hosts(5): localhost, the extra hosts, then the sandbox's own names.

    IPv6 is not spoken of where the sandbox has none.
    """
    host = sandbox.type is SandboxKind.HOST
    ipv6 = host or any(member.endpoint.ipv6 for member in members)
    extra = "".join(
        f"{address}\t{name}\n"
        for name, address in sandbox.extra_hosts
        if ipv6 or ":" not in address
    )
    own = "".join(_own_lines(sandbox, members))
    return _LOCALHOST + (_LOCALHOST6 if ipv6 else "") + extra + own


def _own_lines(sandbox: Sandbox, members: Sequence[Member]) -> Iterable[str]:
    names = " ".join(sandbox.own_names)
    for member in members:
        for address in member.endpoint.routed_addresses:
            yield f"{address.partition('/')[0]}\t{names}\n"


def _texts(sandbox: Sandbox, members: Sequence[Member], state_dir: str) -> dict[str, str | None]:
    """Return the files' paths with their text as the documents say it, None for a copy."""
    where = paths(sandbox, state_dir)
    hosts, resolv_conf = origins(sandbox)
    return {
        where.hosts: None if hosts else hosts_text(sandbox, members),
        where.resolv_conf: None if resolv_conf else resolv_text(sandbox),
    }


def origins(sandbox: Sandbox) -> tuple[str, str]:
    """Return the files of which hosts and resolv.conf are copies, ``""`` where the text is ours.

    The host's own stack has the host's files where nothing else is asked for (libnetwork).
    """
    hosts, resolv_conf = sandbox.origin_hosts_path, sandbox.origin_resolv_conf_path
    if sandbox.type is SandboxKind.HOST:
        hosts = hosts or ("" if sandbox.extra_hosts else "/etc/hosts")
        resolv_conf = resolv_conf or ("" if sandbox.resolv.overridden else "/etc/resolv.conf")
    return hosts, resolv_conf


def _check_origins(sandbox: Sandbox, kernel: Kernel) -> None:
    """Raise ``NotFound`` for a file of which a copy is asked for and that is not there."""
    for path in filter(None, (sandbox.origin_hosts_path, sandbox.origin_resolv_conf_path)):
        if kernel.file_read(path) is None:
            raise NotFound(f"{path}, which is to be copied, is not there", hint="check the path")


def _digested(sandbox: Sandbox, path: str, content: str) -> Sandbox:
    return replace(sandbox, digests={**sandbox.digests, path: _digest(content)})


def _is_ours(there: str | None, text: str | None, sandbox: Sandbox, path: str) -> bool:
    """Whether a file is as netctl wrote it, or as it would write it."""
    wrote = sandbox.digests.get(path)
    return there in (None, text) or (there is not None and _digest(there) == wrote)


def _digest(content: str) -> str:
    data = content.encode(errors="surrogateescape")
    return f"{len(data)}-{crc32(data):08x}"


def _edited(path: str, sandbox: Sandbox) -> str:
    return (
        f"left as it is: {path}, which somebody edited or removed (to recreate it, remove it, then"
        f" run netctl sandbox refresh {sandbox.name})"
    )
