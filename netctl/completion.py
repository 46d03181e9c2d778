"""The completion scripts; each calls netctl once for a Tab."""

from __future__ import annotations

from click.shell_completion import get_completion_class

VARIABLE = "_NETCTL_COMPLETE"


def script(shell: str) -> str:
    """Return the script of ``bash``, ``zsh`` or ``fish``."""
    from netctl.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(shell)
    # BashComplete.source() would start a bash to look at its version.
    complete = kind(cli, {}, "netctl", VARIABLE)
    text: str = complete.source_template % complete.source_vars()
    return text.strip() + "\n"
