"""The library on a real kernel: commands in a sandbox, and every example of its page."""

from __future__ import annotations

import subprocess
from functools import partial

import pytest

import netctl
from netctl import api_page
from netctl.controller import Controller
from tests.kernel.host import Host
from tests.system.library import act, clear, connect, create, web

EXAMPLES = {title: api_page.example(kind) for title, kind in api_page.CLASSES.items()}


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_example_of_each_class_runs(host: Host, title: str) -> None:
    assert "controller" in EXAMPLES[title]
    before = host.snapshot()

    def run(controller: Controller) -> None:
        exec(compile(EXAMPLES[title], title, "exec"), {"netctl": netctl, "controller": controller})

    host.call(act, run)
    host.call(act, clear)
    host.assert_unchanged(before)


def test_a_command_in_a_sandbox_gives_what_subprocess_gives(host: Host) -> None:
    def commands(controller: Controller) -> None:
        box = controller.sandboxes.get("c1")
        shown = box.exec(["ip", "-brief", "link"], capture_output=True, text=True, check=True)
        assert isinstance(shown, subprocess.CompletedProcess)
        assert (shown.returncode, "eth0" in shown.stdout, "uplink" in shown.stdout) == (0, True, 0)
        assert box.exec(["sh", "-c", "exit 7"]).returncode == 7
        echoed = box.exec(["cat"], input=b"text", stdout=subprocess.PIPE)
        assert echoed.stdout == b"text"
        hosts = box.exec(["cat", "/etc/hosts"], capture_output=True, text=True).stdout
        assert "c1.example.org" in hosts
        told = box.exec(["sh", "-c", "pwd; echo $A"], cwd="/tmp", env={"A": "b"}, stdout=-1)
        assert told.stdout == b"/tmp\nb\n"
        with pytest.raises(subprocess.CalledProcessError):
            box.exec(["false"], check=True)
        with pytest.raises(subprocess.TimeoutExpired):
            box.exec(["sleep", "600"], timeout=0.2)
        with pytest.raises(FileNotFoundError):
            box.exec(["no-such-command"])
        with pytest.raises(TypeError):
            box.exec(["true"], colour="red")
        with pytest.raises(netctl.InvalidInput, match="no command is given"):
            box.exec([])

    host.call(act, web, partial(create, name="c1", hostname="c1", domainname="example.org"))
    host.call(act, partial(connect, network="web", sandbox="c1"), commands)


def test_this_process_stays_in_its_own_namespace_and_mounts(host: Host) -> None:
    def commands(controller: Controller) -> None:
        def places() -> list[str]:
            shown = subprocess.run(
                ["readlink", "/proc/self/ns/net", "/proc/self/ns/mnt"], stdout=subprocess.PIPE
            )
            return shown.stdout.decode().split()

        before = places()
        inside = controller.sandboxes.exec(
            "c1", ["readlink", "/proc/self/ns/net", "/proc/self/ns/mnt"], stdout=subprocess.PIPE
        ).stdout.decode()
        assert not set(inside.split()) & set(before)
        assert places() == before

    host.call(act, partial(create, name="c1"), commands)


def test_a_command_in_a_sandbox_that_is_gone_is_a_conflict(host: Host) -> None:
    def commands(controller: Controller) -> None:
        with pytest.raises(netctl.Conflict):
            controller.sandboxes.exec("c1", ["true"])
        with pytest.raises(netctl.NotFound):
            controller.sandboxes.exec("c9", ["true"])

    host.call(act, partial(create, name="c1"))
    host.sh("ip netns del c1")
    host.call(act, commands)
