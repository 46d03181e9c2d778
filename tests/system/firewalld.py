"""A real firewalld inside a throw-away host, with a bus of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.kernel.host import Host

_TOOLS = ("firewalld", "firewall-cmd", "dbus-daemon")
# Its files go to places of the host's own; and it loads no modules.
_PREPARE = """
mkdir -p /run/dbus /run/firewalld.etc
mount -t tmpfs own /var/log
cp -rL /etc/firewalld/. /run/firewalld.etc
rm /etc/firewalld && mkdir /etc/firewalld
mount --bind /run/firewalld.etc /etc/firewalld
for program in /sbin/modprobe /usr/sbin/modprobe; do
    test ! -e $program || mount --bind /bin/true $program
done
"""


@contextmanager
def firewalld(host: Host) -> Iterator[None]:
    """Run firewalld in the host; skip the test where it is not installed."""
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    host.sh(_PREPARE)
    bus = host.start("dbus-daemon", "--system", "--nofork", "--nopidfile", stdout=-3, stderr=-3)
    try:
        host.until("test -S /run/dbus/system_bus_socket")
        daemon = host.start("firewalld", "--nofork", "--nopid", stdout=-3, stderr=-3)
        try:
            host.until("firewall-cmd --state")
            yield
        finally:
            daemon.kill()
            daemon.wait()
    finally:
        bus.kill()
        bus.wait()
