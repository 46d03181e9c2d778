"""``netctl completion``."""

from __future__ import annotations

import click


@click.command(epilog='Examples: eval "$(netctl completion bash)"; netctl completion fish | source')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from netctl.completion import script

    click.echo(script(shell), nl=False)
