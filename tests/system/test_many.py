"""Many processes at once: no document lost, no address twice, nothing left over."""

from __future__ import annotations

import os
import random

from netctl.controller import Controller
from netctl.errors import Conflict, NetctlError, NotFound
from netctl.models import Endpoint, Network, Sandbox
from tests.kernel.host import Host
from tests.system.library import act, clear, controller
from tests.system.test_crash import consistent
from tests.waiting import PATIENCE

PROCESSES, OPERATIONS = 16, 50


def work(number: int) -> int:
    """Do mixed operations on objects of our own and shared ones; return how many were refused."""
    choose = random.Random(number)
    mine: set[str] = set()
    refused = 0
    with controller() as c:
        for step in range(OPERATIONS):
            try:
                operate(c, choose, f"p{number}", step, mine)
            except (Conflict, NotFound):
                # Another process took the name, or the shared object, first.
                refused += 1
    return refused


def operate(c: Controller, choose: random.Random, me: str, step: int, mine: set[str]) -> None:
    name = f"{me}-{step}"
    match choose.randrange(6):
        case 0 | 1:
            c.sandboxes.create(name)
            mine.add(name)
            c.endpoints.connect("shared", name)
        case 2:
            c.endpoints.create("shared", name, labels={"by": me})
        case 3:
            c.networks.create(f"contested{choose.randrange(3)}", internal=True)
        case 4:
            c.networks.remove(f"contested{choose.randrange(3)}")
        case _ if mine:
            victim = choose.choice(sorted(mine))
            mine.remove(victim)
            c.sandboxes.remove(victim, force=True)
        case _:
            c.sandboxes.create("contested", if_not_exists=True)


def crowd() -> list[int]:
    """Run the processes; return the exit status of each."""
    children = []
    for number in range(PROCESSES):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(number)
                status = 0
            except NetctlError as error:
                os.write(2, f"{number}: {error.message} {error.notes}\n".encode())
            finally:
                os._exit(status)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def check() -> int:
    """Compare documents with each other; return how many endpoints there are."""
    with controller() as c:
        endpoints = c.store.all(Endpoint)
        addresses = [(endpoint.network_id, endpoint.ipv4) for endpoint in endpoints]
        assert len({*addresses}) == len(addresses)
        assert len({(e.network_id, e.name) for e in endpoints}) == len(endpoints)
        networks = {network.id for network in c.store.all(Network)}
        assert {endpoint.network_id for endpoint in endpoints} <= networks
        joined = {e.id: e.attachment.sandbox_id for e in endpoints if e.attachment}
        held = {
            ref.endpoint_id: sandbox.id
            for sandbox in c.store.all(Sandbox)
            for ref in sandbox.endpoints
        }
        assert joined == held
        for endpoint in endpoints:
            for claim in endpoint.claims():
                assert c.store.owner(claim) == endpoint.id
        return len(endpoints)


def test_sixteen_processes_of_fifty_operations(host: Host) -> None:
    before = host.snapshot()
    host.call(act, lambda c: c.networks.create("shared", subnets=["10.9.0.0/22"]))
    assert host.call(crowd, timeout=3 * PATIENCE) == [0] * PROCESSES
    assert host.call(check) > PROCESSES
    host.call(consistent)
    host.call(act, clear)
    host.assert_unchanged(before)
