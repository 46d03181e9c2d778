"""Units of systemd: installed, checked by systemd itself, and gone again."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kernel.host import Host
from tests.system.library import act
from tests.waiting import PATIENCE

NETCTL = "/usr/local/bin/netctl"


def _unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def _install(root: Path, command: str) -> list[str]:
    """Install below a directory, with netctl found at a path of its own."""
    from unittest import mock

    from netctl import system

    with mock.patch.object(system, "command", lambda: command):
        return system.install(str(root))


def test_units_are_installed_enabled_and_removed(tmp_path: Path) -> None:
    from netctl import system

    made = _install(tmp_path, NETCTL)
    assert made == _install(tmp_path, NETCTL)
    units = tmp_path / "etc/systemd/system"
    assert (units / "multi-user.target.wants/netctl-restore.service").is_symlink()
    assert (units / "timers.target.wants/netctl-check.timer").is_symlink()
    for firewall in ("nftables", "firewalld", "ufw"):
        assert (units / f"{firewall}.service.wants/netctl-reload.service").is_symlink()
    restore = _unit((units / "netctl-restore.service").read_text())
    assert restore["Service"]["ExecStart"] == f"{NETCTL} restore"
    network = (tmp_path / "etc/systemd/network/netctl.network").read_text()
    assert "Unmanaged=yes" in network
    assert "Name=br-???????????? nc????????????? ni?????????????\n" in network
    manager = (tmp_path / "etc/NetworkManager/conf.d/netctl.conf").read_text()
    assert "interface-name:br-????????????" in manager
    assert not any("@" in line for text in (network, manager) for line in text.splitlines())
    from unittest import mock

    with mock.patch.object(system, "command", lambda: NETCTL):
        assert sorted(system.remove(str(tmp_path))) == sorted(made)
        assert system.remove(str(tmp_path)) == []
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_a_root_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    from netctl import system
    from netctl.errors import NotFound

    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(NotFound, match=f"there is no directory .*{name}"):
            system.install(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_of_somebody_else_is_not_replaced_by_a_link(tmp_path: Path) -> None:
    from netctl.errors import KernelError

    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "netctl-restore.service").write_text("theirs")
    with pytest.raises(KernelError, match="something else is there"):
        _install(tmp_path, NETCTL)
    assert (wants / "netctl-restore.service").read_text() == "theirs"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not there")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    _install(tmp_path, "/bin/true")
    units = sorted((tmp_path / "etc/systemd/system").glob("netctl*"))
    assert units
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    ours = [line for line in done.stderr.splitlines() if "netctl" in line]
    assert ours == []


def test_the_drop_in_of_a_sandbox(host: Host) -> None:
    host.call(act, lambda c: c.sandboxes.create("c1"), lambda c: c.sandboxes.create("h", host=True))
    text = host.netctl("sandbox", "unit", "c1", check=True).stdout
    unit = _unit(text)
    assert unit["Unit"]["After"] == unit["Unit"]["Requires"] == "netctl-restore.service"
    assert unit["Service"]["NetworkNamespacePath"] == "/run/netns/c1"
    binds = [line.partition("=")[2] for line in text.splitlines() if line.startswith("Bind")]
    assert len(binds) == 2
    for bind, target in zip(binds, ("/etc/hosts", "/etc/resolv.conf"), strict=True):
        source, _, place = bind.strip('"').partition(":")
        assert place == target and host.sh(f"test -s {source} && echo there") == "there\n"
    assert "NetworkNamespacePath" not in host.netctl("sandbox", "unit", "h").stdout
    assert host.netctl("sandbox", "unit", "none").returncode == 3
