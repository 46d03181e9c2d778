"""nftables through libnftables in this process: a transaction costs 1 ms, the nft program 2 to 6.

The library's interface: libnftables(3).
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from netctl.errors import KernelError, NetctlError, NotPermitted, Unsupported
from netctl.kernel import namespaces
from netctl.kernel.nftlink import Ruleset
from netctl.kernel.refusal import has_capability, not_permitted
from netctl.kernel.ruleset import Chain

LIBRARY = "libnftables.so.1"
_JSON_OUTPUT = 1 << 4
_WITH_HANDLES = 1 << 3
_RULE = r"\t*(.+) # handle (\d+)"
_NAME = r"[A-Za-z_.][A-Za-z0-9_./-]*"
_COUNTER = r"counter packets \d+ bytes \d+ ?"
_EXCERPT = 200
"""How much of the offending command an error shows, in characters."""
_MOST_RULES = 2000
"""Of a chain of a sandbox whose text is read; libnftables takes 40 us for each."""
_ERRNOS = (
    errno.EPERM,
    errno.ENOENT,
    errno.EEXIST,
    errno.EBUSY,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.ENOBUFS,
)


class Nftables:
    """A context of libnftables in the namespace of the calling thread, made at first use.

    ``inherited`` leaves its socket to the children of a process that has none: to find it out
    takes 2 ms with some thousand descriptors.
    """

    def __init__(self, *, inherited: bool = False) -> None:
        self._inherited = inherited
        self._library: Any = None
        self._context: int | None = None
        self._pid = 0

    def run(self, commands: str) -> None:
        """Run commands as one transaction: all of them take effect, or none."""
        failed, _, trouble = self._run(commands, 0)
        if failed:
            raise _error("change the firewall", trouble)

    def find(self, command: str) -> list[dict[str, Any]]:
        """Return the objects that a ``list`` command finds; [] where it names an absent one."""
        failed, output, trouble = self._run(command, _JSON_OUTPUT)
        if not failed:
            return [item for item in _objects(output) if "metainfo" not in item]
        error = _error(f"nft {command}", trouble)
        if isinstance(error, KernelError) and error.errno == errno.ENOENT:
            return []
        raise error

    def text(self, family: str, table: str, chain: str) -> dict[int, str]:
        """Return a chain's rules as nft prints them, by handle, without counters; none of a chain
        whose name it does not take, for names are the kernel's to allow and may be anything."""
        if not all(re.fullmatch(_NAME, each) for each in (family, table, chain)):
            return {}
        command = f"list chain {family} {table} {chain}"
        failed, output, _ = self._run(command, _WITH_HANDLES)
        found = (re.fullmatch(_RULE, line) for line in ([] if failed else output.splitlines()))
        return {int(m[2]): " ".join(re.sub(_COUNTER, "", m[1]).split()) for m in found if m}

    def close(self) -> None:
        if self._context is not None and self._pid == os.getpid():
            self._library.nft_ctx_free(self._context)
        self._context = None

    def _run(self, commands: str, flags: int) -> tuple[bool, str, str]:
        context = self._open()
        self._library.nft_ctx_output_set_flags(context, flags)
        with _as_file(commands) as path:
            failed = self._library.nft_run_cmd_from_filename(context, path.encode()) != 0
        output = self._library.nft_ctx_get_output_buffer(context) or b""
        trouble = self._library.nft_ctx_get_error_buffer(context) or b""
        return failed, output.decode(errors="replace"), trouble.decode(errors="replace")

    def _open(self) -> int:
        if self._context is None or self._pid != os.getpid():
            # A forked child must not share the parent's netlink socket.
            self._library = self._library or load()
            make = _new_context if self._inherited else _new_private_context
            self._context = make(self._library)
            self._pid = os.getpid()
        return self._context


def text_in(netns: str, chain: Chain) -> dict[int, str]:
    """Return a chain's rules in a namespace: see ``Nftables.text``. None of one that has thousands,
    for whoever is inside decides how many there are."""
    context = Nftables()
    try:
        with namespaces.entered(netns):
            if _is_long(chain):
                return {}
            return context.text(chain.family, chain.table, chain.name)
    finally:
        context.close()


def _is_long(chain: Chain) -> bool:
    ruleset = Ruleset()
    try:
        return ruleset.has_more_rules(chain, _MOST_RULES)
    finally:
        ruleset.close()


