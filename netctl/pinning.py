"""Where a sandbox's namespace is: made, pinned, or the host's own."""

from __future__ import annotations

import re

from netctl.definitions.checks import check_path
from netctl.errors import Conflict, InvalidInput, NotFound
from netctl.files import ETC_NETNS
from netctl.kernel import Kernel
from netctl.models import Sandbox, SandboxKind
from netctl.names import alias_of
from netctl.plan import Plan
from netctl.record import replace
from netctl.steps.namespaces import LoopbackUp, NetnsCreate, NetnsPin
from netctl.steps.settings import Sysctl

NETNS_DIR = "/run/netns"
_OF_PROCESS = r"/proc/([0-9]{1,10})/ns/net"
_REDIRECTS = "net/ipv4/conf/all/accept_redirects"


def external_source(netns_path: str | None, pid: int | None, host: bool) -> str:
    """Return the path of the namespace to use, ``""`` for a new one or the host's."""
    if sum((netns_path is not None, pid is not None, host)) > 1:
        raise InvalidInput("--netns, --pid and --host exclude each other", hint="give one of them")
    if pid is not None:
        if pid < 1:
            raise InvalidInput(f"--pid {pid} is not a process id", hint="give a positive number")
        return f"/proc/{pid}/ns/net"
    return check_path("--netns", netns_path) if netns_path is not None else ""


def kind_of(source: str) -> SandboxKind:
    return SandboxKind.EXTERNAL if source else SandboxKind.OWN


def housed(draft: Sandbox, source: str, kernel: Kernel) -> Sandbox:
    """Return the sandbox with its namespace: a new one, or the one at ``source``.

    Raises ``Conflict`` for a place that is taken, ``NotFound`` where there is no namespace.
    """
    if draft.type is SandboxKind.HOST:
        return replace(draft, pinned=False)
    path = f"{NETNS_DIR}/{draft.name}"
    if draft.type is SandboxKind.OWN:
        hint = f"netctl sandbox create {draft.name} --netns {path} uses it"
        netns = pin_path(draft.name, hint, kernel)
        identity = kernel.netns_new(alias=alias_of("sandbox", draft.id))
        return replace(draft, netns=netns, identity=identity)
    identity = identity_of(source, kernel)
    pinned = source != path
    netns = pin_path(draft.name, "choose another name", kernel) if pinned else path
    return replace(draft, netns=netns, source=source, pinned=pinned, identity=identity)


def pin_path(name: str, hint: str, kernel: Kernel) -> str:
    """Return where a namespace of that name goes, which must be free, as must its files."""
    path = f"{NETNS_DIR}/{name}"
    if kernel.netns_identity(path) is not None:
        raise Conflict(
            f"a namespace {name} exists already ({path}) and is not of netctl's making",
            hint=hint,
        )
    for item in ("hosts", "resolv.conf"):
        if kernel.file_read(f"{ETC_NETNS}/{name}/{item}") is not None:
            raise Conflict(
                f"{ETC_NETNS}/{name}/{item} exists already",
                hint="remove it, or choose another name",
            )
    return path


def identity_of(source: str, kernel: Kernel) -> str:
    """Return what tells the namespace that somebody else made from all others.

    Raises ``NotFound``, or ``Conflict`` for the host's own.
    """
    found = kernel.netns_identity(source)
    process = re.fullmatch(_OF_PROCESS, source)
    if found is None and process and kernel.process_start(int(process[1])) is None:
        raise NotFound(
            f"there is no process {process[1]}", hint="give the id of one that is running"
        )
    if found is None:
        raise NotFound(
            f"{source} is not a network namespace",
            hint="give a path such as /run/netns/NAME or /proc/PID/ns/net",
        )
    if found == kernel.netns_identity(""):
        raise Conflict(
            f"{source} is the host's own network namespace",
            hint="netctl sandbox create --host makes a sandbox of the host's stack",
        )
    return found


def check_new_files(sandbox: Sandbox, kernel: Kernel) -> None:
    """What is there already is somebody's: it would be overwritten, and later removed."""
    for path in filter(None, (sandbox.hosts_path, sandbox.resolv_conf_path)):
        if kernel.file_read(path) is not None:
            raise Conflict(f"{path} exists already", hint="give the path of a file to be made")


def plan_namespace(sandbox: Sandbox, source: str) -> Plan:
    """Return how a sandbox's namespace is made, or the one at ``source`` pinned."""
    if sandbox.type is SandboxKind.OWN:
        mark = alias_of("sandbox", sandbox.id)
        made = NetnsCreate(path=sandbox.netns, alias=mark, identity=sandbox.identity)
        # Each interface says for itself whether it takes redirects: with this on, all would.
        return (made, Sysctl(netns=sandbox.netns, key=_REDIRECTS, value="0"))
    if sandbox.type is SandboxKind.HOST:
        return ()
    up = LoopbackUp(netns=sandbox.netns)
    if not sandbox.pinned:
        return (up,)
    return (NetnsPin(source=source, path=sandbox.netns, identity=sandbox.identity), up)
