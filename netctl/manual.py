"""The man pages, made from the command tree so that they cannot drift.

``python -m netctl.manual DIRECTORY`` writes them to DIRECTORY/man, the completion scripts to
DIRECTORY/completions and the library's page to DIRECTORY/docs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from netctl import __version__, api_page
from netctl.cli import cli
from netctl.commands.driver_options import WithDriverOptions
from netctl.completion import script
from netctl.config import Config
from netctl.config_keys import KEYS
from netctl.groups import COMMANDS, CommandGroup

SHELLS = {"bash": "netctl.bash", "zsh": "_netctl", "fish": "netctl.fish"}

_EXIT_STATUS = """\
.SH EXIT STATUS
0 done; 1 a bug in netctl; 2 usage or bad configuration; 3 not
found; 4 conflict (exists, in use, wrong state); 5 exhausted (addresses, pools, ports); 6 not
supported by this kernel or driver; 7 the kernel or the system refused; 8 the store is damaged; 9
.B check
found differences, or
.B doctor
a problem; 10 done in part; 75 another netctl holds the lock; 77 not permitted; 128+N ended by
signal N; 130 also where a question is answered with no.
.BR "sandbox exec" " and " run
return the command's own status, 126 if it cannot be run, 127 if it is not found. A command with
several names goes on after a failure, reports each failure, and returns the first one's code.
If netctl's own command has
.BR "\\-\\-format json" ,
errors are JSON objects, one per line:
{"error": {"code", "message", "hint", "notes"}}.
"""
_FILES = """\
.SH FILES
.TP
.I /etc/netctl/netctl.yaml
The configuration, see
.BR netctl.yaml (5).
.TP
.I /var/lib/netctl
The store, and the hosts and resolv.conf of each sandbox. A user who is not root, or who is root
only in a user namespace, has a store in $XDG_DATA_HOME/netctl (~/.local/share/netctl). That store
does not contain what root created, so lists are empty there.
.TP
.I /run/netctl
The lock; without root $XDG_RUNTIME_DIR/netctl (~/.cache/netctl).
.TP
.I /run/netns/NAME
The namespaces, as of
.BR ip-netns (8).
.TP
.I /etc/netns/NAME
Links to a sandbox's hosts and resolv.conf.
.SH ENVIRONMENT
Every key of the configuration as
.B NETCTL_KEY
(NETCTL_STATE_DIR, NETCTL_LOCK_TIMEOUT, ...; netctl.yaml(5) has the forms),
.B NETCTL_CONFIG
for the file,
.B NO_COLOR
for no colour,
.B NETCTL_DEBUG
for a traceback if netctl has a bug. Other variables with this prefix have no effect.
"""


def pages() -> Iterator[tuple[str, str]]:
    """Give the file name and the content of each man page."""
    root = click.Context(cli, info_name="netctl", **cli.context_settings)
    yield "netctl.1", _root_page(root)
    for name in sorted(COMMANDS):
        command = cli.get_command(root, name)
        assert command is not None  # it is in the table
        yield f"netctl-{name}.1", _page(click.Context(command, info_name=name, parent=root))
    yield "netctl.yaml.5", _configuration_page()


def scripts() -> Iterator[tuple[str, str]]:
    """Give the file name and the content of each completion script."""
    for shell, name in SHELLS.items():
        yield name, script(shell)


def write(directory: Path) -> None:
    """Write all of it below a directory."""
    library = (("library.md", api_page.page()),)
    for folder, files in (("man", pages()), ("completions", scripts()), ("docs", library)):
        (directory / folder).mkdir(exist_ok=True)
        for name, content in files:
            (directory / folder / name).write_text(content, encoding="utf-8")


def _heading(name: str, section: int, what: str) -> str:
    title = f'.TH {name.upper()} {section} "" "netctl {__version__}" "netctl"\n'
    return f"{title}.SH NAME\n{_roff(name)} \\- {_roff(what.rstrip('.'))}\n"


def _root_page(ctx: click.Context) -> str:
    commands = "".join(
        f".TP\n.BR netctl\\-{name} (1)\n{_roff(text)}\n" for name, (_, text) in COMMANDS.items()
    )
    return (
        _heading("netctl", 1, "container networking for Linux without a daemon")
        + ".SH SYNOPSIS\n.B netctl\n[OPTIONS] COMMAND [ARGUMENTS]\n.SH DESCRIPTION\n"
        + _roff(_text(ctx.command))
        + "\n.SH OPTIONS\n"
        + _options(ctx)
        + ".SH COMMANDS\n"
        + commands
        + _other_words(ctx)
        + _EXIT_STATUS
        + _FILES
    )


def _page(ctx: click.Context) -> str:
    command = ctx.command
    text = _heading(f"netctl-{ctx.info_name}", 1, COMMANDS[str(ctx.info_name)][1])
    text += f".SH SYNOPSIS\n{_synopsis(ctx)}.SH DESCRIPTION\n{_roff(_text(command))}\n"
    if isinstance(command, click.Group):
        text += ".SH COMMANDS\n"
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None  # it was listed
            text += _section(click.Context(inner, info_name=name, parent=ctx))
        text += _other_words(ctx)
    else:
        text += ".SH OPTIONS\n" + _options(ctx) + _examples(command)
    return text + _EXIT_STATUS + ".SH SEE ALSO\n.BR netctl (1)\n"


def _other_words(ctx: click.Context) -> str:
    group = ctx.command
    found = group.other_words(ctx) if isinstance(group, CommandGroup) else []
    return f".SH OTHER WORDS\n{_list(found)}" if found else ""


def _section(ctx: click.Context) -> str:
    text = f".SS {_roff(str(ctx.info_name))}\n{_synopsis(ctx)}.PP\n{_roff(_text(ctx.command))}\n"
    return text + _options(ctx) + _examples(ctx.command)


def _synopsis(ctx: click.Context) -> str:
    words = " ".join(ctx.command.collect_usage_pieces(ctx))
    return f".B {_roff(ctx.command_path)}\n{_roff(words)}\n"


def _options(ctx: click.Context) -> str:
    options = (p for p in ctx.command.get_params(ctx) if isinstance(p, click.Option))
    found = [record for record in (option.get_help_record(ctx) for option in options) if record]
    text = _list(found)
    if isinstance(ctx.command, WithDriverOptions):
        for heading, records in ctx.command.sections():
            text += f".PP\n{_roff(heading)}:\n{_list(records)}"
    return text


def _list(records: Iterable[tuple[str, str]]) -> str:
    return "".join(f".TP\n.B {_roff(name)}\n{_roff(text)}\n" for name, text in records)


def _examples(command: click.Command) -> str:
    if not command.epilog:
        return ""
    examples = command.epilog.partition(":")[2].split(";")
    return ".PP\nExamples:\n" + "".join(f".PP\n.B {_roff(e.strip())}\n" for e in examples)


def _text(command: click.Command) -> str:
    return (command.help or "").replace("\b", "").strip()


def _configuration_page() -> str:
    return (
        _heading("netctl.yaml", 5, "configuration of netctl")
        + ".SH DESCRIPTION\n"
        + "YAML, KEY: VALUE; every key is optional. Options override the environment, and the\n"
        + "environment overrides the file. An unknown key or a wrong value is an error that names\n"
        + "the file and line, or the variable. Only commands that use drivers check the names of\n"
        + "drivers and their options; a command that only lists loads no driver. The values of\n"
        + "driver options are checked when a network is created with them. Each key has two\n"
        + "examples: one for the file, one for the environment.\n"
        + ".SH KEYS\n.nh\n.ad l\n"
        + "".join(_keys())
        + ".SH SEE ALSO\n.BR netctl (1)\n"
    )


def _keys() -> Iterable[str]:
    defaults = Config()
    for key, known in KEYS.items():
        default = getattr(defaults, key)
        shown = f" Default: {default}." if default not in ((), {}) else ""
        what = f"{known.help[0].upper()}{known.help[1:]}.{shown}"
        variable = f"NETCTL_{key.upper()}={_quoted(known.text or known.example)}"
        lines = (what, f"{key}: {known.example}", variable)
        yield f".TP\n.B {_roff(key)}\n" + "\n.br\n".join(map(_roff, lines)) + "\n"


def _quoted(text: str) -> str:
    return f"'{text}'" if {*text} & {*" ;"} else text


def _roff(text: str) -> str:
    # A plain quotation mark would be one of the macro's.
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    lines = (line.strip() for line in escaped.splitlines())
    # A line that begins with a dot or an apostrophe would be a request.
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line or ".PP" for line in lines)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
