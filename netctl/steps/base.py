"""What kinds of steps have in common."""

from __future__ import annotations

from shlex import quote

from netctl.plan import Difference, Step


def ip(netns: str) -> str:
    if not netns:
        return "ip"
    directory, _, name = netns.rpartition("/")
    return f"ip -n {name}" if directory == "/run/netns" else f"nsenter --net={quote(netns)} ip"


class Once:
    """Makes an object, which the kernel forgets at reboot: a second time is an error."""

    __slots__ = ()

    @property
    def durable(self) -> bool:
        return False

    @property
    def repeatable(self) -> bool:
        return False


class Setting:
    """Brings something into a state, which the kernel forgets at reboot."""

    __slots__ = ()

    @property
    def durable(self) -> bool:
        return False

    @property
    def repeatable(self) -> bool:
        return True


class OnDisk:
    """Brings a file into a state."""

    __slots__ = ()

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
