"""The command line: its global options, and one boundary that prints errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from functools import cached_property
from itertools import pairwise
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from netctl import universal
from netctl.colours import ADVICE, ALARM, CAUTION, tinted, wanted
from netctl.errors import InvalidInput, KernelError, NetctlError, Notices
from netctl.groups import LazyGroup, NoCommand
from netctl.interruption import Interruption
from netctl.streams import Output, printable, say

if TYPE_CHECKING:
    from netctl.controller import Controller
    from netctl.plan import Step
    from netctl.progress import Meter

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_COMPLETE = "_NETCTL_COMPLETE"
"""Variable by which the completion scripts ask."""
_BECOMING = ("netctl run", "netctl sandbox exec")
"""Commands that run another one."""
_SIGPIPE = 128 + 13
"""Exit status where the reader of a pipe has gone, as a shell gives it."""
_UNEXPECTED = "run it again with NETCTL_DEBUG=1 and report what that prints"
_LONGEST = 400
"""Characters of a usage error, which quotes what was given."""


class State:
    """What the global options say, and the controller that they lead to."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        """``words`` is the command line as it was given."""
        self.words = words
        self.given: dict[str, Any] = {}
        """The global options by name, of which some come only with the command."""
        self.dry_run = False
        self.made: list[Controller] = []
        self.begun = monotonic()
        self.interruption = Interruption()

    @cached_property
    def _meter(self) -> Meter:
        from netctl.progress import Meter

        return Meter(self.begun, colour=wanted(sys.stderr, self.color))

    def next_of(self, name: str, number: int, total: int) -> None:
        """Go on to the next of several objects: say how far it is. Raises ``Interrupted`` where a
        signal came."""
        self.interruption.begin()
        if not self.dry_run:
            self._meter(name, number, total)

    def hide_progress(self) -> None:
        """Take what shows the progress away."""
        if "_meter" in self.__dict__:
            self._meter.hide()

    @cached_property
    def controller(self) -> Controller:
        from netctl.config import load
        from netctl.controller import Controller

        config = load(self.given.get("config"), self._overrides, os.environ)
        observe = self._observer()
        made = Controller(
            config,
            dry_run=self.dry_run,
            observe=observe,
            progress=lambda what, done, total: self._meter(what, done, total),
            waiting=self._tell_holder,
        )
        self.interruption.arm()
        made.signals = self.interruption
        made.notices = Notices(str)
        self.made.append(made)
        return made

    def _tell_holder(self, holder: str) -> None:
        self.hide_progress()
        say(f"{_prefix('netctl:', CAUTION, self)} waiting for {printable(holder)}")

    @property
    def _overrides(self) -> dict[str, str]:
        return {k: v for k, v in self.given.items() if k not in ("config", "verbose")}

    @property
    def says_color(self) -> bool:
        """Whether colour may be wanted in a pipe."""
        said = "color" in self.given or "NETCTL_COLOR" in os.environ
        return said or "controller" in self.__dict__

    @property
    def color(self) -> str:
        """When there is colour: auto, always or never, also where nothing else can be read."""
        if "controller" in self.__dict__:
            return self.controller.config.color
        from netctl.config import load

        try:
            return load(self.given.get("config"), self._overrides, os.environ).color
        except NetctlError:
            return "auto"

    def _observer(self) -> Any:
        if self.dry_run:
            return lambda step: _shown(step, click.echo)
        return (lambda step: _shown(step, _say_step)) if self.given.get("verbose") else None

    def tell(self) -> None:
        """Tell on stderr what was found and settled beside what was asked for."""
        self.hide_progress()
        for controller in self.made:
            for notice in controller.notices:
                say(f"{_prefix('netctl:', CAUTION, self)} {printable(notice)}")
            controller.notices.clear()


def _shown(step: Step, show: Callable[[str], object]) -> None:
    """Show a step as commands; one that does nothing in this direction, ``: why``, is none."""
    from netctl.plan import Assembly

    for each in step.steps if isinstance(step, Assembly) else (step,):
        if not (text := each.describe()).startswith(": "):
            show(printable(text))


def _say_step(text: str) -> None:
    say(f"+ {text}")


@click.group(cls=LazyGroup, context_settings=SETTINGS)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Container networking for Linux without a daemon.

    A reference is a name, a full id, or the beginning of an id. An endpoint is NETWORK/NAME, or
    NAME where that is unique. The options below may also follow the command.
    """
    ctx.ensure_object(State).given = universal.given(ctx)


