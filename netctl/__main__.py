"""``python -m netctl``."""

from netctl.cli import main

main()
