"""Public text is plain technical English: some words, and sentences too long, are not in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netctl import api_page, manual
from tests.unit import test_library

ROOT = Path(__file__).resolve().parents[2]
_SUBJECT = r"(?:^|(?<=[.:;(] )|(?<=\n))"
BANNED = re.compile(
    r"\b(?:anew|bears?|lent|astray|told|whoever|comes? into being|is said|nobody(?!:))\b"
    rf"|{_SUBJECT}one that\b",
    re.IGNORECASE | re.MULTILINE,
)
"""Old or unclear words. \"nobody:\" is a word for scripts, which stays the same."""
PAGES = {
    **dict(manual.pages()),
    "library.md": api_page.page(),
    **{
        path.name: path.read_text()
        for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"))
    },
}
"""The man pages have all help texts in them."""
LONGEST = 30
"""Words of a sentence, at most."""


def sentences(text: str) -> list[str]:
    """Return the sentences of a page in Markdown, without code, headings and the bars of tables."""
    prose = re.sub(r"^```.*?^```$|^#[^\n]*$", "\n", text, flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"\n\s*\n|\n\s*(?:-|\d+\.) |\|", prose)
    return [one for part in parts for one in re.split(r"(?<=[.!?])\s+", " ".join(part.split()))]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_an_old_or_unclear_word(page: str) -> None:
    text = PAGES[page]
    places = [
        text[max(found.start() - 40, 0) : found.end() + 20] for found in BANNED.finditer(text)
    ]
    assert not places


def test_no_error_has_an_old_or_unclear_word() -> None:
    said = [text for _, text in test_library._said()]
    assert len(said) > 300
    assert [text for text in said if BANNED.search(text)] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "architecture.md", "library.md"])
def test_sentences_are_short(page: str) -> None:
    found = sentences(PAGES[page])
    assert len(found) > 30
    assert [one for one in found if len(one.split()) > LONGEST] == []
