"""The resolver's process on the real kernel: started, told, asked with dig, and ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from netctl.errors import KernelError
from netctl.kernel import resolver
from tests.kernel.host import Host

RUN = "/run/netctl"


def network(id: str, *, forward: bool = True) -> dict[str, object]:
    return {"do": "network", "id": id, "name": id, "forward": forward}


def endpoint(id: str, network: str, names: str, *addresses: str) -> dict[str, object]:
    return {
        "do": "endpoint",
        "id": id,
        "network": network,
        "names": names.split(),
        "addresses": list(addresses),
    }


def sandbox(id: str, *networks: str, **more: object) -> dict[str, object]:
    return {
        "do": "sandbox",
        "id": id,
        "netns": f"/run/netns/{id}",
        "members": [{"endpoint": "e", "network": name, "aliases": {}} for name in networks],
        "servers": [],
        "ndots": None,
        **more,
    }


def tell(host: Host, *changes: dict[str, object]) -> None:
    host.call(resolver.tell, RUN, changes)


def state(host: Host) -> dict[str, Any]:
    return host.call(resolver.state, RUN)


def dig(host: Host, netns: str, question: str) -> list[str]:
    """Ask 127.0.0.11; return the answers, without a time-out."""
    script = f"ip netns exec {netns} dig +short +tries=1 +time=3 @127.0.0.11 {question}"
    return host.sh(script).splitlines()


def started(host: Host, *sandboxes: str) -> None:
    for name in sandboxes:
        host.sh(f"ip netns add {name} && ip -n {name} link set lo up")
    host.call(resolver.start, RUN)


def ruleset(host: Host, netns: str) -> str:
    return host.sh(f"ip netns exec {netns} nft list ruleset")


def test_one_process_from_the_first_sandbox_to_the_last(host: Host) -> None:
    started(host, "c1", "c2")
    assert host.call(resolver.running, RUN)
    pid = state(host)["pid"]
    host.call(resolver.start, RUN)
    assert state(host)["pid"] == pid
    # It has let go of who started it.
    assert os.getsid(pid) == pid and os.readlink(f"/proc/{pid}/cwd") == "/"
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    assert Path(f"/proc/{pid}/comm").read_text() == "netctl-dns\n"
    assert host.sh(f"stat -c %a {RUN}/resolver.sock {RUN}/resolver.pid").split() == ["600"] * 2

    ip = endpoint("e1", "web", "web1 www", "10.0.0.1", "fd00::1")
    tell(host, network("web"), ip, sandbox("c1", "web"), sandbox("c2", "web"))
    assert dig(host, "c1", "WEB1.web") == dig(host, "c2", "+tcp web1") == ["10.0.0.1"]
    tell(host, endpoint("e2", "web", "web2 www", "10.0.0.2"))
    assert sorted(dig(host, "c1", "www")) == ["10.0.0.1", "10.0.0.2"]
    assert {dig(host, "c1", "www +noedns")[0] for _ in range(4)} == {"10.0.0.1", "10.0.0.2"}
    tell(host, {"do": "endpoint-gone", "id": "e1"})
    assert dig(host, "c1", "www") == ["10.0.0.2"]

    tell(host, {"do": "sandbox-gone", "id": "c1"})
    assert ruleset(host, "c1") == "" and "netctl:sandbox:c2" in ruleset(host, "c2")
    assert dig(host, "c2", "web2") == ["10.0.0.2"]
    tell(host, {"do": "sandbox-gone", "id": "c2"})
    assert not host.call(resolver.running, RUN)
    assert host.sh(f"ls {RUN}") == ruleset(host, "c2") == ""
    with pytest.raises(KernelError, match="not at work"):
        tell(host, network("web"))


def test_what_cannot_be_done_changes_nothing(host: Host) -> None:
    started(host, "c1", "c2")
    host.sh("mount --bind /run/netns/c1 /run/netns/c2")
    tell(host, network("web"), endpoint("e", "web", "web1", "10.0.0.1"), sandbox("c1", "web"))
    before = state(host)
    cases: list[tuple[dict[str, object], str]] = [
        (sandbox("nobody"), "no such|No such"),
        (sandbox("c2"), "same namespace"),
        (sandbox("c3", netns=""), "host's own stack"),
        (sandbox("c3", netns="/proc/self/ns/net"), "host's own stack"),
        ({"do": "nonsense"}, "knows no message"),
    ]
    for wrong, reason in cases:
        with pytest.raises(KernelError, match=reason):
            tell(host, network("db"), endpoint("e", "db", "x", "10.0.0.2"), wrong)
    assert state(host) == before
    assert dig(host, "c1", "web1") == ["10.0.0.1"]
    host.call(resolver.stop, RUN)
    host.call(resolver.stop, RUN)
    assert ruleset(host, "c1") == ""
