"""Text that others wrote (process names, descriptions, paths), made harmless to show."""

from __future__ import annotations

SUBSTITUTE = "·"
"""Stands where a character could not be shown."""

ELLIPSIS = "…"

MARKS = 30
"""So many combining marks in a row are composed at most (UAX #15, stream-safe text)."""

# Printable by Unicode's table, and yet blank or of no width: the Hangul fillers.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0")


def plain(text: str, width: int | None = None) -> str:
    """Return the text with nothing in it that a terminal would obey or hide.

    Control characters, escape sequences, line breaks, bidirectional and zero-width marks,
    combining marks (what can be composed is composed first), undecodable bytes (surrogates),
    private and unassigned characters each become ``·``; every kind of space becomes a space.
    With ``width`` the result takes at most that many terminal cells, an ellipsis included.

    The result is text, not markup: show it as a plain string.
    """
    if not (text.isascii() and text.isprintable()):
        return _wide(text, width)
    if width is None or len(text) <= width:
        return text
    return text[: width - 1] + ELLIPSIS if width > 0 else ""


def cells(text: str) -> int:
    """Return the terminal cells that a harmless text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _wide(text: str, width: int | None) -> str:
    # Only strange text pays for the import.
    from unicodedata import category, combining, east_asian_width, normalize

    if width is not None:
        # Cut first: what cannot be shown costs nothing. No more than four become one (U+1F82).
        text = text[: (width + 1) * 4]
    # The normal form sorts each run of marks, which is quadratic in its length.
    safe, run = [], 0
    for char in text:
        run = run + 1 if combining(char) else 0
        safe.append(char if run <= MARKS else SUBSTITUTE)
    cells: list[tuple[str, int]] = []
    used = 0
    for char in normalize("NFC", "".join(safe)):
        kind = category(char)
        if kind == "Zs":
            shown = " "
        elif char.isprintable() and kind not in {"Mn", "Me"} and char not in _BLANK:
            shown = char
        else:
            shown = SUBSTITUTE
        cells.append((shown, 2 if east_asian_width(shown) in "WF" else 1))
        used += cells[-1][1]
    if width is not None and used > width:
        while cells and used > width - 1:
            used -= cells.pop()[1]
        cells += [(ELLIPSIS, 1)] if width > 0 else []
    return "".join(shown for shown, _ in cells)


def ascii_for(character: str) -> str:
    """Return what stands for a character where only ASCII can be shown."""
    return character if character.isascii() else _PLAINER.get(character, "?")


_PLAINER = {
    "—": "-", "–": "-", "−": "-", "‑": "-", "…": "~", "·": ".", "•": "*", "×": "x", "→": ">",
    "←": "<", "↑": "^", "↓": "v", "─": "-", "━": "-", "│": "|", "┃": "|", "├": "|", "└": "`",
    "┌": "+", "┐": "+", "┘": "+", "┤": "|", "█": "#", "▁": "_", "▂": "_", "▃": "-", "▄": "-",
    "▅": "=", "▆": "=", "▇": "#", "░": ".", "▾": "-", "▸": "+", "▼": "v", "▲": "^", "’": "'",
    "“": '"', "”": '"', "±": "~", "µ": "u", "■": "#",
}  # fmt: skip
