"""Namespaces on a real kernel: pins, entering, and what is left behind: nothing."""

from __future__ import annotations

import errno
import os
import resource
import threading

import pytest

from netctl.errors import InvalidInput, KernelError
from netctl.kernel import namespaces, syscalls
from netctl.kernel.linux import LinuxKernel
from netctl.kernel.sockets import Sockets
from tests.kernel.host import Host
from tests.kernel.with_kernel import refused, with_kernel
from tests.namespaces import make_namespace
from tests.waiting import PATIENCE

C1 = "/run/netns/c1"
MARK = "netctl:sandbox:" + "5" * 64


def test_ip_netns_knows_our_namespaces_and_we_know_its(host: Host) -> None:
    before = host.snapshot()
    with_kernel(host, lambda k: make_namespace(k, C1, alias=MARK))
    assert host.sh("ip netns").split()[0] == "c1"
    [loopback] = host.json("ip -n c1 -j link")
    assert "UP" in loopback["flags"]
    host.sh("ip netns add c2; ip netns delete c1")
    assert with_kernel(host, lambda k: k.netns_identity(C1)) is None
    foreign = with_kernel(host, lambda k: k.netns_identity("/run/netns/c2")) or ""
    error = refused(host, lambda k: k.netns_delete("/run/netns/c2", identity=MARK))
    assert error.errno == errno.EPERM and "another one stands there" in str(error)
    with_kernel(host, lambda k: k.netns_delete("/run/netns/c2", identity=foreign))
    host.assert_unchanged(before)


def test_a_namespace_in_the_place_of_another_is_told_apart(host: Host) -> None:
    def seen(path: str) -> str | None:
        return with_kernel(host, lambda k: k.netns_identity(path))

    with_kernel(host, lambda k: make_namespace(k, C1, alias=MARK))
    first = seen(C1)
    assert first and first == seen(C1)
    host.sh("ip netns delete c1; ip netns add c1")
    second = seen(C1)
    # The kernel gives the same inode again, but not the same cookie.
    host.sh("ip netns delete c1; ip netns add c1; ip -n c1 link set lo alias mine")
    assert None not in (second, seen(C1)) and len({first, second, seen(C1), seen("")}) == 4


def test_the_directory_is_a_shared_mount(host: Host) -> None:
    with_kernel(host, lambda k: make_namespace(k, C1, alias=MARK))
    with_kernel(host, lambda k: make_namespace(k, "/run/netns/c2", alias=MARK))
    mounts = host.sh("grep ' /run/netns ' /proc/self/mountinfo").splitlines()
    assert len(mounts) == 1
    assert "shared:" in mounts[0]


def test_an_existing_path_is_left_alone(host: Host) -> None:
    host.sh(
        "mkdir -p /run/netns; echo precious > /run/netns/file; ln -s /etc/hosts /run/netns/link;"
        "touch /run/netns/empty"
    )
    with_kernel(host, lambda k: make_namespace(k, C1, alias=MARK))
    before = host.snapshot()
    identity = with_kernel(host, lambda k: k.netns_identity(C1))
    for path in (C1, "/run/netns/file", "/run/netns/link", "/run/netns/empty"):
        with_kernel(host, lambda k, path=path: k.netns_clear(path))  # type: ignore[misc]
        error = refused(host, lambda k, path=path: make_namespace(k, path, alias=MARK))  # type: ignore[misc]
        assert (error.errno, bool(error.hint)) == (17, True)
        error = refused(host, lambda k, path=path: k.netns_pin(C1, path))  # type: ignore[misc]
        assert error.errno == 17
    for path in ("/run/netns/file", "/run/netns/link", "/run/netns"):
        refused(host, lambda k, path=path: k.netns_delete(path, identity=MARK))  # type: ignore[misc]
    assert with_kernel(host, lambda k: k.netns_identity(C1)) == identity
    host.assert_unchanged(before)
    assert host.sh("cat /run/netns/file /etc/hosts").startswith("precious\n127.0.0.1")


def test_the_file_of_a_dead_process_counts_as_nothing(host: Host) -> None:
    before = host.snapshot()
    host.sh(f"mkdir -p /run/netns; touch {C1}")
    assert with_kernel(host, lambda k: k.netns_identity(C1)) is None
    assert refused(host, lambda k: k.links(C1)).errno == 2
    with_kernel(host, lambda k: k.link_delete(C1, "eth0", alias="netctl:x"))
    with_kernel(host, lambda k: k.netns_delete(C1, identity=MARK))
    host.assert_unchanged(before)


def test_a_namespace_of_a_process_is_pinned_and_outlives_the_pin(host: Host) -> None:
    before = host.snapshot()
    sleeper = host.start("unshare", "-n", "sleep", "600")
    source = f"/proc/{sleeper.pid}/ns/net"
    host.until(f"test $(cat /proc/{sleeper.pid}/comm) = sleep")
    with_kernel(host, lambda k: k.netns_pin(source, C1))
    same = with_kernel(host, lambda k: (k.netns_identity(C1), k.netns_identity(source)))
    assert same[0] == same[1] is not None
    with_kernel(host, lambda k: k.netns_delete(C1, identity=same[0] or ""))
    assert with_kernel(host, lambda k: k.netns_identity(source)) == same[1]
    sleeper.kill()
    sleeper.wait(PATIENCE)
    host.assert_unchanged(before)


