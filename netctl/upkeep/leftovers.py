"""What bears our mark and belongs to no document: found, and taken away on demand.

Such things come of a store that was lost or put back from a copy. Everything else that a dead
process leaves behind has an intent, and is settled by the next command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netctl import files, joining, naming
from netctl.backends import apart, firewall, forwarding
from netctl.models import Endpoint, HostState, Network, Sandbox
from netctl.names import MARK, short
from netctl.plan import Plan, Undo
from netctl.record import Record
from netctl.steps.files import DirectoryCreate, FileWrite, Symlink
from netctl.steps.links import LinkGone
from netctl.steps.namespaces import NetnsRelease
from netctl.steps.settings import Nft
from netctl.store import Reader
from netctl.upkeep import desired

if TYPE_CHECKING:
    from netctl.controller import Controller

NETNS_DIR = "/run/netns"
_MARK = re.compile(f"{MARK}sandbox:([0-9a-f]{{64}})", re.ASCII)


class Leftover(Record):
    """Something that netctl made and nothing needs."""

    what: str
    """The object: ``interface nc-0123456789ab``."""
    why: str
    """Why nothing needs it, in words."""
    plan: Plan


def find(reader: Reader, controller: Controller) -> Iterator[Leftover]:
    """Yield every leftover of this host. One host has one store: another's would look like them."""
    known = _known(reader)
    yield from _links(controller, known, _diverted(reader))
    yield from _namespaces(reader, controller)
    yield from _links_to_files(reader, controller)
    yield from _directories(reader, controller)
    yield from _table(reader, controller)
    yield from _bridge_table(reader, controller)
    yield from _names(reader, controller)


def _diverted(reader: Reader) -> set[str]:
    """Return the names of the ifbs that endpoints need."""
    places = (endpoint.attachment for endpoint in reader.all(Endpoint))
    return {place.ifb for place in places if place}


def _known(reader: Reader) -> set[str]:
    joined = {endpoint.id for endpoint in reader.all(Endpoint) if endpoint.attachment}
    return joined | {network.id for network in reader.all(Network)}


def _links(controller: Controller, known: set[str], ifbs: set[str]) -> Iterator[Leftover]:
    for link in controller.kernel.links(""):
        owner = link.alias.rpartition(":")[2]
        needed = owner in known and (link.type != "ifb" or link.name in ifbs)
        if link.alias.startswith(MARK) and not needed:
            step = LinkGone(name=link.name, alias=link.alias)
            why = f"endpoint {short(owner)} is not limited by it" if owner in known else None
            yield Leftover(what=f"interface {link.name}", why=why or _no(link.alias), plan=(step,))


def _namespaces(reader: Reader, controller: Controller) -> Iterator[Leftover]:
    """Yield the namespaces that bear the mark of a sandbox that there is not, and the pins that a
    move left aside. Whoever is inside can set a mark: the mark of a sandbox that there is proves
    nothing, and no mark does in the namespace of one."""
    kernel, sandboxes = controller.kernel, reader.all(Sandbox)
    places = {sandbox.netns for sandbox in sandboxes}
    ids = {sandbox.id for sandbox in sandboxes}
    known = {sandbox.identity: sandbox.name for sandbox in sandboxes}
    for name in kernel.directory_list(NETNS_DIR):
        path = f"{NETNS_DIR}/{name}"
        identity = kernel.netns_identity(path) if path not in places else None
        if identity is None:
            continue
        marked = None if identity in known else _MARK.fullmatch(kernel.netns_mark(path))
        gone = NetnsRelease(path=path, identity=identity)
        if marked and marked[1] not in ids:
            why = f"no sandbox {short(marked[1])}"
            yield Leftover(what=f"namespace {path}", why=why, plan=(gone,))
        elif identity in known and name.startswith("."):
            why = f"sandbox {known[identity]} has another place"
            yield Leftover(what=f"pin {path}", why=why, plan=(gone,))


