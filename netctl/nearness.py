"""Which known word a mistyped one stands for: only what a slip of the fingers makes of it."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 3
_BEGINNING = 3
"""Letters from which on the beginning of a word stands for it."""


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words of the same kind that are nearest to a word, none where none is near:
    one slip in up to five letters, two in up to eight, else three.

    Of words with as many hyphens each part is near on its own: ``--label-add`` is no slip for
    ``--label-rm``. Digits make a difference, and so does each letter of up to three:
    ``--no-ipv6`` is not ``--no-ipv4``, nor ``--tty`` ``--ttl``.
    """
    found = sorted({(distance(word, each), each) for each in known if _near(word, each)})
    return [each for far, each in found if far == found[0][0]][:_SHOWN]


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the question whether one of the known words was meant, empty where none is near."""
    near = nearest(word, known)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def _near(word: str, other: str) -> bool:
    bare = word.lstrip("-")
    if len(bare) >= _BEGINNING and other.startswith(word):
        return True
    if _digits(word) != _digits(other):
        return False
    parts, others = bare.split("-"), other.lstrip("-").split("-")
    if len(parts) != len(others):
        return distance(word, other) <= _slips(bare)
    return all(map(_is_slip, parts, others))


def _is_slip(word: str, other: str) -> bool:
    if len(word) == len(other) <= _BEGINNING:
        return word == other or {*word} == {*other}  # Letters that changed places.
    return distance(word, other) <= _slips(word)


def _digits(word: str) -> str:
    return "".join(filter(str.isdigit, word))


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
