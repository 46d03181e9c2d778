"""A namespace that somebody else made, and left: its container restarted elsewhere."""

from __future__ import annotations

import subprocess

from netctl.controller import Controller
from netctl.kernel import Kernel
from netctl.views import sandbox_row
from tests.kernel.host import Host
from tests.system.library import act
from tests.waiting import PATIENCE

SOURCE = "/run/netns/cni-1"


def sh(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True, timeout=PATIENCE)


def state(c: Controller, name: str) -> str:
    kernel: Kernel = c.kernel
    return str(sandbox_row(c.sandboxes.get(name).doc, kernel)["state"])


def restarted(c: Controller) -> None:
    process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 600"], stdout=-1)
    assert process.stdout and process.stdout.readline()
    c.networks.create("web")
    c.sandboxes.create("pod", netns_path=SOURCE)
    c.sandboxes.create("vm", pid=process.pid)
    for name in ("pod", "vm"):
        c.endpoints.connect("web", name)
    assert c.check() == [] and (state(c, "pod"), state(c, "vm")) == ("ready", "ready")
    sh("ip netns delete cni-1; ip netns add cni-1")
    process.kill()
    process.wait()
    assert (state(c, "pod"), state(c, "vm")) == ("left", "left")
    remedies = {finding.title: finding.remedy for finding in c.check()}
    told = {remedy for symptom in c.examine() for remedy in symptom.remedy}
    assert remedies["sandbox pod"] == f"netctl sandbox set-key pod {SOURCE}"
    assert remedies["sandbox pod"] in told
    assert remedies["sandbox vm"].endswith("or: netctl sandbox rm vm --force")
    assert "netctl sandbox rm vm --force" in told
    c.sandboxes.set_key("pod", SOURCE)
    c.sandboxes.remove("vm", force=True)
    assert c.check() == [] and state(c, "pod") == "ready"
    assert c.kernel.link(SOURCE, "eth0")


def test_a_namespace_that_was_left_is_named_with_what_mends_it(host: Host) -> None:
    host.sh("ip netns add cni-1")
    host.call(act, restarted)


def inhabited(c: Controller) -> None:
    c.sandboxes.create("pod", netns_path=SOURCE)
    process = subprocess.Popen(["ip", "netns", "exec", "cni-1", "sleep", "600"])
    while not c.kernel.netns_in_use(SOURCE):
        assert process.poll() is None
    sh("ip netns delete cni-1")
    assert c.check() == [] and state(c, "pod") == "ready"
    process.kill()
    process.wait()
    assert len(c.check()) == 1 and state(c, "pod") == "left"


def test_one_with_a_process_in_it_is_as_it_should_be(host: Host) -> None:
    host.sh("ip netns add cni-1")
    host.call(act, inhabited)
