"""Where the command ``netctl`` and ``python -m netctl`` begin."""

import gc
import os
import sys


def main() -> None:
    """Run the command line and exit with its status."""
    # A process of a tenth of a second has no garbage worth the 4 ms that looking for it takes.
    gc.disable()
    # Python has None for a stream that was closed before it began, as by `netctl ls >&-`.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")
    from netctl import cli

    status = cli.run(sys.argv[1:])
    # Nor is there anything to tear down that the kernel does not take back faster.
    os._exit(status)


if __name__ == "__main__":
    main()
