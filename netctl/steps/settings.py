"""Steps on sysctls, the firewall and connection tracking."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netctl.kernel.interface import Kernel
from netctl.names import same_setting
from netctl.plan import Difference
from netctl.record import replace
from netctl.steps.base import Setting, absent, place

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot


class Sysctl(Setting):
    """``previous`` is put back by ``revert``; empty where the setting dies with its interface."""

    netns: str
    key: str
    value: str
    previous: str = ""

    def apply(self, kernel: Kernel) -> None:
        kernel.sysctl_set(self.netns, self.key, self.value)

    def revert(self, kernel: Kernel) -> bool:
        # It goes with its interface.
        if not self.previous or kernel.sysctl_get(self.netns, self.key) is None:
            return False
        kernel.sysctl_set(self.netns, self.key, self.previous)
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        there = found.sysctl(self.netns, self.key)
        if there is None or not same_setting(there, self.value):
            what = f"sysctl {self.key}{place(self.netns)}"
            difference = absent(self, what, self.value, "nothing" if there is None else there)
            yield replace(difference, on=((self.netns, self._link()),))

    def _link(self) -> str:
        """Return the interface whose setting it is, as in net/ipv4/conf/eth0/forwarding."""
        _, _, kind, *rest = self.key.split("/")
        return rest[0] if kind in ("conf", "neigh") else ""

    def describe(self) -> str:
        return f"{self._prefix()}sysctl -w {self.key}={self.value}"

    def describe_revert(self) -> str:
        value = self.previous
        return f"{self._prefix()}sysctl -w {self.key}={value}" if value else f": keep {self.key}"

    def _prefix(self) -> str:
        return f"ip netns exec {self.netns.rpartition('/')[2]} " if self.netns else ""


class PutBack(Setting):
    """A setting of the host's that another step's ``revert`` changes beside its own. It comes
    before that step, so that reading the plan backwards puts it back afterwards."""

    key: str
    value: str

    def apply(self, kernel: Kernel) -> None:
        """Nothing: the setting has the value."""

    def revert(self, kernel: Kernel) -> bool:
        if kernel.sysctl_get("", self.key) is None:
            return False
        kernel.sysctl_set("", self.key, self.value)
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        """None: only afterwards it has to have the value again."""
        return ()

    def describe(self) -> str:
        return f": {self.key} = {self.value} is put back when this is taken down"

    def describe_revert(self) -> str:
        return f"sysctl -w {self.key}={self.value}"


class Nft(Setting):
    """Two transactions, each other's opposite. ``undo`` works with the table present or absent.

    Where one of ``chains`` holds a rule, which is the operator's, ``undo_kept`` takes its place.
    """

    do: str
    undo: str
    undo_kept: str = ""
    chains: tuple[str, ...] = ()
    protects: bool = False
    """Whether it keeps packets from interfaces, so that it is there as long as they are: many are
    taken back together after the last interface."""

    def apply(self, kernel: Kernel) -> None:
        kernel.nft(self.do)

    def revert(self, kernel: Kernel) -> bool:
        kernel.nft(self.undo_kept if self._kept(kernel) else self.undo)
        return True

    def _kept(self, kernel: Kernel) -> bool:
        listed = (kernel.nft_list(f"list chain {chain}") for chain in self.chains)
        return any("rule" in item for objects in listed for item in objects)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        """None that a part would know: the table is compared as a whole."""
        return ()

    def describe(self) -> str:
        return _nft(self.do)

    def describe_revert(self) -> str:
        return _nft(self.undo)


def _nft(commands: str) -> str:
    return f"nft -f - <<'EOF'\n{commands.rstrip()}\nEOF"


class FlowsForgotten(Setting):
    """Tracked connections, forgotten when something ``coming`` is there, or else when something has
    gone: a flow in between would be kept as it was. See ``Kernel.conntrack_forget``."""

    addresses: tuple[str, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    coming: bool
    spared: tuple[str, ...] = ()
    """Addresses among them to which flows that are not translated go on."""
    barred: str = ""
    """The sets of nftables, but for the family's number, of flows that must not begin again."""

    def apply(self, kernel: Kernel) -> bool:
        return self.coming and self._forget(kernel)

    def revert(self, kernel: Kernel) -> bool:
        return not self.coming and self._forget(kernel)

    def _forget(self, kernel: Kernel) -> bool:
        kernel.conntrack_forget(self.addresses, self.ports, spared=self.spared, barred=self.barred)
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        return ()

    def describe(self) -> str:
        return self._text() if self.coming else ": connections are forgotten at the end"

    def describe_revert(self) -> str:
        return ": connections were forgotten" if self.coming else self._text()

    def _text(self) -> str:
        answered = [f" -r {address}" for address in self.addresses] or [""]
        sent = [f" -p {p} --orig-port-dst {n}" for p, n in self.ports] or [""]
        # It fails where there is none to delete.
        return "\n".join(f"conntrack -D{one}{other} || :" for one in answered for other in sent)
