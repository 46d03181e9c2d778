"""The name of an interface in a sandbox is one endpoint's, whatever became of the interface."""

from __future__ import annotations

from pathlib import Path

import pytest

from netctl.config import load
from netctl.controller import Controller
from netctl.errors import Conflict, Exhausted
from netctl.models import Endpoint
from netctl.record import replace
from tests.fake_kernel import FakeKernel

NETNS = "/run/netns/s"


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    overrides = {"state_dir": f"{tmp_path}/state", "run_dir": f"{tmp_path}/run"}
    made = Controller(load(None, overrides, {}), kernel=FakeKernel())
    for name in ("a", "b", "d"):
        made.networks.create(name)
    made.sandboxes.create("s")
    made.endpoints.connect("a", "s")
    return made


def names(controller: Controller) -> dict[str, str]:
    found = {}
    for network in controller.networks.list():
        for endpoint in controller.endpoints.list(network.name):
            if place := endpoint.doc.attachment:
                found[network.name] = place.ifname
    return found


def lose(controller: Controller, name: str) -> None:
    """Delete an interface, as whoever is inside can."""
    found = controller.endpoints.get(name).doc
    assert found.attachment
    alias = f"netctl:endpoint:{found.id}"
    assert controller.kernel.link_delete(NETNS, found.attachment.ifname, alias=alias)


def test_the_name_of_a_lost_interface_is_not_given_again(controller: Controller) -> None:
    lose(controller, "a/s")
    controller.endpoints.connect("b", "s")
    assert names(controller) == {"a": "eth0", "b": "eth1"}
    with pytest.raises(Conflict, match="eth0 already, of endpoint a/s"):
        controller.endpoints.connect("d", "s", ifname="eth0")
    assert controller.repair().left == ()
    assert controller.check() == []


def test_an_interface_of_somebody_elses_is_no_free_name(controller: Controller) -> None:
    kernel = controller.kernel
    assert isinstance(kernel, FakeKernel)
    stack = kernel.stacks[kernel.pins[NETNS]]
    stack.links["eth1"] = replace(stack.links["eth0"], name="eth1", alias="", index=77)
    controller.endpoints.connect("b", "s")
    assert names(controller) == {"a": "eth0", "b": "eth2"}
    for number in range(2000):
        stack.links[f"eth{number}"] = replace(stack.links["eth1"], name=f"eth{number}")
    with pytest.raises(Exhausted, match="eth1023"):
        controller.endpoints.connect("d", "s")


@pytest.mark.parametrize("reboot", [False, True])
def test_two_that_have_one_name_already_get_two(controller: Controller, reboot: bool) -> None:
    for network in ("b", "d"):
        lose(controller, "a/s" if network == "b" else "b/s")
        controller.endpoints.connect(network, "s")
        # As a netctl did it that asked only the namespace.
        broken = controller.endpoints.get(f"{network}/s").doc
        assert broken.attachment
        rename(controller, broken, "eth0")
    assert set(names(controller).values()) == {"eth0"}
    assert controller.check() != []
    kernel = controller.kernel
    assert isinstance(kernel, FakeKernel)
    if reboot:
        kernel.reboot()
        controller = Controller(controller.config, kernel=kernel)
    assert controller.restore().left == ()
    assert sorted(names(controller).values()) == ["eth0", "eth1", "eth2"]
    assert controller.check() == []
    controller.sandboxes.refresh("s")
    assert controller.check() == []


def rename(controller: Controller, endpoint: Endpoint, name: str) -> None:
    """Give an endpoint's interface another name, in the document and in the kernel."""
    place, kernel = endpoint.attachment, controller.kernel
    assert place and isinstance(kernel, FakeKernel)
    with controller.operation("rename") as op:
        op.commit((), put=(replace(endpoint, attachment=replace(place, ifname=name)),))
    stack = kernel.stacks[kernel.pins[NETNS]]
    stack.links[name] = replace(stack.links.pop(place.ifname), name=name)
    stack.peers[name] = stack.peers.pop(place.ifname)
    kernel.host.peers[place.host_ifname] = (stack.inode, name)
    stack.addresses = [
        replace(a, link=name) if a.link == place.ifname else a for a in stack.addresses
    ]
