"""Where the command ``netctl`` and ``python -m netctl`` begin."""

import gc
import os
import sys

from netctl import plainsignal as signal


def main() -> None:
    """Run the command line and exit with its status."""
    # Ctrl-C while modules are imported, when nobody is there yet to catch it, just ends the
    # process. Where SIGINT was ignored, as after nohup, it stays so.
    caught = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if caught:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A process of a tenth of a second has no garbage worth the 4 ms that looking for it takes.
    gc.disable()
    # Python has None for a stream that was closed before it began, as by `netctl ls >&-`.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")
    from netctl import cli

    if caught:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    status = cli.run(sys.argv[1:])
    # Nor is there anything to tear down that the kernel does not take back faster.
    os._exit(status)


if __name__ == "__main__":
    main()
