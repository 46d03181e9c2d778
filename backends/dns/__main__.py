"""``python -m netctl.backends.dns``: the resolver's process, as ``netctl.kernel.resolver.start``
starts it. A unit of systemd runs ``netctl system resolver``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from netctl.backends.dns.log import Log
from netctl.backends.dns.server import serve
from netctl.errors import InvalidInput, NetctlError
from netctl.kernel.detaching import Starter, detach

LOADER = "netctl.serving:load"
"""What gives the messages that a state directory adds up to."""
_USAGE = "usage: python -m netctl.backends.dns --run-dir DIR [--state-dir DIR] --ready FD"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the resolver; return the exit status."""
    # argparse would take 10 ms to import, a quarter of the start.
    try:
        options = _options(sys.argv[1:] if arguments is None else arguments)
    except InvalidInput as error:
        print(f"{error.command_message}\n{_USAGE}", file=sys.stderr)
        return error.exit_code
    return _detached(options)


def _options(words: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word in ("--run-dir", "--state-dir", "--ready") and (value := next(rest, "")):
            options[word.removeprefix("--")] = value
        else:
            raise InvalidInput(f"what is {word!r}?")
    if not {"run-dir", "ready"} <= options.keys():
        raise InvalidInput("--run-dir and --ready are needed")
    return options


def _detached(options: Mapping[str, str]) -> int:
    starter: Starter = detach(int(options["ready"]), "netctl-dns")
    log = Log(f"{options['run-dir']}/resolver.log")
    try:
        serve(options["run-dir"], lambda: _loaded(options), log, starter.ready)
    except BaseException as error:
        # Before it was ready the starter waits for this; afterwards there is only the log.
        said = (
            error.command_message
            if isinstance(error, NetctlError)
            else getattr(error, "strerror", None)
        )
        starter.failed(said or repr(error))
        log.report()
        os._exit(1)
    return 0


def _loaded(options: Mapping[str, str]) -> Iterable[Mapping[str, object]]:
    if "state-dir" not in options:
        return ()
    module, _, name = LOADER.partition(":")
    found: Iterable[Mapping[str, object]] = getattr(import_module(module), name)(
        options["state-dir"]
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
