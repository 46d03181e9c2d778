"""The completion scripts; each calls netctl once for a Tab."""

from __future__ import annotations

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)

VARIABLE = "_NETCTL_COMPLETE"


class _Bash(BashComplete):
    """bash takes the sign = for a word of its own, and wants only what follows it. Behind a key no
    space is set."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)",
        "COMPREPLY+=($value)\n            [[ $value == *= ]] && compopt -o nospace",
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words: list[str] = []
        for word in (*args, incomplete):
            if words and (word == "=" or words[-1].endswith("=")):
                words[-1] += word
            else:
                words.append(word)
        return words[:-1], words[-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = super().get_completions(args, incomplete)
        before, equals, _ = incomplete.rpartition("=")
        for item in found if equals else ():
            item.value = item.value.removeprefix(before + equals)
        return found


class _Whole(ShellComplete):
    """zsh and fish want the whole word, as in --format=json."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        for item in found if equals and option.startswith("--") else ():
            if item.type == "plain":
                item.value = f"{option}={item.value}"
        return found


class _Zsh(_Whole, ZshComplete):
    pass


class _Fish(_Whole, FishComplete):
    pass


def prepare() -> None:
    """Let click answer for the shells as they are."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)


def script(shell: str) -> str:
    """Return the script of ``bash``, ``zsh`` or ``fish``."""
    from netctl.cli import cli

    prepare()

    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(shell)
    # BashComplete.source() would start a bash to look at its version.
    complete = kind(cli, {}, "netctl", VARIABLE)
    text: str = complete.source_template % complete.source_vars()
    return text.strip() + "\n"
