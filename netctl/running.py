"""Commands inside a sandbox.

``become`` replaces this process, so signals and the exit status are the command's own. ``run``
stays beside its command to clear up: while it lives it holds a lock on a file named after its
sandbox; a file whose lock is free belongs to a process that was killed, and ``reap`` removes that
sandbox.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from netctl import files, references
from netctl.backends import registry
from netctl.errors import Conflict, InvalidInput, NetctlError, NotFound, said
from netctl.kernel import process
from netctl.kernel.files import directory_list
from netctl.kernel.refusal import file_refused
from netctl.models import Sandbox
from netctl.names import is_id, new_id, several, short
from netctl.record import Record, replace

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.definitions.endpoint import EndpointOptions
    from netctl.kernel.process import CompletedProcess
    from netctl.references import Ref

_MARK_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


_STACKS = ("none", "host")
"""docker's words for a sandbox without a network, and for the host's stack."""


class Entry(Record):
    """In which networks a sandbox is to be, and how."""

    networks: tuple[Ref, ...]
    host: bool = False
    """Whether it is the host's stack."""
    ports: tuple[str, ...]
    """What is published on its way out."""
    each: EndpointOptions
    """What all its endpoints are like."""
    first: EndpointOptions
    """What that of the first network is like beside."""
    priority: int
    local_aliases: dict[str, str]


def become(sandbox: Sandbox, state_dir: str, argv: Sequence[str]) -> NoReturn:
    """Replace this process by ``argv`` in the sandbox, or by a shell where that is empty. Raises
    ``SystemExit`` 126 or 127 as a shell does where the command cannot be run or found."""
    command = checked_command(several(argv) or (_shell(),))
    process.enter(sandbox.netns, _binds(sandbox, state_dir))
    process.execute(command)


def _shell() -> str:
    """Return the user's shell, or where that cannot be run the one that every system has."""
    chosen = os.environ.get("SHELL", "")
    return chosen if os.path.isabs(chosen) and os.access(chosen, os.X_OK) else "/bin/sh"


def completed(
    sandbox: Sandbox, state_dir: str, argv: Sequence[str], options: Mapping[str, Any]
) -> CompletedProcess[Any]:
    """Run ``argv`` in the sandbox as ``subprocess.run`` does, with those options of it."""
    command = checked_command(argv)
    return process.completed(sandbox.netns, _binds(sandbox, state_dir), command, options)


def checked_command(argv: Sequence[str]) -> Sequence[str]:
    """Return the command without a leading ``--``; raise ``InvalidInput`` where there is none."""
    given = several(argv)
    command = given[1:] if given[:1] == ("--",) else given
    if not command or not command[0]:
        raise InvalidInput("no command is given", hint="name it last: -- ping -c1 HOST")
    return command


def run(
    controller: Controller,
    argv: Sequence[str],
    name: str | None,
    entry: Entry,
    options: Mapping[str, Any],
) -> int:
    """Run ``argv`` in a new sandbox that is in networks as ``entry`` says.

    Returns the command's exit status, 128 and the number of the signal that ended it.
    """
    command = checked_command(argv)
    sandbox_id = new_id()
    sandbox_name = name or f"run-{short(sandbox_id)}"
    chosen = _chosen(controller, sandbox_name, entry)
    if not (chosen.networks or chosen.host):
        from netctl.definitions.sandbox import check_nameless

        check_nameless(
            "a sandbox in no network", options.get("hostname"), options.get("domainname")
        )
    with _owned(controller, sandbox_id):
        with controller.batch(f"run {sandbox_name}"):
            _check_free(controller, sandbox_name)
            sandbox = controller.sandboxes.create(
                sandbox_name, id=sandbox_id, host=chosen.host, **options
            ).doc
            _furnish(controller, sandbox_id, chosen)
        if controller.dry_run:
            return 0
        controller.proceed()
        return process.supervise(
            sandbox.netns, _binds(sandbox, controller.config.state_dir), command
        )


def _chosen(controller: Controller, name: str, entry: Entry) -> Entry:
    """Return the entry with its networks as they are called, or none. Raises ``InvalidInput``."""
    from netctl.definitions.endpoint import asked, check_known

    details: EndpointOptions = {**entry.each, **entry.first}
    check_known(details)
    networks = entry.networks or (controller.config.default_network,)
    if twice := [each for each in networks if networks.count(each) > 1]:
        raise InvalidInput(f"--network {twice[0]!s:.60} is given twice", hint="give it once")
    stacks = [str(each) for each in networks if _is_stack(controller, each)]
    if not stacks:
        return replace(entry, networks=networks)
    if len(networks) > 1:
        raise InvalidInput(
            f"--network {stacks[0]} and another network exclude each other", hint="give one of them"
        )
    wanted = asked(name, details).of_endpoint
    given = ["--publish"] if entry.ports else []
    given += ["--priority"] if entry.priority else []
    given += ["--alias"] if entry.local_aliases and "--alias" not in wanted else []
    if given := [*given, *wanted]:
        raise InvalidInput(
            f"--network {stacks[0]} makes no endpoint", hint=f"leave out {', '.join(given)}"
        )
    return replace(entry, networks=(), host=stacks[0] == "host")


