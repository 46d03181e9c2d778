"""A throw-away host: network, mount and UTS namespaces of its own, and an outside beside it.

The test process stays where it is and holds the namespaces by descriptors; work in them is done
by children that enter first. The host has an empty /run, /var/lib and /etc/netns, an ``uplink``
192.0.2.1/24 and 2001:db8::1/64 with default routes, and beyond it the namespace ``outside``, which
bears 192.0.2.254 and 2001:db8::fe and knows no way back into any sandbox's subnet: only NAT works.
"""

from __future__ import annotations

import difflib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from netctl.kernel import syscalls
from tests.kernel.host_build import CLONE_NEWUTS, build_in_child
from tests.kernel.host_children import (
    TIMEOUT,
    answer,
    bound,
    command_of,
    fork,
    kill,
    namespaces_of,
    new_socket,
    pack_error,
    read_all,
    sees,
)
from tests.kernel.host_state import (
    STATE,
    address_facts,
    files_and_settings,
    link_facts,
    printed,
    qdisc_facts,
    route_facts,
    without_handles,
)
from tests.leftovers import SCRATCH
from tests.waiting import until

T = TypeVar("T")
Result = subprocess.CompletedProcess[str]

ROOT = Path(__file__).resolve().parents[2]
ANSWER = 30.0
"""Seconds in which an answer comes that should come."""


