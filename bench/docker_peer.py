"""dockerd of Debian's docker.io as a peer, in a world of its own."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.worlds import Failed, World

# Not whatever comes first in PATH: the client and the daemon of one package.
CLIENT, DAEMON = "/usr/bin/docker", "/usr/sbin/dockerd"
_NEEDED = {
    CLIENT: "docker.io",
    DAEMON: "docker.io",
    "/usr/bin/containerd": "containerd",
    "/bin/busybox": "busybox-static",
}
_IMAGE = """\
mkdir -p /run/image/bin
cp /bin/busybox /run/image/bin/
tar -C /run/image -c . | {client} import - box:1
{client} network create work
"""
FRESH_CONTAINER = f"""\
{CLIENT} rm --force box 2>/dev/null
{CLIENT} run -d --name box box:1 /bin/busybox sleep 86400
"""
_STARTUP = 60.0
"""Seconds that the daemon may take to answer."""


def missing() -> list[str]:
    """Return the Debian packages that are not there."""
    packages = {package for path, package in _NEEDED.items() if not os.access(path, os.X_OK)}
    if os.path.exists("/bin/busybox") and _is_dynamic("/bin/busybox"):
        packages.add("busybox-static")
    return sorted(packages)


def _is_dynamic(path: str) -> bool:
    """Whether a program needs a loader, which an image with nothing else does not have."""
    return b"/ld-linux" in Path(path).read_bytes()[:8192]


@dataclass(slots=True)
class Docker:
    """A running dockerd with an image ``box`` and a network ``work``."""

    world: World
    pid: int = 0

    def open(self) -> None:
        data = self.world.directory / "docker"
        self.pid = self.world.start(
            *(DAEMON, "--storage-driver", "vfs", "--data-root", str(data)),
            *("--exec-root", "/run/docker", "--pidfile", "/run/docker.pid"),
            *("--host", "unix:///run/docker.sock", "--cgroup-parent", _cgroup()),
        )
        self._await()
        self.world.sh(_IMAGE.format(client=CLIENT))

    def _await(self) -> None:
        end = time.monotonic() + _STARTUP
        while self.world.run(CLIENT, "network", "ls", check=False).status != 0:
            if time.monotonic() > end:
                log = (self.world.directory / "log").read_text()[-2000:]
                raise Failed(f"dockerd does not answer: {log}")
            time.sleep(0.1)

    def peaks(self) -> dict[str, int]:
        """Return the peak memory of the daemons, KiB."""
        containerd = self.world.sh("cat /run/docker/containerd/containerd.pid").output
        return {
            "dockerd": self.world.peak(self.pid),
            "containerd": self.world.peak(int(containerd)),
        }

    def close(self) -> None:
        """End the container, then the daemon, and with it its containerd."""
        if not self.pid:
            return
        with suppress(Failed):
            self.world.run(CLIENT, "rm", "--force", "box", check=False)
            self.world.stop(self.pid)
        self.pid = 0


def remove_cgroups() -> None:
    """Remove what a daemon of this run left below /sys/fs/cgroup; its world must be closed."""
    for found in Path("/sys/fs/cgroup").glob(f"**/{_cgroup()}"):
        for directory in sorted(found.glob("**/"), reverse=True):
            with suppress(OSError):
                directory.rmdir()


def _cgroup() -> str:
    return f"netctl-bench-{os.getpid()}"
