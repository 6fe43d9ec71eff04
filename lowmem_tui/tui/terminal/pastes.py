"""What is pasted, cut twice: on its way to the parser, and to the room that a field has."""

from __future__ import annotations

from lowmem_tui.model.language import tr
from lowmem_tui.model.text import SUBSTITUTE, plain

START, END = "\x1b[200~", "\x1b[201~"
"""What a terminal sends before and behind a paste (bracketed paste, DEC mode 2004)."""

MOST = 4096
"""Characters of a paste: more than any field takes, so that each says itself that it cuts."""


_HARMLESS = {code: SUBSTITUTE for code in (*range(32), 127) if chr(code) not in "\t\n\r"}
"""Control characters; an escape sequence in a paste would be obeyed as keys (Textual 8.2)."""


class ShortPastes:
    """Textual's parser keeps a paste whole, however long it is, and character by character."""

    def __init__(self) -> None:
        self._left: int | None = None
        """Characters of the present paste that there is still room for."""
        self._before = ""
        """The end of what came last: a mark may come in two pieces."""

    def feed(self, text: str) -> str:
        """Return what is to be parsed of what has come."""
        taken: list[str] = []
        while text:
            text = self._outside(text, taken) if self._left is None else self._inside(text, taken)
        return "".join(taken)

    def _outside(self, text: str, taken: list[str]) -> str:
        """Take what is no paste; return the rest. Nothing is held back: Escape is a key."""
        both = self._before + text
        at = both.find(START)
        if at < 0:
            taken.append(text)
            self._before = both[1 - len(START) :]
            return ""
        end = at + len(START) - len(self._before)
        taken.append(text[:end])
        self._before, self._left = "", MOST
        return text[end:]

    def _inside(self, text: str, taken: list[str]) -> str:
        """Take what there is room for of a paste; return what comes behind it."""
        body, mark, rest = (self._before + text).partition(END)
        self._before = "" if mark else _begun(body)
        body = body.removesuffix(self._before)
        left = self._left or 0
        taken += body[:left].translate(_HARMLESS), mark
        self._left = None if mark else max(0, left - len(body))
        return rest


def _begun(text: str) -> str:
    """Return the end of a text with which END may begin."""
    lengths = range(len(END) - 1, 0, -1)
    return next((END[:n] for n in lengths if text.endswith(END[:n])), "")


def first_line(text: str, room: int, most: int) -> tuple[str, str]:
    """Return as much of a text as there is room for in a line, harmless, and what to say then.

    ``most`` is the length of the whole line at most, in characters.
    """
    first, *rest = text.strip("\r\n").splitlines() or [""]
    line = plain(first[:room].expandtabs(1))
    if len(first) > room:
        return line, tr("Cut: {most} characters at most.", most=most)
    more = any(each.strip() for each in rest)
    return line, tr("Only the first line of the paste was used.") if more else ""
