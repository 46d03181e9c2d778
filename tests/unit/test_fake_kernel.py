"""The fake kernel keeps the contract too: what the unit tests rely on."""

from __future__ import annotations

import pytest

from netctl.errors import KernelError
from netctl.kernel import Kernel
from netctl.kernel.interface import Route
from tests.fake.base import Killed
from tests.fake_kernel import FakeKernel
from tests.namespaces import make_namespace

C1 = "/run/netns/c1"
MARK = "netctl:sandbox:" + "5" * 64
DEFAULT = Route(destination="0.0.0.0/0", gateway="10.9.0.254", link="eth0", metric=0)


def wire(kernel: Kernel) -> None:
    make_namespace(kernel, C1, alias=MARK)
    kernel.bridge_add("br0", alias="netctl:n", mac="", mtu=0)
    kernel.veth_add(
        "nc1",
        alias="netctl:e",
        master="br0",
        isolated=False,
        mtu=1400,
        netns=C1,
        peer="eth0",
        peer_mac="02:00:00:00:00:01",
    )
    kernel.address_add(C1, "eth0", "10.9.0.1/24")
    kernel.link_set_up(C1, "eth0", up=True)
    kernel.route_add(C1, DEFAULT)


def test_a_link_takes_its_peer_along() -> None:
    kernel = FakeKernel()
    before = kernel.state()
    wire(kernel)
    assert DEFAULT in kernel.routes(C1)
    kernel.netns_delete(C1, identity=MARK)
    kernel.netns_let_go()
    assert "nc1" not in {link.name for link in kernel.links("")}
    kernel.link_delete("", "br0", alias="netctl:n")
    kernel.link_delete("", "br0", alias="netctl:n")
    assert kernel.state() == before


def test_a_foreign_link_stays() -> None:
    with pytest.raises(KernelError):
        FakeKernel().link_delete("", "uplink", alias="netctl:n")


def test_it_fails_where_it_is_told_to() -> None:
    kernel = FakeKernel()
    kernel.fail_at(2)
    with pytest.raises(KernelError):
        wire(kernel)
    assert [call[0] for call in kernel.calls] == ["netns_create", "bridge_add"]
    assert "br0" not in {link.name for link in kernel.links("")}


def test_a_killed_process_does_nothing_more() -> None:
    kernel = FakeKernel()
    kernel.kill_at(1)
    with pytest.raises(Killed):
        make_namespace(kernel, C1, alias=MARK)
    with pytest.raises(Killed):
        kernel.netns_delete(C1, identity=MARK)
    kernel.revive()
    assert kernel.netns_identity(C1)


def test_a_firewall_transaction_is_all_or_nothing() -> None:
    kernel = FakeKernel()
    before = kernel.state()
    with pytest.raises(KernelError):
        kernel.nft("add table inet t\nadd element inet t missing { a }\n")
    assert kernel.state() == before
    kernel.nft("add table inet t\nadd set inet t s { type ifname; }\nadd element inet t s { a, b }")
    kernel.nft("delete element inet t s { a }")
    with pytest.raises(KernelError):
        kernel.nft("delete element inet t s { a }")
    kernel.nft("delete table inet t")
    assert kernel.state() == before


def test_a_reboot_keeps_only_files() -> None:
    kernel = FakeKernel()
    kernel.file_write("/etc/x", "1")
    wire(kernel)
    boot = kernel.boot_id()
    kernel.reboot()
    assert kernel.netns_identity(C1) is None
    assert (kernel.file_read("/etc/x"), kernel.boot_id() != boot) == ("1", True)
