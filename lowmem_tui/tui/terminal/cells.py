"""Texts as wide as asked, counted in the cells of the terminal."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def fit(text: str, width: int, more: str = "") -> str:
    """Return the text as wide as asked; ``more`` stands for what had to go."""
    if text.isascii():
        if len(text) <= width:
            return text.ljust(width)
        return (text[: width - len(more)] + more)[:width]
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return (set_cell_size(text, max(0, width - len(more))) + more)[:width]
