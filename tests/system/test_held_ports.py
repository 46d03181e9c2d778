"""Which sockets of the host keep a port from being published, and who is named for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netctl.kernel.diag import LIMIT
from tests.kernel.host import Host
from tests.system.library import act, two_networks
from tests.waiting import PATIENCE

OUT4, OUT6 = "192.0.2.254", "2001:db8::fe"
_ECHO = """
import socket
server = socket.create_server(("::", 7), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
    while data := kept[-1].recv(100):
        kept[-1].sendall(data)
    kept.pop().close()
"""
_SOCKET = "import socket, sys; s = socket.socket(socket.AF_INET6 if ':' in {0!r} else socket.AF_INET, socket.SOCK_{1}); {2}; print(s.getsockname()[1], flush=True)\n"
_LOOP = "for line in sys.stdin: s.sendall(line.encode()); print(s.recv(100).decode().strip(), flush=True)"


@contextmanager
def running(
    host: Host, code: str, stack: str = "net"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run Python in the host until the end; yield it with the first line that it printed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = host.start("python3", "-c", code, stack=stack, **pipes)
    try:
        assert process.stdout
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def connection(address: str, kind: str = "STREAM") -> str:
    return _SOCKET.format(address, kind, f"s.connect(({address!r}, 7))") + _LOOP


def says(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdin and process.stdout
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.mark.parametrize("address", [OUT4, OUT6])
def test_an_outgoing_connection_keeps_no_port_and_goes_on(host: Host, address: str) -> None:
    host.call(act, two_networks)
    with running(host, _ECHO, "outside"), running(host, connection(address)) as (client, port):
        assert says(client, "before") == "before"
        done = host.netctl("endpoint", "publish", "web/c1", f"{port}:80")
        assert (done.returncode, done.stderr) == (0, "")
        assert says(client, "after") == "after"
        with host.server("/run/netns/c1", "0.0.0.0", 80):
            assert host.ask("outside", "192.0.2.1", int(port))
            assert says(client, "still") == "still"


def test_one_that_is_not_tracked_is_named_with_its_other_end(host: Host) -> None:
    with running(host, _ECHO, "outside"), running(host, connection(OUT4)) as (client, port):
        host.call(act, two_networks)
        done = host.netctl("endpoint", "publish", "web/c1", f"{port}:80")
        named = f"{port} is held by process {client.pid} (python3), for its connection to {OUT4}:7"
        assert done.returncode == 5 and named in done.stderr
        # What the host sends is tracked from then on.
        assert says(client, "before") == "before"
        assert host.netctl("endpoint", "publish", "web/c1", f"{port}:80").returncode == 0
        assert says(client, "after") == "after"


@pytest.mark.parametrize("address", [OUT4, OUT6])
def test_a_udp_socket_with_a_peer_keeps_its_port(host: Host, address: str) -> None:
    host.call(act, two_networks)
    with running(host, connection(address, "DGRAM")) as (client, port):
        done = host.netctl("endpoint", "publish", "web/c1", f"{port}:80/udp")
        shown = f"[{address}]:7" if ":" in address else f"{address}:7"
        assert done.returncode == 5
        assert f"process {client.pid} (python3), for its connection to {shown}" in done.stderr
        assert host.netctl("endpoint", "publish", "web/c1", f"{port}:80/tcp").returncode == 0


def test_what_is_over_keeps_no_port(host: Host) -> None:
    with running(host, _ECHO, "outside"), running(host, connection(OUT4)) as (client, port):
        client.terminate()
        client.wait(PATIENCE)
        assert "TIME-WAIT" in host.sh(f"ss -Htan sport = :{port}")
        host.call(act, two_networks)
        assert host.netctl("endpoint", "publish", "web/c1", f"{port}:80").returncode == 0


def test_sockets_without_a_peer_keep_their_port_where_they_take_its_packets(host: Host) -> None:
    host.call(act, two_networks)
    only = (
        "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, {}); s.bind(('::', {})); s.listen()"
    )
    wait = "sys.stdin.read()"
    publish = ("endpoint", "publish", "web/c1")
    with running(host, _SOCKET.format(":", "STREAM", only.format(1, 6000)) + wait) as (alone, _):
        assert host.netctl(*publish, "0.0.0.0:6000:80").returncode == 0
        done = host.netctl(*publish, "[::]:6000:81")
        assert done.returncode == 5 and f"process {alone.pid} (" in done.stderr
    with running(host, _SOCKET.format(":", "STREAM", only.format(0, 6001)) + wait) as (both, _):
        done = host.netctl(*publish, "0.0.0.0:6001:80")
        assert done.returncode == 5 and f"process {both.pid} (" in done.stderr
    bound = _SOCKET.format(".", "STREAM", "s.bind(('', 6002))") + wait
    with running(host, bound) as (holder, _):
        done = host.netctl(*publish, "6002:80")
        assert done.returncode == 5 and "6002 is held by " in done.stderr
        if "6002" in host.sh("ss -Htan state all | grep :6002 || :"):
            assert f"process {holder.pid} (" in done.stderr
    # Those of other namespaces are not in the way.
    with host.server("/run/netns/c2", "0.0.0.0", 6003):
        assert host.netctl(*publish, "6003:80").returncode == 0


def test_more_connections_than_are_looked_at_keep_the_port(host: Host) -> None:
    host.call(act, two_networks)
    code = (
        "import socket, sys; kept = []\n"
        f"for i in range({LIMIT}):\n"
        " s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n"
        " s.bind(('', 6004)); s.connect(('127.0.0.1', 7000 + i)); kept.append(s)\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    served = (
        "import socket, sys\n"
        f"kept = [socket.create_server(('127.0.0.1', 7000 + i)) for i in range({LIMIT})]\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with running(host, served), running(host, code):
        done = host.netctl("endpoint", "publish", "web/c1", "6004:80")
        assert done.returncode == 5 and "6004 is held by process" in done.stderr