@cache
def load() -> Any:
    """Load libnftables and declare what is used of it; ``Unsupported`` where it is missing."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise Unsupported(
            f"nftables needs {LIBRARY}, which cannot be loaded ({error})",
            hint="install it: apt-get install libnftables1 (Fedora: nftables-libs)",
        ) from error
    context, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("nft_ctx_new", context, [ctypes.c_uint32]),
        ("nft_ctx_free", None, [context]),
        ("nft_ctx_output_set_flags", None, [context, ctypes.c_uint]),
        ("nft_ctx_buffer_output", number, [context]),
        ("nft_ctx_buffer_error", number, [context]),
        ("nft_ctx_get_output_buffer", text, [context]),
        ("nft_ctx_get_error_buffer", text, [context]),
        ("nft_run_cmd_from_filename", number, [context, text]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@contextmanager
def _as_file(commands: str) -> Iterator[str]:
    """Lend the commands as a file in memory: of a buffer, nft's errors show the wrong line."""
    fd = os.memfd_create("netctl-nft", os.MFD_CLOEXEC)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(commands.encode())
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def _new_private_context(library: Any) -> int:
    before = _descriptors()
    context = _new_context(library)
    for fd in _descriptors() - before:
        # libnftables opens its socket without SOCK_CLOEXEC: a command run in a sandbox would
        # hold a socket to the host's firewall.
        os.set_inheritable(fd, False)
    return context


def _new_context(library: Any) -> int:
    context = library.nft_ctx_new(0)
    if not context:
        raise KernelError("open nftables: libnftables refuses", errno=errno.EIO)
    library.nft_ctx_buffer_output(context)
    library.nft_ctx_buffer_error(context)
    return int(context)


def _descriptors() -> set[int]:
    """Return what is open, but for the listing itself: its descriptor is the lowest free one, and
    the next that is opened has it again."""
    found = set(map(int, os.listdir("/proc/self/fd")))
    lowest = os.open("/", os.O_PATH | os.O_CLOEXEC)
    os.close(lowest)
    return found - {lowest}


def _objects(output: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(output)["nftables"]
    except (ValueError, KeyError) as error:
        raise Unsupported(
            f"{LIBRARY} prints no JSON", hint="install a build of it with JSON (jansson)"
        ) from error
    return list(found)


def _error(what: str, trouble: str) -> NetctlError:
    reason, command = _first_error(trouble)
    number = next((n for n in _ERRNOS if os.strerror(n).lower() in reason.lower()), 0)
    message = f"{what}: {reason}" + (f" in '{command}'" if command else "")
    if number == errno.EPERM:
        return _forbidden(what, number)
    if number == errno.EOPNOTSUPP:
        return Unsupported(message, hint="this kernel lacks a part of nf_tables")
    hint = "see what is there: nft list ruleset" if number else None
    return KernelError(message, hint=hint, errno=number)


def _forbidden(what: str, number: int) -> NotPermitted:
    return not_permitted(f"{what} (nftables)", number, "CAP_NET_ADMIN")


def _first_error(trouble: str) -> tuple[str, str]:
    """Return the first error's reason, and the command that nft shows below it."""
    lines = trouble.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        _, found, reason = line.partition("Error: ")
        if found:
            return reason.strip(), below.strip()[:_EXCERPT]
    return (lines[0].strip() if lines else "no reason given"), ""


def library_version() -> str | None:
    """Return the version of libnftables, from its own JSON output; None where there is none."""
    try:
        library = load()
        context = _new_context(library)
    except NetctlError:
        return None
    try:
        library.nft_ctx_output_set_flags(context, _JSON_OUTPUT)
        with _as_file("list tables") as path:
            failed = library.nft_run_cmd_from_filename(context, path.encode()) != 0
        output = (library.nft_ctx_get_output_buffer(context) or b"").decode(errors="replace")
    finally:
        library.nft_ctx_free(context)
    if failed:
        return "unknown" if has_capability("CAP_NET_ADMIN") else "unknown (not permitted)"
    # Without the right to look at the ruleset it may say nothing at all.
    objects = _objects(output) if output else []
    found = [item["metainfo"]["version"] for item in objects if "metainfo" in item]
    return found[0] if found else "unknown"
