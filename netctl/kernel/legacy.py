"""Legacy iptables (linux/netfilter_ipv4/ip_tables.h): its built-in chains' policies.

Its rules are beside nftables, in a form that only it reads; but a policy is one number.
"""

from __future__ import annotations

import socket
import struct

from netctl.kernel import syscalls
from netctl.kernel.refusal import refused
from netctl.kernel.ruleset import LegacyChain

_HOOKS = {"input": 1, "forward": 2, "output": 3}
_GET_INFO, _GET_ENTRIES = 64, 65
_LEVEL = {4: 0, 6: 41}
_TARGET_OFFSET = {4: 88, 6: 140}
"""Of struct ipt_entry and ip6t_entry."""
_INFO = struct.Struct("=32s13I")
_ENTRIES = 40
"""Where the entries begin in struct ipt_get_entries."""
_VERDICT = 32
_DROP = -1
"""-NF_DROP - 1"""


def chain(version: int, hook: str) -> LegacyChain:
    """Return a built-in chain of table filter, which must be in use: asking the kernel brings it
    into use."""
    number, family = _HOOKS[hook], socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            info = _INFO.unpack(_ask(sock, version, _GET_INFO, b"filter".ljust(_INFO.size, b"\0")))
            entries, policies, size = info[2:7], info[7:12], info[13]
            request = struct.pack("=32sI", b"filter", size).ljust(_ENTRIES + size, b"\0")
            table = _ask(sock, version, _GET_ENTRIES, request)[_ENTRIES:]
    except OSError as error:
        raise refused("read legacy iptables", error.errno or 0) from error
    at = policies[number]
    (target,) = struct.unpack_from("=H", table, at + _TARGET_OFFSET[version])
    (verdict,) = struct.unpack_from("=i", table, at + target + _VERDICT)
    policy = "drop" if verdict == _DROP else "accept"
    return LegacyChain(policy=policy, empty=entries[number] == at)


def _ask(sock: socket.socket, version: int, option: int, request: bytes) -> bytes:
    return syscalls.getsockopt(sock.fileno(), _LEVEL[version], option, request)
