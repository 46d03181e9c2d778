"""The options that every command has: before its name, or after it as people type them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netctl import __version__
from netctl.errors import InvalidInput

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_KEY = "netctl.universal"
_COLORS = ("auto", "always", "never")


def given(ctx: click.Context) -> dict[str, Any]:
    """Return the options that were given so far, by name: one mapping for a whole command line."""
    found: dict[str, Any] = ctx.meta.setdefault(_KEY, {})
    return found


def _take(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    if value == "" and not ctx.resilient_parsing:
        name = option.opts[-1]
        raise InvalidInput(f"{name} is empty", hint="leave it out, or give a value")
    known, name = given(ctx), option.name or ""
    if isinstance(option, click.Option) and option.count:
        known[name] = known.get(name, 0) + value
    elif value is not None:
        known[name] = value


def _offered(ctx: click.Context, option: click.Parameter, word: str) -> list[CompletionItem]:
    """Complete an option's value; paths are the shell's to offer."""
    from click.shell_completion import CompletionItem

    if option.name == "color":
        return [CompletionItem(when) for when in _COLORS if when.startswith(word)]
    return [CompletionItem(word, type="file" if option.name == "config" else "dir")]


def _options(*, hidden: bool) -> tuple[click.Option, ...]:
    def option(*names: str, **words: Any) -> click.Option:
        if "metavar" in words:
            words["shell_complete"] = _offered
        return click.Option(names, expose_value=False, callback=_take, hidden=hidden, **words)

    return (
        option(
            "--config",
            metavar="FILE",
            help="Configuration  [NETCTL_CONFIG; /etc/netctl/netctl.yaml]",
        ),
        option("--state-dir", metavar="DIR", help="The store  [NETCTL_STATE_DIR; /var/lib/netctl]"),
        option("--run-dir", metavar="DIR", help="The lock  [NETCTL_RUN_DIR; /run/netctl]"),
        option(
            "--lock-timeout",
            metavar="S",
            help="Seconds to wait for another netctl  [NETCTL_LOCK_TIMEOUT; 30]",
        ),
        option(
            "--color", metavar="WHEN", help="auto, always or never  [NETCTL_COLOR, NO_COLOR; auto]"
        ),
        option("-v", "--verbose", count=True, help="Print each step as it runs."),
    )


def _show_version(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"netctl {__version__}", color=ctx.color)
        ctx.exit()


OPTIONS = _options(hidden=False)
ROOT = (
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and exit.",
    ),
    *OPTIONS,
)
"""Those of the root, which says its version beside."""
BELOW = _options(hidden=True)
"""They again, for the commands and groups below the root: their help does not repeat them."""
VALUED = frozenset(name for option in OPTIONS if not option.count for name in option.opts)
"""Those that a value follows."""