cli.params[:0] = universal.ROOT


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; everything is printed and flushed."""
    given, output = list(arguments), Output(sys.stdout)
    try:
        with redirect_stdout(output):
            status = _guarded(given)
            with suppress(OSError):
                output.flush()
        return _lost(output.trouble, _wants_json(given)) if output.trouble else status
    except KeyboardInterrupt:
        return 130


def _lost(trouble: OSError, as_json: bool) -> int:
    """Return the exit status for output that could not be written."""
    # Python would complain once more at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(trouble, BrokenPipeError):
        return _SIGPIPE  # The reader has gone, as after `| head`.
    error = KernelError(
        f"the standard output cannot be written: {trouble.strerror}",
        hint="only what should have been printed is lost; what the command does is done",
    )
    report(error, as_json=as_json)
    return error.exit_code


def _guarded(given: list[str]) -> int:
    state = State(words=given)
    try:
        return _with_errors(given, state)
    finally:
        state.interruption.disarm()


def _with_errors(given: list[str], state: State) -> int:
    try:
        try:
            status = _invoked(given, state)
        finally:
            state.tell()
        return status if isinstance(status, int) else 0
    except NetctlError as error:
        report(error, as_json=_wants_json(given), state=state)
        return error.exit_code
    except click.exceptions.Exit as end:
        return end.exit_code
    except NoCommand as error:
        say(error.message)
        return InvalidInput.exit_code
    except click.UsageError as error:
        report(_usage(error, given), as_json=_wants_json(given), state=state)
        return InvalidInput.exit_code
    except (click.Abort, KeyboardInterrupt):
        return state.interruption.exit_code
    except SystemExit as end:
        # How click ends after a completion, and exec where there is no command.
        return end.code if isinstance(end.code, int) else 0
    except OSError as error:
        if not (isinstance(sys.stdout, Output) and sys.stdout.trouble):
            refusal = KernelError(f"the system refused: {error}", hint=_UNEXPECTED)
            report(refusal, as_json=_wants_json(given), state=state)
        return KernelError.exit_code
    except Exception as error:
        return _bug(error, as_json=_wants_json(given), state=state)


def _invoked(given: list[str], state: State) -> object:
    if _COMPLETE in os.environ:
        from netctl.completion import prepare

        prepare()
        cli.main(given, prog_name="netctl", complete_var=_COMPLETE)
    # What is left of click's own main would end with 1 where the reader of a pipe has gone.
    with cli.make_context("netctl", given, obj=state) as context:
        # Known before a command is looked for: an error about that has colour too.
        state.given = universal.given(context)
        return cli.invoke(context)


def report(error: NetctlError, *, as_json: bool, state: State | None = None) -> None:
    """Print an error on stderr: for people, or as one JSON object. ``state`` says when there is
    colour."""
    if as_json:
        content = {
            "code": error.code,
            "message": error.command_message,
            "hint": error.command_hint,
            "notes": error.command_notes,
        }
        say(json.dumps({"error": content}))
        return
    say(f"{_prefix('netctl:', ALARM, state)} {printable(error.command_message)}")
    for note in error.command_notes:
        say(f"  {printable(note)}")
    if error.command_hint:
        say(f"{_prefix('hint:', ADVICE, state)} {printable(error.command_hint)}")


def _prefix(text: str, colour: str, state: State | None) -> str:
    """Return what a message begins with, in colour where stderr gets it; a pipe costs nothing."""
    when = state.color if state and (sys.stderr.isatty() or state.says_color) else "auto"
    return tinted(text, colour, wanted=wanted(sys.stderr, when))


def _usage(error: click.UsageError, given: Sequence[str]) -> InvalidInput:
    path = error.ctx.command_path if error.ctx else _command_path(given)
    message = " ".join(error.format_message().split()).rstrip(".")
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST]}..."
    return InvalidInput(message[:1].lower() + message[1:], hint=f"{path} --help shows the usage")


def _command_path(given: Sequence[str]) -> str:
    """Return the command that the words begin with: click's parser does not always say it."""
    command: click.Command = cli
    path = ["netctl"]
    words = iter(given)
    for word in words:
        if word in universal.VALUED:
            next(words, None)
        elif isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(click.Context(command), word)
            if found is None:
                break
            command = found
            path.append(command.name or word)
    return " ".join(path)


def _bug(error: Exception, *, as_json: bool, state: State) -> int:
    if os.environ.get("NETCTL_DEBUG"):
        raise error
    report(
        NetctlError(
            f"a bug: {type(error).__name__}: {error}",
            hint=_UNEXPECTED,
        ),
        as_json=as_json,
        state=state,
    )
    return NetctlError.exit_code


def _wants_json(given: Sequence[str]) -> bool:
    """Whether netctl's own ``--format`` is json, and not that of a command which it is to run."""
    if _command_path(given) in _BECOMING:
        return False
    own = given[: given.index("--")] if "--" in given else given
    return "--format=json" in own or ("--format", "json") in pairwise(own)