def _links_to_files(reader: Reader, controller: Controller) -> Iterator[Leftover]:
    """Yield the links below /etc/netns that lead into our directory, or led there."""
    kernel, ours = controller.kernel, f"{controller.config.state_dir}/files/"
    places = {
        files.paths(sandbox, controller.config.state_dir).etc for sandbox in reader.all(Sandbox)
    }
    for name in kernel.directory_list(files.ETC_NETNS):
        directory = f"{files.ETC_NETNS}/{name}"
        found = {
            f"{directory}/{item}": kernel.link_target(f"{directory}/{item}")
            for item in kernel.directory_list(directory)
            if directory not in places
        }
        links = [Symlink(path=k, target=v) for k, v in found.items() if v and v.startswith(ours)]
        if links:
            plan = (*(Undo(step=link) for link in links), _emptied(directory))
            yield Leftover(what=f"files in {directory}", why="no sandbox of that name", plan=plan)


def _directories(reader: Reader, controller: Controller) -> Iterator[Leftover]:
    kernel, top = controller.kernel, f"{controller.config.state_dir}/files"
    ids = {sandbox.id for sandbox in reader.all(Sandbox)}
    for name in kernel.directory_list(top):
        if name in ids:
            continue
        path = f"{top}/{name}"
        inside = (f"{path}/{item}" for item in kernel.directory_list(path))
        plan = (*(Undo(step=FileWrite(path=item, content="")) for item in inside), _emptied(path))
        yield Leftover(what=f"files in {path}", why=f"no sandbox {short(name)}", plan=plan)


def _emptied(directory: str) -> Undo:
    return Undo(step=DirectoryCreate(path=directory))


def _bridge_table(reader: Reader, controller: Controller) -> Iterator[Leftover]:
    table = firewall.BRIDGE_TABLE
    needed = table in firewall.tables(reader.all(Network))
    if not needed and controller.kernel.nft_list(f"list table {table}"):
        gone = Nft(do=apart.GONE, undo=apart.GONE)
        yield Leftover(what=f"table {table}", why="no network needs it", plan=(gone,))


def _table(reader: Reader, controller: Controller) -> Iterator[Leftover]:
    kernel = controller.kernel
    host = reader.get(HostState, HostState.ID) or HostState()
    # The guard stands in it as long as the forwarding that netctl turned on is on.
    kept = forwarding.is_on(host.believed(controller.boot_id()), kernel)
    if kept or any("bridge" in network.facts for network in reader.all(Network)):
        return
    if not kernel.nft_list(f"list table {firewall.TABLE}"):
        return
    listed = [item for c in firewall.USER_CHAINS for item in kernel.nft_list(f"list chain {c}")]
    if not any("rule" in item for item in listed):
        gone = Nft(do=firewall.GONE, undo=firewall.GONE)
        yield Leftover(what=f"table {firewall.TABLE}", why="no network needs it", plan=(gone,))


def _no(mark: str) -> str:
    kind, _, owner = mark.removeprefix(MARK).partition(":")
    return f"no {kind} {short(owner)}"


def _names(reader: Reader, controller: Controller) -> Iterator[Leftover]:
    """Yield what the resolver knows and no document does; one that knows nothing else ends."""
    config = controller.config
    known = _known(reader) | {sandbox.id for sandbox in reader.all(Sandbox)}
    told = controller.kernel.resolver_model(config.run_dir) or []
    relays = _relays(reader, controller) if any(m["do"] == "relay" for m in told) else set()
    wanted = {"relay": relays}
    if unknown := [m for m in told if m["id"] not in wanted.get(str(m["do"]), known)]:
        plan = naming.forget(unknown, config)
        why = f"no documents of {len(unknown)} of them"
        yield Leftover(what="names in the resolver", why=why, plan=plan)


def _relays(reader: Reader, controller: Controller) -> set[str]:
    """Return the endpoints whose ports are relayed."""
    models = (joining.model(room) for room in desired.rooms(reader, controller))
    return {id for model in models for kind, id in model if kind == "relay"}
