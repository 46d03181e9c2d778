"""Where the command ``netctl`` and ``python -m netctl`` begin."""

import gc


def main() -> None:
    """Run the command line and exit with its status."""
    # A process of a tenth of a second has no garbage worth the 4 ms that looking for it takes.
    gc.disable()
    from netctl import cli

    cli.main()


if __name__ == "__main__":
    main()
