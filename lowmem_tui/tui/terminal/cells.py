"""Texts as wide as asked, counted in the cells of the terminal."""

from __future__ import annotations

import re
from itertools import pairwise

from rich.cells import cell_len, chop_cells, set_cell_size

_WIDE = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60"
_OPENING = r"\u2018\u201c\u3008\u300a\u300c\u300e\u3010\uff08"
_CLOSING = (
    r"\u2019\u201d\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff1a\uff1b\uff1f"
)
_PIECE = re.compile(
    rf"[{_OPENING}]*(?:[{_WIDE}]|[^{_WIDE}{_OPENING}\s]+|[{_OPENING}])[{_CLOSING}]*\s*|\s+"
)
"""What a line is not broken within: a word or one wide character, with its punctuation."""


def fit(text: str, width: int, more: str = "") -> str:
    """Return the text as wide as asked; ``more`` stands for what had to go."""
    if text.isascii():
        if len(text) <= width:
            return text.ljust(width)
        return (text[: width - len(more)] + more)[:width]
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return (set_cell_size(text, max(0, width - len(more))) + more)[:width]


def right(text: str, width: int, more: str = "") -> str:
    """Return the text as wide as asked, at the right; ``more`` stands for what had to go."""
    return " " * max(0, width - cell_len(text)) + fit(text, min(width, cell_len(text)), more)


def breaks(text: str, width: int) -> list[int]:
    """Return at which characters a paragraph is broken into lines.

    Chinese has no blanks: it is broken between any two characters, but not before a full stop.
    """
    found: list[int] = []
    used = 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        cells = cell_len(piece.rstrip())
        if used and used + cells > width:
            found.append(match.start())
            used = 0
        if cells > width:
            at = match.start()
            *whole, piece = chop_cells(piece, max(width, 2))
            for part in whole:
                at += len(part)
                found.append(at)
        used += cell_len(piece)
    return found


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a paragraph, without blanks at their ends."""
    ends = [0, *breaks(text, width), len(text)]
    lines = [text[a:b].strip() for a, b in pairwise(ends)]
    return [line for line in lines if line]
