"""Short ways to tell the resolver of a throw-away host, and to ask it."""

from __future__ import annotations

import os
import select
from typing import Any

from netctl.kernel import resolver
from tests.kernel.host import Host
from tests.waiting import PATIENCE

RUN = "/run/netctl"
Message = dict[str, object]


def network(id: str, *, forward: bool = True) -> Message:
    return {"do": "network", "id": id, "name": id, "forward": forward}


def endpoint(id: str, network: str, names: str, *addresses: str) -> Message:
    return {
        "do": "endpoint",
        "id": id,
        "network": network,
        "names": names.split(),
        "addresses": list(addresses),
    }


def sandbox(id: str, *networks: str, **more: object) -> Message:
    return {
        "do": "sandbox",
        "id": id,
        "netns": f"/run/netns/{id}",
        "members": [{"endpoint": "e", "network": name, "aliases": {}} for name in networks],
        "servers": [],
        "ndots": None,
        **more,
    }


def server(address: str, *, host: bool = True) -> Message:
    return {"address": address, "host": host}


def tell(host: Host, *changes: Message) -> None:
    host.call(resolver.tell, RUN, changes)


def state(host: Host) -> dict[str, Any]:
    return host.call(resolver.state, RUN)


def started(host: Host, *sandboxes: str) -> None:
    for name in sandboxes:
        host.sh(f"ip netns add {name} && ip -n {name} link set lo up")
    host.call(resolver.start, RUN)


def end_process(pid: int, number: int) -> None:
    """Send a process a signal, and wait until it has gone with all that it had open."""
    process = os.pidfd_open(pid)
    try:
        os.kill(pid, number)
        assert select.select([process], [], [], PATIENCE)[0]
    finally:
        os.close(process)


def connected(host: Host, sandbox: str) -> None:
    """Give a sandbox 10.77.0.2 and a way to the outside, which knows the way back."""
    host.sh(
        f"ip link add v0 type veth peer name eth0 netns {sandbox}"
        " && ip address add 10.77.0.1/24 dev v0 && ip link set v0 up"
        f" && ip -n {sandbox} address add 10.77.0.2/24 dev eth0"
        f" && ip -n {sandbox} link set eth0 up"
        f" && ip -n {sandbox} route add default via 10.77.0.1"
        " && sysctl -qw net.ipv4.ip_forward=1"
    )
    host.outside.sh("ip route add 10.77.0.0/24 via 192.0.2.1")


def dig(host: Host, netns: str, question: str) -> list[str]:
    """Ask 127.0.0.11 once; return the answers' data."""
    return ask(host, netns, f"+short {question}").splitlines()


def ask(host: Host, netns: str, question: str) -> str:
    """Ask 127.0.0.11 once; return what dig prints. Where no answer comes, ``AssertionError``."""
    script = f"ip netns exec {netns} dig +tries=1 +time=30 @127.0.0.11 {question}"
    return host.sh(script).strip()


def timed(host: Host, netns: str, question: str) -> tuple[str, float]:
    """Return what dig prints, and the seconds between its question and the answer: on a busy
    machine the program itself may take longer."""
    # It does not print the time with +short.
    short = "+noall +answer +stats"
    shown = ask(host, netns, question.replace("+short", short))
    answer, _, stats = shown.partition(";; Query time: ")
    assert stats, shown
    if "+short" in question:
        answer = "\n".join(line.split()[-1] for line in answer.splitlines() if line)
    return answer.strip(), int(stats.split()[0]) / 1000


def ruleset(host: Host, netns: str) -> str:
    return host.sh(f"ip netns exec {netns} nft list ruleset")


def loaded(state_dir: str) -> list[Message]:
    """Stand in for what reads the store: its sandbox "gone" has no namespace any more."""
    assert state_dir == "/var/lib/netctl"
    return [
        network("web"),
        endpoint("e", "web", "web1", "10.0.0.1"),
        sandbox("gone", "web"),
        sandbox("c1", "web"),
    ]
