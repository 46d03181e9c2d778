"""How long a name takes until it is answered: from `endpoint join`, and from a change of it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from bench.dns_peers import Aardvark, Netctl
from bench.worlds import World

_ROUNDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """Milliseconds, medians."""

    join: float
    """The whole process of `netctl endpoint join`."""
    first: float
    """From its return to the answer to the first question for the name; there is no second."""
    aardvark: float
    """From writing a changed name into aardvark's file, and telling it, to the first answer."""


_ASKING = """
import os, socket, subprocess, sys, time
from netctl.kernel import syscalls
def asker(netns, server):
    home = os.open('/proc/self/ns/net', os.O_RDONLY)
    with open(netns) as there:
        syscalls.setns(there.fileno(), syscalls.CLONE_NEWNET)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.connect((server, 53))
    syscalls.setns(home, syscalls.CLONE_NEWNET)
    os.close(home)
    return sock
def found(sock, name, address=b''):
    # What is not told a name asks another server, which knows everything; or it loses the question.
    question = bytes((len(name),)) + name.encode() + b'\\0\\0\\1\\0\\1'
    sock.send(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0' + question)
    answer = sock.recv(512)
    return not answer[3] & 15 and answer[7] == 1 and address in answer
"""
_JOINED = """
env = {{**os.environ, 'NETCTL_STATE_DIR': {state!r}}}
def netctl(*words):
    subprocess.run([{netctl!r}, *words], env=env, check=True, stdout=subprocess.DEVNULL)
netctl('network', 'create', 'web')
for name in ('c1', 'c2'):
    netctl('sandbox', 'create', name)
netctl('network', 'connect', 'web', 'c1')
asking = asker('/run/netns/c1', '127.0.0.11')
for index in range({rounds}):
    name = f'late{{index}}'
    netctl('endpoint', 'create', 'web', name)
    begin = time.perf_counter()
    netctl('endpoint', 'join', name, 'c2')
    joined = time.perf_counter()
    if not found(asking, name):
        sys.exit('the first question was not answered')
    print((joined - begin) * 1000, (time.perf_counter() - joined) * 1000)
    netctl('endpoint', 'rm', '--force', name)
for name in ('c1', 'c2'):
    netctl('sandbox', 'rm', '--force', name)
netctl('network', 'rm', 'web')
"""
_CHANGED = """
import signal
asking = asker('/run/netns/client', {server!r})
asking.settimeout(0.002)
for index in range({rounds}):
    begin = time.perf_counter()
    with open('/run/aardvark/new', 'w') as file:
        file.write({server!r} + '\\n' + '0' * 64 + f' 10.90.0.1  late{{index}}\\n')
    os.rename('/run/aardvark/new', '/run/aardvark/web')
    os.kill({pid}, signal.SIGHUP)
    while True:
        try:
            if found(asking, f'late{{index}}', bytes((10, 90, 0, 1))):
                break
        except OSError:
            if time.perf_counter() - begin > 10:
                sys.exit('aardvark-dns never answers')
    print(0, (time.perf_counter() - begin) * 1000)
"""


def measure(world: World, netctl: Netctl, aardvark: Aardvark) -> Joining:
    """Measure both. No resolver of netctl may be at work."""
    state, command = str(world.directory / "state"), netctl.installed.netctl
    joined = netctl.python(_ASKING + _JOINED.format(state=state, netctl=command, rounds=_ROUNDS))
    changed = netctl.python(
        _ASKING + _CHANGED.format(server=aardvark.address, pid=aardvark.pid(), rounds=_ROUNDS)
    )
    (join, first), (_, theirs) = _medians(joined), _medians(changed)
    return Joining(join=join, first=first, aardvark=theirs)


def _medians(output: str) -> tuple[float, float]:
    rows = [tuple(map(float, line.split())) for line in output.splitlines()]
    return median(row[0] for row in rows), median(row[1] for row in rows)
