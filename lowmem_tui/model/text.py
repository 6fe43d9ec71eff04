"""Text that others wrote (process names, descriptions, paths), made harmless to show."""

from __future__ import annotations

SUBSTITUTE = "·"
"""Stands where a character could not be shown."""

ELLIPSIS = "…"

MARKS = 30
"""So many combining marks in a row are composed at most (UAX #15, stream-safe text)."""

_NOT_SHOWN = r"[\u115f\u2630-\u2637\u268a-\u268f\u4dc0-\u4dff\U0001d300-\U0001d37f]"
"""Printable by Unicode's table, but a filler that is blank, or (diagrams, counting rods) as wide as
one cell or two, which depends on the terminal: Unicode 16 has changed it."""


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


def _wide(text: str, width: int | None) -> str:
    # Only strange text pays for the imports.
    import re
    from unicodedata import category, combining, normalize

    from lowmem_tui.model.cells import cut, width_of

    if width is not None:
        # Cut first: what cannot be shown costs nothing. No more than four become one (U+1F82).
        text = text[: (width + 1) * 4]
    # The normal form sorts each run of marks, which is quadratic in its length.
    safe, run = [], 0
    for char in text:
        run = run + 1 if combining(char) else 0
        safe.append(char if run <= MARKS else SUBSTITUTE)
    shown = ""
    for char in normalize("NFC", "".join(safe)):
        if category(char) == "Zs":
            shown += " "
        elif char.isprintable() and width_of(char) and not re.match(_NOT_SHOWN, char):
            shown += char
        else:
            shown += SUBSTITUTE
    return shown if width is None else cut(shown, width, ELLIPSIS)


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