def _is_stack(controller: Controller, word: Ref) -> bool:
    """Whether none or host is docker's word, and no network in which one could be."""
    if word not in _STACKS:
        return False
    found = references.find_network(controller.reader, word)
    return found is None or (word == "host" and registry.load(found.driver).host_stack)


def _check_free(controller: Controller, name: str) -> None:
    if references.find_sandbox(controller.reader, name):
        raise Conflict(
            f"sandbox {name} exists already",
            hint=f"netctl sandbox exec {name} runs a command in it; --name names another",
        )


def _furnish(controller: Controller, sandbox_id: str, entry: Entry) -> None:
    for number, network in enumerate(entry.networks):
        if number:
            controller.endpoints.connect(network, sandbox_id, **entry.each)
        else:
            options: EndpointOptions = {**entry.first, **entry.each}
            controller.endpoints.connect(
                network,
                sandbox_id,
                priority=entry.priority,
                local_aliases=entry.local_aliases,
                **options,
            )
    if entry.ports:
        controller.endpoints.publish(_way_out(controller, sandbox_id, entry), entry.ports)


def _way_out(controller: Controller, sandbox_id: str, entry: Entry) -> str:
    try:
        return controller.sandboxes.way_out(sandbox_id)
    except Conflict as error:
        # Nobody has heard of the sandbox: what was asked for is what can be changed.
        kept_in = entry.first.get("no_default_route") or entry.each.get("no_default_route")
        but = ", without --no-default-route" if kept_in else ""
        raise Conflict(
            "no --network leads outside, so --publish is not possible",
            hint=f"give a --network that is not internal{but}, or leave out --publish",
        ) from error


def _vanish(controller: Controller, sandbox_id: str) -> bool:
    """Remove a sandbox; False where it never came into being."""
    try:
        controller.sandboxes.remove(sandbox_id, force=True)
    except NotFound:
        return False
    return True


def reap(controller: Controller) -> None:
    """Remove the sandboxes whose ``run`` was killed."""
    directory = _directory(controller)
    try:
        names = directory_list(directory)
    except NetctlError as error:
        controller.notices.append(f"the sandboxes of killed runs cannot be listed: {said(error)}")
        return
    if not names:
        with suppress(OSError):
            os.rmdir(directory)  # Nobody has to look into it again.
    for name in filter(is_id, names):
        try:
            _reap_one(controller, name, f"{directory}/{name}")
        except (NetctlError, OSError) as error:
            # What the caller wants is something else: it is told, and goes on.
            line = f"sandbox {short(name)}, whose run was killed, cannot be removed: {said(error)}"
            controller.notices.append(line)


def _reap_one(controller: Controller, sandbox_id: str, path: str) -> None:
    try:
        descriptor = os.open(path, _MARK_FLAGS)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        there = references.find_sandbox(controller.reader, sandbox_id)
        if _vanish(controller, sandbox_id):
            name = there.name if there else short(sandbox_id)
            controller.notices.append(f"removed sandbox {name}, whose run was killed")
        _unmark(path)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _binds(sandbox: Sandbox, state_dir: str) -> list[tuple[str, str]]:
    """Return what is mounted over /etc: all of /etc/netns/NAME, as ``ip netns exec`` does; for the
    host's stack, which has no such directory, its files."""
    where = files.paths(sandbox, state_dir)
    if not where.etc:
        found = {"hosts": where.hosts, "resolv.conf": where.resolv_conf}
    elif os.path.isdir(where.etc):
        found = {name: f"{where.etc}/{name}" for name in sorted(os.listdir(where.etc))}
    else:
        found = {}
    return [(path, f"/etc/{name}") for name, path in found.items() if os.path.exists(path)]


@contextmanager
def _owned(controller: Controller, sandbox_id: str) -> Iterator[None]:
    """Mark a sandbox as belonging to this process, and remove it at the end. The mark of one that
    cannot be removed stays: the next command tries again."""
    if controller.dry_run:
        yield
        return
    path = f"{_directory(controller)}/{sandbox_id}"
    try:
        descriptor = _marked(path)
    except OSError as error:
        raise file_refused(f"mark the run at {path}", error) from error
    try:
        yield
    finally:
        try:
            _vanish(controller, sandbox_id)
            _unmark(path)
        finally:
            os.close(descriptor)


def _unmark(path: str) -> None:
    # One that stays is taken for that of a dead run, whose sandbox is gone already.
    with suppress(OSError):
        os.unlink(path)
        os.rmdir(os.path.dirname(path))  # Where it was the last.


def _marked(path: str) -> int:
    """Return a locked file at ``path``. Before it is locked another process may take it for that of
    a dead one and remove it, or the directory before it is made: then again, as long as that goes
    on."""
    while True:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_CREAT | _MARK_FLAGS, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def marked(controller: Controller) -> set[str]:
    """Return the ids of the sandboxes that belong to a run."""
    return {name for name in directory_list(_directory(controller)) if is_id(name)}


def _directory(controller: Controller) -> str:
    return f"{controller.config.run_dir}/run"
