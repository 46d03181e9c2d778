"""The host's resolv.conf, as it changes under sandboxes that run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netctl.backends.dns.following import HostServers
from netctl.config import Config
from netctl.errors import KernelError
from netctl.kernel.hostfile import LIMIT, HostFile
from netctl.models import Sandbox, SandboxKind
from netctl.record import replace
from netctl.resolv import choose, follows_host
from tests.fake_kernel import FakeKernel

SANDBOX = Sandbox(id="a" * 64, name="c1", created="", netns="/run/netns/c1")
OLD = ("192.0.2.53",)


def aged(path: Path) -> None:
    """Let a file have been there for a while."""
    os.utime(path, ns=(10**18, 10**18))


def asked(host: HostServers) -> tuple[str, ...]:
    return tuple(server.address for server in host.current())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "resolv.conf"
    found.write_text("nameserver 192.0.2.53\n")
    return found


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def host(path: Path, said: list[str]) -> HostServers:
    made = HostServers(said.append, str(path))
    assert asked(made) == OLD
    return made


def test_a_file_written_in_place(host: HostServers, path: Path) -> None:
    path.write_text("nameserver 192.0.2.54\nnameserver 2001:db8::54\n")
    assert asked(host) == ("192.0.2.54", "2001:db8::54")
    # The same length, at once.
    path.write_text("nameserver 192.0.2.55\nnameserver 2001:db8::55\n")
    assert asked(host) == ("192.0.2.55", "2001:db8::55")


def test_a_file_that_takes_its_place(host: HostServers, path: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.write_text("nameserver 192.0.2.54\n")
    new.rename(path)
    assert asked(host) == ("192.0.2.54",)


def test_a_link_that_leads_elsewhere(tmp_path: Path, said: list[str]) -> None:
    link, first, second = (tmp_path / name for name in ("resolv.conf", "first", "second"))
    first.write_text("nameserver 192.0.2.53\n")
    second.write_text("nameserver 127.0.0.53\n")
    link.symlink_to("first")
    host = HostServers(said.append, str(link))
    assert asked(host) == OLD
    link.unlink()
    link.symlink_to("second")
    assert asked(host) == ("127.0.0.53",)
    second.write_text("nameserver 192.0.2.54\n")
    assert asked(host) == ("192.0.2.54",)


@pytest.mark.parametrize(
    "data", [b"", b"# nothing\n", b"search example.org\n", bytes(range(256)) * 16]
)
def test_without_a_server_the_last_ones_stay(
    host: HostServers, path: Path, said: list[str], data: bytes
) -> None:
    path.write_bytes(data)
    assert asked(host) == OLD
    assert said and "names no name server" in said[0]
    path.write_text("nameserver 192.0.2.54\n")
    assert asked(host) == ("192.0.2.54",)


def test_without_a_file_the_last_ones_stay(host: HostServers, path: Path) -> None:
    path.unlink()
    assert asked(host) == OLD
    path.mkdir()
    assert asked(host) == OLD
    path.rmdir()
    os.mkfifo(path)
    assert asked(host) == OLD
    path.unlink()
    path.symlink_to(path)
    assert asked(host) == OLD
    path.unlink()
    path.write_text("nameserver 192.0.2.54\n")
    assert asked(host) == ("192.0.2.54",)


def test_what_is_no_server_is_passed_over(host: HostServers, path: Path) -> None:
    path.write_bytes(
        b"nameserver\nnameserver x\nnameserver 192.0.2.1%eth0\nnameserver fe80::1%a/b\n"
        b"nameserver fe80::1%a\0b\n#nameserver 192.0.2.2\nnameserver 192.0.2.54\xff\n"
        b"nameserver fe80::1%eth0\nnameserver 192.0.2.54 # mine\nnameserver 192.0.2.54\n"
    )
    assert asked(host) == ("fe80::1%eth0", "192.0.2.54")


def test_of_a_huge_file_the_beginning_counts(host: HostServers, path: Path) -> None:
    many = [f"nameserver 10.0.{number // 250}.{number % 250 + 1}" for number in range(5000)]
    path.write_text("\n".join([*many, ""]))
    assert len(asked(host)) == 16
    path.write_text("#" * (1 << 22) + "\nnameserver 192.0.2.54\n")
    assert len(asked(host)) == 16
    path.write_text("nameserver 192.0.2.55\n" + "nameserver 192.0.2.56" * LIMIT)
    assert asked(host) == ("192.0.2.55",)


def test_it_is_read_again_only_when_it_has_changed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = HostFile(str(path))
    assert file.changed() and file.changed(), "it is so young that it may change unseen"
    found = os.stat(path)
    monkeypatch.setattr("netctl.kernel.hostfile.time.time_ns", lambda: found.st_ctime_ns + 10**9)
    assert file.changed() and file.changed() is None
    aged(path)
    assert file.changed() and file.changed() is None


def test_the_same_servers_are_the_same_object(host: HostServers, path: Path) -> None:
    before = host.current()
    path.write_text("search example.org\nnameserver 192.0.2.53\n")
    assert host.current() is before


def resolved(sandbox: Sandbox, text: str | None, **config: tuple[str, ...]) -> Sandbox:
    kernel = FakeKernel()
    if text is not None:
        kernel.files["/etc/resolv.conf"] = text
    return replace(sandbox, resolv=choose(sandbox, Config(**config), kernel))  # type: ignore[arg-type]


def test_who_follows_the_host() -> None:
    text = "nameserver 192.0.2.53\n"
    assert follows_host(resolved(SANDBOX, text))
    assert follows_host(resolved(SANDBOX, ""))
    assert follows_host(resolved(replace(SANDBOX, dns_search=("example.org",)), text))
    assert not follows_host(resolved(replace(SANDBOX, dns=("192.0.2.1",)), text))
    assert not follows_host(resolved(SANDBOX, text, dns=("192.0.2.1",)))
    origin = replace(SANDBOX, origin_resolv_conf_path="/etc/resolv.conf")
    assert not follows_host(resolved(origin, text))
    assert not follows_host(resolved(replace(SANDBOX, type=SandboxKind.HOST), text))


def test_a_refresh_keeps_the_last_servers_where_the_host_has_none() -> None:
    before = resolved(SANDBOX, "nameserver 192.0.2.53\nsearch old.example\n")
    for text in (None, "", "nameserver x\n"):
        after = resolved(before, text)
        assert after.resolv.upstream == before.resolv.upstream and not after.resolv.search
    own = resolved(replace(SANDBOX, dns=("192.0.2.1",)), None)
    assert resolved(replace(own, dns=()), None).resolv.upstream == ()


def test_a_file_of_the_hosts_that_cannot_be_read_refuses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = FakeKernel()

    def refuse(path: str) -> str:
        raise KernelError(f"read {path}: not a file, or longer than 16 MiB")

    monkeypatch.setattr(kernel, "file_read", refuse)
    assert choose(SANDBOX, Config(), kernel).upstream == ()


def test_garbage_of_the_hosts_is_not_copied() -> None:
    text = "nameserver 192.0.2.53\nsortlist 192.0.2.0/24\n\udcff\udcfe x\na\0b\n" + "#\n" * LIMIT
    resolv = resolved(SANDBOX, f"{text}sortlist 198.51.100.0/24\n").resolv
    assert resolv.others == ("sortlist 192.0.2.0/24",)
