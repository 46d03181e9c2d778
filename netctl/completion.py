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
_SIGNS = ("=", ":")


class _Bash(BashComplete):
    """bash takes the signs = and : for words of their own, and wants only what follows the last.
    Behind a key no space is set."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)",
        "COMPREPLY+=($value)\n            [[ $value == *= ]] && compopt -o nospace",
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words: list[str] = []
        for word in (*args, incomplete):
            if words and (word in _SIGNS or words[-1].endswith(_SIGNS)):
                words[-1] += word
            else:
                words.append(word)
        return words[:-1], words[-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = super().get_completions(args, incomplete)
        place = max(map(incomplete.rfind, _SIGNS)) + 1
        for item in found:
            item.value = item.value.removeprefix(incomplete[:place])
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
    """fish splits what it is given at every comma, and would cut a description there."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


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
