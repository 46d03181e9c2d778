"""Which known word a mistyped one stands for: only what a slip of the fingers makes of it."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 3
_BEGINNING = 3
"""Letters from which on the beginning of a word stands for it."""


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words of the same kind that are nearest to a word, none where none is near:
    one slip in up to five letters, two in up to eight, else three."""
    found = sorted({(distance(word, each), each) for each in known if _near(word, each)})
    return [each for far, each in found if far == found[0][0]][:_SHOWN]


def _near(word: str, other: str) -> bool:
    begun = len(word.lstrip("-")) >= _BEGINNING and other.startswith(word)
    return begun or distance(word, other) <= _slips(word.lstrip("-"))


def _slips(word: str) -> int:
    return 1 if len(word) < 6 else 2 if len(word) < 9 else 3


def distance(one: str, other: str) -> int:
    """Return how many letters are wrong, missing, too many or swapped with the next."""
    if abs(len(one) - len(other)) > len(other):
        return len(one)  # Far too long to be compared letter by letter.
    before: list[int] = []
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one):
        after = [number + 1]
        for place, wanted in enumerate(other):
            least = min(row[place] + (letter != wanted), row[place + 1] + 1, after[place] + 1)
            if number and place and (letter, one[number - 1]) == (other[place - 1], wanted):
                least = min(least, before[place - 1] + 1)
            after.append(least)
        before, row = row, after
    return row[-1]
