"""Text by the cells of a terminal: a Chinese character takes two, a combining mark none."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NARROW = (
    r"[ -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u2010-\u2027\u2030-\u205e\u2190-\u2319"
    r"\u2500-\u25fc\u2800-\u28ff]*"
)
"""Text of which every character takes one cell; not all such text: this saves an import."""

_NO_CELL = frozenset({"Mn", "Me", "Mc", "Cf", "Cc", "Zl", "Zp"})
"""Categories of characters that take no cell, and"""

_ONE_CELL = frozenset(
    "\u00ad\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
"""those among them that are shown."""

_JOINED = r"[\u1160-\u11ff\u3164\ud7b0-\ud7ff\uffa0\U0001f3fb-\U0001f3ff]"
"""Vowels and last consonants of Hangul, and skin colours: they join the character before."""

_WIDE = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60\U00020000-\U0003fffd"
_OPENING = r"\u2018\u201c\u3008\u300a\u300c\u300e\u3010\uff08"
_CLOSING = (
    r"\u2019\u201d\u2026\u3001\u3002\u3009\u300b\u300d\u300f\u3011"
    r"\uff01\uff09\uff0c\uff1a\uff1b\uff1f"
)
_PIECE = rf"[{_OPENING}]*(?:[{_WIDE}]|[^{_WIDE}{_OPENING}\s]+|[{_OPENING}])[{_CLOSING}]*\s*|\s+"
"""What a line is not broken within: a word or one wide character, with its punctuation."""


def cells(text: str) -> int:
    """Return how many terminal cells a text takes."""
    if text.isascii() or re.fullmatch(_NARROW, text):
        return len(text)
    return sum(map(width_of, text))


@lru_cache(1024)
def width_of(character: str) -> int:
    """Return how many cells a character takes: 0, 1 or 2."""
    # Only unusual text pays for the import.
    from unicodedata import category, east_asian_width

    kind = category(character)
    if kind in _NO_CELL and character not in _ONE_CELL:
        return 0
    if re.match(_JOINED, character):
        return 0
    return 2 if east_asian_width(character) in "WF" and kind != "Cn" else 1


def left(text: str, width: int) -> str:
    """Return a text with blanks behind it, so that it takes at least so many cells."""
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    """Return a text with blanks before it, so that it takes at least so many cells."""
    return " " * (width - cells(text)) + text


def cut(text: str, width: int, more: str = "") -> str:
    """Return the beginning of a text that takes at most so many cells.

    ``more`` stands for what had to go. A character is never cut into halves, nor from its marks.
    """
    if cells(text) <= width:
        return text
    kept, more = _kept(text, width, more)
    return kept + more


def fit(text: str, width: int, more: str = "") -> str:
    """Return a text that takes exactly so many cells; ``more`` stands for what had to go."""
    if cells(text) <= width:
        return left(text, width)
    kept, more = _kept(text, width, more)
    # What a wide character leaves free goes to the end: not between the text and ``more``.
    return left(kept + more, width)


def fit_right(text: str, width: int, more: str = "") -> str:
    """Return a text at the right of exactly so many cells."""
    return right(text, width) if cells(text) <= width else fit(text, width, more)


def _kept(text: str, width: int, more: str) -> tuple[str, str]:
    """Return how much there is room for of a text, and of what stands for the rest."""
    more = more[: _end(more, 0, width)]
    return text[: _end(text, 0, width - cells(more))], more


def _end(text: str, start: int, width: int) -> int:
    """Return where the text ends that begins there and takes at most so many cells."""
    if text.isascii():
        return min(start + max(width, 0), len(text))
    used = 0
    for at in range(start, len(text)):
        used += width_of(text[at])
        if used > width:
            return at
    return len(text)


def breaks(text: str, width: int, *, first: int | None = None, whole: bool = False) -> list[int]:
    """Return at which characters a paragraph is broken into lines of at most so many cells.

    Chinese has no blanks: it is broken between any two characters, but not before a full stop.
    ``first`` are the cells of the first line, where it has others. A word that is longer than a
    line is broken too, unless words stay ``whole``.
    """
    found: list[int] = []
    used, room = 0, width if first is None else first
    for start, end in _pieces(text):
        word = start + len(text[start:end].rstrip())
        if used and used + cells(text[start:word]) > room:
            found.append(start)
            used, room = 0, width
        at = start
        while not whole and (stop := _end(text, at, max(room, 2))) < word:
            found.append(stop)
            at, room = stop, width
        used += cells(text[at:end])
    return found


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Yield from where to where each piece reaches that stays on one line."""
    starts = [match.start() for match in re.finditer(_PIECE, text)]
    if not text.isascii():
        starts = [at for at in starts if not at or width_of(text[at])]
    return pairwise([*starts, len(text)])


def wrap(
    text: str, width: int, *, first: str = "", then: str = "", whole: bool = True
) -> list[str]:
    """Return lines of at most so many cells; ``first`` begins the first one, ``then`` the others.

    A word that is longer than a line stays whole, so that it can be copied, unless it may not.
    """
    text = re.sub(r"\s", " ", text)
    room = width - cells(then)
    at = breaks(text, room, first=width - cells(first), whole=whole)
    if at and not text[: at[0]].strip():
        # Blanks alone are no line: the first one begins behind them.
        return wrap(text.lstrip(), width, first=first, then=then, whole=whole)
    parts = [text[a:b].rstrip() for a, b in pairwise([0, *at, len(text)])]
    return [(then if y else first) + part for y, part in enumerate(parts) if part]
