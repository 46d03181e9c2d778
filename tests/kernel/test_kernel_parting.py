"""Links that are deleted by one request, on a real kernel."""

from __future__ import annotations

import os

import pytest

from netctl.kernel.linux import LinuxKernel
from tests.kernel.host import Host
from tests.kernel.with_kernel import refused, with_kernel

BRIDGE, BRIDGE_MARK, MARK = "br-mine", "netctl:network:a", "netctl:endpoint:b"
GROUP = 1 << 30
NAMES = [f"mine{number}" for number in range(70)]
ALL = [*((name, MARK) for name in NAMES), (BRIDGE, BRIDGE_MARK)]


@pytest.fixture
def pairs(host: Host) -> Host:
    """A bridge with many ports, and an interface of somebody else in a group of theirs."""
    lines = [f"link add {BRIDGE} type bridge", f"link set {BRIDGE} alias {BRIDGE_MARK} up"]
    for name in NAMES:
        lines += [f"link add {name} type veth peer name p{name}"]
        lines += [f"link set {name} alias {MARK} master {BRIDGE} up", f"link set p{name} up"]
    lines += ["link add theirs type bridge", f"link set theirs group {GROUP}"]
    host.sh("ip -batch - <<END\n" + "\n".join(lines) + "\nEND")
    return host


def groups(host: Host) -> dict[str, str]:
    return {link["ifname"]: link["group"] for link in host.json("ip -N -j link")}


def test_a_bridge_and_its_ports_go_at_once(pairs: Host) -> None:
    others = [name for name in groups(pairs) if "mine" not in name]
    absent = ("absent", MARK)
    there = with_kernel(pairs, lambda kernel: kernel.links_delete([*ALL, absent]))
    assert there == {name for name, _ in ALL}
    assert list(groups(pairs)) == others
    assert groups(pairs)["theirs"] == str(GROUP)
    assert with_kernel(pairs, lambda kernel: kernel.links_delete([*ALL, absent])) == frozenset()


def test_where_one_is_foreign_none_goes(pairs: Host) -> None:
    before = groups(pairs)
    error = refused(pairs, lambda kernel: kernel.links_delete([*ALL, ("theirs", MARK)]))
    assert "delete interface theirs: it is not netctl's" in str(error)
    assert groups(pairs) == before


def test_a_group_in_which_somebody_else_is_is_not_deleted(pairs: Host) -> None:
    def act(kernel: LinuxKernel) -> tuple[int, int]:
        # The first number that is tried is that of their group.
        numbers = [GROUP + 8 << 1, GROUP << 1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "urandom", lambda size: numbers.pop().to_bytes(size, "little"))
            return len(kernel.links_delete(ALL)), len(numbers)

    assert with_kernel(pairs, act) == (len(ALL), 0)
    assert groups(pairs)["theirs"] == str(GROUP)


def test_what_does_not_go_has_its_group_again(pairs: Host) -> None:
    pairs.sh(f"ip link set {NAMES[0]} group 7")
    before = groups(pairs)

    def act(kernel: LinuxKernel) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "urandom", lambda size: (GROUP << 1).to_bytes(size, "little"))
            kernel.links_delete(ALL)

    assert "interfaces that are not netctl's are in" in str(refused(pairs, act))
    assert groups(pairs) == before
