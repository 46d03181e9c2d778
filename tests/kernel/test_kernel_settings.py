"""Sysctls, nftables, files, permissions and start-up on a real kernel."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netctl.errors import InvalidInput, KernelError, NotPermitted
from netctl.kernel.linux import LinuxKernel
from netctl.kernel.messages import link_attributes
from netctl.kernel.refusal import not_permitted
from tests.kernel.host import ROOT, Host
from tests.kernel.with_kernel import refused, with_kernel
from tests.namespaces import make_namespace

C1 = "/run/netns/c1"
MARK = "netctl:sandbox:" + "5" * 64
NOBODY = 65534


def test_a_setting_is_of_its_namespace(host: Host) -> None:
    key = "net/ipv4/ip_forward"

    def work(kernel: LinuxKernel) -> tuple[str | None, str | None]:
        make_namespace(kernel, C1, alias=MARK)
        kernel.sysctl_set(C1, key, "1")
        return kernel.sysctl_get(C1, key), kernel.sysctl_get("", key)

    assert with_kernel(host, work) == ("1", "0")
    assert host.sh("ip netns exec c1 cat /proc/sys/" + key) == "1\n"


def test_an_interface_name_may_hold_a_dot(host: Host) -> None:
    host.sh("ip link add eth0.5 type bridge")
    key = "net/ipv6/conf/eth0.5/disable_ipv6"
    with_kernel(host, lambda k: k.sysctl_set("", key, "1"))
    assert with_kernel(host, lambda k: k.sysctl_get("", key)) == "1"


def test_an_unknown_setting(host: Host) -> None:
    assert with_kernel(host, lambda k: k.sysctl_get("", "net/ipv4/nothing")) is None
    error = refused(host, lambda k: k.sysctl_set("", "net/ipv4/nothing", "1"))
    assert (error.errno, "net/ipv4/nothing" in str(error)) == (2, True)


@pytest.mark.parametrize("key", ["../etc/passwd", "net/../../x", "", "net//x", "net/a b", "/etc"])
def test_a_setting_is_never_a_path_elsewhere(key: str) -> None:
    with pytest.raises(InvalidInput):
        LinuxKernel().sysctl_get("", key)


def test_a_value_that_is_there_is_not_written(host: Host) -> None:
    def work(kernel: LinuxKernel) -> None:
        subprocess.run(["mount", "-o", "remount,bind,ro", "/proc/sys"], check=True)
        kernel.sysctl_set("", "net/ipv4/ip_forward", "0")
        with pytest.raises(KernelError, match="Read-only") as caught:
            kernel.sysctl_set("", "net/ipv4/ip_forward", "1")
        assert caught.value.hint

    host.sh("mount --bind /proc/sys /proc/sys")
    with_kernel(host, work)


def test_a_transaction_is_all_or_nothing(host: Host) -> None:
    before = host.snapshot()
    good = "add table inet netctl\nadd chain inet netctl one\n"
    error = refused(host, lambda k: k.nft(good + "add rule inet netctl nowhere accept\n"))
    assert error.errno == 2
    assert "'add rule inet netctl nowhere accept'" in str(error)
    host.assert_unchanged(before)
    with_kernel(host, lambda k: k.nft(good))
    assert "chain one" in host.sh("nft list ruleset")
    listed = with_kernel(host, lambda k: k.nft_list("list chain inet netctl one"))
    assert [list(item) for item in listed] == [["chain"]]
    for command in ("list table inet none", "list chain inet netctl none", "list set ip a b"):
        assert with_kernel(host, lambda k, c=command: k.nft_list(c)) == []  # type: ignore[misc]
    with_kernel(host, lambda k: k.nft("delete table inet netctl\n"))
    host.assert_unchanged(before)


def test_bad_nft_syntax_is_quoted(host: Host) -> None:
    error = refused(host, lambda k: k.nft("add table inet netctl\nadd nonsense here\n"))
    assert "syntax error" in str(error)
    assert "'add nonsense here'" in str(error)
    assert refused(host, lambda k: k.nft_list("lsit tables")).exit_code == 7


def test_a_missing_library_is_named() -> None:
    script = (
        "from netctl.errors import Unsupported\n"
        "from netctl.kernel import linux, nftables\n"
        "nftables.LIBRARY = 'libnftables-missing.so.9'\n"
        "try:\n    linux.LinuxKernel().nft('list tables')\n"
        "except Unsupported as error:\n    print(error.message, error.hint)"
    )
    # In a process of its own, where nothing has loaded the library yet.
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "libnftables-missing.so.9" in done.stdout, done.stderr
    assert "apt-get install" in done.stdout


def test_files_are_written_whole_and_readable(tmp_path: Path) -> None:
    kernel, path = LinuxKernel(), tmp_path / "hosts"
    old = os.umask(0o077)
    try:
        kernel.file_write(str(path), "127.0.0.1 löcal\n")
        kernel.directory_create(str(tmp_path / "a/b"))
    finally:
        os.umask(old)
    assert kernel.file_read(str(path)) == "127.0.0.1 löcal\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    assert sorted(os.listdir(tmp_path)) == ["a", "hosts"]
    kernel.file_delete(str(path))
    kernel.file_delete(str(path))
    assert kernel.file_read(str(path)) is None


def test_a_file_that_is_bound_elsewhere_changes_there_too(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("a longer text than the next one\n")
    path.chmod(0o600)
    os.link(path, tmp_path / "bound")
    for text in ("short\n", "a text that is longer than the one before it\n", ""):
        LinuxKernel().file_write(str(path), text)
        assert (tmp_path / "bound").read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_is_replaced_not_followed(tmp_path: Path) -> None:
    kernel, victim, path = LinuxKernel(), tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    path.symlink_to(victim)
    kernel.file_write(str(path), "new")
    assert (victim.read_text(), path.read_text()) == ("precious", "new")
    assert not path.is_symlink()


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    kernel, path = LinuxKernel(), tmp_path / "directory"
    path.mkdir()
    with pytest.raises(KernelError, match=str(path)):
        kernel.file_write(str(path), "x")
    with pytest.raises(KernelError):
        kernel.file_write(str(tmp_path / "none" / "x"), "x")
    assert os.listdir(tmp_path) == ["directory"]


def test_directories_and_links(tmp_path: Path) -> None:
    kernel, path, link = LinuxKernel(), tmp_path / "x/y", tmp_path / "link"
    kernel.directory_create(str(path))
    kernel.directory_create(str(path))
    kernel.directory_delete(str(tmp_path / "x"))
    assert path.is_dir(), "one that is not empty stays"
    kernel.directory_delete(str(path))
    kernel.directory_delete(str(path))
    kernel.symlink(str(link), "/nowhere")
    kernel.symlink(str(link), "/nowhere")
    with pytest.raises(KernelError) as caught:
        kernel.symlink(str(link), "/elsewhere")
    assert caught.value.errno == 17
    kernel.symlink_delete(str(link), "/elsewhere")
    assert link.is_symlink()
    kernel.symlink_delete(str(link), "/nowhere")
    kernel.symlink_delete(str(link), "/nowhere")
    assert not link.is_symlink()


def _as_nobody(kernel: LinuxKernel, action: Callable[[LinuxKernel], object]) -> None:
    # What is imported late must be there before: nobody may be unable to read the checkout.
    link_attributes([])
    kernel.links("")
    kernel.routes("")
    kernel.nft_list("list tables")
    not_permitted("warm up", 1, "CAP_NET_ADMIN")
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    action(kernel)


@pytest.mark.parametrize(
    ("action", "capability"),
    [
        (lambda k: k.bridge_add("br-x", alias="netctl:x", mac="", mtu=0), "CAP_NET_ADMIN"),
        (lambda k: k.link_set_up("", "uplink", up=False), "CAP_NET_ADMIN"),
        (lambda k: k.address_add("", "lo", "10.0.0.1/8"), "CAP_NET_ADMIN"),
        (lambda k: k.nft("add table inet x"), "CAP_NET_ADMIN"),
        (lambda k: k.sysctl_set("", "net/ipv4/ip_forward", "1"), "CAP_NET_ADMIN"),
        (lambda k: k.links("/run/netns/there"), "CAP_SYS_ADMIN"),
        (lambda k: make_namespace(k, "/run/open/c1", alias=MARK), "CAP_SYS_ADMIN"),
        (lambda k: k.netns_delete("/run/netns/there", identity=MARK), "CAP_SYS_ADMIN"),
        (lambda k: k.file_write("/run/x", "x"), "CAP_DAC_OVERRIDE"),
        (lambda k: k.directory_create("/etc/netns/x"), "CAP_DAC_OVERRIDE"),
    ],
)
def test_without_permission_the_capability_is_named(
    host: Host, action: Callable[[LinuxKernel], object], capability: str
) -> None:
    host.sh("ip netns add there; mkdir -m 777 /run/open")
    before = host.snapshot()
    with pytest.raises(NotPermitted, match=capability) as caught:
        with_kernel(host, lambda k: _as_nobody(k, action))
    assert caught.value.exit_code == 77
    assert caught.value.hint
    host.assert_unchanged(before)


def test_reading_needs_no_permission(host: Host) -> None:
    with_kernel(host, lambda k: _as_nobody(k, lambda k: (k.links(""), k.routes(""), k.boot_id())))


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(KernelError("x", hint="y", errno=5)))
    assert (str(error), error.hint, error.errno) == ("x", "y", 5)


def imported(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name for name in done.stdout.split() if name.partition(".")[0] in _WATCHED}


_WATCHED = ("pyroute2", "ctypes", "asyncio", "socket", "subprocess", "json")


def test_start_up_imports_nothing_heavy() -> None:
    start = "from netctl.kernel.linux import LinuxKernel\nk = LinuxKernel()\nk.boot_id()\n"
    assert (
        imported(start + "k.file_read('/etc/hosts'); k.sysctl_get('', 'net/ipv4/ip_forward')")
        == set()
    )


def test_reading_the_kernel_imports_no_pyroute2() -> None:
    read = (
        "from netctl.kernel.linux import LinuxKernel\nk = LinuxKernel()\nk.links(''); k.routes('')"
    )
    assert not any(name.startswith("pyroute2") for name in imported(read))


ENCODE = "from netctl.kernel.messages import link_attributes\nlink_attributes([])\n"


def test_changing_the_kernel_imports_only_message_classes() -> None:
    modules = imported(ENCODE)
    assert not {"asyncio", "subprocess"} & modules
    assert not any(name.startswith("pyroute2") for name in modules), "the classes stay private"


@pytest.mark.parametrize(
    "later",
    [
        "import pyroute2\nassert pyroute2.IPRoute and pyroute2.netlink.nlsocket",
        "from pyroute2 import IPRoute, NDB, netns",
        "from pyroute2.iproute import IPRoute",
        "import pyroute2.netns\npyroute2.__version__",
        "import pyroute2\nassert not hasattr(pyroute2, 'nonsense') and not hasattr(pyroute2, 'x')",
    ],
)
def test_pyroute2_is_whole_for_whoever_imports_it_later(later: str) -> None:
    assert "pyroute2.iproute" in imported(ENCODE + later)
    assert "pyroute2.iproute" in imported(later + "\n" + ENCODE)
