"""Text by terminal cells: a Chinese character takes two, which len() and textwrap do not know."""

from __future__ import annotations

import re
import textwrap

_PIECES = re.compile(
    r"[“（《「]*(?:[^\s\u1100-\uffff]+|[\u1100-\uffff])[，。；：、！？”）》」…]*|\s+"
)
"""A word or a wide character, with the punctuation that must not be cut off from it; or blanks."""


def cells(text: str) -> int:
    """Return how many terminal cells a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def left(text: str, width: int) -> str:
    """Return a text with blanks behind it, so that it takes at least so many cells."""
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    """Return a text with blanks before it, so that it takes at least so many cells."""
    return " " * (width - cells(text)) + text


def wrap(text: str, width: int, *, first: str = "", then: str = "  ") -> list[str]:
    """Return lines of at most so many cells; ``then`` begins every line but the first.

    A word that is longer than a line stays whole: it can be copied.
    """
    if cells(text) == len(text):
        return textwrap.wrap(
            text,
            width,
            initial_indent=first,
            subsequent_indent=then,
            break_on_hyphens=False,
            break_long_words=False,
        )
    lines, line, indent = [], "", first
    for piece in _PIECES.findall(" ".join(text.split())):
        if line and cells(indent + line + piece.rstrip()) > width:
            lines.append((indent + line).rstrip())
            line, indent = "", then
        line += piece if line else piece.lstrip()
    return [*lines, (indent + line).rstrip()] if line else lines
