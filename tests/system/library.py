"""Functions that run inside a throw-away host: the library, as a program would use it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from netctl.config import load
from netctl.controller import Controller
from netctl.kernel import Kernel
from netctl.kernel.linux import LinuxKernel
from tests.kernel.host import Host, Outside

HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
OUTSIDE = {4: Outside.IPV4, 6: Outside.IPV6}
MODES = ("bridge.gateway_mode_ipv4", "bridge.gateway_mode_ipv6")
ISOLATED = dict.fromkeys(MODES, "isolated")
ROUTED = dict.fromkeys(MODES, "routed")


def controller(boot_id: str | None = None, **options: Any) -> Controller:
    return Controller(load(None, {}, {}), kernel=LinuxKernel(boot_id=boot_id), **options)


def act(*actions: Callable[[Controller], object], boot_id: str | None = None) -> None:
    """Carry the actions out, with one controller."""
    with controller(boot_id) as entered:
        for action in actions:
            action(entered)


CHANGES = frozenset(
    name
    for name in dir(Kernel)
    if name.endswith(
        ("_create", "_pin", "_delete", "_add", "_up", "_hairpin", "_set", "_write", "_forget")
    )
    or name in ("nft", "symlink", "announce", "port_isolated")
)
"""The methods of the kernel door that change something."""


class Counting:
    """The kernel door, with something done before each change."""

    def __init__(self, before: Callable[[int], None]) -> None:
        self._kernel = LinuxKernel()
        self._before = before
        self.changes = 0

    def __getattr__(self, name: str) -> Any:
        if name in CHANGES:
            self.changes += 1
            self._before(self.changes)
        return getattr(self._kernel, name)


def count_changes(action: Callable[[Controller], object]) -> int:
    """Carry an action out; return how many changes of the kernel it took."""
    kernel = Counting(lambda number: None)
    with Controller(load(None, {}, {}), kernel=kernel) as entered:
        action(entered)
        return kernel.changes


def die_at(number: int, action: Callable[[Controller], object]) -> bool:
    """Carry an action out in a child that is killed before its change ``number`` of the kernel (0:
    before the result is recorded). Returns whether it was killed."""
    child = os.fork()
    if child == 0:
        _doomed(number, action)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _doomed(number: int, action: Callable[[Controller], object]) -> None:
    from netctl.store import Writer

    def die(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    try:
        if number == 0:
            Writer.commit = die  # type: ignore[method-assign, assignment]
        kernel = Counting(lambda seen: die() if seen == number else None)
        action(Controller(load(None, {}, {}), kernel=kernel))
    finally:
        os._exit(0)


def create(c: Controller, name: str, **options: Any) -> None:
    c.sandboxes.create(name, **options)


def connect(c: Controller, network: str, sandbox: str, **options: Any) -> None:
    c.endpoints.connect(network, sandbox, **options)


def web(c: Controller) -> None:
    c.networks.create("web", ipv6=True)


def two(c: Controller) -> None:
    web(c)
    for name in ("c1", "c2"):
        c.sandboxes.create(name)
        c.endpoints.connect("web", name)


def two_networks(c: Controller) -> None:
    two(c)
    c.networks.create("db", ipv6=True)
    c.sandboxes.create("c3")
    c.endpoints.connect("db", "c3")


def clear(c: Controller) -> None:
    """Remove everything there is."""
    for sandbox in c.sandboxes.list():
        sandbox.remove(force=True)
    for network in c.networks.list():
        network.remove(force=True)


def addresses(name: str) -> tuple[str, str]:
    """Return the IPv4 and IPv6 address of a sandbox's first endpoint, without prefix length."""
    with controller() as entered:
        sandbox = entered.sandboxes.get(name).doc
        endpoint = entered.endpoints.get(sandbox.endpoints[0].endpoint_id)
        return endpoint.ipv4.partition("/")[0], endpoint.ipv6.partition("/")[0]


def skip_where_nobody_can_read(host: Host) -> None:
    """Skip where other users cannot come to this checkout, as below a home directory."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if host.run(*nobody, "test", "-r", __file__).returncode:
        pytest.skip("only root can read the checkout")


def bridge_filter(host: Host, on: bool) -> None:
    """Let the bridges of the host pass packets to the firewall, or not."""
    keys = [f"/proc/sys/net/bridge/bridge-nf-call-{name}" for name in ("iptables", "ip6tables")]
    if host.run("test", "-e", keys[0]).returncode == 0:
        host.sh("; ".join(f"echo {int(on)} > {key}" for key in keys))
    elif on:
        pytest.skip("br_netfilter")


def inside(host: Host, name: str) -> dict[int, str]:
    """Return the addresses of a sandbox's first endpoint, by family."""
    return dict(zip((4, 6), host.call(addresses, name), strict=True))


def bridge_of(host: Host, network: str) -> str:
    return host.netctl("network", "inspect", network, "--format", "{bridge}").stdout.strip()


def pair(
    c: Controller, network: str, *, internal: bool = False, options: dict[str, str] | None = None
) -> None:
    """Make a network, and two sandboxes on it that bear its name and a number."""
    c.networks.create(network, ipv6=True, internal=internal, options=options)
    for number in (1, 2):
        c.sandboxes.create(f"{network}{number}")
        c.endpoints.connect(network, f"{network}{number}")


def local_address(host: Host, command: str) -> str:
    """Return the address that ``ip`` prints."""
    found = (item for link in host.json(command) if link for item in link["addr_info"])
    return next(str(item["local"]) for item in found if "local" in item)


def joined(c: Controller, network: str, name: str, sandbox: str, **options: Any) -> None:
    """Make an endpoint and join it to a sandbox, which is made if need be."""
    local = options.pop("local_aliases", None)
    if not any(each.name == sandbox for each in c.sandboxes.list()):
        c.sandboxes.create(sandbox)
    c.endpoints.create(network, name, **options)
    c.endpoints.join(f"{network}/{name}", sandbox, local_aliases=local)


def address_of(host: Host, reference: str) -> tuple[str, str]:
    """Return an endpoint's IPv4 and IPv6 address."""

    def find() -> tuple[str, str]:
        with controller() as c:
            doc = c.endpoints.get(reference).doc
            return doc.ipv4.partition("/")[0], doc.ipv6.partition("/")[0]

    return host.call(find)