@pytest.mark.parametrize("source", ["/etc/hosts", "/proc/self/ns/uts", "/etc", "/dev/null"])
def test_only_a_network_namespace_is_pinned(host: Host, source: str) -> None:
    before = host.snapshot()
    with pytest.raises(InvalidInput, match=source):
        with_kernel(host, lambda k: k.netns_pin(source, C1))
    assert with_kernel(host, lambda k: k.netns_identity(source)) is None
    host.assert_unchanged(before)


def test_a_failed_creation_leaves_nothing(host: Host) -> None:
    def work(kernel: LinuxKernel) -> None:
        home = os.stat(namespaces.OWN).st_ino
        original = syscalls.mount

        def failing(source: str, target: str, flags: int) -> None:
            if target == C1:
                raise OSError(28, "No space left on device")
            original(source, target, flags)

        syscalls.mount = failing
        with pytest.raises(KernelError, match="No space left"):
            make_namespace(kernel, C1, alias=MARK)
        assert os.stat(namespaces.OWN).st_ino == home

    before = host.snapshot()
    with_kernel(host, work)
    host.assert_unchanged(before)


def test_the_thread_comes_home_and_nothing_is_left_open(host: Host) -> None:
    def work(kernel: LinuxKernel) -> None:
        home, fds = os.stat(namespaces.OWN).st_ino, _descriptors()
        for number in range(40):
            path = f"/run/netns/c{number}"
            make_namespace(kernel, path, alias=MARK)
            kernel.links(path)
            kernel.sysctl_set(path, "net/ipv4/ip_forward", "1")
        assert len(_descriptors()) < len(fds) + 25, "sockets are kept for the latest ones only"
        for fd in set(_descriptors()) - set(fds):
            assert not os.get_inheritable(fd)
        with pytest.raises(ZeroDivisionError), namespaces.entered("/run/netns/c1"):
            assert os.stat(namespaces.OWN).st_ino != home
            raise ZeroDivisionError
        assert os.stat(namespaces.OWN).st_ino == home
        kernel.nft("add table inet netctl")
        assert not any(os.get_inheritable(fd) for fd in set(_descriptors()) - set(fds))
        kernel.nft("delete table inet netctl")
        kernel.close()
        assert _descriptors() == fds
        assert threading.active_count() == 1
        assert len(os.listdir("/proc/self/task")) == 1
        for number in range(40):
            kernel.netns_delete(f"/run/netns/c{number}", identity=MARK)

    before = host.snapshot()
    with_kernel(host, work)
    host.assert_unchanged(before)


def test_a_namespace_made_anew_at_the_same_path_is_noticed(host: Host) -> None:
    def work(kernel: LinuxKernel) -> list[str]:
        make_namespace(kernel, C1, alias=MARK)
        kernel.links(C1)
        other = LinuxKernel()
        other.netns_delete(C1, identity=MARK)
        make_namespace(other, C1, alias=MARK)
        other.veth_add(
            "nc1",
            alias="netctl:x",
            master="",
            isolated=False,
            mtu=0,
            netns=C1,
            peer="eth0",
            peer_mac="",
        )
        other.close()
        return [link.name for link in kernel.links(C1)]

    assert with_kernel(host, work) == ["lo", "eth0"]


def test_a_forked_child_has_sockets_of_its_own(host: Host) -> None:
    def work(kernel: LinuxKernel) -> int:
        kernel.links("")
        kernel.nft_list("list tables")
        child = os.fork()
        if child == 0:
            kernel.nft("add table inet netctl")
            os._exit(0 if kernel.links("") else 1)
        status = os.waitpid(child, 0)[1]
        assert kernel.nft_list("list tables")
        return status

    assert with_kernel(host, work) == 0


def test_a_namespace_that_cannot_be_told_from_others_is_let_go(host: Host) -> None:
    """With three more descriptors it is made, and then no socket in it is opened."""

    def work(kernel: LinuxKernel) -> tuple[str, int, bool]:
        kernel.netns_new(alias=MARK)
        before, limit = _descriptors(), resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_next_free(3) + 1, limit[1]))
        try:
            with pytest.raises(KernelError) as caught:
                kernel.netns_new(alias=MARK)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        return caught.value.message, caught.value.errno, _descriptors() == before

    message, number, closed = with_kernel(host, work)
    assert "/proc/self/fd/" in message and (number, closed) == (errno.EMFILE, True)


def test_a_namespace_without_an_identity_is_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sockets, "identity", lambda self, netns, known="": None)

    def work(kernel: LinuxKernel) -> tuple[KernelError, bool]:
        before = _descriptors()
        with pytest.raises(KernelError) as caught:
            kernel.netns_new(alias=MARK)
        return caught.value, _descriptors() == before

    error, closed = with_kernel(host, work)
    assert error.errno == errno.ENOENT and error.hint and closed


def _next_free(count: int) -> int:
    """Return the last of the descriptors that are opened next."""
    taken = [os.dup(0) for _ in range(count)]
    for fd in taken:
        os.close(fd)
    return taken[-1]


def _descriptors() -> list[int]:
    return [fd for fd in map(int, os.listdir("/proc/self/fd")) if _is_open(fd)]


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
