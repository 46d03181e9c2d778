"""SIGKILL before every change of the kernel that an operation makes; then the next command."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from typing import Any

import pytest

from netctl.config import load
from netctl.controller import Controller
from netctl.kernel import syscalls
from netctl.models import Endpoint, Network, Sandbox
from tests.kernel.host import Host
from tests.system.library import Counting, act, clear, controller, count_changes, die_at, two
from tests.unit.scenarios import SCENARIOS, Scenario


def stored() -> list[tuple[str, str, Any]]:
    """Return what the store says, without the random parts."""
    with controller() as c:
        return [
            *(("network", doc.name, doc.pools) for doc in c.store.all(Network)),
            *(
                ("endpoint", doc.name, (doc.ipv4, bool(doc.attachment)))
                for doc in c.store.all(Endpoint)
            ),
            *(("sandbox", doc.name, len(doc.endpoints)) for doc in c.store.all(Sandbox)),
        ]


def settled() -> list[str]:
    with controller() as c:
        return list(c.repair().done)


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in SCENARIOS if not scenario.imagined],
    ids=lambda scenario: scenario.name,
)
def test_killed_at_each_step(host: Host, scenario: Scenario) -> None:
    clean = host.snapshot()
    host.call(act, scenario.prepare)
    changes = host.call(count_changes, scenario.act)
    after = host.call(stored)
    host.call(act, clear)
    for number in range(changes + 1):
        host.call(act, scenario.prepare)
        before = host.call(stored)
        assert host.call(die_at, number, scenario.act), f"change {number} was not reached"
        notices = host.call(settled)
        assert host.call(stored) in (before, after)
        if changes:
            assert any("left by process" in notice for notice in notices), notices
        host.call(consistent)
        host.call(act, clear)
        host.assert_unchanged(clean)


def consistent() -> None:
    """Compare the kernel with the store: the interfaces of every sandbox, and its default route."""
    with controller() as c:
        _check_sandboxes(c)
        bridges = {doc.facts["bridge"] for doc in c.store.all(Network) if doc.facts}
        ours = {link.name for link in c.kernel.links("") if link.alias.startswith("netctl:network")}
        assert ours == bridges


def _check_sandboxes(c: Controller) -> None:
    for sandbox in (doc for doc in c.store.all(Sandbox) if not doc.name.startswith("their")):
        found = [
            c.store.get(Endpoint, ref.endpoint_id, ref.network_id) for ref in sandbox.endpoints
        ]
        joined = {
            endpoint.attachment.ifname for endpoint in found if endpoint and endpoint.attachment
        }
        assert {link.name for link in c.kernel.links(sandbox.netns)} - {"lo"} == joined
        addresses = {a.address for a in c.kernel.addresses(sandbox.netns) if a.link in joined}
        wanted = {address for endpoint in found if endpoint for address in endpoint.addresses}
        assert {a for a in addresses if not a.startswith("fe80")} == wanted
        assert bool(c.kernel.routes(sandbox.netns)) == bool(joined)


def _dead_within(action: Callable[[Controller], object], at: str) -> None:
    """Carry an action out in a child that is killed at a system call on the pin of a namespace:
    its file is there, and nothing mounted on it any more, or yet."""

    def die(*arguments: object) -> None:
        # The directory of pins is mounted as well.
        if at == "unlink" or arguments[-1] == syscalls.MS_BIND:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            vars(os if at == "unlink" else syscalls)[at] = die
            action(controller())
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


PINNINGS: dict[str, tuple[Callable[[Controller], object], str]] = {
    "create": (lambda c: c.sandboxes.create("c9"), "mount"),
    "rename, the new pin": (lambda c: c.sandboxes.rename("c1", "c9"), "mount"),
    "rename, the old pin": (lambda c: c.sandboxes.rename("c1", "c9"), "unlink"),
    "set-key, the new pin": (lambda c: c.sandboxes.set_key("c1", "/run/netns/late"), "mount"),
    "set-key, the old pin": (lambda c: c.sandboxes.set_key("c1", "/run/netns/late"), "unlink"),
    "rm": (lambda c: c.sandboxes.remove("c1", force=True), "unlink"),
}


@pytest.mark.parametrize("how", PINNINGS)
def test_killed_between_a_pin_and_its_file(host: Host, how: str) -> None:
    host.sh("ip netns add late")
    clean = host.snapshot()
    host.call(act, two)
    host.call(_dead_within, *PINNINGS[how])
    done = host.netctl("repair")
    assert done.returncode == 0, done.stderr
    assert host.netctl("check").returncode == 0
    host.call(consistent)
    host.call(act, clear)
    host.assert_unchanged(clean)


def test_repair_shows_what_it_would_do_and_does_it(host: Host) -> None:
    clean = host.snapshot()
    assert host.call(die_at, 3, lambda c: c.networks.create("web"))
    shown = host.netctl("repair", "--dry-run")
    assert "would undo 'network create web'" in shown.stdout
    assert "ip link delete br-" in shown.stdout
    done = host.netctl("repair")
    assert (done.returncode, done.stdout[:26]) == (0, "undid 'network create web'")
    assert host.netctl("repair").stdout == ""
    host.assert_unchanged(clean)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT], ids=str
)
def test_a_signal_waits_for_the_operation(host: Host, number: signal.Signals) -> None:
    def interrupted() -> int:
        child = os.fork()
        if child == 0:
            signal.signal(number, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            kernel = Counting(lambda seen: os.kill(os.getpid(), number) if seen == 3 else None)
            Controller(load(None, {}, {}), kernel=kernel).networks.create("web")
            os._exit(0)
        return os.WTERMSIG(os.waitpid(child, 0)[1])

    assert host.call(interrupted) == number
    assert [name for _, name, _ in host.call(stored)] == ["web"]
    assert host.call(settled) == []
    host.call(consistent)


def _stopped(interrupted: Callable[[], None]) -> tuple[bool, int]:
    """Do something in a child that gets SIGTSTP in the middle; return whether that stopped it, and
    the status with which it ended when it went on. Meanwhile others made the network db."""
    child = os.fork()
    if child == 0:
        # In the parent's process group nobody of the session might be left to continue it, and
        # the kernel would not stop it.
        os.setpgid(0, 0)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        interrupted()
        os._exit(0)
    _, status = os.waitpid(child, os.WUNTRACED)
    # Stopped, it has done what it was to do, and others go on.
    act(lambda c: c.networks.create("db"))
    os.kill(child, signal.SIGCONT)
    return os.WIFSTOPPED(status), os.waitpid(child, 0)[1]


def test_ctrl_z_waits_for_the_operation_and_blocks_nobody(host: Host) -> None:
    def interrupted() -> None:
        number = signal.SIGTSTP
        kernel = Counting(lambda seen: os.kill(os.getpid(), number) if seen == 3 else None)
        Controller(load(None, {}, {}), kernel=kernel).networks.create("web")

    assert host.call(_stopped, interrupted) == (True, 0)
    assert [name for _, name, _ in host.call(stored)] == ["db", "web"]
    assert host.call(settled) == []
    host.call(consistent)


def test_ctrl_z_waits_for_the_end_of_a_batch(host: Host) -> None:
    def interrupted() -> None:
        with controller() as c, c.batch():
            c.networks.create("web")
            os.kill(os.getpid(), signal.SIGTSTP)
            c.networks.create("app")

    assert host.call(_stopped, interrupted) == (True, 0)
    assert [name for _, name, _ in host.call(stored)] == ["app", "db", "web"]
    host.call(consistent)
