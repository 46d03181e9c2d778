"""A kernel in memory, with the meaning of ``netctl.kernel.interface``, that can be told to fail.

It behaves as Linux does where netctl could stumble: a link takes its peer, its addresses and its
routes along; setting a link down loses its routes and its IPv6 addresses; switching IPv6 off on a
link loses the addresses too; a gateway has to be on a connected subnet.
"""

from __future__ import annotations

from collections.abc import Collection

from netctl.kernel.inhabitants import Process
from netctl.kernel.interface import Address, Route
from tests.fake.files import FakeFiles
from tests.fake.firewall import FakeFirewall
from tests.fake.network import FakeLinks, FakeNamespaces, FakeRoutes
from tests.fake.shaping import FakeShaping
from tests.fake.stack import IPV6_METRIC, stack_state


class FakeKernel(FakeNamespaces, FakeLinks, FakeRoutes, FakeShaping, FakeFirewall, FakeFiles):
    """See the module. ``calls`` logs every call that changes something."""

    def __init__(self, *, boot_id: str = "11111111-1111-4111-8111-111111111111") -> None:
        super().__init__()
        self.closed = False
        self._boot_id = boot_id
        self.processes: dict[int, int] = {}
        self.living: dict[str, list[Process]] = {}
        """Namespaces, by their paths, to who is in there."""

    def start(self) -> None:
        super().start()
        self.add_link("uplink", address="192.0.2.1/24", mac="02:00:00:ff:00:01")
        self.host.addresses.append(Address(link="uplink", address="2001:db8::1/64"))
        for destination, gateway, metric in (
            ("0.0.0.0/0", "192.0.2.254", 0),
            ("::/0", "2001:db8::fe", IPV6_METRIC),
        ):
            route = Route(destination=destination, gateway=gateway, link="uplink", metric=metric)
            self.host.routes.append(route)

    def reboot(self, boot_id: str = "22222222-2222-4222-8222-222222222222") -> None:
        """Forget everything but the files outside /run."""
        self.revive()
        self._boot_id = boot_id
        self.files = {k: v for k, v in self.files.items() if not k.startswith("/run/")}
        self.links_to = {k: v for k, v in self.links_to.items() if not k.startswith("/run/")}
        self.directories = {d for d in self.directories if not d.startswith("/run/")}
        self.start()

    def state(self) -> object:
        """Return all there is, in a form that can be compared.

        Indices and inodes do not count: what was taken down and put back is the same again.
        """
        files = {k: "" if k.endswith("/namespace") else v for k, v in self.files.items()}
        titles = {
            inode: " ".join(sorted(path for path, pinned in self.pins.items() if pinned == inode))
            for inode in self.stacks
        }
        return {
            "stacks": {
                titles[inode]: stack_state(stack, titles) for inode, stack in self.stacks.items()
            },
            "nft": self.firewall.state(),
            "files": files,
            "symlinks": dict(self.links_to),
            "directories": sorted(self.directories),
            "names": self._known(),
            "astray": sorted(self.astray),
        }

    def process_start(self, pid: int) -> int | None:
        return self.processes.get(pid)

    def inhabitants(self, path: str) -> list[Process]:
        return self.living.get(path, [])

    def inhabited(self, paths: Collection[str]) -> set[str]:
        return {path for path in paths if self.living.get(path)}

    def boot_id(self) -> str:
        return self._boot_id

    def close(self) -> None:
        self.closed = True
