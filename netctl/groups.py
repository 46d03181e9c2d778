"""The kinds of commands and groups, and where each command is: loaded when it is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

import click

from netctl import universal
from netctl.errors import InvalidInput

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "check": ("netctl.commands.check:check", "Compare the kernel with the store."),
    "completion": (
        "netctl.commands.completion:completion",
        "Print the completion script of a shell.",
    ),
    "container": ("netctl.commands.container:container", "Containers: dnet's word for sandboxes."),
    "doctor": ("netctl.commands.doctor:doctor", "Explain why traffic would fail."),
    "endpoint": ("netctl.commands.endpoint:endpoint", "Endpoints: a network's attachment points."),
    "gc": ("netctl.commands.repair:gc", "Remove what netctl created and nothing needs."),
    "help": ("netctl.commands.help:help_", "Show the help of a command."),
    "info": ("netctl.commands.info:info", "Show the configuration, the kernel and the versions."),
    "network": ("netctl.commands.network:network", "Networks: groups of endpoints that can talk."),
    "reload": ("netctl.commands.reload:reload", "Put the firewall's rules back in order."),
    "repair": ("netctl.commands.repair:repair", "Bring the kernel back to the store."),
    "restore": ("netctl.commands.repair:restore", "Recreate everything after a reboot."),
    "run": ("netctl.commands.run:run", "Run one command in a sandbox of its own."),
    "sandbox": ("netctl.commands.sandbox:sandbox", "Sandboxes: network stacks, with their files."),
    "service": ("netctl.commands.service:service", "Services: dnet's word for endpoints."),
    "system": ("netctl.commands.system:system", "Units of systemd, for boot and for timers."),
    "version": ("netctl.commands.info:version", "Show the version."),
}
"""Name to where the command is, and its line in the help: nothing is imported to print that."""

ALIASES = {"del": "rm", "delete": "rm", "remove": "rm", "list": "ls"}
"""Other words for the commands of a group."""
GROUP_ALIASES = {"net": "network", "sb": "sandbox", "ep": "endpoint"}
"""The same for the groups."""


_WHOLE = 1000
"""Characters of a command's line that are not cut."""


class NoCommand(click.UsageError):
    """A group without a command: what there is, is the answer."""


def _meant(word: str, known: Iterable[str]) -> str:
    from netctl.nearness import suggestion

    asked = suggestion(word, known)
    return f" {asked[0].upper()}{asked[1:]}" if asked else ""


@contextmanager
def _suggesting(command: click.Command, ctx: click.Context) -> Iterator[None]:
    """Name the options of a command that an unknown one may stand for."""
    try:
        yield
    except click.NoSuchOption as error:
        known = {
            name
            for option in command.get_params(ctx)
            if isinstance(option, click.Option)
            for name in (*option.opts, *option.secondary_opts)
            if name.startswith("--")
        }
        meant = _meant(error.option_name, known)
        raise click.UsageError(f"No such option {error.option_name!r}.{meant}", ctx) from None


class _Helpful(click.Command):
    """A command whose help option is not translated, as its help is not: click looks for the
    translation of that one line at each start, for which Python imports its locales."""

    _help: click.Option | None = None

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        if self._help is None:
            self._help = click.Option(
                self.get_help_option_names(ctx),
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_help,
                help="Show this message and exit.",
            )
        return self._help


def _show_help(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class Command(_Helpful):
    """A command that takes no empty text for an option, as of a script's unset variable."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _suggesting(self, ctx):
            rest = super().parse_args(ctx, args)
        _check_filled(self, ctx)
        return rest

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *universal.BELOW]


class CommandGroup(_Helpful, click.Group):
    """A group that shows its help, as an error, where no command is given."""

    command_class = Command
    aliases: ClassVar[Mapping[str, str]] = {}

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *(universal.BELOW if ctx.parent else ())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.command_called(ctx, self.aliases.get(cmd_name, cmd_name))

    def other_words(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return the commands that have other words, with these."""
        there = self.list_commands(ctx)
        words = {name: [w for w, meant in self.aliases.items() if meant == name] for name in there}
        return [(name, ", ".join(found)) for name, found in words.items() if found]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.list_in(ctx, formatter)
        if found := self.other_words(ctx):
            with formatter.section("Other words"):
                formatter.write_dl(found)

    def list_in(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, each with its line."""
        super().format_commands(ctx, formatter)

    def command_called(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of that very name."""
        return super().get_command(ctx, name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer another word for a command only where nothing else begins so."""
        from click.shell_completion import CompletionItem

        found = super().shell_complete(ctx, incomplete)
        for item in found:
            if item.help and not item.value.startswith("-"):
                item.help = self.line_of(ctx, item.value)  # click cuts it.
        others = [word for word in self.aliases if incomplete and word.startswith(incomplete)]
        return found or [CompletionItem(word) for word in others]

    def line_of(self, ctx: click.Context, name: str) -> str:
        """Return what a list of commands says of one."""
        command = self.get_command(ctx, name)
        return command.get_short_help_str(_WHOLE) if command else ""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise NoCommand(ctx.get_help(), ctx)
        with _suggesting(self, ctx):
            rest = super().parse_args(ctx, args)
        _check_filled(self, ctx)
        return rest

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if self.get_command(ctx, word) is None and not ctx.resilient_parsing and word[:1] != "-":
            meant = _meant(word, self.list_commands(ctx))
            raise click.UsageError(f"No such command {word!r}.{meant}", ctx)
        name, command, rest = super().resolve_command(ctx, args)
        # Help and errors speak of a command by its own name.
        return command.name if command else name, command, rest


def _check_filled(command: click.Command, ctx: click.Context) -> None:
    for option in command.params:
        value = ctx.params.get(option.name or "")
        empty = value == "" or (isinstance(value, tuple) and "" in value)
        if empty and isinstance(option, click.Option) and _given(option, ctx):
            name = option.opts[-1]
            raise InvalidInput(f"{name} is empty", hint="leave it out, or give a value")


def _given(option: click.Option, ctx: click.Context) -> bool:
    source = ctx.get_parameter_source(option.name or "")
    return source is click.core.ParameterSource.COMMANDLINE and not ctx.resilient_parsing


class AliasGroup(CommandGroup):
    """A group that also takes ``remove`` and ``list``, as docker does, and other tools' words."""

    aliases = ALIASES


class LazyGroup(CommandGroup):
    """The root: a command's module is imported when the command is used."""

    aliases = GROUP_ALIASES

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def command_called(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def line_of(self, ctx: click.Context, name: str) -> str:
        return COMMANDS[name][1] if name in COMMANDS else ""

    def list_in(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])
