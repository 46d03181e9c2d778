"""What kinds of steps have in common."""

from __future__ import annotations

from netctl.names import quote
from netctl.plan import Difference, Step
from netctl.record import Record


def ip(netns: str) -> str:
    if not netns:
        return "ip"
    directory, _, name = netns.rpartition("/")
    return f"ip -n {name}" if directory == "/run/netns" else f"nsenter --net={quote(netns)} ip"


class Once(Record):
    """Makes an object, which the kernel forgets at reboot: a second time is an error."""

    @property
    def durable(self) -> bool:
        return False

    @property
    def repeatable(self) -> bool:
        return False


class Setting(Record):
    """Brings something into a state, which the kernel forgets at reboot."""

    @property
    def durable(self) -> bool:
        return False

    @property
    def repeatable(self) -> bool:
        return True


class OnDisk(Record):
    """Brings a file into a state."""

    @property
    def durable(self) -> bool:
        return True

    @property
    def repeatable(self) -> bool:
        return True


def absent(step: Step, what: str, expected: str, found: str = "nothing") -> Difference:
    """Return the difference of something that is not there, and comes back by the step."""
    return Difference(what=what, expected=expected, found=found, repair=(step,))


def place(netns: str) -> str:
    """Return the words that say in which stack something is."""
    return f" in {netns}" if netns else ""