class Host:
    """One throw-away host; see the module."""

    def __init__(self) -> None:
        self._scratch = tempfile.mkdtemp(prefix=SCRATCH)
        self._namespaces: dict[str, int] = {}
        self._root = -1
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        self.outside = Outside(self)
        self.state_dir = STATE

    def _start(self) -> None:
        ready, tell = os.pipe()
        done, release = os.pipe()
        child = fork()
        if child == 0:
            build_in_child(self._scratch, tell, done, release)
        os.close(tell)
        os.close(done)
        try:
            trouble = read_all(ready, child)
            if trouble != b"ready":
                raise RuntimeError(f"the host could not be made: {trouble.decode()}")
            for kind in ("net", "mnt", "uts"):
                self._hold(kind, f"/proc/{child}/ns/{kind}")
            self._hold("outside", f"/proc/{child}/root{self._scratch}/outside")
            self._root = os.open(f"/proc/{child}/root", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(ready)
            os.close(release)
            os.waitpid(child, 0)

    def _hold(self, name: str, path: str) -> None:
        self._namespaces[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Kill what still runs in the host, and give everything back. Raises ``RuntimeError`` where
        a process is left."""
        left = self._ended() if self._root >= 0 else []
        for fd in self._namespaces.values():
            os.close(fd)
        self._namespaces.clear()
        if self._root >= 0:
            os.close(self._root)
        shutil.rmtree(self._scratch, ignore_errors=True)
        if left:
            raise RuntimeError(f"the host left processes: {', '.join(map(command_of, left))}")

    def _ended(self) -> list[int]:
        """Kill every process until none is there; one may have forked meanwhile."""

        def gone() -> bool:
            for pid in self.processes():
                kill(pid)
            return not self.processes()

        with suppress(AssertionError):
            until(gone, seconds=TIMEOUT)
        return self.processes()

    def processes(self) -> list[int]:
        """Return the processes of the host and the outside: those in one of their namespaces, and
        those in namespaces of their own that still have the host's /run."""
        ours = {os.fstat(fd).st_ino for fd in self._namespaces.values()}
        run = os.stat("run", dir_fd=self._root).st_dev
        found = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return [pid for pid in found if namespaces_of(pid) & ours or sees(pid, "/run", run)]

    # doing things in the host

    def enter(self, stack: str = "net") -> None:
        """Bring the calling (forked) process in; ``stack`` is ``net`` or ``outside``."""
        syscalls.setns(self._namespaces["uts"], CLONE_NEWUTS)
        syscalls.setns(self._namespaces[stack], syscalls.CLONE_NEWNET)
        syscalls.setns(self._namespaces["mnt"], syscalls.CLONE_NEWNS)
        # The kernel leads to the root of all mounts, which in a chroot is not ours.
        os.fchdir(self._root)
        os.chroot(".")
        os.chdir("/")

    def run(
        self,
        *command: str,
        stack: str = "net",
        env: Mapping[str, str] | None = None,
        input: str | None = None,
        check: bool = False,
        timeout: float = TIMEOUT,
    ) -> Result:
        """Run a command in the host; its output is text."""
        return subprocess.run(
            [*self._nsenter(stack), *command],
            env=_environment(env),
            input=input,
            check=check,
            timeout=timeout,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL if input is None else None,
        )

    def start(self, *command: str, stack: str = "net", **options: Any) -> subprocess.Popen[str]:
        """Start a command in the host and return at once. ``close`` kills it."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            [*self._nsenter(stack), *command], env=_environment(None), text=True, **options
        )

    def _nsenter(self, stack: str) -> list[str]:
        holder = f"/proc/{os.getpid()}/fd"
        net, mnt, uts = (self._namespaces[name] for name in (stack, "mnt", "uts"))
        return [
            "nsenter",
            f"--net={holder}/{net}",
            f"--mount={holder}/{mnt}",
            f"--uts={holder}/{uts}",
            f"--root={holder}/{self._root}",
            f"--wd={holder}/{self._root}",
            "--",
        ]

    def netctl(self, *arguments: str, **options: Any) -> Result:
        """Run netctl in the host."""
        return self.run(sys.executable, "-m", "netctl", *arguments, **options)

    def sh(self, script: str, *, check: bool = True, **options: Any) -> str:
        """Run a shell script in the host; return what it printed, or fail with its errors."""
        done = self.run("sh", "-c", script, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{script!r} gave {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def until(self, script: str, **options: Any) -> None:
        """Wait until a shell script in the host succeeds."""
        until(lambda: self.run("sh", "-c", script, **options).returncode == 0, repr(script))

    def json(self, command: str, **options: Any) -> Any:
        """Run a command that prints JSON; nothing printed is an empty list."""
        return json.loads(self.sh(command, **options) or "[]")

    def call(self, function: Callable[..., T], *args: Any, timeout: float = TIMEOUT) -> T:
        """Call a function in a child inside the host; return its result or raise its exception."""
        ready, tell = os.pipe()
        child = fork()
        if child == 0:
            os.close(ready)
            self._call_in_child(function, args, tell)
        os.close(tell)
        try:
            answer = read_all(ready, child, timeout)
        finally:
            os.close(ready)
            os.waitpid(child, 0)
        if not answer:
            raise RuntimeError(f"the child that called {function} died without an answer")
        failed, value = pickle.loads(answer)
        if failed:
            raise value
        return value  # type: ignore[no-any-return]

    def _call_in_child(self, function: Callable[..., T], args: Sequence[Any], tell: int) -> None:
        try:
            try:
                self.enter()
                answer = (False, function(*args))
                packed = pickle.dumps(answer)
            except BaseException as error:
                error.add_note("in the host:\n" + traceback.format_exc())
                packed = pack_error(error)
            with os.fdopen(tell, "wb") as pipe:
                pipe.write(packed)
        finally:
            os._exit(0)

    # traffic

    def ping(self, netns: str, address: str, *, seconds: float = ANSWER) -> bool:
        """Whether ``address`` answers to the namespace at ``netns`` (``""``: the host,
        ``"outside"``). Where no answer should come, ``QUIET`` seconds are enough."""
        stack = "outside" if netns == "outside" else "net"
        enter = ["nsenter", f"--net={netns}", "--"] if netns not in ("", "outside") else []
        often = ["-c3", "-i0.1", f"-W{seconds:g}"]
        if seconds >= 1:
            often = ["-c1", "-i0.2", f"-w{seconds:g}"]
        command = ["ping", "-n", "-q", *often, address]
        return self.run(*enter, *command, stack=stack).returncode == 0

    @contextmanager
    def server(self, netns: str, address: str, port: int, protocol: str = "tcp") -> Iterator[None]:
        """Answer every client in ``netns`` with the client's own address as the server sees it.

        ``netns`` is a path, ``""`` for the host or ``"outside"``.
        """
        ready, tell = os.pipe()
        child = fork()
        if child == 0:
            os.close(ready)
            self._serve_in_child(netns, address, port, protocol, tell)
        os.close(tell)
        try:
            trouble = read_all(ready, child, upto=5)
            if trouble != b"ready":
                raise RuntimeError(f"no server on {address}: {trouble.decode()}")
            yield
        finally:
            os.close(ready)
            kill(child)
            os.waitpid(child, 0)

    def _serve_in_child(
        self, netns: str, address: str, port: int, protocol: str, tell: int
    ) -> None:
        try:
            self.enter_stack(netns)
            server = bound(address, port, protocol)
            os.write(tell, b"ready")
            answer(server, protocol)
        except BaseException as error:
            os.write(tell, str(error).encode())
        finally:
            os._exit(0)

    def enter_stack(self, netns: str) -> None:
        """Bring the calling (forked) process into a namespace: see ``server``."""
        self.enter("outside" if netns == "outside" else "net")
        if netns not in ("", "outside"):
            with open(netns, "rb") as pinned:
                syscalls.setns(pinned.fileno(), syscalls.CLONE_NEWNET)

    def stack(self, netns: str) -> int:
        """Open a network namespace, named as for ``server``. To be called in the host."""
        if netns in ("", "outside"):
            return os.dup(self._namespaces[netns or "net"])
        return os.open(netns, os.O_RDONLY | os.O_CLOEXEC)

    def ask(
        self, netns: str, address: str, port: int, protocol: str = "tcp", *, seconds: float = ANSWER
    ) -> str | None:
        """Ask a ``server``; return the address it saw, None where no answer comes. Where none
        should come, ``QUIET`` seconds are enough."""
        return self.call(self._ask_in_child, netns, address, port, protocol, seconds)

    def _ask_in_child(
        self, netns: str, address: str, port: int, protocol: str, seconds: float
    ) -> str | None:
        self.enter_stack(netns)
        try:
            with new_socket(address, protocol) as client:
                client.settimeout(seconds)
                client.connect((address, port))
                client.send(b"?")
                return client.recv(200).decode() or None
        except OSError:
            return None

    # comparing

    def snapshot(self) -> dict[str, Any]:
        """Return all that a teardown must leave as it was."""
        return {
            "links": [link_facts(link) for link in self.json("ip -d -j link")],
            "addresses": self._facts("ip -j address", address_facts),
            "routes": self._facts("ip -j -4 route show table all", route_facts),
            "routes6": self._facts("ip -j -6 route show table all", route_facts),
            "qdiscs": sorted(map(qdisc_facts, self.json("tc -j qdisc show"))),
            "nft": without_handles(self.json("nft -j list ruleset")),
            **self.call(files_and_settings),
        }

    def _facts(self, command: str, read: Callable[[dict[str, Any]], list[str]]) -> list[str]:
        return sorted(fact for item in self.json(command) for fact in read(item))

    def assert_unchanged(self, before: dict[str, Any]) -> None:
        """Fail with a readable difference where the host is not as it was."""
        after = self.snapshot()
        if before == after:
            return
        old, new = (printed(state).splitlines() for state in (before, after))
        diff = "\n".join(difflib.unified_diff(old, new, "before", "after", lineterm="", n=2))
        raise AssertionError(f"the host is not as it was:\n{diff}")


class Outside:
    """The namespace beyond the host's uplink."""

    IPV4 = "192.0.2.254"
    IPV6 = "2001:db8::fe"

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(self, *command: str, **options: Any) -> Result:
        return self._host.run(*command, stack="outside", **options)

    def sh(self, script: str, **options: Any) -> str:
        return self._host.sh(script, stack="outside", **options)

    def ping(self, address: str, *, seconds: float = ANSWER) -> bool:
        return self._host.ping("outside", address, seconds=seconds)


def reason_to_skip() -> str:
    """Return why this machine cannot make a host, or nothing."""
    if os.geteuid() != 0:
        return "makes namespaces: run it as root"
    missing = [tool for tool in ("ip", "nft", "nsenter", "ping") if not shutil.which(tool)]
    return f"needs {', '.join(missing)}" if missing else ""


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("NETCTL_", "XDG_", "PYTEST_")) and key != "NO_COLOR"
    }
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        **(extra or {}),
    }
